//! A serial number that comes again.

use jiff::Timestamp;
use serde::Deserialize;

use crate::fault::{Issuance, Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "serial-reuse",
    about: "issues with the serial number of the certificate that was issued last; the PKI remembers only the later one",
    parameters: "{}",
    build: parameters::<SerialReuse>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SerialReuse {}

impl Misbehaviour for SerialReuse {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, _: Timestamp) -> Result<(), ca::CaError> {
        if let Some(serial) = issuance.last_serial {
            issuance.leaf.serial = serial;
        }
        Ok(())
    }
}
