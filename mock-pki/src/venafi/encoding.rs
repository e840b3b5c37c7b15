//! The forms in which certificates and keys leave: PEM with Windows' line ends, DER, PKCS#7, and keys under a password.

use std::num::NonZeroU32;

use aws_lc_rs::{
    cipher::{AES_256, DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey},
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    pbkdf2,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ca::{CaError, SigningKey};
use x509::Certificate;

use crate::random;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const NULL: u8 = 0x05;
const CONTEXT_0: u8 = 0xa0;

/// id-signedData and id-data (RFC 2315 14).
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// id-PBES2, id-PBKDF2, id-hmacWithSHA256 (RFC 8018), aes256-CBC-PAD.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// As `OpenSSL` does: enough for a mock, and quick.
const ITERATIONS: u16 = 2048;

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// PEM as the product writes it.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    x509::pem::encode(label, der).replace('\n', "\r\n")
}

/// SHA-1, upper-case hexadecimal: by which the product knows certificates.
pub(crate) fn thumbprint(certificate: &Certificate) -> String {
    x509::hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate.der()).as_ref()).to_uppercase()
}

/// A PKCS#7 that signs nothing and carries certificates (RFC 2315 9, "degenerate").
pub(crate) fn pkcs7(certificates: &[&Certificate]) -> Vec<u8> {
    let all: Vec<&[u8]> = certificates.iter().map(|certificate| certificate.der()).collect();
    let signed = tlv(
        SEQUENCE,
        &[
            &tlv(INTEGER, &[&[1]]),
            &tlv(SET, &[]),
            &tlv(SEQUENCE, &[&tlv(OBJECT_IDENTIFIER, &[DATA])]),
            &tlv(CONTEXT_0, &all),
            &tlv(SET, &[]),
        ],
    );
    tlv(SEQUENCE, &[&tlv(OBJECT_IDENTIFIER, &[SIGNED_DATA]), &tlv(CONTEXT_0, &[&signed])])
}

/// A key under a password: PKCS#8 with PBES2, DER (RFC 5958 3, RFC 8018 6.2).
pub(crate) fn encrypted_key(key: &SigningKey, password: &str) -> Result<Vec<u8>, CaError> {
    let failed = || CaError::Crypto("encrypt a key");
    let salt: [u8; 16] = random::bytes();
    let mut secret = [0; 32];
    let iterations = NonZeroU32::new(u32::from(ITERATIONS)).ok_or_else(failed)?;
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut secret);
    let cipher = UnboundCipherKey::new(&AES_256, &secret).map_err(|_| failed())?;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher).map_err(|_| failed())?;
    let mut sealed = key.to_pkcs8_der()?;
    let context = cipher.encrypt(&mut sealed).map_err(|_| failed())?;
    let DecryptionContext::Iv128(iv) = context else { return Err(failed()) };
    let iv: &[u8] = iv.as_ref();
    let derivation = tlv(
        SEQUENCE,
        &[
            &tlv(OCTET_STRING, &[&salt]),
            &tlv(INTEGER, &[&ITERATIONS.to_be_bytes()]),
            &tlv(SEQUENCE, &[&tlv(OBJECT_IDENTIFIER, &[HMAC_SHA256]), &tlv(NULL, &[])]),
        ],
    );
    let scheme = tlv(
        SEQUENCE,
        &[
            &tlv(SEQUENCE, &[&tlv(OBJECT_IDENTIFIER, &[PBKDF2]), &derivation]),
            &tlv(SEQUENCE, &[&tlv(OBJECT_IDENTIFIER, &[AES_256_CBC]), &tlv(OCTET_STRING, &[iv])]),
        ],
    );
    let algorithm = tlv(SEQUENCE, &[&tlv(OBJECT_IDENTIFIER, &[PBES2]), &scheme]);
    Ok(tlv(SEQUENCE, &[&algorithm, &tlv(OCTET_STRING, &[&sealed])]))
}

/// Tag, length and the parts one after the other.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    if let Ok(short @ ..0x80) = u8::try_from(length) {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let significant = bytes.get(first..).unwrap_or_default();
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or(0x7f));
        out.extend(significant);
    }
    for part in parts {
        out.extend(*part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_der_wants_them() {
        let header = |length: usize| tlv(4, &[&vec![0; length]]).into_iter().take(4).collect::<Vec<u8>>();
        assert_eq!(header(0x7f), [4, 0x7f, 0, 0]);
        assert_eq!(header(0x80), [4, 0x81, 0x80, 0]);
        assert_eq!(header(0x1234), [4, 0x82, 0x12, 0x34]);
    }
}
