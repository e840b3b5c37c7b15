//! A decision about a request, carried out.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::{Api, Client};
use tokio::time::Instant;

use super::answer::{Answer, Answers};
use super::events::Events;
use super::issuers::SharedSigner;
use super::load::Loader;
use super::queue::Queue;
use super::status::{StatusWriter, WriteError};
use super::store::RequestKey;
use super::unused::UnusedCertificates;
use crate::api::certificate_request::APPROVED;
use crate::api::{CertificateRequest, IssuerKey};
use crate::decide::earlier::{Precaution, Unused, submitted_again};
use crate::decide::{Action, Earlier, Next, Notice, Pause, StatusPatch, Step, Waste, adopt, decide};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::signer::{Lookup, Outcome};

/// Works on requests. Cheap to clone.
#[derive(Clone)]
pub struct RequestReconciler {
    /// Reads the objects anew where the watch does not suffice.
    pub client: Client,
    /// Loads snapshots.
    pub load: Loader,
    /// Writes status.
    pub status: StatusWriter,
    /// Makes events.
    pub events: Events,
    /// Where requests come back.
    pub queue: Queue<RequestKey>,
    /// Where suspect issuers are checked.
    pub issuers: Queue<IssuerKey>,
    /// Whether this process may call the PKI.
    pub leadership: Leadership,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What the PKI answered and the API server has not taken yet.
    pub answers: Answers,
    /// Reports what the PKI issued for nothing.
    pub unused: UnusedCertificates,
}

/// After a read or write that the API server refused or did not answer.
pub(super) const API_RETRY: Duration = Duration::from_secs(5);
/// A signer's call ends within a few request time-outs by itself; this is for one that does not.
pub(super) const CALLS_PER_SUBMISSION: u32 = 4;

impl RequestReconciler {
    /// Decides about a request and does it.
    pub async fn reconcile(self, key: RequestKey) {
        if let Some(answer) = self.answers.take(&key) {
            return self.bring_home(&key, answer).await;
        }
        // Twice at most: a request that is to be signed is read live first, unless it is known to be the newest.
        for _ in 0..2 {
            let Some(loaded) = self.load.request(&key) else { return };
            match decide(&loaded.snapshot()) {
                Action::Ignore(_) => return,
                Action::Wait { until, notice } => {
                    if let Some(notice) = notice {
                        self.events.request(&loaded.request, "Approve", &notice);
                        self.remember(&key, &loaded.request, |memory| memory.approval_reported = true);
                    }
                    if let Some(until) = until {
                        self.queue.after(key, wait(loaded.now, until));
                    }
                    return;
                }
                Action::Write { patch, notice } => {
                    self.write_once(&key, &loaded.request, &patch, &notice).await;
                    return;
                }
                Action::Sign(_) if !loaded.live => {
                    if !self.read(&key).await {
                        return;
                    }
                }
                Action::Sign(step) => {
                    let Some(signer) = loaded.signer else { return };
                    self.sign(&key, &loaded.request, step, signer).await;
                    return;
                }
            }
        }
    }

    /// Reads a request from the API server into the store, as the newest there is. Returns whether it is there;
    /// if that cannot be told now, the request comes back later.
    async fn read(&self, key: &RequestKey) -> bool {
        let fetched = self.fetch(key).await;
        if fetched.is_none() {
            self.queue.after(key.clone(), API_RETRY);
        }
        fetched.flatten().is_some()
    }

    /// One read into the store: the request, `Some(None)` if it is gone, `None` if the API server did not say.
    pub(super) async fn fetch(&self, key: &RequestKey) -> Option<Option<CertificateRequest>> {
        let api: Api<CertificateRequest> = Api::namespaced(self.client.clone(), &key.namespace);
        match api.get_opt(&key.name).await {
            Ok(Some(request)) => {
                self.load.requests.read(key, request.clone());
                Some(Some(request))
            }
            Ok(None) => {
                self.load.requests.gone(key);
                Some(None)
            }
            Err(error) => {
                tracing::warn!(request = %key, %error, "the request could not be read; trying again");
                None
            }
        }
    }

    /// Writes what a decision without a PKI's answer came to. If the object changed meanwhile it is decided
    /// anew, on what was read.
    async fn write_once(
        &self,
        key: &RequestKey,
        judged: &CertificateRequest,
        patch: &StatusPatch,
        notice: &Notice,
    ) {
        match self.status.request(judged, patch).await {
            Ok(written) => self.written(key, judged, written, patch, notice, None),
            Err(WriteError::Conflict) => match self.fetch(key).await {
                // It was written: only the answer was lost.
                Some(Some(fresh)) if patch.is_already_in(&fresh) => {
                    self.written(key, judged, fresh, patch, notice, None);
                }
                Some(Some(_)) => self.queue.now(key.clone()),
                Some(None) => {}
                None => self.queue.after(key.clone(), API_RETRY),
            },
            Err(WriteError::Gone) => self.load.requests.gone(key),
            Err(WriteError::Refused(error) | WriteError::Failed(error)) => {
                tracing::warn!(request = %key, %error, "the status could not be written; trying again");
                self.queue.after(key.clone(), API_RETRY);
            }
        }
    }

    async fn sign(
        &self,
        key: &RequestKey,
        request: &CertificateRequest,
        step: Box<Step>,
        signer: SharedSigner,
    ) {
        let Some(issuer) = IssuerKey::referred(&request.spec.issuer_ref, &key.namespace) else { return };
        let began = Instant::now();
        let found = match step.precaution {
            Precaution::None => None,
            Precaution::Tell => {
                self.tell_of_second(key, request, &issuer, None);
                None
            }
            Precaution::LookUp => match self.look_up(key, request, &issuer, &step, &signer).await {
                Some(found) => found,
                None => return,
            },
        };
        let outcome = match found {
            Some(outcome) => outcome,
            None => match self.submit(key, request, &issuer, &step, &signer).await {
                Some(outcome) => outcome,
                None => return,
            },
        };
        self.bring_home(key, Answer::new(issuer, signer, step, outcome, began.elapsed())).await;
    }

    /// Submits or polls. `None`: this process does not lead any more.
    async fn submit(
        &self,
        key: &RequestKey,
        request: &CertificateRequest,
        issuer: &IssuerKey,
        step: &Step,
        signer: &SharedSigner,
    ) -> Option<Outcome> {
        let (operation, call) = match &step.handle {
            None => ("submit", signer.submit(&step.order)),
            Some(handle) => ("poll", signer.poll(&step.order, handle)),
        };
        let outcome = self.call(key, issuer, step, operation, call, Outcome::as_str, unanswered).await?;
        if matches!(outcome, Outcome::Retryable { may_have_issued: true, .. }) {
            self.remember(key, request, |memory| memory.earlier = Earlier::Unanswered);
        }
        Some(outcome)
    }

    /// Looks for an earlier submission's certificate. `Some(None)`: there is none, so the order is to be submitted;
    /// `None`: this process does not lead any more.
    async fn look_up(
        &self,
        key: &RequestKey,
        request: &CertificateRequest,
        issuer: &IssuerKey,
        step: &Step,
        signer: &SharedSigner,
    ) -> Option<Option<Outcome>> {
        let call = signer.look_up(&step.order, step.since);
        let not_now = |limit| Lookup::NotNow(not_answered(limit, false));
        let lookup = self.call(key, issuer, step, "lookup", call, Lookup::as_str, not_now).await?;
        let found = match lookup {
            Lookup::NotNow(outcome) => return Some(Some(outcome)),
            Lookup::GaveUp { message } => {
                self.tell_of_second(key, request, issuer, Some(&message));
                Vec::new()
            }
            Lookup::Found(found) => found,
        };
        let adoption = adopt(self.load.clock.now(), step, found);
        for certificate in &adoption.left {
            let waste = Waste { certificate, why: Unused::Left, nobody_has_it: false };
            self.unused.report(key, step, issuer, Some(request), &waste, signer);
        }
        if adoption.answer.is_none() {
            self.remember(key, request, |memory| memory.earlier = Earlier::None);
        }
        Some(adoption.answer.map(Outcome::Issued))
    }

    /// A call to the PKI, within its time and while this process leads.
    #[expect(clippy::too_many_arguments, reason = "one call, with what its log and metrics say of it")]
    async fn call<T>(
        &self,
        key: &RequestKey,
        issuer: &IssuerKey,
        step: &Step,
        operation: &'static str,
        call: BoxFuture<'_, T>,
        word: impl Fn(&T) -> &'static str,
        unanswered: impl FnOnce(Duration) -> T,
    ) -> Option<T> {
        let began = Instant::now();
        let limit = step.terms.patience.request_timeout.saturating_mul(CALLS_PER_SUBMISSION);
        // Whoever leads next will ask the PKI again: a lease is no fence, so the call ends with it.
        let call = tokio::time::timeout(limit, call);
        let Some(ended) = self.leadership.while_leading(limit, call).await else {
            tracing::warn!(request = %key, operation, "no longer leading; the call to the PKI is abandoned");
            return None;
        };
        let result = ended.unwrap_or_else(|_| unanswered(limit));
        if self.load.issuers.is_known(issuer) {
            self.metrics.pki_call(issuer, operation, word(&result), began.elapsed());
        }
        Some(result)
    }

    /// The order is submitted, perhaps for the second time: counted each time, told once.
    fn tell_of_second(
        &self,
        key: &RequestKey,
        request: &CertificateRequest,
        issuer: &IssuerKey,
        gave_up: Option<&str>,
    ) {
        if self.load.issuers.is_known(issuer) {
            self.metrics.submitted_again(issuer, gave_up.map_or("unanswered", |_| "gave_up"));
        }
        let mut is_told = false;
        self.remember(key, request, |memory| {
            is_told = memory.duplicate_reported;
            memory.duplicate_reported = true;
        });
        if !is_told {
            self.events.request(request, "Sign", &submitted_again(gave_up));
        }
    }

    pub(super) fn schedule(
        &self,
        key: &RequestKey,
        request: &CertificateRequest,
        next: Next,
        issuer: &IssuerKey,
        now: Timestamp,
    ) {
        match next {
            Next::Done => {}
            Next::Retry(at) => {
                self.metrics.retry(issuer);
                self.remember(key, request, |memory| {
                    memory.failures = memory.failures.saturating_add(1);
                    memory.pause = Some(Pause { since: now, until: at });
                });
                self.queue.after(key.clone(), wait(now, at));
            }
            Next::Poll(at) => {
                self.remember(key, request, |memory| {
                    memory.failures = 0;
                    memory.pause = Some(Pause { since: now, until: at });
                });
                self.queue.after(key.clone(), wait(now, at));
            }
        }
    }

    fn remember(
        &self,
        key: &RequestKey,
        request: &CertificateRequest,
        change: impl FnOnce(&mut crate::decide::Memory),
    ) {
        self.load.requests.remember(key, request.metadata.uid.as_deref().unwrap_or_default(), change);
    }

    /// A status was written: store, event, metrics, and the one line in the log.
    pub(super) fn written(
        &self,
        key: &RequestKey,
        judged: &CertificateRequest,
        written: CertificateRequest,
        patch: &StatusPatch,
        notice: &Notice,
        took: Option<Duration>,
    ) {
        let now = self.load.clock.now();
        let approved = judged.condition(APPROVED).and_then(|condition| condition.last_transition_time);
        let since_approval =
            approved.and_then(|then| Duration::try_from(now.duration_since(then)).ok()).unwrap_or_default();
        self.load.requests.read(key, written);
        self.events.request(judged, "Sign", notice);
        let Some(issuer) = IssuerKey::referred(&judged.spec.issuer_ref, &key.namespace) else { return };
        let reason = patch.ready_reason();
        tracing::info!(
            request = %key,
            uid = judged.metadata.uid.as_deref().unwrap_or_default(),
            %issuer,
            reason,
            note = notice.message,
            pki_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            since_approval_s = since_approval.as_secs(),
            "the request's status moved"
        );
        // A request may name any issuer, one that does not exist too, and be denied: that is no label.
        if !self.load.issuers.is_known(&issuer) {
            return;
        }
        match reason {
            "Issued" => {
                self.metrics.request_concluded(&issuer, "issued");
                self.metrics.approved_to_ready(&issuer, since_approval);
            }
            "Failed" => self.metrics.request_concluded(&issuer, "failed"),
            "Denied" => self.metrics.request_concluded(&issuer, "denied"),
            _ => {}
        }
    }
}

/// A submission that did not end in its time: it may have been carried out.
fn unanswered(limit: Duration) -> Outcome {
    not_answered(limit, true)
}

fn not_answered(limit: Duration, may_have_issued: bool) -> Outcome {
    let message = format!("the PKI did not answer within {} seconds", limit.as_secs());
    Outcome::Retryable { message, retry_after: None, may_have_issued }
}

pub(super) fn wait(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}
