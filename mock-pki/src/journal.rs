//! Every request that arrived: what and when, never a body, a token or any other header.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sync::lock;

/// Longer paths are cut: a journal's entry has a bounded size.
pub(crate) const MAX_PATH: usize = 512;

/// Path segments after which a segment is a secret or stands for one.
const SECRET_AFTER: [&str; 2] = ["secret-id", "accessor"];

/// What begins as a token does is one, also where no path should hold it: of OpenBao, of Vault, of a batch.
const TOKENS_BEGIN: [&str; 4] = ["s.", "hvs.", "b.", "hvb."];

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Counts from 1, without gaps.
    pub number: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// The face it arrived at.
    pub face: String,
    /// The method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// The status of the answer; absent when the connection was cut instead.
    pub status: Option<u16>,
    /// The request's id, as it was answered.
    pub request_id: Option<String>,
    /// The first fault that applied, in the order in which faults were installed.
    pub fault: Option<String>,
    /// How long it took, in microseconds.
    pub microseconds: u64,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
}

/// The last requests, oldest first.
#[derive(Debug)]
pub(crate) struct Journal {
    entries: Mutex<VecDeque<Entry>>,
    capacity: usize,
    seen: AtomicU64,
}

impl Journal {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: Mutex::default(), capacity, seen: AtomicU64::new(0) }
    }

    /// Remembers a request, whose path is [`redacted`] already.
    pub(crate) fn record(&self, mut entry: Entry) {
        let mut entries = lock(&self.entries);
        entry.number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if entries.len() >= self.capacity {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    pub(crate) fn all(&self) -> Vec<Entry> {
        self.latest(|_| true, None)
    }

    /// The latest of those that are wanted, all without a limit; oldest first.
    pub(crate) fn latest(&self, is_wanted: impl Fn(&Entry) -> bool, limit: Option<usize>) -> Vec<Entry> {
        latest(lock(&self.entries).iter().filter(|entry| is_wanted(entry)), limit)
    }

    /// How many are wanted.
    pub(crate) fn count(&self, is_wanted: impl Fn(&Entry) -> bool) -> usize {
        lock(&self.entries).iter().filter(|entry| is_wanted(entry)).count()
    }

    /// Becomes what was kept, as far as there is room.
    pub(crate) fn import(&self, kept: &[Entry], seen: u64) {
        let mut entries = lock(&self.entries);
        *entries = kept.iter().skip(kept.len().saturating_sub(self.capacity)).cloned().collect();
        self.seen.store(seen, Ordering::Relaxed);
    }

    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }
}

/// Copies the last so many, all without a limit, in their order.
pub(crate) fn latest<'a, T: Clone + 'a>(
    all: impl DoubleEndedIterator<Item = &'a T>,
    limit: Option<usize>,
) -> Vec<T> {
    let mut kept: Vec<T> = all.rev().take(limit.unwrap_or(usize::MAX)).cloned().collect();
    kept.reverse();
    kept
}

/// A path without the secrets in it.
pub(crate) fn redacted(path: &str) -> String {
    let path: String = path.chars().take(MAX_PATH).collect();
    let mut hide = false;
    let segments = path.split('/').map(|segment| {
        let is_token = TOKENS_BEGIN.iter().any(|begin| segment.starts_with(begin));
        let shown = if hide || is_token { "…" } else { segment };
        hide = SECRET_AFTER.contains(&segment);
        shown
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_paths_are_not_remembered() {
        assert_eq!(
            redacted("/v1/auth/approle/role/r1/secret-id/abc"),
            "/v1/auth/approle/role/r1/secret-id/…"
        );
        assert_eq!(redacted("/v1/pki/sign/web"), "/v1/pki/sign/web");
        assert_eq!(redacted("/v1/auth/token/lookup/s.abc"), "/v1/auth/token/lookup/…");
        assert_eq!(redacted(&"x".repeat(9999)).len(), MAX_PATH);
    }
}
