//! A certificate in the archive, with what is known of it.

use std::sync::Arc;

use jiff::Timestamp;
use x509::Certificate;

use crate::{
    archive::Revoked,
    ejbca::{
        State,
        authorities::Shown,
        certificate::serial_bytes,
        names::{alternative, written},
        records::Record,
        revoke,
        search::criteria::{ACTIVE, REVOKED},
    },
    serial::decimal,
};

/// One certificate. Those that another face issued have no record.
pub(crate) struct Found<'a> {
    pub(crate) certificate: Certificate,
    pub(crate) ca: &'a Shown,
    pub(crate) record: Option<Arc<Record>>,
    pub(crate) revoked: Option<Revoked>,
}

impl Found<'_> {
    pub(crate) fn status(&self) -> i32 {
        if self.revoked.is_some() { REVOKED } else { ACTIVE }
    }

    /// The reason's number, -1 for none.
    pub(crate) fn reason(&self) -> i32 {
        revoke::number(self.revoked)
    }

    /// When something last happened to it.
    pub(crate) fn updated(&self) -> Timestamp {
        let issued =
            self.record.as_ref().map_or_else(|| self.certificate.not_before(), |record| record.issued_at);
        self.revoked.map_or(issued, |revoked| revoked.at)
    }

    pub(crate) fn subject_dn(&self) -> String {
        written(&self.certificate.subject())
    }

    pub(crate) fn subject_alt_name(&self) -> Option<String> {
        alternative(&self.certificate.subject_alt_names())
    }

    /// Whether this is its serial number, in hexadecimal, or else also in decimal.
    pub(crate) fn has_serial(&self, text: &str, only_hex: bool) -> bool {
        let own = self.certificate.serial();
        serial_bytes(text).is_some_and(|serial| serial == own) || (!only_hex && decimal(own) == text)
    }
}

/// All certificates that are kept and fit, those of one CA by serial number.
pub(crate) fn all(state: &State, mut fits: impl FnMut(&Found<'_>) -> bool) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    for ca in &state.cas {
        found.extend(ca.archive.filter_map(|serial, kept| {
            if kept.issuer != ca.key {
                return None;
            }
            let found = Found {
                certificate: kept.certificate()?,
                ca,
                record: state.records.find(serial),
                revoked: kept.revoked,
            };
            fits(&found).then_some(found)
        }));
    }
    found
}
