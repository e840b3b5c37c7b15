//! What to do about an earlier submission of the same order, whose answer nobody has.
//!
//! A process that dies between the PKI's answer and the write of the status, or a call whose answer is lost, leaves a
//! certificate at the PKI that no request has. Where the PKI can be asked it is asked, and what it issued is published;
//! elsewhere people are told what is known, and nothing more.

use jiff::{SignedDuration, Timestamp};
use x509::{Asked, Certificate};

use super::patch::Notice;
use super::request::Step;
use super::snapshot::{RequestSnapshot, Terms};
use crate::api::CertificateRequest;
use crate::signer::outcome::{Answer, Origin};
use crate::signer::submission::{Offers, Revocation};

/// What this process knows of submissions of a request before the one that it is about to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Earlier {
    /// There was none: nobody who led could have made one without this process knowing how it ended.
    None,
    /// Another process may have made one, and may have died before it wrote what came of it.
    #[default]
    Perhaps,
    /// This process made one, and no answer came: the PKI may have issued a certificate.
    Unanswered,
}

/// What to do before an order is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precaution {
    /// Nothing.
    None,
    /// Look for what the PKI issued since [`Step::since`], and take that.
    LookUp,
    /// Tell that there may be a certificate that nobody has.
    Tell,
}

/// How much earlier than it was issued a certificate may begin: Vault's default for a role. A role with a larger
/// `not_before_duration` hides its certificates from the lookup by as much.
const BACKDATED: SignedDuration = SignedDuration::from_secs(30);

/// What to do before the order of this request is submitted.
pub(super) fn precaution(snapshot: &RequestSnapshot<'_>, terms: &Terms, is_polled: bool) -> Precaution {
    match (terms.offers, snapshot.memory.earlier) {
        (Offers::IdempotencyKey, _) | (_, Earlier::None) => Precaution::None,
        // Whoever has a handle knows what became of the submission.
        (_, Earlier::Perhaps) if is_polled => Precaution::None,
        (Offers::Lookup, _) => Precaution::LookUp,
        (Offers::Nothing, Earlier::Unanswered) if !is_polled => Precaution::Tell,
        (Offers::Nothing, _) => Precaution::None,
    }
}

/// No certificate for this request begins before.
///
/// The API server's clock dates the request and the PKI's the certificate; they may differ by what the issuer
/// tolerates. A key that is used again (`rotationPolicy: Never`) has older certificates, which are not this request's.
pub(super) fn since(snapshot: &RequestSnapshot<'_>, terms: &Terms) -> Timestamp {
    let created = snapshot.request.metadata.creation_timestamp.as_ref().map_or(snapshot.now, |time| time.0);
    let skew = SignedDuration::try_from(terms.tolerance.validity.clock_skew).unwrap_or(SignedDuration::MAX);
    created.saturating_sub(BACKDATED.saturating_add(skew)).unwrap_or(Timestamp::MIN)
}

/// What becomes of the certificates that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The one that is published instead of a new one: the youngest that answers the request.
    pub answer: Option<Answer>,
    /// The others.
    pub left: Vec<Certificate>,
}

/// Judges what was found, as any answer is judged.
#[must_use]
pub fn adopt(now: Timestamp, step: &Step, found: Vec<Answer>) -> Adoption {
    let begins = |answer: &Answer| answer.certificates.first().map(Certificate::not_before);
    let mut found = found;
    found.sort_by_key(|answer| std::cmp::Reverse(begins(answer)));
    let mut adoption = Adoption::default();
    for answer in found {
        if adoption.answer.is_none() && judged(now, step, &answer).is_ok() {
            adoption.answer = Some(answer);
        } else {
            adoption.left.extend(answer.certificates.into_iter().next());
        }
    }
    adoption
}

/// Promise 12: only what answers the CSR is published.
pub(super) fn judged(now: Timestamp, step: &Step, answer: &Answer) -> Result<x509::Chain, String> {
    let order = &step.order;
    let asked = Asked {
        csr: &order.csr,
        duration: order.duration,
        usages: order.usages.clone(),
        is_ca: order.is_ca,
        now,
    };
    x509::judge::judge(&asked, &step.terms.tolerance, answer.certificates.clone(), answer.authorities.clone())
        .map_err(|difference| difference.to_string())
}

/// Why a certificate is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    /// Its request is gone, or was finished without it.
    Gone,
    /// The same, but a write of it was not answered: it may have been published before.
    Unknown,
    /// Its request was denied meanwhile.
    Denied,
    /// It does not answer its request.
    Rejected,
    /// A lookup found it beside the one that is used, or found that it does not answer the request.
    Left,
}

impl Unused {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Unknown => "unknown",
            Self::Denied => "denied",
            Self::Rejected => "rejected",
            Self::Left => "left",
        }
    }

    /// The event that tells of it.
    #[must_use]
    pub fn notice(self, waste: &Waste<'_>, of: &str, is_revoked_next: bool) -> Notice {
        let why = match self {
            Self::Gone => "the request is gone or finished without it",
            Self::Unknown => "the request is gone; whether it was published before is not known",
            Self::Denied => "the request was denied meanwhile",
            Self::Rejected => "it does not answer the request",
            Self::Left => {
                "it has the request's key and was issued since the request was made, and the request does not use it; \
                 another request with the same key may"
            }
        };
        let serial = waste.certificate.serial_hex();
        let then = match (is_revoked_next, waste.nobody_has_it) {
            (true, _) => "; the PKI is asked to revoke it",
            (false, true) => "; revoke it at the PKI, or set revokeUnused on the issuer",
            (false, false) => "; revoke it at the PKI if nobody uses it",
        };
        let message = format!(
            "the PKI issued a certificate with serial {serial} for {of} that is not used: {why}{then}"
        );
        Notice::new(true, "CertificateUnused", &message)
    }
}

/// A certificate that the PKI issued and its request does not use.
#[derive(Clone, Copy, Debug)]
pub struct Waste<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// Why it is not used.
    pub why: Unused,
    /// Whether it is certain that nobody uses it, so that revoking it harms nobody.
    pub nobody_has_it: bool,
}

/// What is left of an answer that is not published. `was_unanswered` says that a write of it was not answered.
///
/// To revoke what somebody uses is an outage, so certainty takes: it came by our own submission, and was never sent to
/// the API server without an answer; it has the order's key (a PKI that mixes up its answers sends another's); and it is
/// no older than the request (one that answers with what it issued before sends what is in use).
#[must_use]
pub fn waste<'a>(step: &Step, answer: &'a Answer, why: Unused, was_unanswered: bool) -> Option<Waste<'a>> {
    let has_key = |certificate: &&Certificate| certificate.has_key(step.order.csr.spki_der());
    let own = answer.certificates.iter().find(has_key);
    let certificate = own.or_else(|| answer.certificates.first())?;
    let why = match (answer.origin, why) {
        (Origin::Found, _) => Unused::Left,
        (Origin::Issued, Unused::Gone) if was_unanswered => Unused::Unknown,
        (Origin::Issued, why) => why,
    };
    let nobody_has_it = matches!(why, Unused::Gone | Unused::Denied | Unused::Rejected)
        && own.is_some()
        && certificate.not_before() >= step.since;
    Some(Waste { certificate, why, nobody_has_it })
}

/// The event of a submission that may be a second one: `gave_up` is why a lookup could not tell.
#[must_use]
pub fn submitted_again(gave_up: Option<&str>) -> Notice {
    let message = match gave_up {
        None => "submitted again: no answer came to an earlier submission, and the PKI is not asked what it issued; it \
                 may have issued a certificate that nobody has"
            .to_owned(),
        Some(why) => format!(
            "submitted without knowing of an earlier submission: the lookup gave up, as {why}; the PKI may have issued a \
             certificate that nobody has"
        ),
    };
    Notice::new(true, "SubmittedAgain", &message)
}

/// The event of a revocation; one that failed for good if it did.
#[must_use]
pub fn revocation(serial: &str, of: &str, came_to: &Revocation) -> Notice {
    let what = format!("the certificate with serial {serial}, issued for {of} and not used");
    match came_to {
        Revocation::Revoked => Notice::new(false, "CertificateRevoked", &format!("{what}, is revoked")),
        Revocation::Refused { message } | Revocation::Retryable { message } => {
            let message = format!("{what}, could not be revoked; revoke it at the PKI: {message}");
            Notice::new(true, "RevocationFailed", &message)
        }
    }
}

/// Whether this certificate is what the request has.
#[must_use]
pub fn is_published_in(certificate: &Certificate, request: &CertificateRequest) -> bool {
    let published = request.status.as_ref().and_then(|status| status.certificate.as_ref());
    let read = published.and_then(|pem| x509::bundle::read_certificates(&pem.0).ok());
    read.is_some_and(|chain| chain.first().is_some_and(|leaf| leaf.der() == certificate.der()))
}
