//! `metav1.Duration`: Go's text for a length of time.

use std::{fmt, str::FromStr};

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time in Go's text form; displays as Go does: `90s` becomes `1m30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub SignedDuration);

/// The text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a duration such as 1h30m")]
pub struct DurationError;

impl GoDuration {
    /// This many hours.
    #[must_use]
    pub const fn from_hours(hours: i64) -> Self {
        Self(SignedDuration::from_secs(hours * 3600))
    }
}

/// Nanoseconds of each unit, longest name first so that `ms` is not read as `m`.
const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, text.trim_start_matches('-')),
            Some(b'+') => (false, text.trim_start_matches('+')),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(SignedDuration::ZERO));
        }
        if rest.is_empty() {
            return Err(DurationError);
        }
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(DurationError)?;
            let (number, after) = rest.split_at_checked(end).ok_or(DurationError)?;
            let (unit, nanos) =
                UNITS.iter().find(|(unit, _)| after.starts_with(unit)).ok_or(DurationError)?;
            total = total.checked_add(scaled(number, *nanos)?).ok_or(DurationError)?;
            rest = after.get(unit.len()..).ok_or(DurationError)?;
        }
        Ok(Self(SignedDuration::from_nanos(if negative { -total } else { total })))
    }
}

/// `number` times `nanos`; the number may have a fraction.
fn scaled(number: &str, nanos: i64) -> Result<i64, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(DurationError);
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| DurationError)? };
    let mut sum = whole.checked_mul(nanos).ok_or(DurationError)?;
    let mut part = nanos;
    for digit in fraction.bytes() {
        part /= 10;
        sum = sum.checked_add(i64::from(digit - b'0') * part).ok_or(DurationError)?;
    }
    Ok(sum)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        if self.0.is_negative() {
            f.write_str("-")?;
        }
        let length = self.0.unsigned_abs();
        let (seconds, nanos) = (length.as_secs(), length.subsec_nanos());
        if seconds == 0 {
            let (value, digits, unit) = match nanos {
                0..1_000 => (nanos, 0, "ns"),
                1_000..1_000_000 => (nanos, 3, "µs"),
                _ => (nanos, 6, "ms"),
            };
            return write!(f, "{}{unit}", decimal(u64::from(value), digits));
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        let last = (seconds % 60) * 1_000_000_000 + u64::from(nanos);
        write!(f, "{}s", decimal(last, 9))
    }
}

/// `value` with its last `digits` digits behind the point, and no zeros at the end of these.
fn decimal(value: u64, digits: usize) -> String {
    let text = format!("{value:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at_checked(text.len() - digits).unwrap_or((&text, ""));
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let again = |text: &str| text.parse::<GoDuration>().map(|duration| duration.to_string());
        for (text, written) in [
            ("2160h", "2160h0m0s"),
            ("90s", "1m30s"),
            ("1.5h", "1h30m0s"),
            ("1h1ms", "1h0m0.001s"),
            ("1500us", "1.5ms"),
            ("7ns", "7ns"),
            ("0", "0s"),
            ("-90s", "-1m30s"),
        ] {
            assert_eq!(again(text).as_deref(), Ok(written), "{text}");
        }
        for text in ["", "1", "h", "1x", ".h", "99999999999999h", "1 h"] {
            assert_eq!(again(text), Err(DurationError), "{text}");
        }
    }
}
