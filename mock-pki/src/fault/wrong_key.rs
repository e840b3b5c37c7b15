//! A certificate for somebody else's key.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    fault::{Issuance, Kind, Misbehaviour, parameters},
    random,
};

pub(crate) const KIND: Kind = Kind {
    name: "wrong-key",
    about: "issues for another key than the request's",
    parameters: "{}",
    build: parameters::<WrongKey>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrongKey {}

impl Misbehaviour for WrongKey {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, _: Timestamp) -> Result<(), ca::CaError> {
        let other = random::key(ca::KeyAlgorithm::EcdsaP256)?;
        issuance.other_spki = Some(other.spki_der().to_vec());
        Ok(())
    }
}
