//! TLS that does not come about.

use serde::Deserialize;

use crate::{
    fault::{Kind, Misbehaviour, parameters},
    tls::Trouble,
};

pub(crate) const KIND: Kind = Kind {
    name: "tls-failure",
    about: "spoils TLS of new connections: hangs up in the `handshake`, or shows a certificate that is `expired`, of an `unknown-ca` or for a `wrong-name`; where a face has no TLS nothing happens",
    parameters: r#"{"why": "handshake"}"#,
    build: parameters::<TlsFailure>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsFailure {
    why: Trouble,
}

impl Misbehaviour for TlsFailure {
    fn tls(&self) -> Option<Trouble> {
        Some(self.why)
    }
}
