//! The faults in force.

use std::sync::{
    Arc, RwLock,
    atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use crate::{
    face::Face,
    fault::{Certificates, Fault, Misbehaviour},
    sync::{read, write},
};

/// The most faults that may be installed at once.
const MAX_FAULTS: usize = 1000;

/// An installed fault, as the control port shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// Its id, for removing it.
    pub id: u64,
    /// What was installed.
    pub fault: Fault,
    /// How often it applied.
    pub applied: u64,
}

#[derive(Debug)]
pub(crate) struct Entry {
    id: u64,
    fault: Fault,
    pub(crate) behaviour: Box<dyn Misbehaviour>,
    applied: AtomicU64,
}

impl Entry {
    pub(crate) fn name(&self) -> &str {
        &self.fault.kind
    }

    /// Takes one of its times. `false` when there is none left.
    pub(crate) fn take(&self) -> bool {
        let limit = self.fault.times.unwrap_or(u64::MAX);
        let more = |applied: u64| (applied < limit).then_some(applied.saturating_add(1));
        self.applied.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn matches(&self, face: &Face, path: &str) -> bool {
        self.fault.face.as_ref().is_none_or(|wanted| wanted == face.name)
            && self.fault.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
    }

    pub(crate) fn matches_name(&self, common_name: Option<&str>) -> bool {
        self.fault.common_name.as_ref().is_none_or(|wanted| common_name == Some(wanted.as_str()))
    }
}

/// All faults in force, in the order in which they were installed.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    entries: RwLock<Vec<Arc<Entry>>>,
    last_id: AtomicU64,
}

/// What applies to one request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) http: Vec<Arc<Entry>>,
    pub(crate) certificates: Certificates,
}

impl Faults {
    /// Installs a fault; gives its id.
    pub(crate) fn install(&self, fault: Fault) -> Result<u64, String> {
        let behaviour = fault.build()?;
        let mut entries = write(&self.entries);
        if entries.len() >= MAX_FAULTS {
            return Err(format!("{MAX_FAULTS} faults are installed; remove some first"));
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        entries.push(Arc::new(Entry { id, fault, behaviour, applied: AtomicU64::new(0) }));
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

    pub(crate) fn list(&self) -> Vec<Installed> {
        let entries = read(&self.entries);
        let shown = entries.iter().map(|entry| Installed {
            id: entry.id,
            fault: entry.fault.clone(),
            applied: entry.applied.load(Ordering::Relaxed),
        });
        shown.collect()
    }

    /// What applies to a request. The common name is only looked for when a fault asks for it.
    pub(crate) fn plan(&self, face: &Face, path: &str, common_name: impl FnOnce() -> Option<String>) -> Plan {
        let entries = read(&self.entries);
        if entries.is_empty() {
            return Plan::default();
        }
        let matching: Vec<Arc<Entry>> =
            entries.iter().filter(|entry| entry.matches(face, path)).map(Arc::clone).collect();
        drop(entries);
        let (certificates, http): (Vec<_>, Vec<_>) =
            matching.into_iter().partition(|entry| entry.behaviour.is_about_certificates());
        let named = http.iter().any(|entry| entry.fault.common_name.is_some());
        let name = if named { common_name() } else { None };
        let http = http.into_iter().filter(|entry| entry.matches_name(name.as_deref()) && entry.take());
        Plan { http: http.collect(), certificates: Certificates::new(certificates) }
    }
}
