//! From the stores and the clock to a snapshot. The one place where the time is read for a decision.

use std::sync::Arc;

use jiff::Timestamp;

use super::issuers::{Issuers, SharedSigner};
use super::store::{Entry, RequestKey, Requests};
use crate::api::{CertificateRequest, IssuerKey};
use crate::clock::SharedClock;
use crate::decide::{IssuerView, Memory, RequestSnapshot};
use crate::random::Chance;

/// Loads snapshots.
#[derive(Clone)]
pub struct Loader {
    /// The unfinished requests.
    pub requests: Arc<Requests>,
    /// The issuers.
    pub issuers: Arc<Issuers>,
    /// The time.
    pub clock: SharedClock,
    /// What spreads retries.
    pub chance: Chance,
}

/// Everything a decision about a request is made on.
pub struct Loaded {
    /// The time.
    pub now: Timestamp,
    /// A random number in `0.0..1.0`.
    pub jitter: f64,
    /// The request.
    pub request: Arc<CertificateRequest>,
    /// What is remembered of it.
    pub memory: Memory,
    /// Whether `request` was read live.
    pub live: bool,
    /// Its issuer.
    pub issuer: IssuerView,
    /// What its issuer signs with, if it is ready.
    pub signer: Option<SharedSigner>,
}

impl Loaded {
    /// The snapshot for the decision.
    #[must_use]
    pub fn snapshot(&self) -> RequestSnapshot<'_> {
        RequestSnapshot {
            now: self.now,
            jitter: self.jitter,
            request: &self.request,
            issuer: self.issuer.clone(),
            memory: self.memory,
        }
    }
}

impl Loader {
    /// Loads a request, unless it is finished or gone.
    #[must_use]
    pub fn request(&self, key: &RequestKey) -> Option<Loaded> {
        let Entry { request, mut memory, live, concluded } = self.requests.entry(key)?;
        if concluded {
            return None;
        }
        let now = self.clock.now();
        if memory.first_seen.is_none() {
            memory.first_seen = Some(now);
            let uid = request.metadata.uid.as_deref().unwrap_or_default();
            self.requests.remember(key, uid, |memory| memory.first_seen = Some(now));
        }
        let issuer = IssuerKey::referred(&request.spec.issuer_ref, &key.namespace);
        let (issuer, signer) =
            issuer.map_or((IssuerView::Missing, None), |issuer| self.issuers.view(&issuer));
        Some(Loaded { now, jitter: (self.chance)(), request, memory, live, issuer, signer })
    }
}
