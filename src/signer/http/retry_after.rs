//! `Retry-After` (RFC 9110 10.2.3).

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{self, HeaderMap, HeaderName};

/// A server may not silence us for longer than this: its wish is a hint, and ours is to recover.
const MAX: Duration = Duration::from_hours(1);

/// Seconds, or a date. A date is compared with the answer's own `Date`, so that it does not matter which clock
/// is wrong; without `Date` it says nothing.
pub(super) fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more seconds than anybody waits.
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    let until = date(headers, &header::RETRY_AFTER)?;
    let from = date(headers, &header::DATE)?;
    // A date in the past: no need to wait.
    Some(Duration::try_from(until.duration_since(from)).unwrap_or_default().min(MAX))
}

/// An HTTP date is one of RFC 2822, whose parser takes `GMT` too.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn parsed(retry_after: &'static str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(retry_after));
        read(&headers).map(|duration| duration.as_secs())
    }

    #[test]
    fn reads_seconds_and_dates_and_waits_at_most_an_hour() {
        assert_eq!(parsed("120"), Some(120));
        assert_eq!(parsed("0"), Some(0));
        assert_eq!(parsed("86400"), Some(3600));
        assert_eq!(parsed("99999999999999999999999"), Some(3600));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(parsed("Sat, 06 Nov 2094 08:00:00 GMT"), Some(3600));
        for nonsense in ["", "soon", "-1", "1.5", "Sun, 99 Nov 1994 08:50:37 GMT"] {
            assert_eq!(parsed(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_date_without_the_servers_own_time_says_nothing() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("Sun, 06 Nov 1994 08:50:37 GMT"));
        assert_eq!(read(&headers), None);
    }
}
