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
        let known = match &issuance.leaf.subject_alt_names {
            Sans::Der(names) => Some(names.clone()),
            Sans::FromCsr => issuance.requested.subject_alt_names.map(<[u8]>::to_vec),
            Sans::None => None,
        };
        let extra = GeneralName::Dns(self.dns.clone());
        let names = ca::append_general_name(known.as_deref(), &extra)?;
        // What was copied from the request must not win.
        issuance.extra.retain(|extra| extra.oid != "2.5.29.17");
        issuance.leaf.subject_alt_names = Sans::Der(names);
        Ok(())
    }
}
