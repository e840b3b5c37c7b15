//! `Certificates/Revoke` and `Reset`.

use ca::CrlReason;
use serde_json::json;

use crate::{
    archive::Revoked,
    sync::lock,
    venafi::{
        answer::{Answer, Refusal},
        dn::Dn,
        enrollment::Stage,
        fields::Fields,
        issuing::{self, Context},
        tree::Kind,
    },
};

fn refused(text: &str) -> Refusal {
    let mut refusal = Refusal::bad("");
    refusal.0.body = Some(json!({ "Error": text, "Requested": false, "Success": false }));
    refusal
}

/// `Revoke`: the current certificate of an object, or any by its thumbprint.
pub(crate) fn revoke(context: &Context<'_>, fields: &Fields) -> Result<Answer, Refusal> {
    let reason = match fields.number("Reason")?.unwrap_or_default() {
        0 => None,
        1 => Some(CrlReason::KeyCompromise),
        2 => Some(CrlReason::CaCompromise),
        3 => Some(CrlReason::AffiliationChanged),
        4 => Some(CrlReason::Superseded),
        5 => Some(CrlReason::CessationOfOperation),
        other => return Err(refused(&format!("Reason {other} is not valid."))),
    };
    let disable = fields.flag("Disable")?;
    let serial = match (fields.text("CertificateDN")?, fields.text("Thumbprint")?) {
        (Some(dn), _) => current(context, dn, disable)?,
        (None, Some(thumbprint)) => with_thumbprint(context, thumbprint, disable)?,
        (None, None) => return Err(refused("CertificateDN or Thumbprint is needed.")),
    };
    let ca = &context.state.ca;
    let revoked = Revoked { at: context.now, reason };
    let before = ca
        .archive
        .revoke(&serial, revoked)
        .ok_or_else(|| refused("The certificate is not known to the certificate authority."))?;
    if before.revoked.is_some() {
        let warning = "The certificate is revoked already.";
        return Ok(Answer::ok(json!({ "Requested": false, "Success": true, "Warning": warning })));
    }
    context.epoch.ledger.revoke(&x509::hex(&serial), context.now);
    ca.archive.crls.renew(&ca.id, context.now);
    Ok(Answer::ok(json!({ "Requested": true, "Success": true })))
}

fn current(context: &Context<'_>, text: &str, disable: bool) -> Result<Vec<u8>, Refusal> {
    let missing = || {
        refused(&format!(
            "CertificateDN error. CertificateDN: \"{text}\" does not exist or you do not have sufficient rights to the object."
        ))
    };
    let dn = Dn::parse(text).ok_or_else(missing)?;
    let mut tree = lock(&context.state.tree);
    let enrollment = tree.enrollment_mut(&dn).ok_or_else(missing)?;
    let idle = matches!(enrollment.stage, Stage::Idle);
    let serial = enrollment.current().filter(|_| idle).map(|version| version.certificate.serial().to_vec());
    let serial =
        serial.ok_or_else(|| refused(&format!("Certificate {dn} does not have a certificate to revoke.")))?;
    enrollment.is_disabled |= disable;
    Ok(serial)
}

fn with_thumbprint(context: &Context<'_>, text: &str, disable: bool) -> Result<Vec<u8>, Refusal> {
    let wanted: String = text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_uppercase();
    let mut tree = lock(&context.state.tree);
    let found = tree.all().find_map(|node| {
        let versions = &node.enrollment()?.versions;
        let version = versions.iter().find(|version| version.thumbprint == wanted)?;
        Some((node.dn.clone(), version.certificate.serial().to_vec()))
    });
    let (dn, serial) =
        found.ok_or_else(|| refused(&format!("No certificate with the thumbprint {wanted} was found.")))?;
    if let Some(node) = tree.find_mut(&dn)
        && let Kind::Certificate(enrollment) = &mut node.kind
    {
        enrollment.is_disabled |= disable;
    }
    Ok(serial)
}

/// `Reset`: ends what is under way or in error; with `Restart` it begins anew.
pub(crate) fn reset(context: &Context<'_>, fields: &Fields) -> Result<Answer, Refusal> {
    let (text, restart) = (fields.needed("CertificateDN")?, fields.flag("Restart")?);
    let missing = || Refusal::no_object("CertificateDN", text);
    let dn = Dn::parse(text).ok_or_else(missing)?;
    let (order, guid) = {
        let mut tree = lock(&context.state.tree);
        let guid = tree.find(&dn).map(|node| node.guid.clone()).ok_or_else(missing)?;
        let enrollment = tree.enrollment_mut(&dn).ok_or_else(missing)?;
        let next = if restart { Stage::InProcess } else { Stage::Idle };
        let order = match std::mem::replace(&mut enrollment.stage, next) {
            Stage::Idle => {
                enrollment.stage = Stage::Idle;
                return Err(Refusal::bad(
                    "Reset is not completed. No reset is required for the certificate.",
                ));
            }
            Stage::InProcess => None,
            Stage::Waiting { order, .. } => Some(order),
            Stage::Failed { order, .. } => order,
        };
        if order.is_none() {
            enrollment.stage = Stage::Idle;
        }
        (order, guid)
    };
    let mut body = json!({ "ProcessingResetCompleted": true });
    if restart && let Some(order) = order {
        issuing::proceed(context, &dn, &guid, order)?;
        body = json!({ "ProcessingResetCompleted": true, "RestartCompleted": true });
    }
    Ok(Answer::ok(body))
}
