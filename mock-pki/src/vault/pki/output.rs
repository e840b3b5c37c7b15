//! Certificates as Vault writes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509::Certificate;

use crate::{serial::colons, vault::error::Refusal};

/// How an answer's certificates are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Pem,
    Der,
    PemBundle,
}

impl Format {
    pub(crate) fn read(text: &str) -> Result<Self, Refusal> {
        match text {
            "" | "pem" => Ok(Self::Pem),
            "der" => Ok(Self::Der),
            "pem_bundle" => Ok(Self::PemBundle),
            _ => {
                Err(Refusal::bad("the \"format\" path parameter must be \"pem\", \"der\", or \"pem_bundle\""))
            }
        }
    }
}

/// PEM without the final newline.
pub(crate) fn pem(certificate: &Certificate) -> String {
    trimmed(certificate.to_pem())
}

pub(crate) fn trimmed(mut pem: String) -> String {
    pem.truncate(pem.trim_end().len());
    pem
}

pub(crate) fn base64(der: &[u8]) -> String {
    STANDARD.encode(der)
}

/// `aa:bb:…`
pub(crate) fn serial(certificate: &Certificate) -> String {
    colons(&certificate.serial_hex())
}
