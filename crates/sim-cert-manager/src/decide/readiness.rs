//! `Ready`, and the times of the certificate in the Secret (`pkg/controller/certificates/readiness`).

use jiff::Timestamp;

use super::Snapshot;
use crate::{
    api::{CertificateStatus, Condition, ConditionStatus, set_condition, truncated},
    names::READY,
    policies, renewal,
};

/// Sets what readiness says; whether that changed anything.
pub(super) fn set(status: &mut CertificateStatus, snapshot: &Snapshot<'_>, now: Timestamp) -> bool {
    let before = status.clone();
    let input = policies::Input {
        certificate: snapshot.certificate,
        secret: snapshot.secret,
        current_request: snapshot.current_request(),
    };
    let mut ready = if let Some(violation) = policies::not_ready(&input, now) {
        Condition::new(READY, ConditionStatus::False, violation.reason, violation.message)
    } else {
        let message = "Certificate is up to date and has not expired".to_owned();
        Condition::new(READY, ConditionStatus::True, "Ready", message)
    };
    ready.observed_generation = snapshot.generation();
    set_condition(&mut status.conditions, ready, now);
    let issued = snapshot.secret.and_then(policies::certificate_of);
    status.not_before = issued.as_ref().map(|issued| truncated(issued.not_before()));
    status.not_after = issued.as_ref().map(|issued| truncated(issued.not_after()));
    status.renewal_time = issued.and_then(|issued| {
        renewal::renewal_time(issued.not_before(), issued.not_after(), &snapshot.certificate.spec)
    });
    *status != before
}
