//! Certificates in answers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde::Serialize;
use x509::Certificate;

use crate::{
    ejbca::{answer::Answer, authorities},
    pkcs7,
};

/// In which form a certificate is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Der,
    Pem,
    Pkcs7,
}

impl Format {
    /// What an enrolment may ask for.
    pub(crate) fn of_enrolment(name: Option<&str>) -> Option<Self> {
        match name? {
            "DER" => Some(Self::Der),
            "PKCS7" => Some(Self::Pkcs7),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Der => "DER",
            Self::Pem => "PEM",
            Self::Pkcs7 => "PKCS7",
        }
    }

    /// In base64, whatever is inside.
    fn write(self, certificate: &Certificate) -> String {
        match self {
            Self::Der => STANDARD.encode(certificate.der()),
            Self::Pem => STANDARD.encode(authorities::pem(std::slice::from_ref(certificate))),
            Self::Pkcs7 => {
                let der = pkcs7::with([certificate]);
                STANDARD.encode(x509::pem::encode("PKCS7", &der))
            }
        }
    }
}

/// A certificate in an answer.
#[derive(Debug, Serialize)]
pub(crate) struct Body {
    pub(crate) certificate: String,
    pub(crate) serial_number: String,
    pub(crate) response_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_chain: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_profile: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_entity_profile: Option<&'static str>,
}

impl Body {
    pub(crate) fn new(certificate: &Certificate, format: Format) -> Self {
        Self {
            certificate: format.write(certificate),
            serial_number: serial(certificate.serial()),
            response_format: format.name(),
            certificate_chain: None,
            certificate_profile: None,
            end_entity_profile: None,
        }
    }
}

/// 201 with a new certificate.
pub(crate) fn certificate(
    certificate: &Certificate,
    chain: Option<&[Certificate]>,
    format: Format,
) -> Answer {
    let certificate_chain =
        chain.map(|chain| chain.iter().map(|certificate| format.write(certificate)).collect());
    Answer::json(StatusCode::CREATED, &Body { certificate_chain, ..Body::new(certificate, format) })
}

/// A serial number as EJBCA shows it: a number in hexadecimal, upper case, without leading zeros.
pub(crate) fn serial(bytes: &[u8]) -> String {
    let digits = x509::hex(bytes).to_ascii_uppercase();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
}

/// The whole bytes of a serial number that is given in hexadecimal, with or without `0x`.
pub(crate) fn serial_bytes(text: &str) -> Option<Vec<u8>> {
    /// No certificate has a longer one.
    const MAX: usize = 80;
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.is_empty() || digits.len() > MAX || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let even = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    let digits = even.as_bytes().chunks(2).map(|pair| {
        let pair = str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let mut bytes = digits.collect::<Option<Vec<u8>>>()?;
    // As in DER, where a first bit would make the number negative.
    if bytes.first().is_none_or(|first| *first >= 0x80) {
        bytes.insert(0, 0);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn serial_numbers_are_numbers() {
        assert_eq!(serial(&[0x0a, 0xff]), "AFF");
        assert_eq!((serial(&[0, 0x80]), serial(&[0])), ("80".to_owned(), "0".to_owned()));
        assert_eq!(serial_bytes("0xaff"), Some(vec![0x0a, 0xff]));
        assert_eq!((serial_bytes("0"), serial_bytes("80")), (Some(vec![0]), Some(vec![0, 0x80])));
        for odd in ["", "0x", "-1", "xyz", "0x0x1", &"1".repeat(81)] {
            assert_eq!(serial_bytes(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn a_serial_number_is_read_as_it_is_shown(number in 1u128..) {
            let text = format!("{number:X}");
            let bytes = serial_bytes(&text).unwrap();
            prop_assert!(bytes[0] < 0x80);
            prop_assert_eq!(serial(&bytes), text);
        }
    }
}
