//! The connection is reset.

use serde::Deserialize;

use crate::fault::{Asked, Cut, Kind, Misbehaviour, Reply, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "reset",
    about: "resets the TCP connection; with `after` the request takes effect first and its answer is lost",
    parameters: r#"{"after": false}"#,
    build: parameters::<Reset>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Reset {
    after: bool,
}

impl Misbehaviour for Reset {
    fn lets_through(&self) -> bool {
        self.after
    }

    fn spoil(&self, _: Reply, _: &Asked<'_>) -> Reply {
        Reply::Cut(Cut::Reset)
    }
}
