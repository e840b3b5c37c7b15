//! A certificate that another CA signed than the one that is sent with it.

use ca::{Authority, LeafProfile, Subject};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    fault::{Issuance, Kind, Misbehaviour, parameters},
    random,
};

pub(crate) const KIND: Kind = Kind {
    name: "wrong-issuer",
    about: "issues from a CA that is not in the chain: one of another name, or with `same_name` of the issuer's name with another key",
    parameters: r#"{"same_name": false}"#,
    build: parameters::<WrongIssuer>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrongIssuer {
    same_name: bool,
}

impl Misbehaviour for WrongIssuer {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, _: Timestamp) -> Result<(), ca::CaError> {
        let name = match issuance.issuing_ca.as_ref().filter(|_| self.same_name) {
            Some(issuer) => issuer.subject_der().to_vec(),
            None => ca::distinguished_name(&[vec![(ca::AttributeType::CommonName, "Wrong CA".to_owned())]])?,
        };
        let stranger = LeafProfile {
            is_ca: true,
            subject: Subject::Der(name),
            ..LeafProfile::valid(random::serial(), issuance.leaf.not_before, issuance.leaf.not_after)
        };
        let key = random::key(ca::KeyAlgorithm::EcdsaP256)?;
        issuance.other_signer = Some(Authority::self_signed_as(key, &stranger, Vec::new())?);
        Ok(())
    }
}
