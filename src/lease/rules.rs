//! What a contender does next. Pure: the monotonic and the wall clock are arguments.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use tokio::time::Instant;

/// The Lease as last seen, and since when it has been so by our own clock.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    lease: Lease,
    since: Instant,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is no Lease: make it, held by us.
    Create,
    /// We hold it: renew.
    Renew,
    /// It was released or has run out: take it.
    TakeOver,
    /// Another holds it.
    Wait,
}

/// The next step of the contender called `me`.
pub(super) fn step(seen: Option<&Seen>, me: &str, now: Instant) -> Step {
    let Some(seen) = seen else { return Step::Create };
    match seen.holder() {
        Some(holder) if holder == me => Step::Renew,
        Some(_) if now < seen.since + seen.duration() => Step::Wait,
        _ => Step::TakeOver,
    }
}

impl Seen {
    /// `lease` was read at `now`. If it is what was seen before, its time runs on.
    ///
    /// Any change counts, of the metadata too: to wait once more for nothing is safe, to overlook a renewal
    /// is not.
    pub(super) fn observed(before: Option<&Self>, lease: Lease, now: Instant) -> Self {
        let since = before.filter(|before| before.lease == lease).map_or(now, |before| before.since);
        Self { lease, since }
    }

    /// Who holds the Lease; nobody if it was released.
    pub(super) fn holder(&self) -> Option<&str> {
        self.spec()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }

    /// Whether `me` holds it.
    pub(super) fn is_held_by(&self, me: &str) -> bool {
        self.holder() == Some(me)
    }

    /// The duration its holder wrote; none, or a negative one, has run out at once.
    fn duration(&self) -> Duration {
        let seconds = self.spec().and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    /// What was seen.
    #[cfg(test)]
    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    fn spec(&self) -> Option<&LeaseSpec> {
        self.lease.spec.as_ref()
    }

    /// The Lease as `me` writes it to hold it from now on. Carries the resourceVersion that was seen.
    pub(super) fn claimed(&self, me: &str, duration: Duration, wall: Timestamp) -> Lease {
        let old = self.spec().cloned().unwrap_or_default();
        let renewed = after(wall, old.renew_time.as_ref());
        let (acquired, transitions) = if self.is_held_by(me) {
            (old.acquire_time.clone(), old.lease_transitions)
        } else {
            (Some(renewed.clone()), Some(old.lease_transitions.unwrap_or_default().saturating_add(1)))
        };
        let spec = LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: Some(whole_seconds(duration)),
            acquire_time: acquired,
            renew_time: Some(renewed),
            lease_transitions: transitions,
            ..old
        };
        Lease { metadata: self.lease.metadata.clone(), spec: Some(spec) }
    }

    /// The Lease as its holder leaves it: free, and for a reader that does not know an empty holder, run out
    /// after a second.
    pub(super) fn released(&self, wall: Timestamp) -> Lease {
        let old = self.spec().cloned().unwrap_or_default();
        let now = after(wall, old.renew_time.as_ref());
        let spec = LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            ..old
        };
        Lease { metadata: self.lease.metadata.clone(), spec: Some(spec) }
    }
}

/// A new Lease that `me` holds.
pub(super) fn created(name: &str, me: &str, duration: Duration, wall: Timestamp) -> Lease {
    let now = after(wall, None);
    Lease {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: Some(whole_seconds(duration)),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        }),
    }
}

/// `wall` to the microsecond that a Lease carries, and never `old` itself: to the API server a write that
/// changes nothing is none, and the others would not see that we live.
fn after(wall: Timestamp, old: Option<&MicroTime>) -> MicroTime {
    let micros = wall.as_microsecond();
    let micros = match old {
        Some(old) if old.0.as_microsecond() == micros => micros + 1,
        _ => micros,
    };
    MicroTime(Timestamp::from_microsecond(micros).unwrap_or(wall))
}

/// `Timing` lets only whole seconds pass that fit.
fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LEASE: Duration = Duration::from_secs(15);

    fn wall(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn held(by: &str, at: i64) -> Lease {
        let mut lease = created("lease", by, LEASE, wall(at));
        lease.metadata.resource_version = Some(format!("{by}-{at}"));
        lease
    }

    #[test]
    fn the_staircase() {
        let now = Instant::now();
        let seen = |lease| Some(Seen::observed(None, lease, now));
        let another = seen(held("b", 0));
        let mut released = seen(held("b", 0)).unwrap().released(wall(9));
        assert_eq!(step(None, "a", now), Step::Create);
        assert_eq!(step(seen(held("a", 0)).as_ref(), "a", now + LEASE * 9), Step::Renew);
        assert_eq!(step(another.as_ref(), "a", now + LEASE - SECOND), Step::Wait);
        assert_eq!(step(another.as_ref(), "a", now + LEASE), Step::TakeOver);
        assert_eq!(step(seen(released.clone()).as_ref(), "a", now), Step::TakeOver);
        released.spec = None;
        assert_eq!(step(seen(released).as_ref(), "a", now), Step::TakeOver);
    }

    #[test]
    fn another_s_lease_runs_from_when_its_last_change_was_seen_whatever_its_times_say() {
        let begun = Instant::now();
        // Its holder's clock is decades behind: by the written times the lease has long run out.
        let first = Seen::observed(None, held("b", 0), begun);
        let unchanged = Seen::observed(Some(&first), held("b", 0), begun + SECOND * 10);
        assert_eq!(step(Some(&unchanged), "a", begun + SECOND * 14), Step::Wait);
        assert_eq!(step(Some(&unchanged), "a", begun + SECOND * 15), Step::TakeOver);
        let renewed = Seen::observed(Some(&unchanged), held("b", 2), begun + SECOND * 14);
        assert_eq!(step(Some(&renewed), "a", begun + SECOND * 28), Step::Wait);
        assert_eq!(step(Some(&renewed), "a", begun + SECOND * 29), Step::TakeOver);
    }

    #[test]
    fn a_renewal_keeps_the_time_of_acquisition_and_a_takeover_counts_one_transition() {
        let seen = Seen::observed(None, held("a", 5), Instant::now());
        let renewed = seen.claimed("a", LEASE, wall(7));
        assert_eq!(renewed.metadata, held("a", 5).metadata, "the resourceVersion guards the write");
        let expected = LeaseSpec {
            holder_identity: Some("a".to_owned()),
            lease_duration_seconds: Some(15),
            acquire_time: Some(MicroTime(wall(5))),
            renew_time: Some(MicroTime(wall(7))),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        };
        assert_eq!(renewed.spec, Some(expected.clone()));

        let taken = seen.claimed("b", LEASE, wall(30));
        let expected = LeaseSpec {
            holder_identity: Some("b".to_owned()),
            acquire_time: Some(MicroTime(wall(30))),
            renew_time: Some(MicroTime(wall(30))),
            lease_transitions: Some(1),
            ..expected
        };
        assert_eq!(taken.spec, Some(expected));
    }

    #[test]
    fn a_renewal_differs_from_what_it_renews_even_if_the_wall_clock_stands_still() {
        let seen = Seen::observed(None, held("a", 5), Instant::now());
        assert_ne!(seen.claimed("a", LEASE, wall(5)).spec, held("a", 5).spec);
    }

    #[test]
    fn a_release_leaves_the_lease_without_holder_for_one_second() {
        let spec = Seen::observed(None, held("a", 5), Instant::now()).released(wall(9)).spec.unwrap();
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some(""), Some(1)));
        assert_eq!(spec.lease_transitions, Some(0), "the next holder counts itself");
    }

    #[test]
    fn numbers_that_nobody_should_write_do_no_harm() {
        let mut odd = held("b", 0);
        let spec = odd.spec.as_mut().unwrap();
        (spec.lease_duration_seconds, spec.lease_transitions) = (Some(-7), Some(i32::MAX));
        let now = Instant::now();
        let seen = Seen::observed(None, odd, now);
        assert_eq!(step(Some(&seen), "a", now), Step::TakeOver);
        assert_eq!(seen.claimed("a", LEASE, wall(1)).spec.unwrap().lease_transitions, Some(i32::MAX));
    }
}
