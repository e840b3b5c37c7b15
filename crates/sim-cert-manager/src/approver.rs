//! The approver: approves whatever nobody has decided about (`pkg/controller/certificaterequests/approver`).
//!
//! Whether it may is not asked here: as with cert-manager, the API server's admission refuses the approval of a
//! signer that its identity has no permission for, and it tries again later.

use jiff::Timestamp;

use crate::{
    api::{CertificateRequest, CertificateRequestStatus, Condition, ConditionStatus, is_true, set_condition},
    names::{APPROVED, DENIED, FAILED, ISSUED, READY},
};

/// The message of cert-manager's own approval.
pub const APPROVED_MESSAGE: &str = "Certificate request has been approved by cert-manager.io";

/// The status that approves the request; nothing when that is decided or too late.
#[must_use]
pub fn approval(request: &CertificateRequest, now: Timestamp) -> Option<CertificateRequestStatus> {
    if request.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut status = request.status.clone().unwrap_or_default();
    let decided = is_true(&status.conditions, APPROVED) || is_true(&status.conditions, DENIED);
    let done = request.condition(READY).is_some_and(|ready| ready.reason == FAILED || ready.reason == ISSUED);
    if decided || done {
        return None;
    }
    let approved =
        Condition::new(APPROVED, ConditionStatus::True, "cert-manager.io", APPROVED_MESSAGE.to_owned());
    set_condition(&mut status.conditions, approved, now);
    Some(status)
}
