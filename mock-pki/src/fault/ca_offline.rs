//! A CA whose key is out of reach.

use jiff::Timestamp;
use serde::Deserialize;

use crate::fault::{Issuance, Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "ca-offline",
    about: "lets the CA's key be out of reach, as when its HSM is away: the product answers, and says in its way that it cannot sign",
    parameters: "{}",
    build: parameters::<CaOffline>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CaOffline {}

impl Misbehaviour for CaOffline {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, _: &mut Issuance<'_>, _: Timestamp) -> Result<(), ca::CaError> {
        Err(ca::CaError::Crypto("reach the CA's key"))
    }
}
