//! Points in time, as EJBCA writes and reads them.

use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};

/// `2018-06-15T14:07:09Z`
pub(crate) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads that form and no other: what a search takes.
pub(crate) fn strict(text: &str) -> Option<Timestamp> {
    let at = strtime::parse("%Y-%m-%dT%H:%M:%SZ", text).ok()?.to_datetime().ok()?;
    let at = utc(at)?;
    (iso(at) == text).then_some(at)
}

/// Reads ISO 8601, with or without an offset: what a revocation takes.
pub(crate) fn lenient(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| text.parse::<DateTime>().ok().and_then(utc))
}

/// Reads `2023-06-15 14:07:09`, UTC, or with an offset behind it: what an enrolment takes.
pub(crate) fn of_validity(text: &str) -> Option<Timestamp> {
    const FORM: &str = "%Y-%m-%d %H:%M:%S";
    let (date, offset) = text.trim().split_at_checked("2023-06-15 14:07:09".len())?;
    if offset.is_empty() {
        return strtime::parse(FORM, date).ok()?.to_datetime().ok().and_then(utc);
    }
    strtime::parse(format!("{FORM}%:z"), format!("{date}{offset}")).ok()?.to_timestamp().ok()
}

fn utc(at: DateTime) -> Option<Timestamp> {
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_place_reads_its_own_form() {
        let at: Timestamp = "2023-06-15T14:07:09Z".parse().unwrap();
        assert_eq!(strict("2023-06-15T14:07:09Z"), Some(at));
        assert_eq!(of_validity("2023-06-15 14:07:09"), Some(at));
        assert_eq!(of_validity("2023-06-15 16:07:09+02:00"), Some(at));
        assert_eq!(
            (lenient("2023-06-15T16:07:09+02:00"), lenient("2023-06-15T14:07:09")),
            (Some(at), Some(at))
        );
        assert_eq!((iso(at), crate::issue::whole(at)), ("2023-06-15T14:07:09Z".to_owned(), at));
        for odd in
            ["", "2023-06-15", "2023-02-30T00:00:00Z", "2023-06-15T14:07:09+02:00", "é23-06-15T14:07:09Z"]
        {
            assert_eq!((strict(odd), of_validity(odd)), (None, None), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_to_read(text in "\\PC{0,30}|[0-9:TZ +-]{0,30}") {
            let _ = (strict(&text), lenient(&text), of_validity(&text));
        }
    }
}
