//! A sealed product.

use serde::Deserialize;

use crate::fault::{Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "sealed",
    about: "answers as a sealed Vault does: 503 `Vault is sealed`, and health says so",
    parameters: "{}",
    build: parameters::<Sealed>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sealed {}

impl Misbehaviour for Sealed {
    fn seals(&self) -> bool {
        true
    }
}
