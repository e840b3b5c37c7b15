//! When each request was approved, and when and how it ended.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a certificate.
    Issued,
    /// Without one: what its condition says.
    Failed(String),
}

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// When the watch showed the approval.
    pub approved: Option<Instant>,
    /// When the watch showed the end, and which.
    pub end: Option<(Instant, End)>,
    /// What the Ready condition last said while it was not the end.
    pub waiting: Option<String>,
}

impl Record {
    /// From the approval to the certificate, both by the watch, so that it does not matter when our own calls are
    /// answered. `None` also if it was first seen with both: how long it took is not known then.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        match &self.end {
            Some((at, End::Issued)) => {
                Some(at.saturating_duration_since(self.approved?)).filter(|time| !time.is_zero())
            }
            _ => None,
        }
    }
}

/// All requests of a run.
#[derive(Debug)]
pub struct Board {
    inner: Mutex<Inner>,
    progress: Notify,
}

#[derive(Debug)]
struct Inner {
    records: Vec<Record>,
    finished: usize,
    restarts: usize,
}

impl Board {
    /// `count` requests of which nothing is known.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let inner = Inner { records: vec![Record::default(); count], finished: 0, restarts: 0 };
        Self { inner: Mutex::new(inner), progress: Notify::new() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watch showed the request.
    pub fn seen(&self, index: usize, at: Instant, approved: bool, waiting: Option<String>, end: Option<End>) {
        let mut inner = self.inner();
        let Some(record) = inner.records.get_mut(index) else { return };
        if approved && record.approved.is_none() {
            record.approved = Some(at);
        }
        record.waiting = waiting;
        if record.end.is_none()
            && let Some(end) = end
        {
            record.end = Some((at, end));
            inner.finished += 1;
            if inner.finished == inner.records.len() {
                self.progress.notify_waiters();
            }
        }
    }

    /// The watch had to begin anew, which makes what it shows late.
    pub fn restarted(&self) {
        self.inner().restarts += 1;
    }

    /// How often the watch began anew.
    #[must_use]
    pub fn restarts(&self) -> usize {
        self.inner().restarts
    }

    /// How many have ended.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.inner().finished
    }

    /// Waits until all have ended.
    pub async fn all_finished(&self) {
        loop {
            let notified = self.progress.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            {
                let inner = self.inner();
                if inner.finished == inner.records.len() {
                    return;
                }
            }
            notified.await;
        }
    }

    /// All records.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.inner().records.clone()
    }
}
