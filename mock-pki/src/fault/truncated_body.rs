//! An answer that ends in the middle.

use http_body_util::BodyExt as _;
use serde::Deserialize;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, connection::Truncated, parameters, with_body};

pub(crate) const KIND: Kind = Kind {
    name: "truncated-body",
    about: "announces the whole length, sends so many bytes of the body (half of it if `null`), and closes the connection",
    parameters: r#"{"bytes": null}"#,
    build: parameters::<TruncatedBody>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TruncatedBody {
    bytes: Option<usize>,
}

impl Misbehaviour for TruncatedBody {
    fn spoil(&self, reply: Reply, asked: &Asked<'_>) -> Reply {
        let Reply::Answer(answer) = reply else { return reply };
        let whole = asked.body;
        let length = self.bytes.unwrap_or(whole.len() / 2).min(whole.len());
        let body = Truncated::new(whole.slice(..length), whole.len());
        Reply::Answer(with_body(&answer, body.boxed_unsync()))
    }
}
