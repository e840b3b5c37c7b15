//! Certificate requests: PKCS#10 (RFC 2986), as cert-manager and people's tools write them.

use std::{fmt, ops::Range, sync::Arc};

pub use crate::key::KeyType;
use crate::{
    extension::Extensions,
    hash,
    key::{Algorithm, PublicKey},
    names::{DistinguishedName, SubjectAltName},
    pem::{self, PemError},
    signature::{self, SignatureError, Strength},
    tlv::{BIT_STRING, INTEGER, Malformed, OBJECT_IDENTIFIER, SEQUENCE, SET, Walk, context},
    usage::Usages,
};

/// The largest request that is read. An object in Kubernetes holds at most 1.5 MiB (etcd's request limit), so
/// nothing longer can arrive in one; a request with a thousand names has about 30 KiB.
pub const MAX_CSR: usize = 1024 * 1024;

/// extensionRequest (RFC 2985 5.4.2), and Microsoft's older number for the same thing.
const EXTENSION_REQUESTS: [&[u8]; 2] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e],
    &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x0e],
];

/// A certificate request, read and found well-formed. Cheap to clone. Whether it is signed by its key is a
/// separate question: [`Csr::verify`].
#[derive(Clone)]
pub struct Csr(Arc<Parsed>);

struct Parsed {
    der: Box<[u8]>,
    signed: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    signature_algorithm: Range<usize>,
    signature: Range<usize>,
    name: DistinguishedName,
    key_type: KeyType,
    extensions: Extensions,
}

/// Why a request cannot be read or is not its key's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Longer than [`MAX_CSR`].
    #[error("the request has {size} bytes, more than {MAX_CSR}")]
    TooLarge {
        /// Its length.
        size: usize,
    },
    /// No PEM block that is a request.
    #[error("there is no PEM block CERTIFICATE REQUEST")]
    NotFound,
    /// Several requests where one is expected.
    #[error("there are several certificate requests where one is expected")]
    Several,
    /// The PEM around the request is broken.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The request is not the structure RFC 2986 describes.
    #[error("certificate request: {0}")]
    Malformed(Malformed),
    /// The signature algorithm is none that can be checked.
    #[error(
        "the request is signed with {algorithm}, which is not supported: use RSA (2048 to 8192 bits) with \
         SHA-256, SHA-384 or SHA-512, ECDSA on P-256, P-384 or P-521 with one of these, or Ed25519"
    )]
    UnsupportedAlgorithm {
        /// The algorithm and the key's type.
        algorithm: String,
    },
    /// The signature does not hold, so whoever sent the request has not shown to have the private key.
    #[error("the request is not signed by its own {key_type} key")]
    BadSignature {
        /// The type of the key in the request.
        key_type: KeyType,
    },
}

impl From<Malformed> for CsrError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl Csr {
    /// Reads exactly one request from PEM: `CERTIFICATE REQUEST` or `NEW CERTIFICATE REQUEST`, with whatever
    /// [`crate::pem`] tolerates. Blocks with other labels are passed over.
    ///
    /// # Errors
    /// Each [`CsrError`] but those of [`Csr::verify`].
    pub fn from_pem(bytes: &[u8]) -> Result<Self, CsrError> {
        // Base64 takes a third more than what it encodes, lines and a comment a little more.
        if bytes.len() > MAX_CSR * 3 / 2 {
            return Err(CsrError::TooLarge { size: bytes.len() });
        }
        let text = String::from_utf8_lossy(bytes);
        let mut found = None;
        for block in pem::blocks(&text) {
            let block = block?;
            if !matches!(block.label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
                continue;
            }
            if found.replace(block).is_some() {
                return Err(CsrError::Several);
            }
        }
        Self::from_der(&found.ok_or(CsrError::NotFound)?.decode()?)
    }

    /// Reads a request from DER. The attributes may be left out altogether: RFC 2986 demands the field, some
    /// writers do not write it. Nothing may follow.
    ///
    /// # Errors
    /// [`CsrError::TooLarge`], [`CsrError::Malformed`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, CsrError> {
        if bytes.len() > MAX_CSR {
            return Err(CsrError::TooLarge { size: bytes.len() });
        }
        Ok(Self(Arc::new(parse(bytes)?)))
    }

    /// Proof of possession: the request is signed by the key it asks a certificate for.
    ///
    /// Checked: RSA from 2,048 to 8,192 bits with PKCS#1 v1.5 or PSS, ECDSA on P-256, P-384 and P-521, each
    /// with SHA-256, SHA-384 or SHA-512, and Ed25519.
    ///
    /// # Errors
    /// [`CsrError::UnsupportedAlgorithm`] names what cannot be checked, [`CsrError::BadSignature`].
    pub fn verify(&self) -> Result<(), CsrError> {
        let key = PublicKey::read(self.spki_der())?;
        let algorithm = Algorithm::read(&mut Walk::der(self.slice(&self.0.signature_algorithm)))?;
        let message = self.slice(&self.0.signed);
        let signature = self.slice(&self.0.signature);
        signature::verify(&algorithm, &key, message, signature, Strength::Request).map_err(
            |error| match error {
                SignatureError::Unsupported(algorithm) => CsrError::UnsupportedAlgorithm { algorithm },
                SignatureError::Invalid => CsrError::BadSignature { key_type: self.key_type() },
            },
        )
    }

    /// The whole request.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The whole request as one PEM block `CERTIFICATE REQUEST`.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", self.der())
    }

    /// The subject's raw Name, byte for byte, to copy into a certificate.
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        self.slice(&self.0.subject)
    }

    /// The subject, for messages and comparison.
    #[must_use]
    pub fn subject(&self) -> DistinguishedName {
        self.0.name.clone()
    }

    /// The raw `SubjectPublicKeyInfo`, byte for byte.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        self.slice(&self.0.spki)
    }

    /// The kind of the public key.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.0.key_type.clone()
    }

    /// The raw value (the content of extnValue) of a requested extension, by its dotted object identifier.
    /// All extensionRequest attributes are looked at.
    #[must_use]
    pub fn extension(&self, oid: &str) -> Option<&[u8]> {
        let oid = oid.parse::<crate::Oid>().ok()?;
        let extension = self.0.extensions.find(oid.as_bytes())?;
        Some(self.slice(&extension.value))
    }

    /// All requested extensions in order: object identifier, criticality, raw value.
    pub fn extensions(&self) -> impl Iterator<Item = (&crate::Oid, bool, &[u8])> {
        let all = self.0.extensions.iter();
        all.map(|extension| (&extension.oid, extension.critical, self.slice(&extension.value)))
    }

    /// The subject alternative names asked for, in order; none when the extension is absent.
    ///
    /// # Errors
    /// [`CsrError::Malformed`]: the extension cannot be read. The rest of the request can.
    pub fn subject_alt_names(&self) -> Result<Vec<SubjectAltName>, CsrError> {
        Ok(self.0.extensions.subject_alt_names(self.der())?)
    }

    /// The key usages and extended key usages asked for; `None` when neither extension is there.
    #[must_use]
    pub fn usages(&self) -> Option<Usages> {
        let usages = &self.0.extensions.usages;
        (usages.restricts_key_usage() || usages.restricts_extended()).then(|| usages.clone())
    }

    /// Whether a CA certificate is asked for; `None` when there are no basic constraints.
    #[must_use]
    pub fn is_ca(&self) -> Option<bool> {
        self.0.extensions.basic_constraints.map(|constraints| constraints.is_ca)
    }

    /// SHA-256 of the DER: the same request, whatever PEM it came in.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        hash::sha256(self.der())
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        // The ranges come from reading this very buffer, which never changes.
        self.0.der.get(range.clone()).unwrap_or_default()
    }
}

/// Equal when the DER is.
impl PartialEq for Csr {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Csr {}

/// The subject and the kind of key, not the bytes.
impl fmt::Debug for Csr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csr({}, {})", self.0.name, self.0.key_type)
    }
}

fn parse(der: &[u8]) -> Result<Parsed, Malformed> {
    let mut document = Walk::der(der);
    let mut outer = document.expect(SEQUENCE, "not a certificate request")?.inner();
    document.end("trailing bytes")?;
    let signed = outer.expect(SEQUENCE, "request info")?;
    let signature_algorithm = outer.expect(SEQUENCE, "signature algorithm")?;
    let signature = outer.expect(BIT_STRING, "signature")?;
    outer.end("trailing bytes after the signature")?;
    signature.whole_bytes("signature")?;
    Algorithm::read(&mut Walk::der(signature_algorithm.raw))?;

    let mut info = signed.inner();
    info.expect(INTEGER, "version")?;
    let subject = info.expect(SEQUENCE, "subject")?;
    let spki = info.expect(SEQUENCE, "public key")?;
    let attributes = info.optional(context(0), "attributes")?;
    info.end("trailing bytes after the attributes")?;

    let mut extensions = Extensions::default();
    let mut attributes = attributes.map(|attributes| attributes.inner());
    while let Some(list) = attributes.as_mut().filter(|list| !list.is_empty()) {
        let mut attribute = list.expect(SEQUENCE, "attribute")?.inner();
        let oid = attribute.expect(OBJECT_IDENTIFIER, "attribute's type")?.value;
        let mut values = attribute.expect(SET, "attribute's values")?.inner();
        attribute.end("attribute has trailing bytes")?;
        // Other attributes, such as a challenge password, mean nothing here and may hold anything.
        while EXTENSION_REQUESTS.contains(&oid) && !values.is_empty() {
            extensions.add(&mut values)?;
        }
    }

    let signature = signature.value_span();
    Ok(Parsed {
        signed: signed.span(),
        subject: subject.span(),
        spki: spki.span(),
        signature_algorithm: signature_algorithm.span(),
        // Without the octet that counts unused bits.
        signature: signature.start + 1..signature.end,
        name: DistinguishedName::from_der(subject.raw)?,
        key_type: PublicKey::read(spki.raw)?.key_type()?,
        extensions,
        der: der.into(),
    })
}
