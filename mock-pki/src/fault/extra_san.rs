//! A certificate that names more than was asked for.

use ca::{GeneralName, Sans};
use jiff::Timestamp;
use serde::Deserialize;

use crate::fault::{Issuance, Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "extra-san",
    about: "adds a DNS name nobody asked for",
    parameters: r#"{"dns": "extra.example.com"}"#,
    build: parameters::<ExtraSan>,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ExtraSan {
    dns: String,
}

impl Default for ExtraSan {
    fn default() -> Self {
        Self { dns: "extra.example.com".to_owned() }
    }
}

impl Misbehaviour for ExtraSan {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, _: Timestamp) -> Result<(), ca::CaError> {
        let known = issuance.take_subject_alt_names();
        let extra = GeneralName::Dns(self.dns.clone());
        let names = ca::append_general_name(known.as_deref(), &extra)?;
        issuance.leaf.subject_alt_names = Sans::Der(names);
        Ok(())
    }
}
