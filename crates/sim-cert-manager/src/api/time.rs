//! `metav1.Time`, and how Go writes times in messages.

use jiff::{Timestamp, tz::TimeZone};

/// `time` without its fraction of a second, which `metav1.Time` cannot carry.
#[must_use]
pub fn truncated(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Go's `time.RFC3339` in UTC.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    truncated(time).to_string()
}

/// Go's `time.RFC1123` in UTC.
#[must_use]
pub fn go_rfc1123(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

/// What Go's `%s` makes of a `*metav1.Time` in UTC.
#[must_use]
pub fn go_string(time: Option<Timestamp>) -> String {
    time.map_or_else(
        || "<nil>".to_owned(),
        |time| time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
    )
}

/// Serde for `metav1.Time`: RFC 3339 in UTC, whole seconds.
pub(crate) mod seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(&super::truncated(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Option::<Timestamp>::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_go_writes_them() {
        let time: Timestamp = "2026-01-02T03:04:05.9Z".parse().unwrap();
        assert_eq!(go_rfc1123(time), "Fri, 02 Jan 2026 03:04:05 UTC");
        assert_eq!(go_string(Some(truncated(time))), "2026-01-02 03:04:05 +0000 UTC");
        assert_eq!(go_string(None), "<nil>");
        assert_eq!(rfc3339(time), "2026-01-02T03:04:05Z");
    }
}
