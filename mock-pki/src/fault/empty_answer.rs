//! The connection is closed before an answer.

use serde::Deserialize;

use crate::fault::{Asked, Cut, Kind, Misbehaviour, Reply, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "empty-answer",
    about: "closes the connection without an answer; with `after` the request takes effect first",
    parameters: r#"{"after": false}"#,
    build: parameters::<EmptyAnswer>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EmptyAnswer {
    after: bool,
}

impl Misbehaviour for EmptyAnswer {
    fn lets_through(&self) -> bool {
        self.after
    }

    fn spoil(&self, _: Reply, _: &Asked<'_>) -> Reply {
        Reply::Cut(Cut::Close)
    }
}
