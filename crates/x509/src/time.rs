//! `UTCTime` and `GeneralizedTime` as RFC 5280 4.1.2.5 writes them: with seconds, in UTC, `Z` at the end.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::tlv::{GENERALIZED_TIME, Malformed, Tlv, UTC_TIME};

pub(crate) fn read(element: &Tlv<'_>) -> Result<Timestamp, Malformed> {
    let year_digits = match element.tag {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return Err(Malformed::new("time has an unknown type")),
    };
    timestamp(element.value, year_digits).ok_or(Malformed::new("time"))
}

fn timestamp(text: &[u8], year_digits: usize) -> Option<Timestamp> {
    let digits = text.strip_suffix(b"Z")?;
    if digits.len() != year_digits + 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, rest) = digits.split_at_checked(year_digits)?;
    let year = match (year_digits, number(year)?) {
        (2, year @ 50..) => year + 1900,
        (2, year) => year + 2000,
        (_, year) => year,
    };
    let mut pairs = rest.chunks_exact(2).map(|pair| number(pair).and_then(|value| i8::try_from(value).ok()));
    let mut pair = || pairs.next().flatten();
    let date = Date::new(year, pair()?, pair()?).ok()?;
    let (hour, minute, second) = (pair()?, pair()?, pair()?);
    // There is no second 60: neither Go nor webpki reads a leap second in a certificate.
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    // "No well-defined expiry" is 99991231235959Z (RFC 5280 4.1.2.5), a day later than jiff's last timestamp.
    Some(date.to_datetime(time).to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp()))
}

fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0i16, |number, digit| number.checked_mul(10)?.checked_add(i16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digit_years_turn_in_1950() {
        assert_eq!(timestamp(b"491231235959Z", 2), Some("2049-12-31T23:59:59Z".parse().unwrap()));
        assert_eq!(timestamp(b"500101000000Z", 2), Some("1950-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn no_well_defined_expiry_is_the_last_timestamp() {
        assert_eq!(timestamp(b"99991231235959Z", 4), Some(Timestamp::MAX));
        assert_eq!(timestamp(b"00000101000000Z", 4), Some("0000-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "Z", "20260230000000Z", "20261301000000Z", "2026010100000Z", "20260101000000+0100"] {
            assert_eq!(timestamp(text.as_bytes(), 4), None, "{text}");
        }
        assert_eq!(timestamp(b"2601010000Z", 2), None);
        assert_eq!(timestamp(b"260101246000Z", 2), None);
        assert_eq!(timestamp(b"20261231235960Z", 4), None, "a leap second");
    }
}
