//! Private keys: read, written and used as cert-manager does (`pkg/util/pki/{parse,generate,match}.go`).
//!
//! No `Debug` and no error holds key bytes.

use std::fmt;

use crate::{
    api::CertificateSpec,
    der::{INTEGER, OCTET_STRING, SEQUENCE, object_identifier, open, sequence, tlv},
};
use aws_lc_rs::{
    encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    },
};

/// The kinds of key that a Certificate may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// RSA of so many bits. 2048, 3072, 4096 and 8192 can be made, any size can be judged.
    Rsa(u32),
    /// ECDSA on the NIST curve of so many bits: 256, 384 or 521.
    Ecdsa(u32),
    /// Ed25519.
    Ed25519,
}

impl KeyAlgorithm {
    /// What `spec.privateKey` asks for; `None` for an algorithm that does not exist.
    #[must_use]
    pub fn of(spec: &CertificateSpec) -> Option<Self> {
        let key = spec.private_key.as_ref();
        let size = |default| key.map(|key| key.size).filter(|size| *size > 0).unwrap_or(default);
        match key.map_or("", |key| key.algorithm.as_str()) {
            "" | "RSA" => Some(Self::Rsa(size(2048))),
            "ECDSA" => Some(Self::Ecdsa(size(256))),
            "Ed25519" => Some(Self::Ed25519),
            _ => None,
        }
    }

    /// Whether making one takes so long that it should not be done on an async thread.
    #[must_use]
    pub const fn is_slow(self) -> bool {
        matches!(self, Self::Rsa(_))
    }
}

/// How a key is written into the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEncoding {
    /// PKCS#1 for RSA, SEC 1 for ECDSA, PKCS#8 for Ed25519. What cert-manager calls `PKCS1`.
    Traditional,
    /// PKCS#8.
    Pkcs8,
}

impl KeyEncoding {
    /// What `spec.privateKey.encoding` asks for.
    #[must_use]
    pub fn of(spec: &CertificateSpec) -> Self {
        match spec.private_key.as_ref().map(|key| key.encoding.as_str()) {
            Some("PKCS8") => Self::Pkcs8,
            _ => Self::Traditional,
        }
    }
}

/// Why there is no key. The texts are cert-manager's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing that looks like PEM.
    #[error("error decoding private key PEM block: no PEM data was found in given input")]
    NoPem,
    /// PEM of something else.
    #[error("unknown private key type: {0}")]
    UnknownType(String),
    /// PEM of a private key that cannot be read.
    #[error("error parsing private key: {0}")]
    Unreadable(&'static str),
    /// Such keys cannot be made here.
    #[error("unsupported private key algorithm specified: {0:?}")]
    Unsupported(KeyAlgorithm),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
}

/// A private key.
pub struct PrivateKey {
    pair: Pair,
    spki: Vec<u8>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

const CURVES: [(u32, &EcdsaSigningAlgorithm); 3] = [
    (256, &ECDSA_P256_SHA256_ASN1_SIGNING),
    (384, &ECDSA_P384_SHA384_ASN1_SIGNING),
    (521, &ECDSA_P521_SHA512_ASN1_SIGNING),
];

pub(crate) fn curve(bits: u32) -> Option<&'static EcdsaSigningAlgorithm> {
    CURVES.iter().find(|(size, _)| *size == bits).map(|(_, curve)| *curve)
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`], [`KeyError::Crypto`].
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Crypto("make a key");
        match algorithm {
            KeyAlgorithm::Rsa(bits) => {
                let size = match bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    8192 => KeySize::Rsa8192,
                    _ => return Err(KeyError::Unsupported(algorithm)),
                };
                Self::new(Pair::Rsa(Box::new(RsaKeyPair::generate(size).map_err(failed)?)))
            }
            KeyAlgorithm::Ecdsa(bits) => {
                let curve = curve(bits).ok_or(KeyError::Unsupported(algorithm))?;
                Self::ecdsa(EcdsaKeyPair::generate(curve).map_err(failed)?)
            }
            KeyAlgorithm::Ed25519 => Self::ed25519(Ed25519KeyPair::generate().map_err(failed)?),
        }
    }

    pub(crate) fn ecdsa(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        Self::new(Pair::Ecdsa(pair))
    }

    pub(crate) fn ed25519(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        Self::new(Pair::Ed25519(pair))
    }

    /// Reads the first PEM block, as `tls.key` holds it.
    ///
    /// # Errors
    /// [`KeyError`], which quotes nothing of the key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let text = String::from_utf8_lossy(pem);
        let block = x509::pem::blocks(&text).next().and_then(Result::ok).ok_or(KeyError::NoPem)?;
        let der = block.decode().map_err(|_| KeyError::NoPem)?;
        match block.label {
            "PRIVATE KEY" => Self::from_pkcs8(&der).ok_or(KeyError::Unreadable("pkcs#8")),
            "RSA PRIVATE KEY" => {
                let pair = RsaKeyPair::from_der(&der).map_err(|_| KeyError::Unreadable("pkcs#1"))?;
                Self::new(Pair::Rsa(Box::new(pair)))
            }
            "EC PRIVATE KEY" => Self::from_sec1(&der).ok_or(KeyError::Unreadable("ecdsa")),
            other => Err(KeyError::UnknownType(other.chars().take(40).collect())),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Self::new(Pair::Rsa(Box::new(pair))).ok();
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Self::ed25519(pair).ok();
        }
        Self::from_sec1(der)
    }

    fn from_sec1(der: &[u8]) -> Option<Self> {
        let mut curves = CURVES.iter();
        let pair = curves.find_map(|(_, curve)| EcdsaKeyPair::from_private_key_der(curve, der).ok())?;
        Self::ecdsa(pair).ok()
    }

    fn new(pair: Pair) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Crypto("export a public key");
        let spki: PublicKeyX509Der<'_> = match &pair {
            Pair::Rsa(pair) => pair.public_key().as_der().map_err(failed)?,
            Pair::Ecdsa(pair) => pair.public_key().as_der().map_err(failed)?,
            Pair::Ed25519(pair) => pair.public_key().as_der().map_err(failed)?,
        };
        let spki = spki.as_ref().to_vec();
        Ok(Self { pair, spki })
    }

    /// The public key: DER of the `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Its kind and size.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.pair {
            Pair::Rsa(pair) => KeyAlgorithm::Rsa(rsa_bits(pair)),
            Pair::Ecdsa(pair) => {
                let bits = CURVES.iter().find(|(_, curve)| *curve == pair.algorithm());
                KeyAlgorithm::Ecdsa(bits.map_or(0, |(bits, _)| *bits))
            }
            Pair::Ed25519(_) => KeyAlgorithm::Ed25519,
        }
    }

    /// The fields of the spec that this key does not fit (`PrivateKeyMatchesSpec`).
    #[must_use]
    pub fn violations(&self, spec: &CertificateSpec) -> Vec<&'static str> {
        match (self.algorithm(), KeyAlgorithm::of(spec)) {
            (KeyAlgorithm::Rsa(bits), Some(KeyAlgorithm::Rsa(wanted)))
            | (KeyAlgorithm::Ecdsa(bits), Some(KeyAlgorithm::Ecdsa(wanted))) => {
                if bits == wanted {
                    Vec::new()
                } else {
                    vec!["spec.privateKey.size"]
                }
            }
            (KeyAlgorithm::Ed25519, Some(KeyAlgorithm::Ed25519)) => Vec::new(),
            _ => vec!["spec.privateKey.algorithm"],
        }
    }

    /// The key as PEM.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn to_pem(&self, encoding: KeyEncoding) -> Result<String, KeyError> {
        let failed = |_| KeyError::Crypto("export a key");
        let pkcs8 = match &self.pair {
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair).map_err(failed)?.as_ref().to_vec(),
            Pair::Ecdsa(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        };
        Ok(match (&self.pair, encoding) {
            (Pair::Rsa(_), KeyEncoding::Traditional) => {
                let pkcs1 = pkcs8_content(&pkcs8).ok_or(KeyError::Crypto("export a key"))?;
                x509::pem::encode("RSA PRIVATE KEY", pkcs1)
            }
            (Pair::Ecdsa(pair), KeyEncoding::Traditional) => {
                let key = pair.private_key();
                let sec1: EcPrivateKeyRfc5915Der<'_> = key.as_der().map_err(failed)?;
                x509::pem::encode("EC PRIVATE KEY", sec1.as_ref())
            }
            _ => x509::pem::encode("PRIVATE KEY", &pkcs8),
        })
    }

    /// The signature under `message`; `name` is `spec.signatureAlgorithm`, see [`signature_algorithm`].
    pub(crate) fn sign(&self, name: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Crypto("sign");
        let random = SystemRandom::new();
        Ok(match &self.pair {
            Pair::Rsa(pair) => {
                let padding = match rsa_hash(rsa_bits(pair), name) {
                    Some(256) => &RSA_PKCS1_SHA256,
                    Some(384) => &RSA_PKCS1_SHA384,
                    Some(_) => &RSA_PKCS1_SHA512,
                    None => return Err(KeyError::Crypto("sign with an algorithm that is not the key's")),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).map_err(failed)?;
                signature
            }
            Pair::Ecdsa(pair) => pair.sign(&random, message).map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.try_sign(message).map_err(failed)?.as_ref().to_vec(),
        })
    }
}

/// The DER of the `AlgorithmIdentifier` of such a key's signatures; `None` where `name`
/// (`spec.signatureAlgorithm`) is for another kind of key.
///
/// The longer an RSA key the longer the hash (`signatureAlgorithmFromPublicKey`), unless it is named; for ECDSA
/// it is always the curve's.
#[must_use]
pub fn signature_algorithm(algorithm: KeyAlgorithm, name: &str) -> Option<Vec<u8>> {
    const NULL: [u8; 2] = [5, 0];
    let (oid, parameters) = match algorithm {
        KeyAlgorithm::Rsa(bits) => match rsa_hash(bits, name)? {
            256 => ("1.2.840.113549.1.1.11", &NULL[..]),
            384 => ("1.2.840.113549.1.1.12", &NULL[..]),
            _ => ("1.2.840.113549.1.1.13", &NULL[..]),
        },
        KeyAlgorithm::Ecdsa(521) => ("1.2.840.10045.4.3.4", &[][..]),
        KeyAlgorithm::Ecdsa(384) => ("1.2.840.10045.4.3.3", &[][..]),
        KeyAlgorithm::Ecdsa(_) => ("1.2.840.10045.4.3.2", &[][..]),
        KeyAlgorithm::Ed25519 => ("1.3.101.112", &[][..]),
    };
    Some(sequence(&[object_identifier(oid)?, parameters.to_vec()]))
}

fn rsa_hash(bits: u32, name: &str) -> Option<u32> {
    match (name, bits) {
        ("SHA512WithRSA", _) | ("", 4096..) => Some(512),
        ("SHA384WithRSA", _) | ("", 3072..) => Some(384),
        ("SHA256WithRSA" | "", _) => Some(256),
        _ => None,
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.algorithm())
    }
}

fn rsa_bits(pair: &RsaKeyPair) -> u32 {
    u32::try_from(pair.public_modulus_len().saturating_mul(8)).unwrap_or(u32::MAX)
}

/// What a PKCS#8 structure wraps (RFC 5208 5).
fn pkcs8_content(pkcs8: &[u8]) -> Option<&[u8]> {
    let (fields, _) = open(pkcs8, SEQUENCE)?;
    let (_, rest) = open(fields, INTEGER)?;
    let (_, rest) = open(rest, SEQUENCE)?;
    open(rest, OCTET_STRING).map(|(content, _)| content)
}

/// An EC private key (RFC 5915) that is nothing but its number, which is all a seeded key needs.
pub(crate) fn sec1(bits: u32, number: &[u8]) -> Option<Vec<u8>> {
    let curve = object_identifier(match bits {
        256 => "1.2.840.10045.3.1.7",
        384 => "1.3.132.0.34",
        521 => "1.3.132.0.35",
        _ => return None,
    })?;
    Some(sequence(&[
        tlv(INTEGER, &[1]),
        tlv(OCTET_STRING, number),
        tlv(crate::der::context_constructed(0), &curve),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CertificatePrivateKey;

    fn wants(algorithm: &str, size: u32) -> CertificateSpec {
        let private_key = CertificatePrivateKey {
            algorithm: algorithm.to_owned(),
            size,
            ..CertificatePrivateKey::default()
        };
        CertificateSpec { private_key: Some(private_key), ..CertificateSpec::default() }
    }

    #[test]
    fn every_key_survives_both_encodings() {
        for algorithm in [
            KeyAlgorithm::Ecdsa(256),
            KeyAlgorithm::Ecdsa(384),
            KeyAlgorithm::Ecdsa(521),
            KeyAlgorithm::Ed25519,
            KeyAlgorithm::Rsa(2048),
        ] {
            let key = PrivateKey::generate(algorithm).unwrap();
            for encoding in [KeyEncoding::Traditional, KeyEncoding::Pkcs8] {
                let again = PrivateKey::from_pem(key.to_pem(encoding).unwrap().as_bytes()).unwrap();
                assert_eq!((again.algorithm(), again.spki_der()), (algorithm, key.spki_der()));
            }
        }
    }

    #[test]
    fn labels_are_those_cert_manager_writes() {
        let label = |algorithm, encoding| {
            let pem = PrivateKey::generate(algorithm).unwrap().to_pem(encoding).unwrap();
            pem.lines().next().unwrap().trim_matches('-').to_owned()
        };
        assert_eq!(label(KeyAlgorithm::Rsa(2048), KeyEncoding::Traditional), "BEGIN RSA PRIVATE KEY");
        assert_eq!(label(KeyAlgorithm::Ecdsa(256), KeyEncoding::Traditional), "BEGIN EC PRIVATE KEY");
        assert_eq!(label(KeyAlgorithm::Ed25519, KeyEncoding::Traditional), "BEGIN PRIVATE KEY");
        assert_eq!(label(KeyAlgorithm::Ecdsa(256), KeyEncoding::Pkcs8), "BEGIN PRIVATE KEY");
    }

    #[test]
    fn a_key_that_does_not_fit_names_the_field() {
        let key = PrivateKey::generate(KeyAlgorithm::Ecdsa(256)).unwrap();
        assert_eq!(key.violations(&wants("ECDSA", 0)), Vec::<&str>::new());
        assert_eq!(key.violations(&wants("ECDSA", 384)), ["spec.privateKey.size"]);
        assert_eq!(key.violations(&wants("", 0)), ["spec.privateKey.algorithm"]);
        assert_eq!(key.violations(&wants("Ed25519", 0)), ["spec.privateKey.algorithm"]);
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        let refusal = |text: &str| PrivateKey::from_pem(text.as_bytes()).unwrap_err();
        assert_eq!(refusal("secret"), KeyError::NoPem);
        let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        assert_eq!(refusal(broken), KeyError::Unreadable("pkcs#8"));
        assert_eq!(
            refusal("-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n").to_string(),
            "unknown private key type: CERTIFICATE"
        );
    }
}
