//! A certificate that is not valid yet.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::fault::{Issuance, Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "future-leaf",
    about: "issues a certificate that becomes valid only in this many seconds",
    parameters: r#"{"seconds": 86400}"#,
    build: parameters::<FutureLeaf>,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FutureLeaf {
    seconds: u32,
}

impl Default for FutureLeaf {
    fn default() -> Self {
        Self { seconds: 86_400 }
    }
}

impl Misbehaviour for FutureLeaf {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn spoil_certificate(&self, issuance: &mut Issuance<'_>, now: Timestamp) -> Result<(), ca::CaError> {
        let by = SignedDuration::from_secs(self.seconds.into());
        issuance.leaf.not_before = now.checked_add(by).unwrap_or(now);
        issuance.leaf.not_after = issuance.leaf.not_after.checked_add(by).unwrap_or(now);
        Ok(())
    }
}
