//! A body far larger than any answer.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::Deserialize;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, connection::Repeated, parameters, with_body};

pub(crate) const KIND: Kind = Kind {
    name: "oversized-body",
    about: "sends a body of this many bytes, streamed from little memory; `declare` announces its length",
    parameters: r#"{"bytes": 1073741824, "declare": false}"#,
    build: parameters::<OversizedBody>,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OversizedBody {
    bytes: u64,
    declare: bool,
}

impl Default for OversizedBody {
    fn default() -> Self {
        Self { bytes: 1 << 30, declare: false }
    }
}

impl Misbehaviour for OversizedBody {
    fn spoil(&self, reply: Reply, _: &Asked<'_>) -> Reply {
        let Reply::Answer(answer) = reply else { return reply };
        // Spaces: white space before a JSON value, so that a streaming parser does not give up early.
        let chunk = Bytes::from(vec![b' '; 64 * 1024]);
        let body = Repeated::bytes(chunk, self.bytes, self.declare).boxed_unsync();
        Reply::Answer(with_body(&answer, body))
    }
}
