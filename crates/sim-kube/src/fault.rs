//! Faults between a client and the server, as values with a guard that takes them away again when it is dropped.
//!
//! Rules are asked in the order in which they were installed, and the first that applies decides. A skin asks with
//! [`Faults::verdict`] before it hands a request to the cluster, and does what the verdict says: only a skin can
//! wait or break a connection. What the cluster does itself is to show a client that is frozen the past.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jiff::{SignedDuration, Timestamp};

use crate::{Call, Failure, Identity};

/// Which client a request comes from, as an extension of the request: two replicas are one user and two peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer(pub Arc<str>);

/// A request, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// When it arrives.
    pub now: Timestamp,
    /// Which client it comes from.
    pub peer: &'a Peer,
    /// Who makes it.
    pub user: &'a Identity,
    /// What it asks for; nothing for documents and health checks.
    pub call: Option<&'a Call>,
    /// Its path.
    pub path: &'a str,
}

/// What happens to a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Effect {
    /// Nothing out of the ordinary.
    #[default]
    Pass,
    /// It is not carried out, and answered with a failure.
    Fail(Failure),
    /// It arrives later.
    Delay(SignedDuration),
    /// It does not arrive: the connection breaks.
    Drop,
    /// It is carried out, and the answer comes later.
    DelayAnswer(SignedDuration),
    /// It is carried out, and the connection breaks before the answer.
    DropAnswer,
}

/// One fault: which requests it strikes, and how.
pub struct Rule {
    applies: Box<dyn Fn(&Seen<'_>) -> bool + Send>,
    effect: Effect,
    skip: u64,
    times: u64,
}

impl Rule {
    /// Strikes every request that `applies` picks.
    pub fn new(effect: Effect, applies: impl Fn(&Seen<'_>) -> bool + Send + 'static) -> Self {
        Self { applies: Box::new(applies), effect, skip: 0, times: u64::MAX }
    }

    /// Lets the first `skip` of its requests pass.
    #[must_use]
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Strikes `times` times, and never again.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("effect", &self.effect)
            .field("skip", &self.skip)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

/// The faults that are installed; clones are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    installed: Arc<Mutex<Installed>>,
}

#[derive(Default)]
struct Installed {
    next: u64,
    rules: BTreeMap<u64, Entry>,
    frozen: BTreeMap<u64, (Peer, u64)>,
    on_change: Vec<Box<dyn Fn() + Send>>,
}

struct Entry {
    rule: Rule,
    picked: u64,
    struck: u64,
}

impl fmt::Debug for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<&Rule> = self.rules.values().map(|entry| &entry.rule).collect();
        f.debug_struct("Installed")
            .field("rules", &rules)
            .field("frozen", &self.frozen)
            .finish_non_exhaustive()
    }
}

impl Faults {
    /// Installs a rule until the guard is dropped.
    #[must_use = "the rule is gone when the guard is dropped"]
    pub fn install(&self, rule: Rule) -> Guard {
        self.guarded(|installed, id| {
            installed.rules.insert(id, Entry { rule, picked: 0, struck: 0 });
        })
    }

    /// Shows a client nothing newer than `revision` until the guard is dropped, as a server does whose cache lags:
    /// its watches stand still, and a list at "any" revision is as old as that. A list or a read that asks for the
    /// newest state gets it, from behind the cache.
    #[must_use = "the client sees the present again when the guard is dropped"]
    pub fn freeze(&self, peer: Peer, revision: u64) -> Guard {
        self.guarded(|installed, id| {
            installed.frozen.insert(id, (peer, revision));
        })
    }

    /// Whether there is any rule.
    pub(crate) fn any(&self) -> bool {
        !self.lock().rules.is_empty()
    }

    /// What happens to a request. Asking counts: ask once per request.
    #[must_use]
    pub fn verdict(&self, seen: &Seen<'_>) -> Effect {
        let mut installed = self.lock();
        for entry in installed.rules.values_mut() {
            if entry.struck >= entry.rule.times || !(entry.rule.applies)(seen) {
                continue;
            }
            entry.picked += 1;
            if entry.picked > entry.rule.skip {
                entry.struck += 1;
                return entry.rule.effect.clone();
            }
        }
        Effect::Pass
    }

    /// The newest revision that a client is shown; nothing if it sees the present.
    #[must_use]
    pub fn frozen_at(&self, peer: &Peer) -> Option<u64> {
        self.lock().frozen.values().filter(|(frozen, _)| frozen == peer).map(|(_, revision)| *revision).min()
    }

    /// Has `wake` called whenever a fault comes or goes, so that who waits can look again.
    pub fn on_change(&self, wake: impl Fn() + Send + 'static) {
        self.lock().on_change.push(Box::new(wake));
    }

    fn guarded(&self, install: impl FnOnce(&mut Installed, u64)) -> Guard {
        let mut installed = self.lock();
        installed.next += 1;
        let id = installed.next;
        install(&mut installed, id);
        installed.changed();
        Guard { id, installed: Arc::downgrade(&self.installed) }
    }

    fn lock(&self) -> MutexGuard<'_, Installed> {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Installed {
    fn changed(&self) {
        for wake in &self.on_change {
            wake();
        }
    }
}

/// A fault that is installed as long as this lives.
#[derive(Debug)]
#[must_use = "the fault is gone when the guard is dropped"]
pub struct Guard {
    id: u64,
    installed: Weak<Mutex<Installed>>,
}

impl Guard {
    /// How often the rule has struck.
    #[must_use]
    pub fn struck(&self) -> u64 {
        let Some(installed) = self.installed.upgrade() else { return 0 };
        let installed = installed.lock().unwrap_or_else(PoisonError::into_inner);
        installed.rules.get(&self.id).map_or(0, |entry| entry.struck)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(installed) = self.installed.upgrade() else { return };
        let mut installed = installed.lock().unwrap_or_else(PoisonError::into_inner);
        installed.rules.remove(&self.id);
        installed.frozen.remove(&self.id);
        installed.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(faults: &Faults, path: &str) -> Effect {
        let (peer, user) = (Peer::default(), Identity::admin());
        faults.verdict(&Seen { now: Timestamp::UNIX_EPOCH, peer: &peer, user: &user, call: None, path })
    }

    #[test]
    fn a_rule_strikes_what_it_picks_as_often_as_it_says_and_goes_with_its_guard() {
        let faults = Faults::default();
        let guard = faults.install(Rule::new(Effect::Drop, |seen| seen.path == "/a").after(1).times(2));
        let got: Vec<Effect> = ["/a", "/b", "/a", "/a", "/a"].map(|path| verdict(&faults, path)).into();
        assert_eq!(got, [Effect::Pass, Effect::Pass, Effect::Drop, Effect::Drop, Effect::Pass]);
        assert_eq!(guard.struck(), 2);

        let _second = faults.install(Rule::new(Effect::DropAnswer, |_| true));
        let first = faults.install(Rule::new(Effect::Drop, |_| true));
        assert_eq!(verdict(&faults, "/"), Effect::DropAnswer, "the first that applies decides");
        drop(first);
        assert_eq!(verdict(&faults, "/"), Effect::DropAnswer);
    }

    #[test]
    fn a_client_is_frozen_as_long_as_the_guard_lives() {
        let faults = Faults::default();
        let peer = Peer("one".into());
        let guard = faults.freeze(peer.clone(), 7);
        assert_eq!((faults.frozen_at(&peer), faults.frozen_at(&Peer::default())), (Some(7), None));
        drop(guard);
        assert_eq!(faults.frozen_at(&peer), None);
    }
}
