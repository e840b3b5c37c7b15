//! Checking signatures with aws-lc, and saying which algorithm it was when it cannot.

use aws_lc_rs::{
    digest,
    signature::{self as lc, RsaPssSaltLength, UnparsedPublicKey, VerificationAlgorithm},
};

use crate::{
    key::{Algorithm, ED25519, KeyType, PublicKey, RSA_ENCRYPTION, RSASSA_PSS},
    oid::Oid,
    tlv::{INTEGER, Malformed, SEQUENCE, Walk, context},
};

/// How much is asked of an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strength {
    /// A request we are to have signed: RSA from 2,048 bits, SHA-2.
    Request,
    /// A link in a chain, used to find the order, never to grant trust: old corporate roots still carry
    /// RSA-1024 or SHA-1, and refusing to read them would break their chains.
    Link,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// The algorithm cannot be checked here; the text names it.
    Unsupported(String),
    /// The algorithm can be checked and the signature does not hold.
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

enum Scheme {
    RsaPkcs1(Hash),
    RsaPss(Hash, usize),
    Ecdsa(Hash),
    Ed25519,
}

/// Checks `signature` over `message` by `key`.
pub(crate) fn verify(
    algorithm: &Algorithm<'_>,
    key: &PublicKey<'_>,
    message: &[u8],
    signature: &[u8],
    strength: Strength,
) -> Result<(), SignatureError> {
    let key_type = key.key_type().map_err(|_| SignatureError::Invalid)?;
    let scheme = scheme(algorithm)?;
    let verification = verification(&scheme, &key_type, key, strength)
        .ok_or_else(|| SignatureError::Unsupported(format!("{} (key type {key_type})", scheme.name())))?;
    UnparsedPublicKey::new(verification, key.bits)
        .verify(message, signature)
        .map_err(|_| SignatureError::Invalid)
}

impl Scheme {
    fn name(&self) -> String {
        match self {
            Self::RsaPkcs1(hash) => format!("RSA PKCS#1 with {}", hash.name()),
            Self::RsaPss(hash, salt) => format!("RSA-PSS with {} and a salt of {salt} bytes", hash.name()),
            Self::Ecdsa(hash) => format!("ECDSA with {}", hash.name()),
            Self::Ed25519 => "Ed25519".to_owned(),
        }
    }
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Sha1 => digest::SHA1_OUTPUT_LEN,
            Self::Sha256 => digest::SHA256_OUTPUT_LEN,
            Self::Sha384 => digest::SHA384_OUTPUT_LEN,
            Self::Sha512 => digest::SHA512_OUTPUT_LEN,
        }
    }
}

/// Signature algorithms by the content of their object identifiers (RFC 4055, RFC 5758, RFC 8410).
fn scheme(algorithm: &Algorithm<'_>) -> Result<Scheme, SignatureError> {
    let plain = algorithm.has_no_parameters();
    let known = match algorithm.oid {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last] if plain => match last {
            0x05 => Some(Scheme::RsaPkcs1(Hash::Sha1)),
            0x0b => Some(Scheme::RsaPkcs1(Hash::Sha256)),
            0x0c => Some(Scheme::RsaPkcs1(Hash::Sha384)),
            0x0d => Some(Scheme::RsaPkcs1(Hash::Sha512)),
            _ => None,
        },
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] if plain => Some(Scheme::Ecdsa(Hash::Sha1)),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last] if plain => match last {
            0x02 => Some(Scheme::Ecdsa(Hash::Sha256)),
            0x03 => Some(Scheme::Ecdsa(Hash::Sha384)),
            0x04 => Some(Scheme::Ecdsa(Hash::Sha512)),
            _ => None,
        },
        ED25519 if algorithm.parameters.is_none() => Some(Scheme::Ed25519),
        RSASSA_PSS => return pss(algorithm),
        _ => None,
    };
    known.ok_or_else(|| SignatureError::Unsupported(algorithm_name(algorithm.oid)))
}

fn algorithm_name(oid: &[u8]) -> String {
    match oid {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04] => "RSA PKCS#1 with MD5".to_owned(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0e] => "RSA PKCS#1 with SHA-224".to_owned(),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x01] => "ECDSA with SHA-224".to_owned(),
        [0x2b, 0x65, 0x71] => "Ed448".to_owned(),
        other => Oid::from_content(other).to_string(),
    }
}

/// RSASSA-PSS-params (RFC 4055 3.1): hash and mask hash must be the same, as in every use of it in PKIX.
fn pss(algorithm: &Algorithm<'_>) -> Result<Scheme, SignatureError> {
    let unsupported = |what: &str| SignatureError::Unsupported(format!("RSA-PSS with {what}"));
    let malformed = |_: Malformed| unsupported("malformed parameters");
    let parameters = algorithm.parameters.filter(|parameters| parameters.tag == SEQUENCE);
    let mut fields = parameters.ok_or_else(|| unsupported("SHA-1"))?.inner();
    let mut hash = Hash::Sha1;
    let mut mask_hash = Hash::Sha1;
    let mut salt = 20usize;
    if let Some(field) = fields.optional(context(0), "PSS hash").map_err(malformed)? {
        let found = Algorithm::read(&mut field.inner()).map_err(malformed)?;
        hash = hash_of(found.oid).ok_or_else(|| unsupported("an unknown hash"))?;
    }
    if let Some(field) = fields.optional(context(1), "PSS mask").map_err(malformed)? {
        let mask = Algorithm::read(&mut field.inner()).map_err(malformed)?;
        // id-mgf1, the only mask generation function there is.
        let inner =
            mask.parameters.filter(|_| mask.oid == [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08]);
        let inner = inner.ok_or_else(|| unsupported("an unknown mask"))?;
        let found = Algorithm::read(&mut Walk::der(inner.raw)).map_err(malformed)?;
        mask_hash = hash_of(found.oid).ok_or_else(|| unsupported("an unknown mask hash"))?;
    }
    if let Some(field) = fields.optional(context(2), "PSS salt").map_err(malformed)? {
        let length = field.inner().expect(INTEGER, "PSS salt").map_err(malformed)?.value;
        salt = match length {
            [short] if *short < 0x80 => usize::from(*short),
            [high, low] if *high < 0x80 => usize::from(*high) * 256 + usize::from(*low),
            _ => return Err(unsupported("an absurd salt length")),
        };
    }
    if hash != mask_hash {
        return Err(unsupported("different hashes for message and mask"));
    }
    Ok(Scheme::RsaPss(hash, salt))
}

fn hash_of(oid: &[u8]) -> Option<Hash> {
    match oid {
        [0x2b, 0x0e, 0x03, 0x02, 0x1a] => Some(Hash::Sha1),
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last] => match last {
            0x01 => Some(Hash::Sha256),
            0x02 => Some(Hash::Sha384),
            0x03 => Some(Hash::Sha512),
            _ => None,
        },
        _ => None,
    }
}

fn verification(
    scheme: &Scheme,
    key_type: &KeyType,
    key: &PublicKey<'_>,
    strength: Strength,
) -> Option<&'static dyn VerificationAlgorithm> {
    let legacy = |bits: u32| strength == Strength::Link && (1024..=8192).contains(&bits);
    match (scheme, key_type) {
        (Scheme::RsaPkcs1(hash), KeyType::Rsa { bits }) if key.algorithm.oid == RSA_ENCRYPTION => {
            match hash {
                Hash::Sha1 if legacy(*bits) => Some(&lc::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
                Hash::Sha256 if legacy(*bits) => Some(&lc::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
                Hash::Sha512 if legacy(*bits) => Some(&lc::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
                _ if !(2048..=8192).contains(bits) => None,
                Hash::Sha1 => None,
                Hash::Sha256 => Some(&lc::RSA_PKCS1_2048_8192_SHA256),
                Hash::Sha384 => Some(&lc::RSA_PKCS1_2048_8192_SHA384),
                Hash::Sha512 => Some(&lc::RSA_PKCS1_2048_8192_SHA512),
            }
        }
        (Scheme::RsaPss(hash, salt), KeyType::Rsa { bits }) if (2048..=8192).contains(bits) => {
            pss_verification(*hash, *salt, *bits)
        }
        (Scheme::Ecdsa(hash), KeyType::EcP256) => match hash {
            Hash::Sha1 => None,
            Hash::Sha256 => Some(&lc::ECDSA_P256_SHA256_ASN1),
            Hash::Sha384 => Some(&lc::ECDSA_P256_SHA384_ASN1),
            Hash::Sha512 => Some(&lc::ECDSA_P256_SHA512_ASN1),
        },
        (Scheme::Ecdsa(hash), KeyType::EcP384) => match hash {
            Hash::Sha1 => None,
            Hash::Sha256 => Some(&lc::ECDSA_P384_SHA256_ASN1),
            Hash::Sha384 => Some(&lc::ECDSA_P384_SHA384_ASN1),
            Hash::Sha512 => Some(&lc::ECDSA_P384_SHA512_ASN1),
        },
        (Scheme::Ecdsa(hash), KeyType::EcP521) => match hash {
            Hash::Sha1 => None,
            Hash::Sha256 => Some(&lc::ECDSA_P521_SHA256_ASN1),
            Hash::Sha384 => Some(&lc::ECDSA_P521_SHA384_ASN1),
            Hash::Sha512 => Some(&lc::ECDSA_P521_SHA512_ASN1),
        },
        (Scheme::Ed25519, KeyType::Ed25519) => Some(&lc::ED25519),
        _ => None,
    }
}

/// PSS with a salt as long as the hash (what everybody writes) or as long as fits (what `openssl req` writes
/// when told nothing). The salt's length is part of what is signed, so others would be different algorithms.
fn pss_verification(hash: Hash, salt: usize, bits: u32) -> Option<&'static dyn VerificationAlgorithm> {
    let encoded = usize::try_from(bits.checked_add(6)? / 8).ok()?;
    let longest = encoded.checked_sub(hash.size())?.checked_sub(2)?;
    match hash {
        Hash::Sha256 if salt == hash.size() => Some(&lc::RSA_PSS_2048_8192_SHA256),
        Hash::Sha384 if salt == hash.size() => Some(&lc::RSA_PSS_2048_8192_SHA384),
        Hash::Sha512 if salt == hash.size() => Some(&lc::RSA_PSS_2048_8192_SHA512),
        Hash::Sha256 if salt == longest => {
            Some(&const { lc::RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max) })
        }
        Hash::Sha384 if salt == longest => {
            Some(&const { lc::RSA_PSS_2048_8192_SHA384.with_pss_salt_length(RsaPssSaltLength::Max) })
        }
        Hash::Sha512 if salt == longest => {
            Some(&const { lc::RSA_PSS_2048_8192_SHA512.with_pss_salt_length(RsaPssSaltLength::Max) })
        }
        _ => None,
    }
}
