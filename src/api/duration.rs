//! Durations as Kubernetes writes them: Go's `time.Duration` text, such as `2160h0m0s` or `90s`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A non-negative duration in Go's text form (`metav1.Duration`; Go `time.ParseDuration`).
///
/// Accepts the units `h`, `m`, `s`, `ms`, `us`/`µs` and `ns`, with decimal fractions, as in `1.5h` or
/// `1h30m`. A negative or empty text is an error: no field of ours or of a `CertificateRequest` may be
/// negative. A length beyond Go's own limit (292 years) means that limit, so that no object whose text has
/// the right form can fail to be read. Displays as Go does: `1h30m0s`, `90s` becomes `1m30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub Duration);

/// Why a text is no duration. Says which text, and what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: write hours, minutes and seconds, such as \"1h30m\" or \"45s\"")]
pub struct DurationError {
    text: String,
}

impl GoDuration {
    /// This many whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self).ok_or_else(|| DurationError { text: text.chars().take(64).collect() })
    }
}

/// Nanoseconds of each unit, longest name first so that `ms` is not read as `m`.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, after) = rest.split_at_checked(digits)?;
        let (unit, nanos) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        total = total.saturating_add(scaled(number, *nanos)?);
        rest = after.get(unit.len()..)?;
    }
    // Go's durations end at 2^63 nanoseconds (292 years); so do ours.
    let nanos = u64::try_from(total).unwrap_or(u64::MAX).min(i64::MAX.unsigned_abs());
    Some(Duration::from_nanos(nanos))
}

/// `number` × `nanos`, where the number may have a fraction.
fn scaled(number: &str, nanos: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u128::MAX) };
    let mut value = whole.saturating_mul(u128::from(nanos));
    let mut unit = u128::from(nanos);
    for digit in fraction.bytes().take(18) {
        unit /= 10;
        value = value.saturating_add(unit * u128::from(digit - b'0'));
    }
    Some(value)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let nanos = self.0.subsec_nanos();
        if seconds == 0 && nanos > 0 {
            return match nanos {
                n if n % 1_000_000 == 0 => write!(f, "{}ms", n / 1_000_000),
                n if n % 1_000 == 0 => write!(f, "{}µs", n / 1_000),
                n => write!(f, "{n}ns"),
            };
        }
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if nanos == 0 {
            write!(f, "{rest}s")
        } else {
            let fraction = format!("{nanos:09}");
            write!(f, "{rest}.{}s", fraction.trim_end_matches('0'))
        }
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 40,
            "pattern": "^\\+?([0-9]+(\\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$|^0$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, seconds) in
            [("2160h0m0s", 7_776_000), ("1.5h", 5_400), ("90s", 90), ("1h30m", 5_400), ("0", 0)]
        {
            assert_eq!(text.parse::<GoDuration>().unwrap(), GoDuration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in ["", "1", "h", "-1s", "1.2.3s", "1d", "1 h", ".s", "1h-2m"] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn saturates_at_the_limit_of_go() {
        let limit = GoDuration(Duration::from_nanos(i64::MAX.unsigned_abs()));
        for text in ["99999999999999h", "999999999999999999999999999999999999999999999999h"] {
            assert_eq!(text.parse::<GoDuration>().unwrap(), limit, "{text}");
        }
    }

    #[test]
    fn displays_as_go_does() {
        let shown = |ms| GoDuration(Duration::from_millis(ms)).to_string();
        assert_eq!(
            [shown(7_776_000_000), shown(90_000), shown(1_500), shown(5), shown(0)],
            ["2160h0m0s", "1m30s", "1.5s", "5ms", "0s"]
        );
    }

    proptest! {
        #[test]
        fn round_trips(nanos in 0..=i64::MAX as u64) {
            let duration = GoDuration(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse::<GoDuration>().unwrap(), duration);
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
