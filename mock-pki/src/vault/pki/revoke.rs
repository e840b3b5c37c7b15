//! Revocation.

use serde_json::json;

use crate::{
    sync::write,
    vault::{
        envelope::Answer,
        error::Refusal,
        pki::{Context, Pki, object, output},
    },
};

impl Pki {
    /// By serial number or certificate. A second time is no error and changes nothing.
    pub(crate) fn revoke(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let fields = &context.request.fields;
        let (given, certificate) = (fields.text("serial_number")?, fields.text("certificate")?);
        let serial = match (given.is_empty(), certificate.is_empty()) {
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
        let mut certificates = write(&self.certificates);
        let missing = || {
            let shown: String = serial.chars().take(200).collect();
            Refusal::bad(format!("certificate with serial {shown} not found."))
        };
        let stored = certificates.get_mut(&serial).ok_or_else(missing)?;
        let at = *stored.revoked.get_or_insert(context.now);
        drop(certificates);
        context.ledger.revoke(&serial.replace(':', ""), at);
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
