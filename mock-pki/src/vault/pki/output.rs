//! Certificates as Vault writes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509::Certificate;

use crate::vault::error::Refusal;

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

pub(crate) fn colons(hex: &str) -> String {
    let mut text = String::with_capacity(hex.len() * 3 / 2);
    for (index, digit) in hex.chars().enumerate() {
        if index > 0 && index % 2 == 0 {
            text.push(':');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_have_colons_between_bytes() {
        assert_eq!(colons("0a1b2c"), "0a:1b:2c");
        assert_eq!(colons(""), "");
    }
}
