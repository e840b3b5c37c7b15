//! A node of a cluster that another node leads.

use serde::Deserialize;

use crate::fault::{Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "standby",
    about: "answers as a standby node of Vault does: 429 from health (200 with `?standbyok=true`); everything else is forwarded",
    parameters: "{}",
    build: parameters::<Standby>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Standby {}

impl Misbehaviour for Standby {
    fn stands_by(&self) -> bool {
        true
    }
}
