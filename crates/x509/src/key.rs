//! Public keys: what kind they are, and whether two encodings are the same key.

use std::fmt;

use crate::{
    oid::Oid,
    tlv::{BIT_STRING, INTEGER, Malformed, NULL, OBJECT_IDENTIFIER, SEQUENCE, Tlv, Walk},
};

pub(crate) const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
pub(crate) const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
pub(crate) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
pub(crate) const SECP256R1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
pub(crate) const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
pub(crate) const SECP521R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// Keys this crate does not know, by the names people know.
const OTHER_KEYS: &[(&[u8], &str)] = &[
    (&[0x2b, 0x65, 0x71], "Ed448"),
    (&[0x2b, 0x65, 0x6e], "X25519"),
    (&[0x2b, 0x65, 0x6f], "X448"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "secp256k1"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x21], "P-224"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01], "DSA"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11], "ML-DSA-44"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12], "ML-DSA-65"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13], "ML-DSA-87"),
];

/// The kind of a public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RSA, also when restricted to PSS signatures (RFC 4055).
    Rsa {
        /// The modulus' length.
        bits: u32,
    },
    /// NIST P-256.
    EcP256,
    /// NIST P-384.
    EcP384,
    /// NIST P-521.
    EcP521,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// Anything else: its usual name, or its object identifier.
    Other(String),
}

impl KeyType {
    /// Whether key encipherment means anything for this key: only RSA encrypts to a public key in the way
    /// RFC 5280 4.2.1.3 describes (see RFC 8813 section 3 for EC, RFC 8410 section 5 for Ed25519).
    #[must_use]
    pub fn can_encipher_keys(&self) -> bool {
        matches!(self, Self::Rsa { .. })
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::EcP256 => f.write_str("P-256"),
            Self::EcP384 => f.write_str("P-384"),
            Self::EcP521 => f.write_str("P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// An `AlgorithmIdentifier`: an object identifier and, perhaps, parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Algorithm<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) parameters: Option<Tlv<'a>>,
}

impl<'a> Algorithm<'a> {
    pub(crate) fn read(walk: &mut Walk<'a>) -> Result<Self, Malformed> {
        let mut fields = walk.expect(SEQUENCE, "algorithm identifier")?.inner();
        let oid = fields.expect(OBJECT_IDENTIFIER, "algorithm's object identifier")?.value;
        let parameters = if fields.is_empty() { None } else { Some(fields.any("algorithm's parameters")?) };
        fields.end("algorithm identifier has trailing bytes")?;
        Ok(Self { oid, parameters })
    }

    pub(crate) fn has_no_parameters(&self) -> bool {
        self.parameters.is_none_or(|parameters| parameters.tag == NULL && parameters.value.is_empty())
    }
}

/// A `SubjectPublicKeyInfo` (RFC 5280 4.1.2.7), read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicKey<'a> {
    pub(crate) algorithm: Algorithm<'a>,
    /// The key itself, the BIT STRING's content.
    pub(crate) bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    pub(crate) fn read(spki: &'a [u8]) -> Result<Self, Malformed> {
        let mut document = Walk::der(spki);
        let mut fields = document.expect(SEQUENCE, "public key")?.inner();
        document.end("public key has trailing bytes")?;
        let algorithm = Algorithm::read(&mut fields)?;
        let bits = fields.expect(BIT_STRING, "public key's bits")?.whole_bytes("public key's bits")?;
        fields.end("public key has trailing bytes")?;
        Ok(Self { algorithm, bits })
    }

    pub(crate) fn key_type(&self) -> Result<KeyType, Malformed> {
        Ok(match self.algorithm.oid {
            RSA_ENCRYPTION | RSASSA_PSS => KeyType::Rsa { bits: modulus_bits(self.bits)? },
            ED25519 => KeyType::Ed25519,
            EC_PUBLIC_KEY => match self.algorithm.parameters {
                Some(curve) if curve.tag == OBJECT_IDENTIFIER => match curve.value {
                    SECP256R1 => KeyType::EcP256,
                    SECP384R1 => KeyType::EcP384,
                    SECP521R1 => KeyType::EcP521,
                    other => KeyType::Other(other_name(other)),
                },
                _ => KeyType::Other("EC key without a named curve".to_owned()),
            },
            other => KeyType::Other(other_name(other)),
        })
    }
}

fn other_name(oid: &[u8]) -> String {
    OTHER_KEYS
        .iter()
        .find(|(known, _)| *known == oid)
        .map_or_else(|| Oid::from_content(oid).to_string(), |(_, name)| (*name).to_owned())
}

/// The length of the modulus in an `RSAPublicKey` (RFC 8017 A.1.1).
fn modulus_bits(key: &[u8]) -> Result<u32, Malformed> {
    const WHAT: &str = "RSA public key";
    let mut document = Walk::der(key);
    let mut fields = document.expect(SEQUENCE, WHAT)?.inner();
    let modulus = fields.expect(INTEGER, WHAT)?.value;
    let negative = modulus.first().is_none_or(|byte| byte & 0x80 != 0);
    let significant = modulus.iter().position(|byte| *byte != 0).and_then(|start| modulus.get(start..));
    let (Some([first, rest @ ..]), false) = (significant, negative) else { return Err(Malformed::new(WHAT)) };
    let bits =
        rest.len().checked_mul(8).and_then(|bits| u32::try_from(bits).ok()).ok_or(Malformed::new(WHAT))?;
    Ok(bits.saturating_add(8 - first.leading_zeros()))
}

/// Whether two `SubjectPublicKeyInfo`s are the same key: byte for byte, or RSA keys that differ only in whether
/// the parameters are NULL or absent (RFC 3279 2.3.1 demands NULL, some writers leave it out).
#[must_use]
pub fn same_key(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    let (Ok(one), Ok(other)) = (PublicKey::read(one), PublicKey::read(other)) else { return false };
    let plain_rsa =
        |key: &PublicKey<'_>| key.algorithm.oid == RSA_ENCRYPTION && key.algorithm.has_no_parameters();
    plain_rsa(&one) && plain_rsa(&other) && one.bits == other.bits
}
