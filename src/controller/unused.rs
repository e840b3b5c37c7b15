//! Certificates that the PKI issued and no request has: counted, told of, and revoked where the issuer says so.
//!
//! - **Told once**, with the serial number: on the request, or on the issuer if the request is gone.
//! - **Revoked off the path**: nothing waits for it. A revocation that fails is repeated a few times and then told of; it
//!   lives in memory, so one that a process takes with it is not made up for. The serial number was told before.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use tokio::time::Instant;
use x509::Certificate;

use super::events::{self, Events};
use super::issuers::{Issuers, SharedSigner};
use super::queue::Queue;
use super::request::CALLS_PER_SUBMISSION;
use super::store::RequestKey;
use crate::api::{CertificateRequest, IssuerKey};
use crate::decide::earlier::revocation;
use crate::decide::{Step, Waste, retry};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::random::Chance;
use crate::signer::Revocation;

/// Reports certificates that are not used. Cheap to clone.
#[derive(Clone)]
pub struct UnusedCertificates {
    /// The issuers.
    pub issuers: Arc<Issuers>,
    /// Makes events.
    pub events: Events,
    /// Whether this process may call the PKI.
    pub leadership: Leadership,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is to be revoked, and when.
    pub revocations: Revocations,
    /// Spreads what is tried again.
    pub chance: Chance,
}

/// The revocations that are not done yet. Cheap to clone.
#[derive(Clone)]
pub struct Revocations {
    pending: Arc<Mutex<HashMap<RevocationKey, Pending>>>,
    queue: Queue<RevocationKey>,
}

/// Which certificate, of which issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RevocationKey {
    issuer: IssuerKey,
    serial: String,
}

impl fmt::Display for RevocationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.serial, self.issuer)
    }
}

#[derive(Clone)]
struct Pending {
    /// The signer that the certificate came from: the issuer may have another PKI by now.
    signer: SharedSigner,
    certificate: Certificate,
    limit: Duration,
    /// What the event is about.
    about: Option<ObjectReference>,
    /// Whose certificate it was, for people.
    of: String,
    failures: u32,
}

/// Tries to revoke a certificate: over two minutes, by the waits of [`retry::delay`].
const TRIES: u32 = 8;

impl Revocations {
    /// None yet; `queue` is where they are worked on.
    #[must_use]
    pub fn new(queue: Queue<RevocationKey>) -> Self {
        Self { pending: Arc::default(), queue }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<RevocationKey, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, key: RevocationKey, pending: Pending) {
        self.pending().insert(key.clone(), pending);
        self.queue.now(key);
    }

    fn again(&self, key: RevocationKey, pending: Pending, wait: Duration) {
        self.pending().insert(key.clone(), pending);
        self.queue.after(key, wait);
    }
}

impl UnusedCertificates {
    /// Reports a certificate of `issuer`, which signed by `signer`. `request` is its request as it is now, if it is
    /// still there.
    pub(super) fn report(
        &self,
        key: &RequestKey,
        step: &Step,
        issuer: &IssuerKey,
        request: Option<&CertificateRequest>,
        waste: &Waste<'_>,
        signer: &SharedSigner,
    ) {
        let is_known = self.issuers.is_known(issuer);
        if is_known {
            self.metrics.certificate_unused(issuer, waste.why.as_str());
        }
        let serial = waste.certificate.serial_hex();
        let is_revoked_next = step.terms.revoke_unused && waste.nobody_has_it;
        let why = waste.why.as_str();
        let uid = &step.order.request.uid;
        tracing::warn!(request = %key, uid, %issuer, serial, why, "a certificate was issued that is not used");

        let of = format!("CertificateRequest {key}");
        let about = request.map(|request| request.object_ref(&())).or_else(|| {
            let (issuer, _) = self.issuers.entry(issuer)?;
            Some(events::reference(&issuer))
        });
        if let Some(about) = &about {
            self.events.about(about.clone(), "Sign", &waste.why.notice(waste, &of, is_revoked_next));
        }
        if is_revoked_next {
            let limit = step.terms.patience.request_timeout.saturating_mul(CALLS_PER_SUBMISSION);
            let (signer, certificate) = (Arc::clone(signer), waste.certificate.clone());
            let pending = Pending { signer, certificate, limit, about, of, failures: 0 };
            self.revocations.add(RevocationKey { issuer: issuer.clone(), serial }, pending);
        }
    }

    /// Tries to revoke a certificate.
    pub async fn revoke(self, key: RevocationKey) {
        let Some(mut pending) = self.revocations.pending().remove(&key) else { return };
        let began = Instant::now();
        let call = tokio::time::timeout(pending.limit, pending.signer.revoke(&pending.certificate));
        let Some(ended) = self.leadership.while_leading(pending.limit, call).await else { return };
        let came_to = ended.unwrap_or_else(|_| Revocation::Retryable {
            message: format!("the PKI did not answer within {} seconds", pending.limit.as_secs()),
        });
        if self.issuers.is_known(&key.issuer) {
            self.metrics.pki_call(&key.issuer, "revoke", came_to.as_str(), began.elapsed());
        }
        if matches!(came_to, Revocation::Retryable { .. }) {
            pending.failures += 1;
            if pending.failures < TRIES {
                let wait = retry::delay(pending.failures, (self.chance)(), None);
                return self.revocations.again(key, pending, wait);
            }
        }
        let notice = revocation(&key.serial, &pending.of, &came_to);
        tracing::info!(certificate = %key, result = came_to.as_str(), note = notice.message, "revocation");
        if let Some(about) = pending.about {
            self.events.about(about, "Revoke", &notice);
        }
    }
}
