//! When to try again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The first wait: a connection that broke is worth a quick second try.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait of our own: a PKI that came back is noticed within minutes, and a thousand waiting requests
/// ask it no more than a few times a second.
const LONGEST: Duration = Duration::from_mins(5);
/// The longest wait that a PKI can ask for with `Retry-After`.
const LONGEST_ASKED: Duration = Duration::from_hours(1);
/// No wait between two calls is longer, those between polls apart.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(66);

/// The wait after `failures` calls came to nothing: doubling from one second up to five minutes, spread over
/// the upper half by `jitter` (`0.0..1.0`), and not shorter than the PKI asked for (at most an hour of that).
#[must_use]
pub fn delay(failures: u32, jitter: f64, retry_after: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX)).min(LONGEST);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    let own = doubled.mul_f64(0.5 + jitter / 2.0);
    let asked = retry_after.unwrap_or_default().min(LONGEST_ASKED);
    // What the PKI asked for is spread as well, or all would come back in the same second.
    own.max(asked + asked.mul_f64(jitter / 10.0))
}

/// `time` + `duration`, ending at the end of time.
#[must_use]
pub fn after(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.saturating_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_are_bounded_and_grow(failures in 0_u32..100, jitter in 0.0_f64..1.0) {
            let wait = delay(failures, jitter, None);
            prop_assert!(wait >= FIRST / 2 && wait <= LONGEST);
            prop_assert!(delay(failures + 1, jitter, None) >= wait);
        }

        #[test]
        fn retry_after_is_honoured_up_to_an_hour(seconds in 0_u64..100_000, jitter in 0.0_f64..1.0) {
            let wait = delay(0, jitter, Some(Duration::from_secs(seconds)));
            prop_assert!(wait >= Duration::from_secs(seconds.min(3600)));
            prop_assert!(wait <= LONGEST_WAIT);
        }
    }

    #[test]
    fn strange_jitter_does_no_harm() {
        for jitter in [f64::NAN, f64::INFINITY, -1.0, 7.0] {
            assert!(delay(3, jitter, None) <= LONGEST);
        }
    }
}
