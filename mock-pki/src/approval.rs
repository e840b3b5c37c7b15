//! Requests that wait for somebody's approval: what every face holds back, and who decides.
//!
//! A face keeps what is to be made under the id it is given here; this knows only what a person needs to decide. What
//! is decided once stays so.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sync::lock;

/// The most requests that are remembered; the oldest decided ones go first, then the oldest.
const MAX_REMEMBERED: usize = 100_000;

/// What became of a request that had to be approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Nothing yet.
    Waiting,
    /// It may be issued.
    Approved,
    /// It may not.
    Rejected,
}

/// A request that had to be approved, as the control port shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// Its id, for deciding about it.
    pub id: u64,
    /// The face that holds it.
    pub face: String,
    /// The subject's last common name.
    pub common_name: Option<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// How often its client has come back for it.
    pub polls: u64,
    /// At this many it approves itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_after: Option<u64>,
    /// What was decided.
    pub decision: Decision,
}

/// All of them, by id.
#[derive(Debug, Default)]
pub(crate) struct Approvals {
    entries: Mutex<BTreeMap<u64, Pending>>,
    last_id: AtomicU64,
}

/// Why nothing was decided.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undecided {
    #[error("no request {0} waits or waited for approval")]
    Unknown(u64),
    #[error("request {0} is {1} already")]
    Already(u64, &'static str),
}

impl Decision {
    fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl Approvals {
    /// Holds a request, until its client came back `approved_after` times or somebody decides; gives its id.
    pub(crate) fn hold(
        &self,
        face: &str,
        common_name: Option<&str>,
        now: Timestamp,
        approved_after: Option<u64>,
    ) -> u64 {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let pending = Pending {
            id,
            face: face.to_owned(),
            common_name: common_name.map(str::to_owned),
            asked_at: now,
            polls: 0,
            approved_after,
            decision: Decision::Waiting,
        };
        let mut entries = lock(&self.entries);
        if entries.len() >= MAX_REMEMBERED {
            let decided =
                entries.values().find(|entry| entry.decision != Decision::Waiting).map(|entry| entry.id);
            let Some(oldest) = decided.or_else(|| entries.keys().next().copied()) else { return id };
            entries.remove(&oldest);
        }
        entries.insert(id, pending);
        id
    }

    /// Its client comes back: what was decided. Nothing if the request is not remembered.
    pub(crate) fn poll(&self, id: u64) -> Option<Decision> {
        let mut entries = lock(&self.entries);
        let entry = entries.get_mut(&id)?;
        entry.polls = entry.polls.saturating_add(1);
        let enough = entry.approved_after.is_some_and(|after| entry.polls >= after);
        if entry.decision == Decision::Waiting && enough {
            entry.decision = Decision::Approved;
        }
        Some(entry.decision)
    }

    /// Somebody decides.
    pub(crate) fn decide(&self, id: u64, decision: Decision) -> Result<(), Undecided> {
        let mut entries = lock(&self.entries);
        let entry = entries.get_mut(&id).ok_or(Undecided::Unknown(id))?;
        if entry.decision != Decision::Waiting {
            return Err(Undecided::Already(id, entry.decision.word()));
        }
        entry.decision = decision;
        Ok(())
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        let entries = lock(&self.entries);
        entries.values().filter(|entry| entry.decision == Decision::Waiting).count()
    }

    /// Becomes what was kept.
    pub(crate) fn import(&self, kept: &[Pending]) {
        let mut entries = lock(&self.entries);
        *entries = kept.iter().map(|entry| (entry.id, entry.clone())).collect();
        self.last_id.store(entries.keys().next_back().copied().unwrap_or_default(), Ordering::Relaxed);
    }

    /// All, oldest first.
    pub(crate) fn all(&self) -> Vec<Pending> {
        lock(&self.entries).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_until_somebody_decides_and_that_stays() {
        let approvals = Approvals::default();
        let id = approvals.hold("ejbca", Some("app"), Timestamp::UNIX_EPOCH, None);
        for _ in 0..10 {
            assert_eq!(approvals.poll(id), Some(Decision::Waiting));
        }
        assert_eq!(approvals.decide(id, Decision::Rejected), Ok(()));
        assert_eq!(approvals.decide(id, Decision::Approved), Err(Undecided::Already(id, "rejected")));
        assert_eq!(approvals.poll(id), Some(Decision::Rejected));
        assert_eq!(approvals.all()[0].polls, 11);
        assert_eq!(approvals.decide(id + 1, Decision::Approved), Err(Undecided::Unknown(id + 1)));
        assert_eq!(approvals.poll(id + 1), None);
    }

    #[test]
    fn a_request_may_approve_itself_after_some_polls() {
        let approvals = Approvals::default();
        let id = approvals.hold("ejbca", None, Timestamp::UNIX_EPOCH, Some(3));
        let polls = [approvals.poll(id), approvals.poll(id), approvals.poll(id)];
        assert_eq!(polls, [Decision::Waiting, Decision::Waiting, Decision::Approved].map(Some));
    }

    #[test]
    fn only_so_many_are_remembered_and_those_that_wait_longest() {
        let approvals = Approvals::default();
        let first = approvals.hold("ejbca", None, Timestamp::UNIX_EPOCH, None);
        let second = approvals.hold("ejbca", None, Timestamp::UNIX_EPOCH, None);
        approvals.decide(second, Decision::Approved).unwrap();
        for _ in 2..=MAX_REMEMBERED {
            approvals.hold("ejbca", None, Timestamp::UNIX_EPOCH, None);
        }
        assert_eq!((approvals.poll(first), approvals.poll(second)), (Some(Decision::Waiting), None));
        assert_eq!(approvals.all().len(), MAX_REMEMBERED);
    }
}
