//! Revocation.

use serde_json::json;

use crate::{
    archive::Revoked,
    sync::read,
    vault::{
        envelope::Answer,
        error::Refusal,
        pki::{Context, Pki, object, output, serial_bytes},
    },
};

impl Pki {
    /// By serial number or certificate. A second time is no error and changes nothing.
    pub(crate) fn revoke(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let fields = &context.request.fields;
        let (given, certificate) = (fields.text("serial_number")?, fields.text("certificate")?);
        let shown = match (given.is_empty(), certificate.is_empty()) {
            (true, true) => {
                return Err(Refusal::bad("The serial number or certificate to revoke must be provided."));
            }
            (false, false) => {
                return Err(Refusal::bad(
                    "Must provide either the certificate or the serial to revoke; not both.",
                ));
            }
            (false, true) => given.replace('-', ":").to_ascii_lowercase(),
            (true, false) => serial_of(&certificate)?,
        };
        let missing = || {
            let shown: String = shown.chars().take(200).collect();
            Refusal::bad(format!("certificate with serial {shown} not found."))
        };
        let serial = serial_bytes(&shown).ok_or_else(missing)?;
        let now = Revoked { at: context.now, reason: None };
        let before = self.archive.revoke(&serial, now).ok_or_else(missing)?;
        let at = before.revoked.unwrap_or(now).at;
        context.ledger.revoke(&x509::hex(&serial), at);
        if before.revoked.is_none() && !read(&self.crl_config).auto_rebuild {
            self.rebuild_crls(context.now);
        }
        Ok(Answer::data(object([
            ("revocation_time", json!(at.as_second())),
            ("revocation_time_rfc3339", json!(at.to_string())),
            ("state", json!("revoked")),
        ])))
    }
}

fn serial_of(pem: &str) -> Result<String, Refusal> {
    if pem.len() < 75 {
        return Err(Refusal::internal(
            "provided certificate data was too short; perhaps a path was passed to the API rather than the contents \
             of a PEM file",
        ));
    }
    let read = x509::bundle::read_certificates(pem.as_bytes());
    let certificates =
        read.map_err(|error| Refusal::internal(&format!("certificate could not be parsed: {error}")))?;
    Ok(certificates.first().map(output::serial).unwrap_or_default())
}
