//! The request of the issuance under way, and its answer (`pkg/controller/certificates/{requestmanager,issuing}`).

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{Act, Note, Pem, Snapshot, next_key::Found, target};
use crate::{
    api::{
        CertificateRequest, Condition, ConditionStatus, condition, remove_condition, rfc3339, set_condition,
        truncated,
    },
    key::KeyEncoding,
    names::{DENIED, FAILED, INVALID_REQUEST, ISSUED, ISSUING, READY, TLS_KEY},
    policies::{data, first_certificate},
    request,
    secret::{self, SecretData},
};

const COMPONENT: &str = "cert-manager-certificates-issuing";

/// Requests that must go, then the one that is missing; nothing when there is exactly one, or too many.
pub(super) fn request(snapshot: &Snapshot<'_>, key: &Found<'_>) -> Option<Act> {
    let next = snapshot.certificate.next_revision();
    let gone = |request: &&CertificateRequest| match request::revision(request) {
        None => true,
        Some(revision) => {
            revision == next
                && (asks_for_something_else(snapshot, request, key) || is_stale(snapshot, request))
        }
    };
    if let Some(request) = snapshot.requests.iter().copied().find(gone) {
        return Some(Act::DeleteRequest(target(request)));
    }
    snapshot.with_revision(next).next().is_none().then(|| Act::CreateRequest {
        revision: next,
        secret_name: key.secret.name_any(),
        key_pem: Pem(data(key.secret, TLS_KEY).to_vec()),
    })
}

fn asks_for_something_else(snapshot: &Snapshot<'_>, request: &CertificateRequest, key: &Found<'_>) -> bool {
    let matches_spec = request::violations(request, &snapshot.certificate.spec)
        .is_ok_and(|violations| violations.is_empty());
    let csr = x509::Csr::from_pem(&request.spec.request.0);
    let matches_key = csr.is_ok_and(|csr| x509::key::same_key(csr.spki_der(), key.key.spki_der()));
    !matches_spec || !matches_key
}

/// Failed in an earlier issuance. Without a failure time nobody knows, and the request stays for ever.
fn is_stale(snapshot: &Snapshot<'_>, request: &CertificateRequest) -> bool {
    let failed = request
        .condition(READY)
        .is_some_and(|ready| ready.status == ConditionStatus::False && ready.reason == FAILED);
    let failure_time = request.status.as_ref().and_then(|status| status.failure_time);
    let since = snapshot.certificate.condition(ISSUING).and_then(|issuing| issuing.last_transition_time);
    failed && failure_time.zip(since).is_some_and(|(failure, since)| truncated(failure) < truncated(since))
}

/// What the one request's answer means; nothing while there is none.
pub(super) fn answer(snapshot: &Snapshot<'_>, key: &Found<'_>, now: Timestamp) -> Option<Act> {
    let mut requests = snapshot.with_revision(snapshot.certificate.next_revision());
    let (request, None) = (requests.next()?, requests.next()) else { return None };
    let conditions = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let is =
        |type_| condition(conditions, type_).filter(|condition| condition.status == ConditionStatus::True);
    if let Some(refusal) = is(DENIED).or_else(|| is(INVALID_REQUEST)) {
        return Some(fail(snapshot, &refusal.reason, &refusal.message, now));
    }
    let ready = condition(conditions, READY)?;
    match ready.reason.as_str() {
        FAILED => Some(fail(snapshot, &ready.reason, &ready.message, now)),
        ISSUED => Some(issue(snapshot, request, key, now)),
        _ => None,
    }
}

/// Writes the certificate into the Secret, if it is for the key and not over. Nothing else is asked of it.
fn issue(snapshot: &Snapshot<'_>, request: &CertificateRequest, key: &Found<'_>, now: Timestamp) -> Act {
    let invalid = |message: &str| fail(snapshot, "InvalidCertificate", message, now);
    let request_status = request.status.clone().unwrap_or_default();
    let pem = request_status.certificate.unwrap_or_default().0;
    let Some(issued) = first_certificate(&pem) else {
        return invalid(
            "Issuer returned an invalid certificate: failed to decode: error decoding certificate PEM block: no \
             valid certificates found",
        );
    };
    if !x509::key::same_key(issued.spki_der(), key.key.spki_der()) {
        return invalid(
            "Issuer returned a certificate with a public key that does not match the CSR. This usually indicates a \
             misconfigured issuer.",
        );
    }
    if now > issued.not_after() {
        return invalid(&format!(
            "Issuer returned an already expired certificate (notAfter: {}). This usually indicates an expired CA \
             certificate in the issuer.",
            rfc3339(issued.not_after())
        ));
    }
    let certificate = snapshot.certificate;
    let encoding = KeyEncoding::of(&certificate.spec);
    let Ok(private_key) = key.key.to_pem(encoding) else {
        return invalid("Failed to encode the private key");
    };
    let secret_data = SecretData {
        private_key: private_key.into_bytes(),
        certificate: pem,
        ca: request_status.ca.unwrap_or_default().0,
        certificate_name: certificate.name_any(),
        issuer: request.spec.issuer_ref.clone(),
    };
    let type_ = snapshot.secret.and_then(|secret| secret.type_.as_deref());
    let Some(secret) = secret::desired(certificate, &secret_data, type_) else {
        return invalid("Issuer returned an invalid certificate");
    };
    let mut status = snapshot.status();
    status.revision = Some(certificate.next_revision());
    remove_condition(&mut status.conditions, ISSUING);
    status.failed_issuance_attempts = None;
    status.last_failure_time = None;
    Act::Issue { secret: Box::new(secret), status: Box::new(status) }
}

fn fail(snapshot: &Snapshot<'_>, reason: &str, message: &str, now: Timestamp) -> Act {
    let mut status = snapshot.status();
    status.last_failure_time = Some(truncated(now));
    status.failed_issuance_attempts = Some(status.failed_issuance_attempts.unwrap_or(0).saturating_add(1));
    let message = format!("The certificate request has failed to complete and will be retried: {message}");
    let mut issuing = Condition::new(ISSUING, ConditionStatus::False, reason, message.clone());
    issuing.observed_generation = snapshot.generation();
    set_condition(&mut status.conditions, issuing, now);
    let note = Note { warning: true, reason: reason.to_owned(), message, component: COMPONENT };
    Act::UpdateStatus { status: Box::new(status), manager: COMPONENT, note: Some(note) }
}
