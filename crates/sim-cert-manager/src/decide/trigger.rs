//! When an issuance begins (`pkg/controller/certificates/trigger`).

use jiff::{SignedDuration, Timestamp};

use super::{Note, Snapshot};
use crate::{
    api::{CertificateStatus, Condition, ConditionStatus, set_condition},
    backoff::Backoff,
    names::ISSUING,
    policies::{self, Violation},
    request,
};

/// How soon a Certificate whose Secret belongs to another one looks again.
const NOT_OWNER_RECHECK: SignedDuration = SignedDuration::from_mins(3);

/// What the trigger says.
pub(super) struct Trigger {
    /// Why an issuance begins now.
    pub(super) violation: Option<Violation>,
    /// When to look again.
    pub(super) again: Option<Timestamp>,
}

pub(super) fn judge(
    status: &CertificateStatus,
    snapshot: &Snapshot<'_>,
    now: Timestamp,
    backoff: &Backoff,
) -> Trigger {
    if !snapshot.owns_secret {
        let again = now.checked_add(NOT_OWNER_RECHECK).ok();
        return Trigger { violation: None, again };
    }
    if let Some(until) = backoff.until(status, now).filter(|_| still_asks_the_same(snapshot)) {
        return Trigger { violation: None, again: Some(until) };
    }
    let input = policies::Input {
        certificate: snapshot.certificate,
        secret: snapshot.secret,
        current_request: snapshot.current_request(),
    };
    let violation = policies::must_issue(&input, now);
    Trigger { violation, again: status.renewal_time.filter(|renewal| *renewal > now) }
}

/// Whether another attempt would ask for what has just failed: a Certificate that was changed does not wait.
fn still_asks_the_same(snapshot: &Snapshot<'_>) -> bool {
    snapshot.next_request().is_none_or(|next| {
        request::violations(next, &snapshot.certificate.spec).is_ok_and(|violations| violations.is_empty())
    })
}

pub(super) fn set(
    status: &mut CertificateStatus,
    snapshot: &Snapshot<'_>,
    violation: &Violation,
    now: Timestamp,
) -> Note {
    let mut issuing =
        Condition::new(ISSUING, ConditionStatus::True, violation.reason, violation.message.clone());
    issuing.observed_generation = snapshot.generation();
    set_condition(&mut status.conditions, issuing, now);
    Note {
        warning: false,
        reason: "Issuing".to_owned(),
        message: violation.message.clone(),
        component: "cert-manager-certificates-trigger",
    }
}
