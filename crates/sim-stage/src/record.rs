//! The record of a run: everything that could be seen from outside the controller.
//!
//! - every write to the store, with what was there before;
//! - every request that a process sent to the API server or to the PKI, as it left, and what came of it;
//! - when processes began and ended, what was done to the cluster and when, and the log.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, Uri};
use jiff::Timestamp;
use mock_pki::ledger::Issued;
use sim_kube::store::Change;

use crate::scenario::{Blow, Op};

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The writes, oldest first.
    pub changes: Vec<Change>,
    /// What the controller's processes asked of the API server.
    pub calls: Vec<ApiCall>,
    /// What they asked of the PKI.
    pub pki: Vec<PkiCall>,
    /// What the PKI issued.
    pub ledger: Vec<Issued>,
    /// The controller's processes.
    pub processes: Vec<Process>,
    /// What was done, and when.
    pub happened: Vec<(Timestamp, Op)>,
    /// When what a process is shown, or what reaches it, was held up: which process, from when, until when.
    pub held: Vec<(String, Timestamp, Timestamp)>,
    /// The log of all processes.
    pub log: String,
    /// What nobody may ever read in logs, events, statuses and URLs.
    pub canaries: Vec<String>,
    /// From when on nothing went wrong any more.
    pub calm: Option<Timestamp>,
    /// Whether the cluster came to rest after that, and what did not if not.
    pub restless: Vec<String>,
    /// When the run ended.
    pub end: Option<Timestamp>,
    /// Whether the replicas elected a leader.
    pub elects: bool,
}

/// A request to the API server.
#[derive(Clone, Debug)]
pub struct ApiCall {
    /// Its place in the order of everything that was sent and answered.
    pub number: u64,
    /// Which process sent it.
    pub process: String,
    /// When it left.
    pub sent: Timestamp,
    /// When it arrived.
    pub arrived: Option<Timestamp>,
    /// `PATCH`.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// What it asks for; nothing for documents.
    pub call: Option<sim_kube::Call>,
    /// What was sent.
    pub body: Bytes,
    /// What happened to it.
    pub blow: Option<Blow>,
    /// The status that was answered, by the server or by a fault.
    pub code: Option<u16>,
    /// The number of the store's last write when it had been carried out; nothing if it was not.
    pub revision: Option<u64>,
    /// When the process had the answer.
    pub answered: Option<Timestamp>,
}

/// A request to the PKI.
#[derive(Clone, Debug)]
pub struct PkiCall {
    /// Its place in the order of everything that was sent and answered.
    pub number: u64,
    /// Which process sent it.
    pub process: String,
    /// When it left.
    pub sent: Timestamp,
    /// When it arrived.
    pub arrived: Option<Timestamp>,
    /// `/v1/pki_int/sign/web`.
    pub path: String,
    /// The token that came with it.
    pub token: String,
    /// The SHA-256 of the CSR, lower-case hexadecimal; nothing if it asks for no certificate.
    pub csr: Option<String>,
    /// What happened to it.
    pub blow: Option<Blow>,
    /// The status that was answered, by the PKI or by a fault.
    pub status: Option<u16>,
    /// The seconds of its `Retry-After`.
    pub retry_after: Option<u64>,
    /// The id of the request, as the answer says it.
    pub request_id: Option<String>,
    /// When the process had the answer.
    pub answered: Option<Timestamp>,
    /// The answer's place in the order of everything.
    pub answer_number: Option<u64>,
    /// When the process no longer waited, with or without an answer.
    pub ended: Option<Timestamp>,
}

/// A process of the controller.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its replica and its number: `a.1`.
    pub name: String,
    /// When it began.
    pub began: Timestamp,
    /// When it was told to stop.
    pub told: Option<Timestamp>,
    /// When it ended, and how: `killed`, `well`, `leadership was lost`, `panicked`.
    pub ended: Option<(Timestamp, String)>,
}

impl Evidence {
    /// The process of this name.
    #[must_use]
    pub fn process(&self, name: &str) -> Option<&Process> {
        self.processes.iter().find(|process| process.name == name)
    }

    /// The call that did a write.
    #[must_use]
    pub fn writer(&self, revision: u64) -> Option<&ApiCall> {
        self.calls.iter().find(|call| call.revision == Some(revision) && call.writes())
    }
}

impl ApiCall {
    /// Whether it was a write that was carried out.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.method != Method::GET && self.revision.is_some() && self.code.is_some_and(|code| code < 300)
    }

    /// The plural name of what it asks for.
    #[must_use]
    pub fn plural(&self) -> &str {
        self.call.as_ref().map_or("", |call| call.plural.as_str())
    }

    /// The subresource it asks for.
    #[must_use]
    pub fn subresource(&self) -> &str {
        self.call.as_ref().map_or("", |call| call.subresource.as_str())
    }
}

impl fmt::Display for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.process, self.method, self.uri)?;
        if let Some(blow) = self.blow {
            write!(f, " [{blow}]")?;
        }
        match self.code {
            Some(code) => write!(f, " -> {code}"),
            None => f.write_str(" -> nothing"),
        }
    }
}

impl fmt::Display for PkiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} PKI {}", self.process, self.path)?;
        if let Some(blow) = self.blow {
            write!(f, " [{blow}]")?;
        }
        match self.status {
            Some(status) => write!(f, " -> {status}"),
            None => f.write_str(" -> nothing"),
        }?;
        if self.answered.is_none() { f.write_str(", which did not arrive") } else { Ok(()) }
    }
}

/// Where a run is recorded; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Evidence>>, Arc<AtomicU64>);

impl Record {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Evidence> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next place in the order of everything.
    pub(crate) fn number(&self) -> u64 {
        self.1.fetch_add(1, Ordering::Relaxed)
    }

    /// Begins the record of a call; gives its place.
    pub(crate) fn call(&self, call: ApiCall) -> usize {
        let mut evidence = self.lock();
        evidence.calls.push(call);
        evidence.calls.len() - 1
    }

    pub(crate) fn with_call(&self, place: usize, change: impl FnOnce(&mut ApiCall)) {
        if let Some(call) = self.lock().calls.get_mut(place) {
            change(call);
        }
    }

    /// Begins the record of a call; gives its place.
    pub(crate) fn pki_call(&self, call: PkiCall) -> usize {
        let mut evidence = self.lock();
        evidence.pki.push(call);
        evidence.pki.len() - 1
    }

    pub(crate) fn with_pki_call(&self, place: usize, change: impl FnOnce(&mut PkiCall)) {
        if let Some(call) = self.lock().pki.get_mut(place) {
            change(call);
        }
    }

    pub(crate) fn with_process(&self, name: &str, change: impl FnOnce(&mut Process)) {
        if let Some(process) = self.lock().processes.iter_mut().find(|process| process.name == name) {
            change(process);
        }
    }
}
