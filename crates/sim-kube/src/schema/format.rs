//! The formats of strings that the server checks in custom resources; any other is a hint to people.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;

use super::cursor::{Cursor, Type};

/// The format that applies here, if it is one that is checked.
pub(super) fn checked(schema: Cursor<'_>) -> Option<&str> {
    let node = schema.node();
    let format = node.format.as_deref()?;
    let known = match node.kind {
        None | Some(Type::String) => STRINGS.contains(&format.replace('-', "").as_str()),
        Some(Type::Integer) => matches!(format, "int32" | "int64"),
        Some(Type::Number) => matches!(format, "float" | "double"),
        Some(Type::Object | Type::Array | Type::Boolean) => false,
    };
    known.then_some(format)
}

const STRINGS: [&str; 26] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// Does a text have a format? The rare ones that nobody uses in a cluster (books, cards, colours) always hold.
pub(super) fn holds(format: &str, text: &str) -> bool {
    match format.replace('-', "").as_str() {
        "datetime" => date_time(text).is_some(),
        "date" => text.parse::<jiff::civil::Date>().is_ok() && DATE.is_match(text),
        "duration" => duration(text).is_some(),
        // Of no bytes there is no text.
        "byte" => !text.is_empty() && base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(address, bits)| {
            let most = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        }),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => UUID.is_match(text),
        "mac" => MAC.is_match(text),
        "uri" => URI.is_match(text),
        "email" => text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
        "hostname" => text.len() <= 255 && HOSTNAME.is_match(text),
        "k8sshortname" => text.len() <= 63 && SHORT_NAME.is_match(text),
        "k8slongname" => text.len() <= 253 && text.split('.').all(|part| SHORT_NAME.is_match(part)),
        _ => true,
    }
}

/// An expression of this file; each is tried by the tests below.
fn regex(pattern: &str) -> LazyRegex {
    LazyRegex(Regex::new(pattern).ok())
}

struct LazyRegex(Option<Regex>);

impl LazyRegex {
    fn is_match(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

static DATE: LazyLock<LazyRegex> = LazyLock::new(|| regex(r"^\d{4}-\d{2}-\d{2}$"));
static UUID: LazyLock<LazyRegex> =
    LazyLock::new(|| regex("(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"));
static MAC: LazyLock<LazyRegex> = LazyLock::new(|| regex("(?i)^[0-9a-f]{2}([:-][0-9a-f]{2}){5,7}$"));
static URI: LazyLock<LazyRegex> = LazyLock::new(|| regex(r"^([A-Za-z][A-Za-z0-9+.-]*:[^\s]*|/[^\s]*)$"));
static HOSTNAME: LazyLock<LazyRegex> = LazyLock::new(|| {
    regex(r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.?$")
});
static SHORT_NAME: LazyLock<LazyRegex> = LazyLock::new(|| regex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"));
static DATE_TIME: LazyLock<LazyRegex> =
    LazyLock::new(|| regex(r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$"));

/// RFC 3339, as strictly as the server reads it.
pub(super) fn date_time(text: &str) -> Option<jiff::Timestamp> {
    if !DATE_TIME.is_match(text) {
        return None;
    }
    text.parse().ok()
}

/// Go's durations, `1h30m`, in nanoseconds.
pub(super) fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let unit = match unit.trim() {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    let total = if negative { -total } else { total };
    if total.abs() >= 9.2e18 {
        return None;
    }
    // Within the range of an i64, as just checked.
    format!("{total:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_hold_or_do_not() {
        for (format, good, bad) in [
            ("date-time", "2026-11-24T07:00:00.5Z", "2026-11-24 07:00"),
            ("date", "2026-11-24", "2026-13-24"),
            ("duration", "1h30m", "1 fortnight"),
            ("byte", "YQ==", "a"),
            ("byte", "YQ==", ""),
            ("ipv4", "10.0.0.1", "10.0.0"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("uuid", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "x"),
            ("mac", "00:11:22:33:44:55", "00:11"),
            ("uri", "https://example.com/a", "example com"),
            ("email", "a@example.com", "example.com"),
            ("hostname", "a.example.com", "a_b"),
            ("k8s-short-name", "a-b", "a.b"),
            ("k8s-long-name", "a.b", "A"),
        ] {
            assert!(holds(format, good), "{format}: {good}");
            assert!(!holds(format, bad), "{format}: {bad}");
        }
    }

    #[test]
    fn a_duration_is_its_nanoseconds() {
        assert_eq!(duration("1h0m0.5s"), Some(3_600_500_000_000));
        assert_eq!(duration("-3µs"), Some(-3000));
        assert_eq!(duration("1"), None);
        assert_eq!(duration("999999999h"), None);
    }
}
