//! What may be written: the share of a request's status that is ours.
//!
//! Server-side apply replaces our share as a whole, so a patch names everything we want there and nothing
//! else; `Approved` and `Denied` belong to their approver and are never sent.

use jiff::{SignedDuration, Timestamp};

use crate::api::CertificateRequest;
use crate::api::certificate_request::{INVALID_REQUEST, READY};
use crate::api::conditions::{Condition, ConditionStatus, truncated};
use crate::signer::outcome::Handle;

/// The condition that keeps when retries began: its transition time. Ours alone.
pub const RETRYING: &str = "external-issuer.io/Retrying";
/// The condition that keeps a pending request's handle: its message. Ours alone.
pub const SUBMITTED: &str = "external-issuer.io/Submitted";

/// cert-manager's Ready reasons. Any other leaves a Certificate waiting for ever (`issuing_controller.go`).
pub mod reason {
    /// Not finished.
    pub const PENDING: &str = "Pending";
    /// Finished, without a certificate.
    pub const FAILED: &str = "Failed";
    /// Finished, with a certificate.
    pub const ISSUED: &str = "Issued";
    /// Finished: an approver said no.
    pub const DENIED: &str = "Denied";
}

/// Our share of a request's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusPatch {
    /// `Ready` first, then those of [`INVALID_REQUEST`], [`RETRYING`] and [`SUBMITTED`] that hold.
    pub conditions: Vec<Condition>,
    /// PEM, only with `Issued`.
    pub certificate: Option<String>,
    /// PEM, only with `Issued`.
    pub ca: Option<String>,
    /// Only with `Failed` and `Denied`.
    pub failure_time: Option<Timestamp>,
}

/// What to tell people with a patch: one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether something is wrong.
    pub warning: bool,
    /// The event's reason.
    pub reason: &'static str,
    /// The event's note.
    pub message: String,
}

impl Notice {
    /// A notice whose message is one printable paragraph of bounded length, whatever a PKI put into it.
    pub(super) fn new(warning: bool, reason: &'static str, message: &str) -> Self {
        Self { warning, reason, message: tidy(message) }
    }
}

/// What is kept on the object while it is pending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keep {
    /// Since when retries go on.
    pub retrying: bool,
    /// What to poll with.
    pub handle: Option<Handle>,
}

impl Keep {
    /// All that is there.
    pub(super) fn what_is_on(request: &CertificateRequest) -> Self {
        Self { retrying: retrying_since(request).is_some(), handle: handle_on(request) }
    }
}

impl StatusPatch {
    /// Pending, for this reason.
    pub(super) fn pending(request: &CertificateRequest, now: Timestamp, message: &str, keep: &Keep) -> Self {
        let mut conditions =
            vec![condition(request, now, READY, ConditionStatus::False, reason::PENDING, message)];
        if keep.retrying {
            let text = "transitionTime is when retries began";
            conditions.push(condition(request, now, RETRYING, ConditionStatus::True, "RetryableError", text));
        }
        if let Some(handle) = &keep.handle {
            // As it is, to the byte: what the PKI gave is what it is asked with.
            let text = handle.as_str().to_owned();
            let status = ConditionStatus::True;
            conditions.push(verbatim(request, now, SUBMITTED, status, "PendingAtPKI", text));
        }
        Self { conditions, certificate: None, ca: None, failure_time: None }
    }

    /// Failed for good. `invalid` says that no issuer could ever sign it.
    pub(super) fn failed(request: &CertificateRequest, now: Timestamp, message: &str, invalid: bool) -> Self {
        let mut conditions =
            vec![condition(request, now, READY, ConditionStatus::False, reason::FAILED, message)];
        if invalid {
            let status = ConditionStatus::True;
            conditions.push(condition(request, now, INVALID_REQUEST, status, "InvalidRequest", message));
        }
        Self { conditions, certificate: None, ca: None, failure_time: Some(failure_time(request, now)) }
    }

    /// Denied by an approver.
    pub(super) fn denied(request: &CertificateRequest, now: Timestamp) -> Self {
        let message = "The CertificateRequest was denied by an approval controller".to_owned();
        Self {
            conditions: vec![condition(
                request,
                now,
                READY,
                ConditionStatus::False,
                reason::DENIED,
                &message,
            )],
            certificate: None,
            ca: None,
            failure_time: Some(failure_time(request, now)),
        }
    }

    /// Issued.
    pub(super) fn issued(
        request: &CertificateRequest,
        now: Timestamp,
        message: &str,
        certificate: String,
        ca: Option<String>,
    ) -> Self {
        Self {
            conditions: vec![condition(request, now, READY, ConditionStatus::True, reason::ISSUED, message)],
            certificate: Some(certificate),
            ca,
            failure_time: None,
        }
    }

    /// The `Ready` condition.
    #[must_use]
    pub fn ready(&self) -> Option<&Condition> {
        Condition::find(&self.conditions, READY)
    }

    /// The reason of the `Ready` condition.
    #[must_use]
    pub fn ready_reason(&self) -> &str {
        self.ready().and_then(|ready| ready.reason.as_deref()).unwrap_or_default()
    }

    /// Whether the request's status already says all this and nothing more of ours.
    #[must_use]
    pub fn is_already_in(&self, request: &CertificateRequest) -> bool {
        let ours = [READY, INVALID_REQUEST, RETRYING, SUBMITTED];
        let same_conditions =
            ours.iter().all(|type_| request.condition(type_) == Condition::find(&self.conditions, type_));
        let status = request.status.as_ref();
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
        same_conditions
            && status.and_then(|s| s.certificate.as_ref()).map(|b| b.0.clone()) == bytes(&self.certificate)
            && status.and_then(|s| s.ca.as_ref()).map(|b| b.0.clone()) == bytes(&self.ca)
            && status.and_then(|s| s.failure_time) == self.failure_time
    }
}

/// The handle kept on the request, if it is pending at the PKI.
#[must_use]
pub fn handle_on(request: &CertificateRequest) -> Option<Handle> {
    let condition = request.condition(SUBMITTED).filter(|c| c.status == ConditionStatus::True)?;
    Handle::new(condition.message.clone()?).ok()
}

/// When retries began, if they did.
#[must_use]
pub fn retrying_since(request: &CertificateRequest) -> Option<Timestamp> {
    request.condition(RETRYING).filter(|c| c.status == ConditionStatus::True)?.last_transition_time
}

/// The longest message. An event's note may hold 1,024 bytes and a condition's message 32 KiB; what a PKI says
/// may be of any length and hold anything.
const MESSAGE_LIMIT: usize = 1000;

/// `text` as one printable paragraph of at most [`MESSAGE_LIMIT`] bytes.
pub(super) fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len().min(MESSAGE_LIMIT));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let space = if tidied.is_empty() { "" } else { " " };
        if tidied.len() + space.len() + word.len() > MESSAGE_LIMIT {
            let room = MESSAGE_LIMIT.saturating_sub(tidied.len() + space.len() + '…'.len_utf8());
            let end = (0..=room.min(word.len())).rev().find(|end| word.is_char_boundary(*end)).unwrap_or(0);
            tidied.push_str(space);
            tidied.push_str(word.get(..end).unwrap_or_default());
            tidied.push('…');
            break;
        }
        tidied.push_str(space);
        tidied.push_str(word);
    }
    tidied
}

fn condition(
    request: &CertificateRequest,
    now: Timestamp,
    type_: &str,
    status: ConditionStatus,
    reason: &str,
    message: &str,
) -> Condition {
    verbatim(request, now, type_, status, reason, tidy(message))
}

fn verbatim(
    request: &CertificateRequest,
    now: Timestamp,
    type_: &str,
    status: ConditionStatus,
    reason: &str,
    message: String,
) -> Condition {
    let condition = Condition {
        type_: type_.to_owned(),
        status,
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: None,
        observed_generation: None,
    };
    condition.transitioned_from(request.condition(type_), now)
}

/// `now`, but never earlier than one second after the request was made.
///
/// cert-manager deletes a failed request at once, without back-off, if its failure lies before the start of the
/// present issuance (`requestmanager_controller.go`); a clock of ours that is behind the API server's would
/// make that a storm. The request was made after that start, so its creation time bounds it.
fn failure_time(request: &CertificateRequest, now: Timestamp) -> Timestamp {
    let now = truncated(now);
    let Some(created) = request.metadata.creation_timestamp.as_ref() else { return now };
    now.max(created.0.saturating_add(SignedDuration::from_secs(1)).unwrap_or(now))
}
