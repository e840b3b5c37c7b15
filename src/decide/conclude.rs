//! What a PKI's answer makes of a request.
//!
//! An answer may come minutes after the decision to ask for it, so it is concluded against a fresh snapshot:
//! whatever happened to the request meanwhile wins, and a certificate is judged before anybody sees it.

use std::time::Duration;

use jiff::Timestamp;

use super::earlier::judged;
use super::patch::{Keep, Notice, StatusPatch, handle_on, reason};
use super::request::{Action, Step, retry_deadline, standing};
use super::retry::{after, delay};
use super::snapshot::RequestSnapshot;
use crate::signer::outcome::{Answer, Origin, Outcome};

/// What to do with an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// What to write and tell, unless the status already says so.
    pub write: Option<(StatusPatch, Notice)>,
    /// When to look at the request again.
    pub next: Next,
    /// Check the issuer at once: its settings were refused.
    pub suspect_issuer: bool,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the request is finished, or no longer ours to finish.
    Done,
    /// Call again then; the last call came to nothing.
    Retry(Timestamp),
    /// Ask again then; the PKI said "pending".
    Poll(Timestamp),
}

/// Concludes an outcome. `snapshot` is fresh; `step` is what was asked of the PKI.
#[must_use]
pub fn conclude(snapshot: &RequestSnapshot<'_>, step: &Step, outcome: &Outcome) -> Conclusion {
    if snapshot.request.metadata.uid.as_deref() != Some(step.order.request.uid.as_str()) {
        // The name was used again: an answer for the old request never lands on the new one.
        return done();
    }
    match standing(snapshot) {
        Ok(_) => {}
        Err(Action::Write { patch, notice }) => return finish(patch, notice),
        Err(_) => return done(),
    }
    match outcome {
        Outcome::Issued(answer) => issued(snapshot, step, answer),
        Outcome::Permanent { message } => {
            failed(snapshot, &format!("the PKI refused the request: {message}"))
        }
        Outcome::Pending { handle, message } => {
            let keep = Keep { retrying: false, handle: Some(handle.clone()) };
            let at = after(snapshot.now, step.terms.patience.poll_interval);
            waiting(
                snapshot,
                &format!("the PKI has not decided yet: {message}"),
                &keep,
                Next::Poll(at),
                false,
            )
        }
        Outcome::IssuerAtFault { message } => {
            let keep = Keep::what_is_on(snapshot.request);
            let at = after(snapshot.now, delay(snapshot.memory.failures, snapshot.jitter, None));
            let message = format!("the PKI refused the issuer's settings or credentials: {message}");
            waiting(snapshot, &message, &keep, Next::Retry(at), true)
        }
        Outcome::Retryable { message, retry_after, may_have_issued: _ } => {
            retryable(snapshot, step, message, *retry_after)
        }
    }
}

fn issued(snapshot: &RequestSnapshot<'_>, step: &Step, answer: &Answer) -> Conclusion {
    match judged(snapshot.now, step, answer) {
        Ok(chain) => {
            let leaf = &chain.leaf;
            let how = match answer.origin {
                Origin::Issued => "",
                Origin::Found => "; an earlier submission's, found at the PKI",
            };
            let (serial, end) = (leaf.serial_hex(), leaf.not_after());
            let message = format!("certificate issued: serial {serial}, valid until {end}{how}");
            let patch = StatusPatch::issued(
                snapshot.request,
                snapshot.now,
                &message,
                chain.certificate_pem(),
                chain.ca_pem(),
            );
            finish(patch, Notice::new(false, reason::ISSUED, &message))
        }
        Err(difference) => failed(snapshot, &format!("the PKI's certificate was rejected: {difference}")),
    }
}

fn retryable(
    snapshot: &RequestSnapshot<'_>,
    step: &Step,
    message: &str,
    retry_after: Option<Duration>,
) -> Conclusion {
    let max_retry = step.terms.patience.max_retry;
    let deadline = retry_deadline(snapshot, max_retry);
    if snapshot.now >= deadline {
        let tried = crate::api::GoDuration(max_retry);
        return failed(snapshot, &format!("gave up after retrying for {tried}: {message}"));
    }
    let keep = Keep { retrying: true, handle: handle_on(snapshot.request) };
    let at = after(snapshot.now, delay(snapshot.memory.failures, snapshot.jitter, retry_after)).min(deadline);
    waiting(snapshot, &format!("{message}; retrying until {deadline}"), &keep, Next::Retry(at), false)
}

fn waiting(
    snapshot: &RequestSnapshot<'_>,
    message: &str,
    keep: &Keep,
    next: Next,
    suspect_issuer: bool,
) -> Conclusion {
    let patch = StatusPatch::pending(snapshot.request, snapshot.now, message, keep);
    let warning = !matches!(next, Next::Poll(_));
    let write = (!patch.is_already_in(snapshot.request))
        .then_some((patch, Notice::new(warning, reason::PENDING, message)));
    Conclusion { write, next, suspect_issuer }
}

fn failed(snapshot: &RequestSnapshot<'_>, message: &str) -> Conclusion {
    let patch = StatusPatch::failed(snapshot.request, snapshot.now, message, false);
    finish(patch, Notice::new(true, reason::FAILED, message))
}

const fn finish(patch: StatusPatch, notice: Notice) -> Conclusion {
    Conclusion { write: Some((patch, notice)), next: Next::Done, suspect_issuer: false }
}

const fn done() -> Conclusion {
    Conclusion { write: None, next: Next::Done, suspect_issuer: false }
}
