//! A token that is revoked while it is in use.

use serde::Deserialize;

use crate::fault::{Kind, Misbehaviour, Moment, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "revoked-token",
    about: "revokes the token of the request, before it is looked at or, with `after`, once it took effect; what is revoked stays so, and only a reset brings the root token back",
    parameters: r#"{"after": false}"#,
    build: parameters::<RevokedToken>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RevokedToken {
    after: bool,
}

impl Misbehaviour for RevokedToken {
    fn revokes_token(&self) -> Option<Moment> {
        Some(if self.after { Moment::After } else { Moment::Before })
    }
}
