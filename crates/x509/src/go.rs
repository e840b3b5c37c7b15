//! What Go's `crypto/x509` refuses to read though it is well-formed enough for everybody else.
//!
//! cert-manager decodes each certificate of `status.certificate` with it before it writes a Secret, and so does
//! most of what runs in a cluster. An answer that it cannot decode would end as `InvalidCertificate` in
//! cert-manager, after we had called it issued. So the judge asks here first. Reading stays tolerant elsewhere:
//! an old root in a CA bundle may have a negative serial number and still be what a PKI's TLS ends in.
//!
//! The rules are those of Go 1.26 (`crypto/x509/parser.go`); `fixtures/x509/go-refuses` holds what it says.

use crate::{
    certificate::Certificate,
    key::{EC_PUBLIC_KEY, ED25519, RSA_ENCRYPTION, SECP256R1, SECP384R1, SECP521R1},
    tlv::{
        BIT_STRING, BMP_STRING, IA5_STRING, INTEGER, Malformed, NUMERIC_STRING, OBJECT_IDENTIFIER,
        PRINTABLE_STRING, SEQUENCE, SET, TELETEX_STRING, Tlv, UTF8_STRING, Walk,
    },
};

mod extensions;

const SECP224R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x21];
const X25519: &[u8] = &[0x2b, 0x65, 0x6e];

/// The first reason why Go would refuse the certificate; `None` when it reads it.
pub(crate) fn refusal(certificate: &Certificate) -> Option<&'static str> {
    check(certificate).err().map(|error| error.what())
}

fn check(certificate: &Certificate) -> Result<(), Malformed> {
    integer(certificate.serial(), "serial number")?;
    if is_negative(certificate.serial()) {
        return Err(Malformed::new("negative serial number"));
    }
    identifiers(certificate.signature_algorithm_der(), "signature algorithm")?;
    name(certificate.issuer_der())?;
    name(certificate.subject_der())?;
    public_key(certificate.spki_der())?;
    for (oid, critical, value) in certificate.extensions() {
        identifier(oid.as_bytes(), "extension's object identifier")?;
        extensions::check(oid.as_bytes(), critical, value)?;
    }
    Ok(())
}

/// An INTEGER is written with as few octets as it takes (X.690 8.3.2).
fn integer(content: &[u8], what: &'static str) -> Result<(), Malformed> {
    match content {
        [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(Malformed::new(what)),
        _ => Ok(()),
    }
}

fn is_negative(content: &[u8]) -> bool {
    content.first().is_some_and(|first| first & 0x80 != 0)
}

/// Go keeps an arc of an object identifier in 31 bits, so those made of UUIDs (2.25.…) are too large for it.
fn identifier(content: &[u8], what: &'static str) -> Result<(), Malformed> {
    let fits = content.split_inclusive(|octet| octet & 0x80 == 0).all(|arc| {
        let value = arc.iter().try_fold(0u32, |value, octet| {
            value.checked_mul(128).map(|value| value | u32::from(octet & 0x7f))
        });
        value.is_some_and(|value| value < 1 << 31)
    });
    if fits { Ok(()) } else { Err(Malformed::new(what)) }
}

/// The object identifier an `AlgorithmIdentifier` starts with.
fn identifiers(algorithm: &[u8], what: &'static str) -> Result<(), Malformed> {
    let mut fields = Walk::der(algorithm).expect(SEQUENCE, what)?.inner();
    identifier(fields.expect(OBJECT_IDENTIFIER, what)?.value, what)
}

fn name(name: &[u8]) -> Result<(), Malformed> {
    let mut rdns = Walk::der(name).expect(SEQUENCE, "name")?.inner();
    while !rdns.is_empty() {
        let mut set = rdns.expect(SET, "relative name")?.inner();
        while !set.is_empty() {
            let mut attribute = set.expect(SEQUENCE, "name's attribute")?.inner();
            let kind = attribute.expect(OBJECT_IDENTIFIER, "name's attribute type")?;
            identifier(kind.value, "name's attribute type")?;
            string(&attribute.any("name's attribute value")?)?;
        }
    }
    Ok(())
}

/// The string types of names, and the characters each may hold.
fn string(value: &Tlv<'_>) -> Result<(), Malformed> {
    let (fine, what) = match value.tag {
        UTF8_STRING => (str::from_utf8(value.value).is_ok(), "name has an invalid UTF8String"),
        NUMERIC_STRING => {
            let allowed = |byte: &u8| byte.is_ascii_digit() || *byte == b' ';
            (value.value.iter().all(allowed), "name has a NumericString of more than digits")
        }
        PRINTABLE_STRING => (
            value.value.iter().all(|byte| is_printable(*byte)),
            "name has a PrintableString with other characters",
        ),
        TELETEX_STRING => (true, ""),
        IA5_STRING => (value.value.is_ascii(), "name has an IA5String that is not ASCII"),
        BMP_STRING => (is_basic_plane(value.value), "name has an invalid BMPString"),
        _ => (false, "name has a value of another type than Go's string types"),
    };
    if fine { Ok(()) } else { Err(Malformed::new(what)) }
}

/// X.680's `PrintableString`, and the `*` and `&` that Go forgives.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b' ' | b'\'' | b'(' | b')' | b'+'..=b'/' | b':' | b'=' | b'?' | b'*' | b'&')
}

/// Whole 16-bit characters, none of them a surrogate or set aside for ever.
fn is_basic_plane(content: &[u8]) -> bool {
    let (pairs, rest) = content.as_chunks::<2>();
    rest.is_empty()
        && pairs.iter().all(
            |pair| !matches!(u16::from_be_bytes(*pair), 0xd800..=0xdfff | 0xfdd0..=0xfdef | 0xfffe | 0xffff),
        )
}

fn public_key(spki: &[u8]) -> Result<(), Malformed> {
    const WHAT: &str = "public key";
    let mut fields = Walk::der(spki).expect(SEQUENCE, WHAT)?.inner();
    let mut algorithm = fields.expect(SEQUENCE, WHAT)?.inner();
    let oid = algorithm.expect(OBJECT_IDENTIFIER, WHAT)?.value;
    identifier(oid, "public key's algorithm")?;
    let parameters = if algorithm.is_empty() { None } else { Some(algorithm.any(WHAT)?) };
    let bits = fields.expect(BIT_STRING, WHAT)?.whole_bytes(WHAT)?;
    match oid {
        RSA_ENCRYPTION => {
            if parameters.is_none_or(|parameters| parameters.raw != [0x05, 0x00]) {
                return Err(Malformed::new("RSA key without NULL parameters"));
            }
            rsa_key(bits)
        }
        EC_PUBLIC_KEY => {
            let curve = parameters.filter(|curve| curve.tag == OBJECT_IDENTIFIER).map(|curve| curve.value);
            let length = match curve {
                Some(SECP224R1) => 57,
                Some(SECP256R1) => 65,
                Some(SECP384R1) => 97,
                Some(SECP521R1) => 133,
                _ => return Err(Malformed::new("EC key on a curve that Go does not know")),
            };
            if bits.len() == length && bits.starts_with(&[0x04]) {
                Ok(())
            } else {
                Err(Malformed::new("EC key whose point is not in uncompressed form"))
            }
        }
        ED25519 | X25519 if parameters.is_some() => Err(Malformed::new("Ed25519 key with parameters")),
        ED25519 | X25519 if bits.len() != 32 => Err(Malformed::new("Ed25519 key of another length")),
        _ => Ok(()),
    }
}

fn rsa_key(key: &[u8]) -> Result<(), Malformed> {
    let mut fields = Walk::der(key).expect(SEQUENCE, "RSA public key")?.inner();
    let modulus = fields.expect(INTEGER, "RSA modulus")?.value;
    integer(modulus, "RSA modulus")?;
    let exponent = fields.expect(INTEGER, "RSA exponent")?.value;
    integer(exponent, "RSA exponent")?;
    // Go reads the exponent into a signed word.
    if exponent.len() > 8 || is_negative(exponent) || exponent == [0] {
        return Err(Malformed::new("RSA exponent"));
    }
    if is_negative(modulus) || modulus == [0] {
        return Err(Malformed::new("RSA modulus"));
    }
    Ok(())
}
