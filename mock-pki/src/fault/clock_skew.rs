//! A product whose clock is wrong.

use http::{HeaderValue, header};
use jiff::{SignedDuration, fmt::rfc2822::DateTimePrinter};
use serde::Deserialize;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "clock-skew",
    about: "lets the product's clock be ahead by so many seconds, or behind if negative: in certificates, tokens and the `Date` header",
    parameters: r#"{"seconds": -600}"#,
    build: parameters::<ClockSkew>,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ClockSkew {
    seconds: i32,
}

impl Default for ClockSkew {
    fn default() -> Self {
        Self { seconds: -600 }
    }
}

impl Misbehaviour for ClockSkew {
    fn skew(&self) -> SignedDuration {
        SignedDuration::from_secs(self.seconds.into())
    }

    fn spoil(&self, reply: Reply, asked: &Asked<'_>) -> Reply {
        let Reply::Answer(mut answer) = reply else { return reply };
        let wrong = asked.now.checked_add(self.skew()).unwrap_or(asked.now);
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&wrong);
        if let Some(date) = date.ok().and_then(|date| HeaderValue::try_from(date).ok()) {
            answer.headers_mut().insert(header::DATE, date);
        }
        Reply::Answer(answer)
    }
}
