//! Certificates (RFC 5280 4.1), read once.

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Range,
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    extension::Extensions,
    hash,
    key::{self, Algorithm, KeyType, PublicKey},
    names::{DistinguishedName, SubjectAltName},
    pem,
    signature::{self, SignatureError, Strength},
    text, time,
    tlv::{BIT_STRING, INTEGER, Malformed, SEQUENCE, Walk, context, context_primitive},
    usage::Usages,
};

/// The largest certificate that is read. Go's TLS takes handshake messages of 64 KiB, so nothing near this
/// limit is of use to anybody.
pub const MAX_CERTIFICATE: usize = 1024 * 1024;

/// A certificate, read and found well-formed, its names, usages and validity included. Cheap to clone; equal
/// when the DER is.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: Box<[u8]>,
    signed: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    signature_algorithm: Range<usize>,
    signature: Range<usize>,
    issuer_name: DistinguishedName,
    subject_name: DistinguishedName,
    not_before: Timestamp,
    not_after: Timestamp,
    key_type: KeyType,
    extensions: Extensions,
    alt_names: Vec<SubjectAltName>,
}

/// The bytes are no certificate this crate can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Longer than [`MAX_CERTIFICATE`].
    #[error("the certificate has {size} bytes, more than {MAX_CERTIFICATE}")]
    TooLarge {
        /// Its length.
        size: usize,
    },
    /// Not the structure RFC 5280 describes.
    #[error("certificate: {0}")]
    Malformed(Malformed),
}

impl From<Malformed> for CertificateError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl Certificate {
    /// Reads one certificate from DER. Nothing may follow.
    ///
    /// # Errors
    /// [`CertificateError`] says what could not be read.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLarge { size: der.len() });
        }
        Ok(Self(Arc::new(parse(der)?)))
    }

    /// The whole certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// One PEM block `CERTIFICATE`.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", self.der())
    }

    /// The subject's raw Name.
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        self.slice(&self.0.subject)
    }

    /// The issuer's raw Name.
    #[must_use]
    pub fn issuer_der(&self) -> &[u8] {
        self.slice(&self.0.issuer)
    }

    /// The subject, for messages and comparison.
    #[must_use]
    pub fn subject(&self) -> DistinguishedName {
        self.0.subject_name.clone()
    }

    /// The issuer, for messages and comparison.
    #[must_use]
    pub fn issuer(&self) -> DistinguishedName {
        self.0.issuer_name.clone()
    }

    /// The raw `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        self.slice(&self.0.spki)
    }

    /// The kind of the public key.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.0.key_type.clone()
    }

    /// The serial number as encoded: the content of the INTEGER, with the leading zero that keeps it positive.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        self.slice(&self.0.serial)
    }

    /// The serial number in lower-case hexadecimal, whole bytes, no separators, without leading zero bytes.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        let serial = self.serial();
        let zeros = serial.iter().take_while(|byte| **byte == 0).count().min(serial.len().saturating_sub(1));
        text::hex(serial.get(zeros..).unwrap_or_default())
    }

    /// The first moment of validity.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// The last moment of validity. `99991231235959Z` (no expiry) is the last timestamp there is.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// Issuer and subject are the same name, byte for byte (RFC 5280 3.2).
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der() == self.subject_der()
    }

    /// Self-issued and signed by its own key. See [`Certificate::is_signed_by`] for algorithms that cannot be
    /// checked.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.is_signed_by(self)
    }

    /// Whether `issuer` issued this certificate: its subject is our issuer, byte for byte, and its key made our
    /// signature.
    ///
    /// Where the algorithm cannot be checked, the key identifiers (RFC 5280 4.2.1.1, 4.2.1.2) decide, and the
    /// names alone where one of those is absent. Where it can be checked they count for nothing: after a CA's
    /// re-keying or between products they do not always agree.
    ///
    /// This finds an order, it grants no trust: neither validity nor `isCA` are looked at, and RSA-1024 and
    /// RSA with SHA-1 are good enough.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        self.issuer_der() == issuer.subject_der()
            && match self.signature_matches(issuer.spki_der()) {
                SignatureMatch::Yes => true,
                SignatureMatch::No => false,
                SignatureMatch::Unsupported(_) => self.key_ids_agree(issuer),
            }
    }

    /// Whether the key (a `SubjectPublicKeyInfo`) made this certificate's signature.
    #[must_use]
    pub fn signature_matches(&self, spki: &[u8]) -> SignatureMatch {
        let algorithm = Algorithm::read(&mut Walk::der(self.signature_algorithm_der()));
        let (Ok(key), Ok(algorithm)) = (PublicKey::read(spki), algorithm) else { return SignatureMatch::No };
        let message = self.slice(&self.0.signed);
        let signature = self.slice(&self.0.signature);
        match signature::verify(&algorithm, &key, message, signature, Strength::Link) {
            Ok(()) => SignatureMatch::Yes,
            Err(SignatureError::Invalid) => SignatureMatch::No,
            Err(SignatureError::Unsupported(algorithm)) => SignatureMatch::Unsupported(algorithm),
        }
    }

    /// The `AlgorithmIdentifier` the certificate is signed with.
    pub(crate) fn signature_algorithm_der(&self) -> &[u8] {
        self.slice(&self.0.signature_algorithm)
    }

    fn key_ids_agree(&self, issuer: &Self) -> bool {
        let wanted = self.authority_key_id();
        let offered = issuer.subject_key_id();
        wanted.is_none() || offered.is_none() || wanted == offered
    }

    /// The subject key identifier's octets.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_ref().map(|range| self.slice(range))
    }

    /// The key identifier in the authority key identifier.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_id.as_ref().map(|range| self.slice(range))
    }

    /// The raw value of an extension, by its dotted object identifier.
    #[must_use]
    pub fn extension(&self, oid: &str) -> Option<&[u8]> {
        let oid = oid.parse::<crate::Oid>().ok()?;
        let extension = self.0.extensions.find(oid.as_bytes())?;
        Some(self.slice(&extension.value))
    }

    /// All extensions in order: object identifier, criticality, raw value.
    pub fn extensions(&self) -> impl Iterator<Item = (&crate::Oid, bool, &[u8])> {
        let all = self.0.extensions.iter();
        all.map(|extension| (&extension.oid, extension.critical, self.slice(&extension.value)))
    }

    /// The subject alternative names, in order; none when the extension is absent.
    #[must_use]
    pub fn subject_alt_names(&self) -> Vec<SubjectAltName> {
        self.0.alt_names.clone()
    }

    /// What the key may be used for; an absent extension restricts nothing.
    #[must_use]
    pub fn usages(&self) -> Usages {
        self.0.extensions.usages.clone()
    }

    /// The basic constraints say it is a CA.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.0.extensions.basic_constraints.is_some_and(|constraints| constraints.is_ca)
    }

    /// The basic constraints' path length.
    #[must_use]
    pub fn path_len(&self) -> Option<u32> {
        self.0.extensions.basic_constraints.and_then(|constraints| constraints.path_len)
    }

    /// Whether the certificate's key is this one (see [`key::same_key`]).
    #[must_use]
    pub fn has_key(&self, spki: &[u8]) -> bool {
        key::same_key(self.spki_der(), spki)
    }

    /// SHA-256 of the DER, the fingerprint that browsers and openssl show.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        hash::sha256(self.der())
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        // The ranges come from reading this very buffer, which never changes.
        self.0.der.get(range.clone()).unwrap_or_default()
    }
}

/// Whether a key made a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureMatch {
    /// It did.
    Yes,
    /// It did not.
    No,
    /// The algorithm, named here, cannot be checked.
    Unsupported(String),
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl Hash for Certificate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.der().hash(state);
    }
}

/// Subject and serial number, not the bytes.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, serial {})", self.0.subject_name, text::bounded(self.serial_hex(), 64))
    }
}

/// 1, 2 or 3, as people count; left out, it is 1.
fn version(fields: &mut Walk<'_>) -> Result<u8, Malformed> {
    let Some(wrapped) = fields.optional(context(0), "version")? else { return Ok(1) };
    let mut wrapped = wrapped.inner();
    let number = wrapped.expect(INTEGER, "version")?.value;
    wrapped.end("version")?;
    match number {
        [number @ 0..3] => Ok(number + 1),
        _ => Err(Malformed::new("version")),
    }
}

fn parse(der: &[u8]) -> Result<Parsed, Malformed> {
    let mut document = Walk::der(der);
    let mut outer = document.expect(SEQUENCE, "not a certificate")?.inner();
    document.end("trailing bytes")?;
    let signed = outer.expect(SEQUENCE, "no certificate content")?;
    let signature_algorithm = outer.expect(SEQUENCE, "signature algorithm")?;
    let signature = outer.expect(BIT_STRING, "signature")?;
    outer.end("trailing bytes after the signature")?;
    signature.whole_bytes("signature")?;
    Algorithm::read(&mut Walk::der(signature_algorithm.raw))?;

    let mut fields = signed.inner();
    let version = version(&mut fields)?;
    let serial = fields.expect(INTEGER, "serial number")?;
    if serial.value.is_empty() {
        return Err(Malformed::new("serial number"));
    }
    let inner_algorithm = fields.expect(SEQUENCE, "signature algorithm")?;
    // RFC 5280 4.1.1.2: the algorithm that is signed must be the one that is used.
    if inner_algorithm.raw != signature_algorithm.raw {
        return Err(Malformed::new("signature algorithm is given twice, differently"));
    }
    let issuer = fields.expect(SEQUENCE, "issuer")?;
    let mut validity = fields.expect(SEQUENCE, "validity")?.inner();
    let not_before = time::read(&validity.any("notBefore")?)?;
    let not_after = time::read(&validity.any("notAfter")?)?;
    validity.end("validity has trailing bytes")?;
    let subject = fields.expect(SEQUENCE, "subject")?;
    let spki = fields.expect(SEQUENCE, "public key")?;
    fields.optional(context_primitive(1), "issuer's unique identifier")?;
    fields.optional(context_primitive(2), "subject's unique identifier")?;
    let mut extensions = Extensions::default();
    if let Some(wrapped) = fields.optional(context(3), "extensions")? {
        // RFC 5280 4.1.2.9. Whoever trusts the number reads no name and no usage in such a certificate.
        if version != 3 {
            return Err(Malformed::new("extensions in a certificate that is not of version 3"));
        }
        let mut wrapped = wrapped.inner();
        extensions.add(&mut wrapped)?;
        wrapped.end("extensions have trailing bytes")?;
    }
    fields.end("trailing bytes after the extensions")?;

    let signature = signature.value_span();
    Ok(Parsed {
        signed: signed.span(),
        serial: serial.value_span(),
        issuer: issuer.span(),
        subject: subject.span(),
        spki: spki.span(),
        signature_algorithm: signature_algorithm.span(),
        // Without the octet that counts unused bits.
        signature: signature.start + 1..signature.end,
        issuer_name: DistinguishedName::from_der(issuer.raw)?,
        subject_name: DistinguishedName::from_der(subject.raw)?,
        not_before,
        not_after,
        key_type: PublicKey::read(spki.raw)?.key_type()?,
        alt_names: extensions.subject_alt_names(der)?,
        extensions,
        der: der.into(),
    })
}
