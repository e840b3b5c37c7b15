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

use crate::{
    der::{INTEGER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, sequence, tlv},
    random,
};

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
    let oid = |oid| tlv(OBJECT_IDENTIFIER, oid);
    let derivation = sequence(&[
        tlv(OCTET_STRING, &salt),
        tlv(INTEGER, &ITERATIONS.to_be_bytes()),
        sequence(&[oid(HMAC_SHA256), tlv(NULL, &[])]),
    ]);
    let scheme = sequence(&[
        sequence(&[oid(PBKDF2), derivation]),
        sequence(&[oid(AES_256_CBC), tlv(OCTET_STRING, iv)]),
    ]);
    let algorithm = sequence(&[oid(PBES2), scheme]);
    Ok(sequence(&[algorithm, tlv(OCTET_STRING, &sealed)]))
}
