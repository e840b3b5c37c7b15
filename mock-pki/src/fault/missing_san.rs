//! A certificate that leaves out a name.

use ca::Sans;
use jiff::Timestamp;
use serde::Deserialize;

use crate::fault::{Issuance, Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "missing-san",
    about: "leaves out the last subject alternative name, or `all` of them",
    parameters: r#"{"all": false}"#,
    build: parameters::<MissingSan>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MissingSan {
    all: bool,
}

impl Misbehaviour for MissingSan {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, _: Timestamp) -> Result<(), ca::CaError> {
        let names = issuance.take_subject_alt_names().filter(|_| !self.all);
        let fewer = names.map(|names| ca::without_last_general_name(&names)).transpose()?.flatten();
        issuance.leaf.subject_alt_names = fewer.map_or(Sans::None, Sans::Der);
        Ok(())
    }
}
