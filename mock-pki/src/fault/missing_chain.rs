//! An answer without its chain.

use jiff::Timestamp;
use serde::Deserialize;

use crate::fault::{Issuance, Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "missing-chain",
    about: "leaves out `ca_chain` and, unless `keep_issuing_ca`, `issuing_ca`",
    parameters: r#"{"keep_issuing_ca": false}"#,
    build: parameters::<MissingChain>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MissingChain {
    keep_issuing_ca: bool,
}

impl Misbehaviour for MissingChain {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, _: Timestamp) -> Result<(), ca::CaError> {
        issuance.send_chain = false;
        issuance.send_issuing_ca = self.keep_issuing_ca;
        Ok(())
    }
}
