//! A stranger in the chain.

use ca::{Authority, CaProfile, KeyAlgorithm};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{
    fault::{Issuance, Kind, Misbehaviour, parameters},
    random,
};

pub(crate) const KIND: Kind = Kind {
    name: "unrelated-certificate",
    about: "puts a CA that signed nothing here into `ca_chain`, at the end or, with `first`, at the start",
    parameters: r#"{"first": false}"#,
    build: parameters::<UnrelatedCertificate>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UnrelatedCertificate {
    first: bool,
}

impl Misbehaviour for UnrelatedCertificate {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, now: Timestamp) -> Result<(), ca::CaError> {
        let profile = CaProfile {
            common_name: "Unrelated CA".to_owned(),
            not_before: now,
            not_after: now.checked_add(SignedDuration::from_hours(24)).unwrap_or(now),
            serial: random::serial(),
            path_len: None,
        };
        let stranger = Authority::self_signed(random::key(KeyAlgorithm::EcdsaP256)?, &profile)?;
        let at = if self.first { 0 } else { issuance.chain.len() };
        issuance.chain.splice(at..at, stranger.chain().iter().cloned());
        Ok(())
    }
}
