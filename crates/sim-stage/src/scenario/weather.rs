//! What is in force at the moment, for whoever is on the way between a process and the rest of the world.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sim_kube::client::{Clock, Server};
use sim_kube::fault::{Guard, Peer};
use tokio::time::Instant;

use super::blow::Blow;
use super::op::Replica;
use super::pki_fault::PkiFault;
use crate::record::Record;

/// What is in force; clones are the same.
#[derive(Clone)]
pub(crate) struct Weather(Arc<Mutex<Inner>>);

struct Inner {
    strikes: Vec<Strike>,
    partitions: Vec<(Replica, Instant)>,
    no_bookmarks: Vec<(Replica, Instant)>,
    no_events: Option<Instant>,
    garble: Option<(PkiFault, Instant)>,
    skew: [i64; 2],
    frozen: Vec<(Instant, Guard)>,
    latency: Duration,
}

/// A blow that waits for its request.
struct Strike {
    replica: Replica,
    left: u16,
    blow: Blow,
}

const fn index(replica: Replica) -> usize {
    match replica {
        Replica::A => 0,
        Replica::B => 1,
    }
}

fn end(seconds: u16) -> Instant {
    Instant::now() + Duration::from_secs(u64::from(seconds))
}

impl Weather {
    pub(crate) fn new(latency: Duration) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            strikes: Vec::new(),
            partitions: Vec::new(),
            no_bookmarks: Vec::new(),
            no_events: None,
            garble: None,
            skew: [0, 0],
            frozen: Vec::new(),
            latency,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn arm(&self, replica: Replica, nth: u16, blow: Blow) {
        self.lock().strikes.push(Strike { replica, left: nth, blow });
    }

    /// What happens to the request that a replica sends now. Asking counts: ask once for each.
    pub(crate) fn strike(&self, replica: Replica) -> Option<Blow> {
        let mut inner = self.lock();
        let mut hit = None;
        inner.strikes.retain_mut(|strike| {
            if strike.replica != replica {
                return true;
            }
            if strike.left > 0 || hit.is_some() {
                strike.left = strike.left.saturating_sub(1);
                return true;
            }
            hit = Some(strike.blow);
            false
        });
        hit
    }

    pub(crate) fn partition(&self, replica: Replica, seconds: u16) {
        self.lock().partitions.push((replica, end(seconds)));
    }

    /// How long it takes until what a replica sends now arrives, or what is sent to it.
    pub(crate) fn lag(&self, replica: Replica) -> Duration {
        let inner = self.lock();
        let now = Instant::now();
        let partitions = inner.partitions.iter().filter(|(whose, _)| *whose == replica);
        let held =
            partitions.map(|(_, until)| until.saturating_duration_since(now)).max().unwrap_or_default();
        held + inner.latency
    }

    pub(crate) fn no_bookmarks(&self, replica: Replica, seconds: u16) {
        self.lock().no_bookmarks.push((replica, end(seconds)));
    }

    pub(crate) fn withholds_bookmarks(&self, replica: Replica) -> bool {
        let now = Instant::now();
        self.lock().no_bookmarks.iter().any(|(whose, until)| *whose == replica && now < *until)
    }

    pub(crate) fn no_events(&self, seconds: u16) {
        self.lock().no_events = Some(end(seconds));
    }

    pub(crate) fn refuses_events(&self) -> bool {
        self.lock().no_events.is_some_and(|until| Instant::now() < until)
    }

    pub(crate) fn garble(&self, fault: PkiFault, seconds: u16) {
        self.lock().garble = Some((fault, end(seconds)));
    }

    pub(crate) fn garbles(&self) -> Option<PkiFault> {
        self.lock().garble.filter(|(_, until)| Instant::now() < *until).map(|(fault, _)| fault)
    }

    pub(crate) fn set_skew(&self, replica: Replica, seconds: i32) {
        if let Some(skew) = self.lock().skew.get_mut(index(replica)) {
            *skew = i64::from(seconds);
        }
    }

    pub(crate) fn skew(&self, replica: Replica) -> i64 {
        self.lock().skew.get(index(replica)).copied().unwrap_or_default()
    }

    /// Shows a process nothing newer for so long.
    pub(crate) fn freeze(&self, server: &Server, process: &str, seconds: u16, record: &Record) {
        let until = end(seconds);
        let guard = server
            .with(|cluster, _| cluster.faults().freeze(Peer(process.into()), cluster.store().revision()));
        let now = server.clock().now();
        let length = jiff::SignedDuration::from_secs(i64::from(seconds));
        let over = now.saturating_add(length).unwrap_or(now);
        record.lock().held.push((process.to_owned(), now, over));
        self.lock().frozen.push((until, guard));
        let weather = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until(until).await;
            weather.thaw(Instant::now());
        });
    }

    fn thaw(&self, now: Instant) {
        let gone: Vec<(Instant, Guard)> = {
            let mut inner = self.lock();
            let (gone, stay) =
                std::mem::take(&mut inner.frozen).into_iter().partition(|(until, _)| *until <= now);
            inner.frozen = stay;
            gone
        };
        drop(gone);
    }

    /// Everything is well from now on.
    pub(crate) fn calm(&self, clock: Clock, record: &Record) {
        let frozen = {
            let mut inner = self.lock();
            inner.strikes.clear();
            inner.partitions.clear();
            inner.no_bookmarks.clear();
            inner.no_events = None;
            inner.garble = None;
            inner.skew = [0, 0];
            std::mem::take(&mut inner.frozen)
        };
        drop(frozen);
        let now = clock.now();
        for (_, _, until) in &mut record.lock().held {
            *until = (*until).min(now);
        }
    }
}
