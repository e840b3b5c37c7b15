//! The faults in force.

use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, Method};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    face::Face,
    fault::{Certificates, Chance, Fault, Misbehaviour, Moment},
    sync::{read, write},
    tls::Trouble,
};

/// The most faults that may be installed at once.
const MAX_FAULTS: usize = 1000;

/// An installed fault, as the control port shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Installed {
    /// Its id, for removing it.
    pub id: u64,
    /// What was installed.
    pub fault: Fault,
    /// How often it applied.
    pub applied: u64,
    /// How often it was considered: requests, certificates or connections that matched while it had times left.
    #[serde(default)]
    pub matched: u64,
}

#[derive(Debug)]
pub(crate) struct Entry {
    id: u64,
    fault: Fault,
    pub(crate) behaviour: Box<dyn Misbehaviour>,
    applied: AtomicU64,
    matched: AtomicU64,
    /// The seed, and which fault since the last reset this is.
    dice: (u64, u64),
}

/// What a matcher looks at.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) face: &'a Face,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

impl Entry {
    pub(crate) fn name(&self) -> &str {
        &self.fault.kind
    }

    /// Takes one of its times, and gives what the dice say besides. Nothing when there is none left, or when the dice
    /// spare what matches.
    pub(crate) fn take(&self) -> Option<Chance> {
        let limit = self.fault.times.unwrap_or(u64::MAX);
        if self.applied.load(Ordering::Relaxed) >= limit {
            return None;
        }
        let matched = self.matched.fetch_add(1, Ordering::Relaxed);
        let mut chance = Chance::new(self.dice.0, self.dice.1, matched);
        if self.fault.probability.is_some_and(|probability| chance.fraction() >= probability) {
            return None;
        }
        let more = |applied: u64| (applied < limit).then_some(applied.saturating_add(1));
        self.applied.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| chance)
    }

    fn matches(&self, seen: Seen<'_>) -> bool {
        let fault = &self.fault;
        let has_id = |wanted: &String| {
            ["x-request-id", "idempotency-key"].iter().any(|name| {
                seen.headers.get(*name).is_some_and(|value| value.as_bytes() == wanted.as_bytes())
            })
        };
        self.behaviour.tls().is_none()
            && fault.face.as_ref().is_none_or(|wanted| wanted == seen.face.name)
            && fault.path.as_ref().is_none_or(|part| seen.path.contains(part.as_str()))
            && fault.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(seen.method.as_str()))
            && fault.request_id.as_ref().is_none_or(has_id)
    }

    pub(crate) fn matches_name(&self, common_name: Option<&str>) -> bool {
        self.fault.common_name.as_ref().is_none_or(|wanted| common_name == Some(wanted.as_str()))
    }
}

/// All faults in force, in the order in which they were installed.
#[derive(Debug)]
pub(crate) struct Faults {
    entries: RwLock<Vec<Arc<Entry>>>,
    last_id: AtomicU64,
    seed: u64,
    /// How many were installed since the last reset.
    installed: AtomicU64,
}

/// What applies to one request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) http: Vec<Applied>,
    pub(crate) certificates: Certificates,
    /// How long to wait before anything else.
    pub(crate) delay: Duration,
    /// How wrong the clock is.
    pub(crate) skew: SignedDuration,
}

/// A fault that applies, and what the dice say.
#[derive(Debug)]
pub(crate) struct Applied {
    entry: Arc<Entry>,
    pub(crate) chance: Chance,
}

impl Applied {
    pub(crate) fn name(&self) -> &str {
        self.entry.name()
    }

    pub(crate) fn behaviour(&self) -> &dyn Misbehaviour {
        &*self.entry.behaviour
    }
}

impl Plan {
    /// Whether any fault has this to say.
    pub(crate) fn any(&self, says: impl Fn(&dyn Misbehaviour) -> bool) -> bool {
        self.http.iter().any(|fault| says(fault.behaviour()))
    }

    /// Whether the request's token is revoked at this moment.
    pub(crate) fn revokes_token(&self, moment: Moment) -> bool {
        self.any(|fault| fault.revokes_token() == Some(moment))
    }
}

impl Faults {
    /// None. Chance follows from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { entries: RwLock::default(), last_id: AtomicU64::new(0), seed, installed: AtomicU64::new(0) }
    }

    /// Installs a fault; gives its id.
    pub(crate) fn install(&self, fault: Fault) -> Result<u64, String> {
        self.install_used(fault, 0, 0)
    }

    /// Installs a fault that applied and was matched before.
    fn install_used(&self, fault: Fault, applied: u64, matched: u64) -> Result<u64, String> {
        let behaviour = fault.build()?;
        let mut entries = write(&self.entries);
        if entries.len() >= MAX_FAULTS {
            return Err(format!("{MAX_FAULTS} faults are installed; remove some first"));
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let dice = (self.seed, self.installed.fetch_add(1, Ordering::Relaxed));
        let (applied, matched) = (AtomicU64::new(applied), AtomicU64::new(matched));
        entries.push(Arc::new(Entry { id, fault, behaviour, applied, matched, dice }));
        Ok(id)
    }

    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut entries = write(&self.entries);
        let before = entries.len();
        entries.retain(|entry| entry.id != id);
        entries.len() < before
    }

    pub(crate) fn clear(&self) {
        write(&self.entries).clear();
    }

    /// Only these, the dice as at the start. Ids go on, so that a guard of before removes nothing of after.
    pub(crate) fn reset(&self, faults: &[Fault]) -> Result<(), String> {
        self.clear();
        self.installed.store(0, Ordering::Relaxed);
        faults.iter().try_for_each(|fault| self.install(fault.clone()).map(drop))
    }

    /// Only these, each as far as it was.
    pub(crate) fn restore(&self, installed: Vec<Installed>) -> Result<(), String> {
        self.reset(&[])?;
        installed
            .into_iter()
            .try_for_each(|entry| self.install_used(entry.fault, entry.applied, entry.matched).map(drop))
    }

    /// Whether they could be installed.
    pub(crate) fn check<'a>(faults: impl Iterator<Item = &'a Fault>) -> Result<(), String> {
        let mut count = 0;
        for fault in faults {
            fault.build()?;
            count += 1;
        }
        if count > MAX_FAULTS {
            return Err(format!(
                "{count} faults are more than the {MAX_FAULTS} that may be installed at once"
            ));
        }
        Ok(())
    }

    /// Installs those that are not there.
    pub(crate) fn install_missing(&self, faults: &[Fault]) -> Result<(), String> {
        let there = self.list();
        let missing = faults.iter().filter(|fault| !there.iter().any(|entry| entry.fault == **fault));
        missing.cloned().try_for_each(|fault| self.install(fault).map(drop))
    }

    /// How many are in force.
    pub(crate) fn len(&self) -> usize {
        read(&self.entries).len()
    }

    pub(crate) fn list(&self) -> Vec<Installed> {
        let entries = read(&self.entries);
        let shown = entries.iter().map(|entry| Installed {
            id: entry.id,
            fault: entry.fault.clone(),
            applied: entry.applied.load(Ordering::Relaxed),
            matched: entry.matched.load(Ordering::Relaxed),
        });
        shown.collect()
    }

    /// What is wrong with the next TLS connection to a face.
    pub(crate) fn tls(&self, face: &Face) -> Option<Trouble> {
        let entries = read(&self.entries);
        entries.iter().find_map(|entry| {
            let trouble = entry.behaviour.tls()?;
            let is_here = entry.fault.face.as_ref().is_none_or(|wanted| wanted == face.name);
            (is_here && entry.take().is_some()).then_some(trouble)
        })
    }

    /// What applies to a request. The common name is only looked for when a fault asks for it.
    pub(crate) fn plan(&self, seen: Seen<'_>, common_name: impl FnOnce() -> Option<String>) -> Plan {
        let entries = read(&self.entries);
        if entries.is_empty() {
            return Plan::default();
        }
        let matching: Vec<Arc<Entry>> =
            entries.iter().filter(|entry| entry.matches(seen)).map(Arc::clone).collect();
        drop(entries);
        let (certificates, http): (Vec<_>, Vec<_>) =
            matching.into_iter().partition(|entry| entry.behaviour.is_about_certificates());
        let named = http.iter().any(|entry| entry.fault.common_name.is_some());
        let name = if named { common_name() } else { None };
        let mut plan = Plan { certificates: Certificates::new(certificates), ..Plan::default() };
        for entry in http.into_iter().filter(|entry| entry.matches_name(name.as_deref())) {
            let Some(mut chance) = entry.take() else { continue };
            plan.delay = plan.delay.saturating_add(entry.behaviour.delay(&mut chance));
            plan.skew = plan.skew.saturating_add(entry.behaviour.skew());
            plan.http.push(Applied { entry, chance });
        }
        plan
    }
}
