//! One level-triggered decision about a Certificate: what cert-manager's six controllers would do next.
//!
//! ```text
//! not issuing:  clear the next key ── readiness, trigger ── the Secret's form ── revision history
//! issuing:      readiness ── next private key ── CertificateRequest ── its answer ── revision history
//! ```
//!
//! At most one step at a time, the first of the row that is due; whoever does it then asks again. So a crash
//! between two steps is no special case. cert-manager's controllers run beside each other and may interleave
//! otherwise; they end in the same objects.

mod issuing;
mod next_key;
mod readiness;
mod trigger;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use crate::{
    api::{Certificate, CertificateRequest, CertificateStatus, ConditionStatus},
    backoff::Backoff,
    key::KeyAlgorithm,
    names::{ISSUING, READY},
    request, secret,
};

/// A Certificate and everything that belongs to it.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// The Certificate.
    pub certificate: &'a Certificate,
    /// Whether this Certificate, of all that name the same Secret, is the one to fill it.
    pub owns_secret: bool,
    /// The Secret it names.
    pub secret: Option<&'a Secret>,
    /// The Secrets with keys for an issuance under way that it controls.
    pub next_private_keys: Vec<&'a Secret>,
    /// The requests that it controls.
    pub requests: Vec<&'a CertificateRequest>,
}

/// What to do now, and when to ask again even if nothing changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The one step that is due.
    pub act: Option<Act>,
    /// The renewal, or the end of a wait.
    pub again: Option<Timestamp>,
    /// What to tell although there is no step.
    pub note: Option<Note>,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Writes the status, if the Certificate is still the one that was looked at.
    UpdateStatus {
        /// All of it.
        status: Box<CertificateStatus>,
        /// Which of cert-manager's controllers would.
        manager: &'static str,
        /// To be told afterwards.
        note: Option<Note>,
    },
    /// Creates the Secret with the key for this issuance.
    CreateNextPrivateKey(NextKey),
    /// Deletes a Secret with such a key.
    DeleteNextPrivateKey(Target),
    /// Creates the request, signed by the key in this Secret.
    CreateRequest {
        /// Its revision.
        revision: u64,
        /// The Secret with the key.
        secret_name: String,
        /// The key.
        key_pem: Pem,
    },
    /// Deletes a request.
    DeleteRequest(Target),
    /// Writes key and certificate into the Secret, in one; then the status.
    Issue {
        /// The Secret to apply.
        secret: Box<Secret>,
        /// The status to write when that is done.
        status: Box<CertificateStatus>,
    },
    /// Puts the Secret's form right.
    ApplySecret(Box<Secret>),
}

/// An object to delete, and no other of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// Where the next private key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextKey {
    /// A new one.
    Generate {
        /// Of this kind.
        algorithm: KeyAlgorithm,
        /// For whom; see [`crate::key_source::KeySource`].
        purpose: String,
    },
    /// The one in the Certificate's Secret.
    Reuse(Pem),
}

/// A private key in PEM. Not to be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem(pub Vec<u8>);

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pem(..)")
    }
}

/// An event to publish about the Certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether something is wrong.
    pub warning: bool,
    /// A word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// Which of cert-manager's controllers says it.
    pub component: &'static str,
}

impl Decision {
    pub(crate) fn act(act: Act) -> Self {
        Self { act: Some(act), ..Self::default() }
    }
}

/// The next step for a Certificate.
#[must_use]
pub fn decide(snapshot: &Snapshot<'_>, now: Timestamp, backoff: &Backoff) -> Decision {
    if snapshot.certificate.metadata.deletion_timestamp.is_some() {
        return Decision::default();
    }
    if snapshot.is_issuing() { issuing(snapshot, now) } else { at_rest(snapshot, now, backoff) }
}

fn at_rest(snapshot: &Snapshot<'_>, now: Timestamp, backoff: &Backoff) -> Decision {
    if let Some(secret) = snapshot.next_private_keys.first() {
        return Decision::act(Act::DeleteNextPrivateKey(target(*secret)));
    }
    let (mut status, mut manager) = (snapshot.status(), "cert-manager-certificates-key-manager");
    status.next_private_key_secret_name = None;
    let (mut again, mut note) = (None, None);
    // With two requests for one revision nothing can be said until one of them is gone.
    if snapshot.is_unambiguous() {
        if readiness::set(&mut status, snapshot, now) {
            manager = "cert-manager-certificates-readiness";
        }
        let trigger = trigger::judge(&status, snapshot, now, backoff);
        again = trigger.again;
        if let Some(violation) = trigger.violation {
            manager = "cert-manager-certificates-trigger";
            note = Some(trigger::set(&mut status, snapshot, &violation, now));
        }
    }
    if status != snapshot.status() {
        let act = Act::UpdateStatus { status: Box::new(status), manager, note };
        return Decision { act: Some(act), again, note: None };
    }
    let correction = snapshot.secret.and_then(|secret| secret::correction(snapshot.certificate, secret));
    let act = correction.map(|secret| Act::ApplySecret(Box::new(secret))).or_else(|| history(snapshot));
    Decision { act, again, note: None }
}

fn issuing(snapshot: &Snapshot<'_>, now: Timestamp) -> Decision {
    let mut status = snapshot.status();
    if snapshot.is_unambiguous() && readiness::set(&mut status, snapshot, now) {
        let manager = "cert-manager-certificates-readiness";
        return Decision::act(Act::UpdateStatus { status: Box::new(status), manager, note: None });
    }
    let key = match next_key::find(snapshot) {
        Ok(key) => key,
        Err(decision) => return *decision,
    };
    let act = issuing::request(snapshot, &key)
        .or_else(|| issuing::answer(snapshot, &key, now))
        .or_else(|| history(snapshot));
    Decision { act, again: None, note: None }
}

/// The oldest request over the limit, once the Certificate is ready (`revisionmanager`). The request of an
/// issuance under way counts.
fn history(snapshot: &Snapshot<'_>) -> Option<Act> {
    let ready = snapshot.certificate.condition(READY)?;
    if ready.status != ConditionStatus::True {
        return None;
    }
    let limit = usize::try_from(snapshot.certificate.spec.revision_history_limit.unwrap_or(1)).unwrap_or(0);
    let mut revisions: Vec<_> = snapshot
        .requests
        .iter()
        .filter_map(|request| Some((request::revision(request)?, *request)))
        .collect();
    if snapshot.requests.len() <= limit || revisions.len() <= limit {
        return None;
    }
    revisions.sort_by_key(|(revision, _)| *revision);
    revisions.first().map(|(_, request)| Act::DeleteRequest(target(*request)))
}

fn target<K: kube::Resource>(object: &K) -> Target {
    Target { name: object.name_any(), uid: object.uid().unwrap_or_default() }
}

impl<'a> Snapshot<'a> {
    fn status(&self) -> CertificateStatus {
        self.certificate.status.clone().unwrap_or_default()
    }

    fn is_issuing(&self) -> bool {
        self.certificate.condition(ISSUING).is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    fn with_revision(&self, revision: u64) -> impl Iterator<Item = &'a CertificateRequest> {
        self.requests.iter().copied().filter(move |request| request::revision(request) == Some(revision))
    }

    /// The request of the certificate that was issued last.
    fn current_request(&self) -> Option<&'a CertificateRequest> {
        let revision = self.certificate.status.as_ref()?.revision?;
        self.with_revision(revision).next()
    }

    /// The request of the issuance under way, or of the one that failed.
    fn next_request(&self) -> Option<&'a CertificateRequest> {
        self.with_revision(self.certificate.next_revision()).next()
    }

    fn is_unambiguous(&self) -> bool {
        let next = self.certificate.next_revision();
        self.with_revision(next).count() <= 1 && self.with_revision(next.saturating_sub(1)).count() <= 1
    }

    fn generation(&self) -> Option<i64> {
        self.certificate.metadata.generation
    }
}
