//! Private keys that sign certificates and requests.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    },
};
use der::{Any, AnyRef, Encode as _, asn1::SetOfVec};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use x509_cert::ext::Extension;

use crate::{
    CaError,
    der_types::{RequestInfo, assemble},
    extension::Extra,
};

/// The kinds of key that can sign, each with the one signature algorithm used with it: SHA-256 for RSA, the
/// hash of the curve's size for ECDSA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521,
    /// RSA, 2048 bits, PKCS#1 v1.5 with SHA-256.
    Rsa2048,
    /// RSA, 3072 bits, PKCS#1 v1.5 with SHA-256.
    Rsa3072,
    /// RSA, 4096 bits, PKCS#1 v1.5 with SHA-256.
    Rsa4096,
    /// Ed25519.
    Ed25519,
}

impl KeyAlgorithm {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::Ed25519,
    ];

    /// The DER of the `AlgorithmIdentifier` of its signatures.
    const fn signature_algorithm(self) -> &'static [u8] {
        match self {
            Self::EcdsaP256 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
            Self::EcdsaP384 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
            Self::EcdsaP521 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
            // sha256WithRSAEncryption, with the NULL that RFC 4055 demands.
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00]
            }
            Self::Ed25519 => &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
        }
    }
}

/// A private key that signs. Its bytes leave only by [`SigningKey::to_pkcs8_pem`].
pub struct SigningKey {
    algorithm: KeyAlgorithm,
    pair: Pair,
    spki: Vec<u8>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Makes a new key. EC and Ed25519 take well under a millisecond; RSA takes about 0.1 s for 2048 bits and
    /// about a second for 4096, so make those ahead of need and off the async threads.
    ///
    /// # Errors
    /// [`CaError::Crypto`].
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, CaError> {
        let failed = |_| CaError::Crypto("make a key");
        let ecdsa = |curve| EcdsaKeyPair::generate(curve).map(Pair::Ecdsa).map_err(failed);
        let rsa = |size| RsaKeyPair::generate(size).map(Pair::Rsa).map_err(failed);
        let pair = match algorithm {
            KeyAlgorithm::EcdsaP256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
            KeyAlgorithm::EcdsaP384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)?,
            KeyAlgorithm::EcdsaP521 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING)?,
            KeyAlgorithm::Rsa2048 => rsa(KeySize::Rsa2048)?,
            KeyAlgorithm::Rsa3072 => rsa(KeySize::Rsa3072)?,
            KeyAlgorithm::Rsa4096 => rsa(KeySize::Rsa4096)?,
            KeyAlgorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
        };
        Self::new(algorithm, pair)
    }

    /// Reads the first private key in PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted.
    ///
    /// # Errors
    /// [`CaError::UnusableKey`], which says nothing about the bytes.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CaError> {
        match PrivateKeyDer::from_pem_slice(pem).map_err(|_| CaError::UnusableKey)? {
            PrivateKeyDer::Pkcs8(key) => Self::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => {
                Self::rsa(RsaKeyPair::from_der(key.secret_pkcs1_der()).map_err(|_| CaError::UnusableKey)?)
            }
            PrivateKeyDer::Sec1(key) => Self::first_curve(|curve| {
                EcdsaKeyPair::from_private_key_der(curve, key.secret_sec1_der()).ok()
            }),
            _ => Err(CaError::UnusableKey),
        }
    }

    /// The key as PEM, PKCS#8 version 1: what every `OpenSSL` reads, Ed25519 included.
    ///
    /// # Errors
    /// [`CaError::Crypto`].
    pub fn to_pkcs8_pem(&self) -> Result<String, CaError> {
        Ok(x509::pem::encode("PRIVATE KEY", &self.to_pkcs8_der()?))
    }

    /// The key as PKCS#8 version 1, DER.
    ///
    /// # Errors
    /// [`CaError::Crypto`].
    pub fn to_pkcs8_der(&self) -> Result<Vec<u8>, CaError> {
        let failed = |_| CaError::Crypto("export a key");
        Ok(match &self.pair {
            Pair::Ecdsa(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map_err(failed)?.as_ref().to_vec(),
        })
    }

    /// Its kind.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The public key: DER of the `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Makes a certificate request (PKCS#10, DER) for this key.
    ///
    /// # Errors
    /// When `subject_der` is not DER, or the library fails to sign.
    pub fn request(&self, subject_der: &[u8], extensions: Vec<Extra>) -> Result<Vec<u8>, CaError> {
        let mut attributes = SetOfVec::<Any>::new();
        if !extensions.is_empty() {
            let extensions =
                extensions.into_iter().map(Extension::try_from).collect::<Result<Vec<_>, _>>()?;
            attributes.insert(Any::encode_from(&ExtensionRequest::new(&extensions)?)?)?;
        }
        let info = RequestInfo {
            version: 0,
            subject: AnyRef::try_from(subject_der)?,
            spki: AnyRef::try_from(self.spki.as_slice())?,
            attributes,
        };
        self.sign_and_assemble(&info.to_der()?)
    }

    /// Signs a to-be-signed part and puts the signature under it.
    pub(crate) fn sign_and_assemble(&self, tbs: &[u8]) -> Result<Vec<u8>, CaError> {
        assemble(tbs, self.signature_algorithm(), &self.sign(tbs)?)
    }

    pub(crate) fn signature_algorithm(&self) -> &'static [u8] {
        self.algorithm.signature_algorithm()
    }

    /// Signs a message with the one algorithm that belongs to this kind of key.
    ///
    /// # Errors
    /// [`CaError::Crypto`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CaError> {
        let failed = |_| CaError::Crypto("sign");
        let random = SystemRandom::new();
        Ok(match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message).map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.try_sign(message).map_err(failed)?.as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                signature
            }
        })
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, CaError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Self::rsa(pair);
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Self::new(KeyAlgorithm::Ed25519, Pair::Ed25519(pair));
        }
        Self::first_curve(|curve| EcdsaKeyPair::from_pkcs8(curve, der).ok())
    }

    fn rsa(pair: RsaKeyPair) -> Result<Self, CaError> {
        let algorithm = match pair.public_modulus_len() {
            256 => KeyAlgorithm::Rsa2048,
            384 => KeyAlgorithm::Rsa3072,
            512 => KeyAlgorithm::Rsa4096,
            _ => return Err(CaError::UnusableKey),
        };
        Self::new(algorithm, Pair::Rsa(pair))
    }

    fn first_curve(
        read: impl Fn(&'static EcdsaSigningAlgorithm) -> Option<EcdsaKeyPair>,
    ) -> Result<Self, CaError> {
        let curves: [(KeyAlgorithm, &'static EcdsaSigningAlgorithm); 3] = [
            (KeyAlgorithm::EcdsaP256, &ECDSA_P256_SHA256_ASN1_SIGNING),
            (KeyAlgorithm::EcdsaP384, &ECDSA_P384_SHA384_ASN1_SIGNING),
            (KeyAlgorithm::EcdsaP521, &ECDSA_P521_SHA512_ASN1_SIGNING),
        ];
        let (algorithm, pair) = curves
            .iter()
            .find_map(|(algorithm, curve)| Some((*algorithm, read(curve)?)))
            .ok_or(CaError::UnusableKey)?;
        Self::new(algorithm, Pair::Ecdsa(pair))
    }

    fn new(algorithm: KeyAlgorithm, pair: Pair) -> Result<Self, CaError> {
        let failed = |_| CaError::Crypto("export a public key");
        let spki: PublicKeyX509Der<'_> = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der().map_err(failed)?,
            Pair::Rsa(pair) => pair.public_key().as_der().map_err(failed)?,
            Pair::Ed25519(pair) => pair.public_key().as_der().map_err(failed)?,
        };
        let spki = spki.as_ref().to_vec();
        Ok(Self { algorithm, pair, spki })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// extensionRequest (RFC 2985 5.4.2) with its one value.
#[derive(der::Sequence)]
struct ExtensionRequest {
    id: der::asn1::ObjectIdentifier,
    values: SetOfVec<Any>,
}

impl ExtensionRequest {
    fn new(extensions: &Vec<Extension>) -> Result<Self, CaError> {
        let mut values = SetOfVec::new();
        values.insert(Any::encode_from(extensions)?)?;
        Ok(Self { id: der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14"), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_export_and_import() {
        for algorithm in KeyAlgorithm::ALL {
            let key = SigningKey::generate(algorithm).unwrap();
            let again = SigningKey::from_pem(key.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
            assert_eq!((again.algorithm(), again.spki_der()), (algorithm, key.spki_der()));
        }
    }

    #[test]
    fn debug_shows_the_kind_and_nothing_else() {
        let key = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey { algorithm: Ed25519, .. }");
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        for text in ["", "secret", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"] {
            let error = SigningKey::from_pem(text.as_bytes()).unwrap_err();
            assert!(matches!(error, CaError::UnusableKey), "{error}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
