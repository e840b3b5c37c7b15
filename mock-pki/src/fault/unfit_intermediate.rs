//! A chain that cannot carry its leaf.

use ca::{Authority, CaProfile, KeyAlgorithm, LeafProfile, Requested, Subject};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{
    fault::{Issuance, Kind, Misbehaviour, parameters},
    random,
};

pub(crate) const KIND: Kind = Kind {
    name: "unfit-intermediate",
    about: "issues below another root and an intermediate that is `expired`, `not-ca` or `ending` before the leaf's renewal",
    parameters: r#"{"why": "expired"}"#,
    build: parameters::<UnfitIntermediate>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UnfitIntermediate {
    why: Why,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Why {
    #[default]
    Expired,
    NotCa,
    Ending,
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

impl Misbehaviour for UnfitIntermediate {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, now: Timestamp) -> Result<(), ca::CaError> {
        let earlier = now.checked_sub(HOUR).unwrap_or(now);
        let profile = CaProfile {
            common_name: "Unfit Root CA".to_owned(),
            not_before: earlier,
            not_after: issuance.leaf.not_after,
            serial: random::serial(),
            path_len: None,
        };
        let root = Authority::self_signed(random::key(KeyAlgorithm::EcdsaP256)?, &profile)?;
        let name = vec![(ca::AttributeType::CommonName, "Unfit Intermediate CA".to_owned())];
        let intermediate = LeafProfile {
            is_ca: self.why != Why::NotCa,
            subject: Subject::Der(ca::distinguished_name(&[name])?),
            ..LeafProfile::valid(
                random::serial(),
                earlier,
                match self.why {
                    Why::Expired => now.checked_sub(SignedDuration::from_secs(60)).unwrap_or(now),
                    Why::NotCa => issuance.leaf.not_after,
                    Why::Ending => now.checked_add(SignedDuration::from_secs(60)).unwrap_or(now),
                },
            )
        };
        let key = random::key(KeyAlgorithm::EcdsaP256)?;
        let requested = Requested { subject_der: &[], spki_der: key.spki_der(), subject_alt_names: None };
        let certificate = root.issue_for(&requested, &intermediate, Vec::new())?;
        issuance.chain = std::iter::once(&certificate).chain(root.chain()).cloned().collect();
        issuance.issuing_ca = Some(certificate);
        // An authority that has the name and the key; its own certificate is never sent.
        issuance.other_signer = Some(Authority::self_signed_as(key, &intermediate, Vec::new())?);
        Ok(())
    }
}
