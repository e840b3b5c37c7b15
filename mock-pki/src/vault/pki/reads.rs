//! Reading certificates and chains.

use http::StatusCode;
use serde_json::{Value, json};
use x509::Certificate;

use crate::{
    archive::{Kept, Revoked},
    sync::read,
    vault::{
        envelope::Answer,
        error::Refusal,
        pki::{Pki, issuer::Issuer, object, output, serial_bytes},
    },
};

const DER: &str = "application/pkix-cert";
const PEM: &str = "application/pem-certificate-chain";

impl Pki {
    /// GET of `ca…`, `cert/…` and `issuer/…`.
    pub(crate) fn read(&self, segments: &[&str]) -> Result<Answer, Refusal> {
        match segments {
            ["ca"] => Ok(raw(DER, self.own(|issuer| issuer.chain.first().map(|own| own.der().to_vec())))),
            ["ca", "pem"] => {
                Ok(raw(PEM, self.own(|issuer| issuer.chain_pem.first().map(|pem| pem.clone().into()))))
            }
            // The product's own mismatch: PEM under the DER's content type.
            ["ca_chain"] => Ok(raw(DER, self.own(|issuer| Some(issuer.chain_pem.join("\n").into())))),
            ["cert", "ca_chain"] => {
                let chain =
                    self.own(|issuer| Some(issuer.chain_pem.join("\n"))).ok_or_else(Refusal::absent)?;
                Ok(Answer::data(object([
                    ("ca_chain", json!(chain)),
                    ("certificate", json!(chain)),
                    ("revocation_time", json!(0)),
                    ("revocation_time_rfc3339", json!("")),
                ])))
            }
            ["cert", serial] => Ok(Answer::data(self.certificate(serial)?.1)),
            ["cert", serial, "raw"] => Ok(raw(DER, Some(self.certificate(serial)?.0.der().to_vec()))),
            ["cert", serial, "raw", "pem"] => {
                Ok(raw(PEM, Some(output::pem(&self.certificate(serial)?.0).into())))
            }
            ["issuer", reference] => Ok(Answer::data(describe(&*self.issuer(reference)?))),
            ["issuer", reference, "json"] => {
                let issuer = self.issuer(reference)?;
                Ok(Answer::data(json!({
                    "ca_chain": with_newlines(&issuer.chain_pem),
                    "certificate": with_newlines(&issuer.chain_pem).first(),
                    "issuer_id": &*issuer.id,
                    "issuer_name": issuer.name,
                })))
            }
            ["issuer", reference, "der"] => {
                Ok(raw(DER, self.issuer(reference)?.chain.first().map(|own| own.der().to_vec())))
            }
            ["issuer", reference, "pem"] => Ok(raw(
                PEM,
                with_newlines(&self.issuer(reference)?.chain_pem).into_iter().next().map(Into::into),
            )),
            _ => Err(Refusal::with(StatusCode::NOT_FOUND, "unsupported path")),
        }
    }

    pub(super) fn own<T>(&self, pick: impl FnOnce(&Issuer) -> Option<T>) -> Option<T> {
        read(&self.issuers).default_issuer().and_then(|issuer| pick(issuer))
    }

    pub(super) fn issuer(&self, reference: &str) -> Result<std::sync::Arc<Issuer>, Refusal> {
        let missing = || Refusal::internal(&format!("unable to find PKI issuer for reference: {reference}"));
        read(&self.issuers).find(reference).ok_or_else(missing)
    }

    /// By serial number, with colons or hyphens, or `ca`.
    fn certificate(&self, serial: &str) -> Result<(Certificate, Value), Refusal> {
        if serial == "ca" {
            let own = self.own(|issuer| issuer.chain.first().cloned()).ok_or_else(Refusal::absent)?;
            let shown = shown(&own, None);
            return Ok((own, shown));
        }
        if !serial.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'-'))
            || serial.is_empty()
        {
            return Err(Refusal::with(StatusCode::NOT_FOUND, "unsupported path"));
        }
        let kept = serial_bytes(serial).and_then(|serial| self.archive.find(&serial));
        let kept = kept.ok_or_else(Refusal::absent)?;
        let certificate =
            kept.certificate().ok_or_else(|| Refusal::internal("the certificate cannot be read"))?;
        let shown = shown(&certificate, Some(&kept));
        Ok((certificate, shown))
    }
}

fn shown(certificate: &Certificate, kept: Option<&Kept>) -> Value {
    let mut pairs = vec![("certificate", json!(output::pem(certificate)))];
    if let Some((Revoked { at, .. }, issuer)) = kept.and_then(|kept| Some((kept.revoked?, &kept.issuer))) {
        pairs.push(("issuer_id", json!(&**issuer)));
        pairs.push(("revocation_time", json!(at.as_second())));
        pairs.push(("revocation_time_rfc3339", json!(at.to_string())));
    } else {
        pairs.push(("revocation_time", json!(0)));
        pairs.push(("revocation_time_rfc3339", json!("")));
    }
    object(pairs)
}

/// An issuer's own URLs are not the mount's (`config/urls`), and cannot be set here.
fn describe(issuer: &Issuer) -> Value {
    json!({
        "ca_chain": with_newlines(&issuer.chain_pem),
        "certificate": with_newlines(&issuer.chain_pem).first(),
        "crl_distribution_points": [],
        "delta_crl_distribution_points": [],
        "issuer_id": &*issuer.id,
        "issuer_name": issuer.name,
        "issuing_certificates": [],
        "key_id": issuer.key_id,
        "leaf_not_after_behavior": "err",
        "manual_chain": null,
        "ocsp_servers": [],
        "revocation_signature_algorithm": issuer.revocation_algorithm,
        "revoked": false,
        "usage": "crl-signing,issuing-certificates,ocsp-signing,read-only",
    })
}

/// Here, and only here, PEM ends with a newline.
fn with_newlines(chain: &[String]) -> Vec<String> {
    chain.iter().map(|pem| format!("{pem}\n")).collect()
}

/// A file, or 204 where there is none.
pub(super) fn raw(content_type: &'static str, body: Option<Vec<u8>>) -> Answer {
    let status = if body.is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT };
    Answer::Raw { status, content_type, body: body.unwrap_or_default() }
}
