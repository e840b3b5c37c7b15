//! Revocation, and its status.

use ca::CrlReason;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    archive::Revoked,
    ejbca::{
        Context,
        answer::{Answer, Refusal},
        authorities::{self, Shown, normal, short},
        certificate::serial_bytes,
        dates,
    },
};

/// A reason, its number (RFC 5280 5.3.1) and what it does.
struct Reason {
    name: &'static str,
    number: i32,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Revokes(Option<CrlReason>),
    /// Ends a hold.
    Reinstates,
}

const REASONS: [Reason; 11] = [
    Reason { name: "NOT_REVOKED", number: -1, what: What::Reinstates },
    Reason { name: "UNSPECIFIED", number: 0, what: What::Revokes(None) },
    Reason { name: "KEY_COMPROMISE", number: 1, what: What::Revokes(Some(CrlReason::KeyCompromise)) },
    Reason { name: "CA_COMPROMISE", number: 2, what: What::Revokes(Some(CrlReason::CaCompromise)) },
    Reason {
        name: "AFFILIATION_CHANGED",
        number: 3,
        what: What::Revokes(Some(CrlReason::AffiliationChanged)),
    },
    Reason { name: "SUPERSEDED", number: 4, what: What::Revokes(Some(CrlReason::Superseded)) },
    Reason {
        name: "CESSATION_OF_OPERATION",
        number: 5,
        what: What::Revokes(Some(CrlReason::CessationOfOperation)),
    },
    Reason { name: "CERTIFICATE_HOLD", number: 6, what: What::Revokes(Some(CrlReason::CertificateHold)) },
    Reason { name: "REMOVE_FROM_CRL", number: 8, what: What::Reinstates },
    Reason {
        name: "PRIVILEGES_WITHDRAWN",
        number: 9,
        what: What::Revokes(Some(CrlReason::PrivilegeWithdrawn)),
    },
    Reason { name: "AA_COMPROMISE", number: 10, what: What::Revokes(Some(CrlReason::AaCompromise)) },
];

#[derive(Serialize)]
struct Status<'a> {
    issuer_dn: &'a str,
    serial_number: &'a str,
    revocation_reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    revoked: bool,
}

/// A revocation for the reason of this number, where that is one to revoke for.
pub(crate) fn with_reason(number: i64, at: Timestamp) -> Option<Revoked> {
    let reason = REASONS.iter().find(|reason| i64::from(reason.number) == number)?;
    match reason.what {
        What::Revokes(reason) => Some(Revoked { at, reason }),
        What::Reinstates => None,
    }
}

/// The number of a revocation's reason, -1 for none.
pub(crate) fn number(revoked: Option<Revoked>) -> i32 {
    let Some(revoked) = revoked else { return -1 };
    revoked.reason.map_or(0, |reason| i32::from(reason as u8))
}

fn name(revoked: Option<Revoked>) -> &'static str {
    let number = number(revoked);
    REASONS.iter().find(|reason| reason.number == number).map_or("NOT_REVOKED", |reason| reason.name)
}

/// `GET /v1/certificate/{issuer_dn}/{certificate_serial_number}/revocationstatus`
pub(crate) fn status(context: &Context<'_>, issuer_dn: &str, serial_number: &str) -> Result<Answer, Refusal> {
    let serial = read_serial(serial_number)?;
    let ca = context.state.ca_with_dn(issuer_dn).ok_or_else(|| authorities::no_such(issuer_dn))?;
    let kept = ca.archive.find(&serial).ok_or_else(|| {
        let (serial, issuer) = (short(serial_number), short(issuer_dn));
        Refusal::absent(format!(
            "Certificate with serial number '{serial}' and issuer DN '{issuer}' was not found"
        ))
    })?;
    Ok(answer(issuer_dn, serial_number, name(kept.revoked), kept.revoked, None))
}

/// `PUT /v1/certificate/{issuer_dn}/{certificate_serial_number}/revoke`
pub(crate) fn revoke(context: &Context<'_>, issuer_dn: &str, serial_number: &str) -> Result<Answer, Refusal> {
    let now = context.now;
    let given = context.request.query("reason");
    let reason = given.and_then(|given| REASONS.iter().find(|reason| reason.name == given));
    let serial = read_serial(serial_number)?;
    let ca =
        context.state.ca_with_dn(issuer_dn).ok_or_else(|| authorities::no_such_id(&normal(issuer_dn)))?;
    let kept = ca.archive.find(&serial);
    let before = kept.as_ref().and_then(|kept| kept.revoked);
    let reason = reason.ok_or_else(|| {
        Refusal::bad(match before {
            None => "Invalid revocation reason.",
            Some(_) => "Invalidity date or revocation reason missing.",
        })
    })?;
    let invalidity = read_date(context.request.query("invalidity_date"), now)?;
    let backdated = read_date(context.request.query("date"), now)?;
    let (shown_issuer, shown_serial) = (short(issuer_dn), lower(&serial));
    if kept.is_none() {
        return Err(Refusal::absent(format!(
            "Could not find end entity certificate. Issuer {shown_issuer}, serialNo {shown_serial}."
        )));
    }
    if invalidity.is_some() {
        return Err(Refusal::bad("Invalidity date was given but not allowed by CA"));
    }
    if backdated.is_some() {
        let profile =
            context.state.records.find(&serial).map_or("", |record| record.certificate_profile.name);
        return Err(Refusal::Error(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!(
                "Back dated revocation not allowed for certificate profile '{profile}'. Certificate serialNumber \
                 '{shown_serial}', issuerDN '{shown_issuer}'."
            ),
        ));
    }
    let is_held = before.is_some_and(|before| before.reason == Some(CrlReason::CertificateHold));
    let after = match (reason.what, before) {
        (What::Revokes(reason), None) => Some(Revoked { at: now, reason }),
        // A hold may become permanent, since when it was one.
        (What::Revokes(reason), Some(before)) if is_held && reason != before.reason => {
            Some(Revoked { reason, ..before })
        }
        (What::Reinstates, Some(_)) if is_held => None,
        (What::Reinstates, _) => {
            return Err(conflict(format!(
                "Not allowed to unrevoke a certificate that is not on hold. Issuer {shown_issuer}, serialNo {shown_serial}."
            )));
        }
        (What::Revokes(_), Some(_)) => {
            return Err(conflict(format!(
                "Certificate with issuer: {shown_issuer} and serial number: {shown_serial} has previously been revoked. \
                 Revocation reason could not be changed or was not allowed."
            )));
        }
    };
    set(context, ca, &serial, after);
    ca.rebuild_crls(now);
    Ok(answer(issuer_dn, serial_number, reason.name, after, Some("Successfully revoked")))
}

/// Writes a change of a certificate's revocation down.
pub(crate) fn set(context: &Context<'_>, ca: &Shown, serial: &[u8], revoked: Option<Revoked>) {
    ca.archive.set_revoked(serial, revoked);
    let ledger = &context.epoch.ledger;
    match revoked {
        Some(revoked) => ledger.revoke(&lower(serial), revoked.at),
        None => ledger.reinstate(&lower(serial)),
    }
}

fn answer(
    issuer_dn: &str,
    serial_number: &str,
    revocation_reason: &str,
    revoked: Option<Revoked>,
    message: Option<&'static str>,
) -> Answer {
    let status = Status {
        issuer_dn,
        serial_number,
        revocation_reason,
        revocation_date: revoked.map(|revoked| dates::iso(revoked.at)),
        message,
        revoked: revoked.is_some(),
    };
    Answer::json(StatusCode::OK, &status)
}

fn conflict(message: String) -> Refusal {
    Refusal::Error(StatusCode::CONFLICT, message)
}

fn read_serial(text: &str) -> Result<Vec<u8>, Refusal> {
    serial_bytes(text).ok_or_else(|| {
        Refusal::bad(
            "Invalid serial number format. Should be HEX encoded (optionally with '0x' prefix) e.g. '0x10782a83eef170d4'",
        )
    })
}

fn read_date(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let at = dates::lenient(text).ok_or_else(|| {
        let shown = short(text);
        Refusal::bad(format!(
            "'{shown}' is not a valid ISO8601 date. Example of a valid date: 2012-06-07T23:55:59+02:00"
        ))
    })?;
    if at > now {
        return Err(Refusal::bad(format!("Date in the future: '{}'.", short(text))));
    }
    Ok(Some(at))
}

/// As the ledger has it, and the texts of errors.
fn lower(serial: &[u8]) -> String {
    let digits = x509::hex(serial);
    let zeros = serial.iter().take_while(|byte| **byte == 0).count().min(serial.len().saturating_sub(1));
    digits.get(2 * zeros..).unwrap_or_default().to_owned()
}
