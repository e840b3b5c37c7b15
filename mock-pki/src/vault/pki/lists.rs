//! Lists of certificates.

use serde_json::{Map, Value, json};
use x509::{Certificate, KeyType, SubjectAltName};

use crate::{
    archive::Kept,
    serial::colons,
    vault::{
        envelope::Answer,
        pki::{Pki, serial_bytes},
        request::Request,
    },
};

impl Pki {
    /// The serial numbers of those that are `wanted`.
    pub(super) fn list(&self, request: &Request, wanted: impl Fn(&Kept) -> bool) -> Answer {
        let serials = self.archive.filter_map(|serial, kept| wanted(kept).then(|| hyphens(serial)));
        let page = page(request, serials);
        Answer::keys(&page)
    }

    /// The same of all, with a few words about each.
    pub(super) fn list_detailed(&self, request: &Request) -> Answer {
        let page = page(request, self.archive.filter_map(|serial, _| Some(hyphens(serial))));
        let mut details = Map::new();
        for serial in &page {
            let kept = serial_bytes(serial).and_then(|serial| self.archive.find(&serial));
            if let Some(certificate) = kept.and_then(|kept| kept.certificate()) {
                details.insert(serial.clone(), detail(&certificate));
            }
        }
        Answer::data(json!({"key_info": details, "keys": page}))
    }
}

fn hyphens(serial: &[u8]) -> String {
    colons(&x509::hex(serial)).replace(':', "-")
}

/// Certificates are listed in the order of their serial numbers with hyphens, and `after` is compared with those: one
/// with colons is greater than all that have its first byte. They are shown with colons.
fn page(request: &Request, serials: Vec<String>) -> Vec<String> {
    request.page(serials).into_iter().map(|serial| serial.replace('-', ":")).collect()
}

fn detail(certificate: &Certificate) -> Value {
    let names: Vec<String> = certificate
        .subject_alt_names()
        .into_iter()
        .filter_map(|name| if let SubjectAltName::Dns(name) = name { Some(name) } else { None })
        .collect();
    let (key_type, key_bits) = match certificate.key_type() {
        KeyType::Rsa { bits } => ("rsa", bits),
        KeyType::EcP256 => ("ec", 256),
        KeyType::EcP384 => ("ec", 384),
        KeyType::EcP521 => ("ec", 521),
        KeyType::Ed25519 => ("ed25519", 256),
        KeyType::Other(_) => ("", 0),
    };
    json!({
        "common_name": certificate.subject().common_name().unwrap_or_default(),
        "dns_names": if names.is_empty() { Value::Null } else { json!(names) },
        "issuer": certificate.issuer().to_string(),
        "key_bits": key_bits,
        "key_type": key_type,
        "not_after": certificate.not_after().to_string(),
        "not_before": certificate.not_before().to_string(),
    })
}
