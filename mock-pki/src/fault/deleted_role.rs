//! A role that somebody deletes.

use serde::Deserialize;

use crate::fault::{Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "deleted-role",
    about: "deletes the role that the request names before it is looked at; the role stays away until somebody writes it again",
    parameters: "{}",
    build: parameters::<DeletedRole>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DeletedRole {}

impl Misbehaviour for DeletedRole {
    fn deletes_role(&self) -> bool {
        true
    }
}
