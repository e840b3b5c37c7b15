//! An answer that takes for ever to arrive.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::Deserialize;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, connection::Drip, parameters, with_body};

pub(crate) const KIND: Kind = Kind {
    name: "slow-drip",
    about: "sends the head at once and then white space, a few bytes at a time, `bytes` in all",
    parameters: r#"{"bytes": 4096, "piece": 1, "milliseconds": 100}"#,
    build: parameters::<SlowDrip>,
};

/// What is dripped is held in memory.
const MOST: usize = 16 * 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SlowDrip {
    bytes: usize,
    piece: usize,
    milliseconds: u64,
}

impl Default for SlowDrip {
    fn default() -> Self {
        Self { bytes: 4096, piece: 1, milliseconds: 100 }
    }
}

impl Misbehaviour for SlowDrip {
    fn spoil(&self, reply: Reply, _: &Asked<'_>) -> Reply {
        let Reply::Answer(answer) = reply else { return reply };
        let bytes = Bytes::from(vec![b' '; self.bytes.min(MOST)]);
        let drip = Drip::new(bytes, self.piece, Duration::from_millis(self.milliseconds.max(1)));
        Reply::Answer(with_body(&answer, drip.boxed_unsync()))
    }
}
