//! What was issued to end entities, for tests to compare with what arrived.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use ca::Serial;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{random::Serials, sync::lock};

/// One issued certificate. Serial and hashes are lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The serial number, whole bytes, no separators.
    pub serial: String,
    /// The request's id, as it was answered to the client.
    pub request_id: String,
    /// Which face and path issued it, such as `vault pki_int/sign/web`.
    pub issued_by: String,
    /// The subject's last common name.
    pub common_name: Option<String>,
    /// The subject alternative names, such as `DNS:app.example.com`.
    pub subject_alt_names: Vec<String>,
    /// SHA-256 of the public key (DER of the `SubjectPublicKeyInfo`).
    pub spki_sha256: String,
    /// SHA-256 of the request's DER; absent when the key was made here.
    pub csr_sha256: Option<String>,
    /// SHA-256 of the certificate's DER.
    pub certificate_sha256: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Valid to.
    pub not_after: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// The client's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

/// All issued certificates, oldest first. When it is full the oldest are forgotten, and counted.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Mutex<VecDeque<Issued>>,
    capacity: usize,
    forgotten: AtomicU64,
    serials: Arc<Serials>,
}

impl Ledger {
    pub(crate) fn new(capacity: usize, serials: Arc<Serials>) -> Self {
        Self { entries: Mutex::default(), capacity, forgotten: AtomicU64::new(0), serials }
    }

    /// The serial number of the next certificate.
    pub(crate) fn next_serial(&self) -> Serial {
        self.serials.next()
    }

    pub(crate) fn record(&self, issued: Issued) {
        let mut entries = lock(&self.entries);
        if entries.len() >= self.capacity {
            entries.pop_front();
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
        entries.push_back(issued);
    }

    pub(crate) fn revoke(&self, serial: &str, at: Timestamp) {
        if let Some(entry) = lock(&self.entries).iter_mut().rev().find(|entry| entry.serial == serial) {
            entry.revoked_at.get_or_insert(at);
        }
    }

    /// A hold has ended.
    pub(crate) fn reinstate(&self, serial: &str) {
        if let Some(entry) = lock(&self.entries).iter_mut().rev().find(|entry| entry.serial == serial) {
            entry.revoked_at = None;
        }
    }

    pub(crate) fn all(&self) -> Vec<Issued> {
        lock(&self.entries).iter().cloned().collect()
    }

    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }
}
