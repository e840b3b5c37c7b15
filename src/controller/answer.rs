//! A PKI's answer, on its way home to its request.
//!
//! - **It is not given up** for an API server that is away or says no: it is written again until it stands, or
//!   until its request is finished without it. To ask the PKI again would be a second certificate.
//! - **It does not block others.** After a few tries it leaves its place among the requests that are worked on,
//!   and is kept aside until its turn comes again.
//! - **It is accounted for.** A certificate that no request was left for, or that was rejected, is reported with its
//!   serial (`unused.rs`).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::issuers::SharedSigner;
use super::request::RequestReconciler;
use super::status::WriteError;
use super::store::RequestKey;
use crate::api::{CertificateRequest, IssuerKey};
use crate::decide::earlier::{is_published_in, waste};
use crate::decide::patch::reason;
use crate::decide::{Conclusion, Next, Notice, StatusPatch, Step, Unused, conclude, retry};
use crate::signer::Outcome;

/// An answer, and what was asked.
pub(super) struct Answer {
    issuer: IssuerKey,
    signer: SharedSigner,
    step: Box<Step>,
    outcome: Outcome,
    took: Duration,
    /// How many writes came to nothing.
    failures: u32,
    /// What was sent last: it may stand although nobody told us.
    sent: Option<(StatusPatch, Notice)>,
    /// Whether a write that would publish it was not answered, so that it may have been published for a while.
    was_unanswered: bool,
}

impl Answer {
    pub(super) fn new(
        issuer: IssuerKey,
        signer: SharedSigner,
        step: Box<Step>,
        outcome: Outcome,
        took: Duration,
    ) -> Self {
        Self { issuer, signer, step, outcome, took, failures: 0, sent: None, was_unanswered: false }
    }

    fn is_for(&self, request: &CertificateRequest) -> bool {
        request.metadata.uid.as_deref() == Some(self.step.order.request.uid.as_str())
    }

    /// Whether what was sent last stands on this object.
    fn is_in(&self, request: &CertificateRequest) -> bool {
        self.is_for(request) && self.sent.as_ref().is_some_and(|(patch, _)| patch.is_already_in(request))
    }

    /// Whether the request has the certificate, whatever else was written to it since.
    fn is_published_in(&self, request: &CertificateRequest) -> bool {
        let Outcome::Issued(issued) = &self.outcome else { return false };
        self.is_for(request)
            && issued.certificates.iter().any(|certificate| is_published_in(certificate, request))
    }
}

/// The answers that are kept aside. Cheap to clone.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<HashMap<RequestKey, Answer>>>);

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

impl Answers {
    pub(super) fn take(&self, key: &RequestKey) -> Option<Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    fn keep(&self, key: RequestKey, answer: Answer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, answer);
    }
}

/// So many tries while holding a place: about half a minute, which most restarts of an API server take.
const TRIES_IN_PLACE: u32 = 5;

/// What became of one try.
enum Try {
    /// The answer stands, or nothing is left to do with it.
    Home,
    /// The request changed: read it, and conclude anew.
    Changed,
    /// The API server did not take it.
    NotTaken,
}

impl RequestReconciler {
    /// Brings an answer home, or keeps it aside until later.
    pub(super) async fn bring_home(&self, key: &RequestKey, mut answer: Answer) {
        loop {
            match self.write_answer(key, &mut answer).await {
                Try::Home => return,
                Try::Changed => {}
                Try::NotTaken => {
                    let wait = retry::delay(answer.failures, (self.load.chance)(), None);
                    answer.failures = answer.failures.saturating_add(1);
                    if answer.failures >= TRIES_IN_PLACE {
                        self.answers.keep(key.clone(), answer);
                        self.queue.after(key.clone(), wait);
                        return;
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn write_answer(&self, key: &RequestKey, answer: &mut Answer) -> Try {
        // A write that was not answered may stand all the same. Sent again it would only meet itself as a conflict,
        // and by then say another time.
        let mut stands = false;
        let mut fresh = None;
        if answer.sent.is_some() {
            let Some(read) = self.fetch(key).await else { return Try::NotTaken };
            fresh = read;
            if let Some(fresh) = fresh.clone().filter(|fresh| answer.is_in(fresh)) {
                stands = true;
                self.stands(key, answer, &fresh.clone(), fresh);
            }
        }
        let Some(loaded) = self.load.request(key) else {
            if !stands {
                self.unused(key, answer, fresh.as_ref(), Unused::Gone);
            }
            return Try::Home;
        };
        let Conclusion { write, next, suspect_issuer } =
            conclude(&loaded.snapshot(), &answer.step, &answer.outcome);
        if let Some((patch, notice)) = write {
            let sent = self.status.request(&loaded.request, &patch).await;
            answer.sent = Some((patch, notice));
            match sent {
                Ok(written) => self.stands(key, answer, &loaded.request, written),
                Err(WriteError::Conflict) => return Try::Changed,
                Err(WriteError::Gone) => {
                    self.load.requests.gone(key);
                    self.unused(key, answer, None, Unused::Gone);
                    return Try::Home;
                }
                Err(WriteError::Refused(error)) => {
                    tracing::error!(request = %key, %error, "the API server refuses the status; trying again");
                    return Try::NotTaken;
                }
                Err(WriteError::Failed(error)) => {
                    answer.was_unanswered |=
                        answer.sent.as_ref().is_some_and(|(patch, _)| patch.certificate.is_some());
                    tracing::warn!(request = %key, %error, "the PKI's answer could not be written; trying again");
                    return Try::NotTaken;
                }
            }
        } else if matches!(next, Next::Done) {
            self.unused(key, answer, Some(&loaded.request), Unused::Gone);
            return Try::Home;
        }
        if suspect_issuer {
            self.issuers.now(answer.issuer.clone());
        }
        self.schedule(key, &loaded.request, next, &answer.issuer, loaded.now);
        Try::Home
    }

    fn stands(
        &self,
        key: &RequestKey,
        answer: &Answer,
        judged: &CertificateRequest,
        written: CertificateRequest,
    ) {
        let Some((patch, notice)) = &answer.sent else { return };
        self.written(key, judged, written, patch, notice, Some(answer.took));
        match patch.ready_reason() {
            reason::DENIED => self.unused(key, answer, Some(judged), Unused::Denied),
            reason::FAILED => self.unused(key, answer, Some(judged), Unused::Rejected),
            _ => {}
        }
    }

    /// If the answer was a certificate, the PKI issued it for nothing. `request` is what is there under its name.
    fn unused(&self, key: &RequestKey, answer: &Answer, request: Option<&CertificateRequest>, why: Unused) {
        let Outcome::Issued(issued) = &answer.outcome else { return };
        if request.is_some_and(|request| answer.is_published_in(request)) {
            return;
        }
        let request = request.filter(|request| answer.is_for(request));
        if let Some(waste) = waste(&answer.step, issued, why, answer.was_unanswered) {
            self.unused.report(key, &answer.step, &answer.issuer, request, &waste, &answer.signer);
        }
    }
}
