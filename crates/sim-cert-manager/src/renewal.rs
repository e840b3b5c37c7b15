//! When a certificate is renewed (`pkg/util/pki/renewaltime.go`).

use jiff::{SignedDuration, Timestamp};

use crate::api::{CertificateSpec, truncated};

/// What is left of the lifetime when a certificate is renewed: `renewBefore` if it is shorter than the lifetime,
/// else a percentage between 0 and 100, else a third.
#[must_use]
pub fn renew_before(lifetime: SignedDuration, spec: &CertificateSpec) -> SignedDuration {
    let absolute = spec.renew_before.map(|duration| duration.0);
    if let Some(before) = absolute.filter(|before| before.is_positive() && *before < lifetime) {
        return before;
    }
    if let Some(percentage) = spec.renew_before_percentage.filter(|percentage| (1..100).contains(percentage))
    {
        return lifetime / 100 * percentage;
    }
    lifetime / 3
}

/// The renewal time of a certificate with this validity, in whole seconds; `None` when renewal is switched off.
///
/// Renewal windows (`spec.renewal.windows`) are not looked at: the time is the one they would be searched around.
#[must_use]
pub fn renewal_time(
    not_before: Timestamp,
    not_after: Timestamp,
    spec: &CertificateSpec,
) -> Option<Timestamp> {
    if is_disabled(spec) {
        return None;
    }
    let lifetime = not_after.duration_since(not_before);
    let time = not_after.checked_sub(renew_before(lifetime, spec)).unwrap_or(not_after);
    Some(truncated(time))
}

/// Whether the user renews by hand.
#[must_use]
pub fn is_disabled(spec: &CertificateSpec) -> bool {
    spec.renewal.as_ref().is_some_and(|renewal| renewal.policy == "Disabled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CertificateRenewal, GoDuration};

    fn after(spec: &CertificateSpec, lifetime_hours: i64) -> Option<i64> {
        let start = Timestamp::UNIX_EPOCH;
        let end = start + SignedDuration::from_hours(lifetime_hours);
        renewal_time(start, end, spec).map(Timestamp::as_second)
    }

    #[test]
    fn two_thirds_through_unless_the_user_says_otherwise() {
        let mut spec = CertificateSpec::default();
        assert_eq!(after(&spec, 2160), Some(1440 * 3600));
        spec.renew_before_percentage = Some(25);
        assert_eq!(after(&spec, 100), Some(75 * 3600));
        spec.renew_before = Some(GoDuration::from_hours(10));
        assert_eq!(after(&spec, 100), Some(90 * 3600));
    }

    #[test]
    fn what_would_renew_at_once_is_passed_over() {
        let mut spec =
            CertificateSpec { renew_before: Some(GoDuration::from_hours(10)), ..CertificateSpec::default() };
        assert_eq!(after(&spec, 10), Some(24_000));
        spec.renew_before_percentage = Some(100);
        assert_eq!(after(&spec, 9), Some(6 * 3600));
        spec.renewal = Some(CertificateRenewal { policy: "Disabled".to_owned(), windows: Vec::new() });
        assert_eq!(after(&spec, 9), None);
    }
}
