//! The data of an answer that carries a certificate.

use ca::{KeyAlgorithm, SigningKey};
use serde_json::{Value, json};
use x509::Certificate;

use crate::{
    fault::Issuance,
    vault::{
        error::Refusal,
        pki::{
            object,
            output::{self, Format},
        },
    },
};

/// A certificate on its way out.
pub(crate) struct Sent<'a> {
    pub(crate) certificate: &'a Certificate,
    pub(crate) chain: &'a [Certificate],
    pub(crate) chain_pem: Vec<String>,
    pub(crate) key: Option<&'a SigningKey>,
    pub(crate) serial: String,
    /// Whether `ca_chain` ends below the root. A bundle has it all the same.
    pub(crate) without_roots: bool,
}

impl Sent<'_> {
    pub(crate) fn data(self, format: Format, issuance: &Issuance<'_>) -> Result<Value, Refusal> {
        let (leaf, chain) = match format {
            Format::Der => {
                let chain = self.chain.iter().map(|certificate| output::base64(certificate.der())).collect();
                (output::base64(self.certificate.der()), chain)
            }
            Format::Pem | Format::PemBundle => (output::pem(self.certificate), self.chain_pem),
        };
        let private_key = self.key.map(|key| private_key(key, format)).transpose()?;
        let certificate = if format == Format::PemBundle {
            let parts = private_key.iter().cloned().chain(std::iter::once(leaf)).chain(chain.iter().cloned());
            parts.collect::<Vec<_>>().join("\n")
        } else {
            leaf
        };
        let mut pairs = Vec::with_capacity(8);
        let sent = chain.iter().zip(self.chain);
        let sent = sent.filter(|(_, certificate)| !(self.without_roots && certificate.is_self_issued()));
        let sent: Vec<&String> = sent.map(|(text, _)| text).collect();
        // Left out, not empty, when nothing is left without the root.
        if issuance.send_chain && !sent.is_empty() {
            pairs.push(("ca_chain", json!(sent)));
        }
        pairs.push(("certificate", Value::String(certificate)));
        pairs.push(("expiration", json!(self.certificate.not_after().as_second())));
        if issuance.send_issuing_ca {
            let issuing_ca = issuance.issuing_ca.as_ref().map(|certificate| match format {
                Format::Der => output::base64(certificate.der()),
                Format::Pem | Format::PemBundle => output::pem(certificate),
            });
            pairs.push(("issuing_ca", json!(issuing_ca)));
        }
        pairs.push(("not_before", json!(self.certificate.not_before().as_second())));
        if let (Some(private_key), Some(key)) = (private_key, self.key) {
            pairs.push(("private_key", Value::String(private_key)));
            pairs.push(("private_key_type", json!(key_type_name(key.algorithm()))));
        }
        pairs.push(("serial_number", Value::String(self.serial)));
        Ok(object(pairs))
    }
}

/// Vault writes PKCS#1 and SEC 1 unless PKCS#8 is asked for; here it is always PKCS#8, which the same readers
/// take.
fn private_key(key: &SigningKey, format: Format) -> Result<String, Refusal> {
    Ok(match format {
        Format::Der => output::base64(&key.to_pkcs8_der()?),
        Format::Pem | Format::PemBundle => output::trimmed(key.to_pkcs8_pem()?),
    })
}

fn key_type_name(algorithm: KeyAlgorithm) -> &'static str {
    match algorithm {
        KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 | KeyAlgorithm::EcdsaP521 => "ec",
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => "rsa",
        KeyAlgorithm::Ed25519 => "ed25519",
    }
}
