//! A slow product.

use std::time::Duration;

use serde::Deserialize;

use crate::fault::{Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "latency",
    about: "waits before the request is looked at",
    parameters: r#"{"milliseconds": 1000}"#,
    build: parameters::<Latency>,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Latency {
    milliseconds: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { milliseconds: 1000 }
    }
}

impl Misbehaviour for Latency {
    fn delay(&self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }
}
