//! Go's durations, and Vault's way of reading them.

use std::fmt::Write as _;

const NANOSECONDS: f64 = 1e9;

/// Reads what Vault reads as a duration in seconds: whole seconds without a unit, Go's `1h30m`, and days (`2d`).
/// `None` when it is none of these, or longer than Go's 292 years.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds);
    }
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()) {
        return days.checked_mul(86_400);
    }
    go(text)
}

/// Go's `time.ParseDuration`, in whole seconds.
fn go(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut total = 0.0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(number_end)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        total += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = after;
    }
    // Go keeps nanoseconds in 63 bits.
    #[expect(clippy::cast_precision_loss, reason = "a limit, not a value")]
    let limit = i64::MAX as f64 / NANOSECONDS;
    if total > limit {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is below the limit")]
    let seconds = total as i64;
    Some(if negative { -seconds } else { seconds })
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// As Go prints it: `72h0m0s`.
pub(crate) fn print(seconds: i64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    let mut text = String::new();
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{rest}s");
    text
}

/// As Vault's token store prints it: without trailing zero parts, `72h`.
pub(crate) fn print_short(seconds: i64) -> String {
    let text = print(seconds);
    let text = text.strip_suffix("m0s").map_or(text.clone(), |rest| format!("{rest}m"));
    text.strip_suffix("h0m").map_or(text.clone(), |rest| format!("{rest}h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, seconds) in [
            ("2160h0m0s", Some(7_776_000)),
            ("72h", Some(259_200)),
            ("1.5h", Some(5400)),
            ("90", Some(90)),
            ("1d", Some(86_400)),
            ("", Some(0)),
            ("-5s", Some(-5)),
            ("banana", None),
            ("5", Some(5)),
            ("5x", None),
            ("99999999h", None),
            ("1h30", None),
        ] {
            assert_eq!(parse(text), seconds, "{text}");
        }
    }

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        assert_eq!(print(259_200), "72h0m0s");
        assert_eq!(print(61), "1m1s");
        assert_eq!(print(0), "0s");
        assert_eq!(print_short(7200), "2h");
        assert_eq!(print_short(5400), "1h30m");
        assert_eq!(print_short(30), "30s");
        assert_eq!(print_short(600), "10m");
    }
}
