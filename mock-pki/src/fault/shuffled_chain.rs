//! A chain in the wrong order.

use jiff::Timestamp;
use serde::Deserialize;

use crate::fault::{Issuance, Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "shuffled-chain",
    about: "sends `ca_chain` with the root first",
    parameters: "{}",
    build: parameters::<ShuffledChain>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ShuffledChain {}

impl Misbehaviour for ShuffledChain {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, _: Timestamp) -> Result<(), ca::CaError> {
        issuance.chain.reverse();
        Ok(())
    }
}
