//! A certificate that has expired.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::fault::{Issuance, Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "expired-leaf",
    about: "issues a certificate that expired this many seconds ago",
    parameters: r#"{"seconds": 3600}"#,
    build: parameters::<ExpiredLeaf>,
};

/// How long it was valid.
const DAY: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ExpiredLeaf {
    seconds: u32,
}

impl Default for ExpiredLeaf {
    fn default() -> Self {
        Self { seconds: 3600 }
    }
}

impl Misbehaviour for ExpiredLeaf {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, now: Timestamp) -> Result<(), ca::CaError> {
        let end = now.checked_sub(SignedDuration::from_secs(self.seconds.into())).unwrap_or(now);
        issuance.leaf.not_after = end;
        issuance.leaf.not_before = end.checked_sub(DAY).unwrap_or(end);
        Ok(())
    }
}
