//! The shapes of what is secret or random: certificates, requests, keys.

use base64::Engine as _;
use serde_json::{Map, Value, json};
use x509::{Certificate, Csr, bundle, pem};

/// Seconds in an hour.
const HOUR: i64 = 3600;

/// The shapes of a Secret's data.
pub(super) fn of_all(data: Value) -> Value {
    let Value::Object(entries) = data else { return Value::Null };
    let shapes: Map<String, Value> = entries.into_iter().map(|(key, value)| (key, of(&value))).collect();
    Value::Object(shapes)
}

/// The shape of a base64 text.
pub(super) fn of(encoded: &Value) -> Value {
    let bytes = encoded.as_str().and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    let Some(bytes) = bytes else { return json!("<no base64>") };
    if bytes.is_empty() {
        return json!("<empty>");
    }
    if let Ok(csr) = Csr::from_pem(&bytes) {
        return json!(format!("a request of {} for {}", csr.key_type(), csr.subject()));
    }
    match bundle::read_certificates(&bytes) {
        Ok(all) if !all.is_empty() => all.iter().map(certificate).collect(),
        _ => json!(labels(&bytes).unwrap_or_else(|| "<something>".to_owned())),
    }
}

/// Whole hours of life, as PKIs begin a certificate's a little earlier.
fn certificate(certificate: &Certificate) -> Value {
    let life = certificate.not_after().duration_since(certificate.not_before()).as_secs() / HOUR;
    let names: Vec<String> = certificate.subject_alt_names().iter().map(ToString::to_string).collect();
    let usages: Vec<String> = certificate.usages().names().collect();
    let ca = if certificate.is_ca() { ", a CA" } else { "" };
    json!(format!(
        "{} by {}, {}, {life} h{ca}; {}; {}",
        certificate.subject(),
        certificate.issuer(),
        certificate.key_type(),
        names.join(", "),
        usages.join(", "),
    ))
}

/// What PEM blocks say they are.
fn labels(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let labels: Vec<String> =
        pem::blocks(text).map_while(Result::ok).map(|block| block.label.to_owned()).collect();
    (!labels.is_empty()).then(|| labels.join(", "))
}
