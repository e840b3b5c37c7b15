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
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    journal::latest,
    random::Source,
    state::{LedgerKept, RecordedKept},
    sync::lock,
};

/// One issued certificate. Serial and hashes are lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// An issued certificate with its DER, which it shares with the archive.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) issued: Issued,
    pub(crate) der: Arc<[u8]>,
}

/// All issued certificates, oldest first. When it is full the oldest are forgotten, and counted.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Mutex<VecDeque<Recorded>>,
    capacity: usize,
    forgotten: AtomicU64,
    source: Arc<Source>,
}

impl Ledger {
    pub(crate) fn new(capacity: usize, source: Arc<Source>) -> Self {
        Self { entries: Mutex::default(), capacity, forgotten: AtomicU64::new(0), source }
    }

    /// The serial number of the next certificate.
    pub(crate) fn next_serial(&self) -> Serial {
        self.source.serial()
    }

    /// The serial number of the certificate that was issued last.
    pub(crate) fn last_serial(&self) -> Option<Serial> {
        let bytes = u128::from_str_radix(&lock(&self.entries).back()?.issued.serial, 16).ok()?;
        Some(Serial::from_bytes(bytes.to_be_bytes()))
    }

    pub(crate) fn record(&self, issued: Issued, der: Arc<[u8]>) {
        let mut entries = lock(&self.entries);
        if entries.len() >= self.capacity {
            entries.pop_front();
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
        entries.push_back(Recorded { issued, der });
    }

    pub(crate) fn revoke(&self, serial: &str, at: Timestamp) {
        if let Some(entry) = lock(&self.entries).iter_mut().rev().find(|entry| entry.issued.serial == serial)
        {
            entry.issued.revoked_at.get_or_insert(at);
        }
    }

    /// A hold has ended.
    pub(crate) fn reinstate(&self, serial: &str) {
        if let Some(entry) = lock(&self.entries).iter_mut().rev().find(|entry| entry.issued.serial == serial)
        {
            entry.issued.revoked_at = None;
        }
    }

    pub(crate) fn all(&self) -> Vec<Issued> {
        self.latest(|_| true, None)
    }

    /// The latest of those that are wanted, all without a limit; oldest first.
    pub(crate) fn latest(&self, is_wanted: impl Fn(&Issued) -> bool, limit: Option<usize>) -> Vec<Issued> {
        let entries = lock(&self.entries);
        let issued = entries.iter().map(|entry| &entry.issued);
        latest(issued.filter(|issued| is_wanted(issued)), limit)
    }

    /// The latest with this serial number.
    pub(crate) fn find(&self, serial: &str) -> Option<Recorded> {
        lock(&self.entries).iter().rev().find(|entry| entry.issued.serial == serial).cloned()
    }

    pub(crate) fn export(&self) -> LedgerKept {
        let entries = lock(&self.entries);
        let issued = entries
            .iter()
            .map(|entry| RecordedKept { issued: entry.issued.clone(), der: Arc::clone(&entry.der) });
        LedgerKept { issued: issued.collect(), forgotten: self.forgotten() }
    }

    /// Becomes what was kept, as far as there is room.
    pub(crate) fn import(&self, kept: &LedgerKept) {
        self.forgotten.store(kept.forgotten, Ordering::Relaxed);
        lock(&self.entries).clear();
        for entry in &kept.issued {
            self.record(entry.issued.clone(), Arc::clone(&entry.der));
        }
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.entries).len()
    }

    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }
}
