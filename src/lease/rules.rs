//! What a contender does next. Pure: the monotonic and the wall clock are arguments.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use std::time::Duration;
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
