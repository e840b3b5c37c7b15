//! How long a Certificate waits after failures (`shouldBackoffReissuingOnFailure`).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::CertificateStatus;

/// The wait after the first failure, and the longest; each failure in a row doubles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure. Zero means that there is no waiting at all.
    pub minimum: Duration,
    /// The longest wait.
    pub maximum: Duration,
}

/// cert-manager's own: 1 hour, 32 hours.
impl Default for Backoff {
    fn default() -> Self {
        Self { minimum: Duration::from_hours(1), maximum: Duration::from_hours(32) }
    }
}

impl Backoff {
    /// The wait after this many failures in a row. An absent or impossible number counts as one.
    #[must_use]
    pub fn delay(&self, attempts: Option<i64>) -> Duration {
        let doublings = u32::try_from(attempts.unwrap_or(1).max(1) - 1).unwrap_or(u32::MAX);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let delay = if doublings > 31 { self.maximum } else { self.minimum.saturating_mul(factor) };
        delay.min(self.maximum).max(self.minimum)
    }

    /// Until when there is no new attempt; `None` when there may be one now.
    #[must_use]
    pub fn until(&self, status: &CertificateStatus, now: Timestamp) -> Option<Timestamp> {
        let failed = status.last_failure_time?;
        if self.minimum.is_zero() {
            return None;
        }
        let delay = SignedDuration::try_from(self.delay(status.failed_issuance_attempts)).ok()?;
        let until = failed.checked_add(delay).unwrap_or(Timestamp::MAX);
        (now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_one_hour_to_thirty_two() {
        let hours = |attempts| Backoff::default().delay(attempts).as_secs() / 3600;
        let attempts = [None, Some(-1), Some(0), Some(1), Some(2), Some(3), Some(6), Some(7), Some(i64::MAX)];
        assert_eq!(attempts.map(hours), [1, 1, 1, 1, 2, 4, 32, 32, 32]);
    }

    #[test]
    fn the_wait_is_counted_from_the_last_failure() {
        let start = Timestamp::UNIX_EPOCH;
        let status = CertificateStatus {
            last_failure_time: Some(start),
            failed_issuance_attempts: Some(2),
            ..CertificateStatus::default()
        };
        let hour = |hours| start + SignedDuration::from_hours(hours);
        assert_eq!(Backoff::default().until(&status, hour(1)), Some(hour(2)));
        assert_eq!(Backoff::default().until(&status, hour(2)), None);
        assert_eq!(Backoff::default().until(&CertificateStatus::default(), start), None);
        let none = Backoff { minimum: Duration::ZERO, ..Backoff::default() };
        assert_eq!(none.until(&status, hour(1)), None);
    }
}
