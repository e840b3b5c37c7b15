//! What a PKI may answer with: certificates in any usual wrapping.
//!
//! Told apart by content, never by what a header or a file name claims: PEM (any number of blocks, text
//! between them), DER (one certificate, or several one after the other), PKCS#7 (PEM, DER, BER), and base64 of
//! any of these. Order and duplicates are left as they are; [`crate::chain`] sorts them.

use crate::{
    certificate::{Certificate, CertificateError},
    pem::{self, PemError},
    pkcs7, text,
    tlv::{INTEGER, Malformed, SEQUENCE, Walk},
};

/// The longest answer that is read. A thousand certificates of the usual 1 to 2 KiB, in base64, fit in.
pub const MAX_BUNDLE: usize = 4 * 1024 * 1024;

/// The most certificates that are read, the limit of cert-manager (`pkg/util/pki/parse_certificate_chain.go`).
pub const MAX_CERTIFICATES: usize = 1000;

/// Why bytes hold no certificates that can be read: what they are, to be put after a name for them and a colon.
/// No variant quotes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Nothing but white space.
    #[error("empty")]
    Empty,
    /// Longer than [`MAX_BUNDLE`].
    #[error("{size} bytes, more than {MAX_BUNDLE}")]
    TooLarge {
        /// Its length.
        size: usize,
    },
    /// More certificates than [`MAX_CERTIFICATES`].
    #[error("more than {MAX_CERTIFICATES} certificates")]
    TooMany,
    /// A private key. Nobody's business here: the key was made in the cluster and stays there, so a PKI that
    /// sends one made its own, and the certificate is not for the requester's key.
    #[error("a private key, where only certificates are expected")]
    PrivateKey,
    /// A PKCS#12 container, which is for keys.
    #[error("PKCS#12, where PEM, DER or PKCS#7 certificates are expected")]
    Pkcs12,
    /// PEM without a certificate in it.
    #[error("PEM without a certificate; it has: {labels}")]
    NoCertificateInPem {
        /// The labels that are there.
        labels: String,
    },
    /// A PKCS#7 message that holds no certificate.
    #[error("PKCS#7 without a certificate")]
    NoCertificateInPkcs7,
    /// None of the wrappings.
    #[error("neither PEM nor DER nor PKCS#7 nor base64 of one of these")]
    Unrecognised,
    /// The PEM is broken.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The PKCS#7 is broken.
    #[error("{0}")]
    Pkcs7(Malformed),
    /// One of the certificates is broken.
    #[error("number {position}: {error}")]
    Certificate {
        /// Which one, counted from 1.
        position: usize,
        /// What is wrong with it.
        error: CertificateError,
    },
}

/// Reads all certificates of an answer, in its order. There is at least one.
///
/// # Errors
/// [`BundleError`]; one certificate that cannot be read fails the whole answer.
pub fn read_certificates(bytes: &[u8]) -> Result<Vec<Certificate>, BundleError> {
    if bytes.len() > MAX_BUNDLE {
        return Err(BundleError::TooLarge { size: bytes.len() });
    }
    let mut found = Found::default();
    found.answer(bytes, true)?;
    Ok(found.certificates)
}

#[derive(Default)]
struct Found {
    certificates: Vec<Certificate>,
}

impl Found {
    fn answer(&mut self, bytes: &[u8], may_be_base64: bool) -> Result<(), BundleError> {
        let trimmed = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii();
        if trimmed.is_empty() {
            return Err(BundleError::Empty);
        }
        let begun = bytes.trim_ascii_start();
        if looks_like_der(begun) {
            return self.der(without_blank_end(begun));
        }
        if pem::looks_like_pem(trimmed) {
            return self.pem(&String::from_utf8_lossy(trimmed));
        }
        match pem::decode_base64(trimmed) {
            // Base64 once; base64 of base64 is nobody's format.
            Some(inner) if may_be_base64 => self.answer(&inner, false),
            _ => Err(BundleError::Unrecognised),
        }
    }

    fn pem(&mut self, text: &str) -> Result<(), BundleError> {
        let mut labels = Vec::new();
        let mut pkcs7 = false;
        // A key is looked for first, so that no other error can hide that one was sent.
        if pem::labels(text).any(|label| label.contains("PRIVATE KEY")) {
            return Err(BundleError::PrivateKey);
        }
        for block in pem::blocks(text) {
            let block = block?;
            match block.label {
                "CERTIFICATE" | "X509 CERTIFICATE" => self.certificate(&block.decode()?)?,
                "TRUSTED CERTIFICATE" => self.trusted_certificate(&block.decode()?)?,
                "PKCS7" | "CMS" | "PKCS #7 SIGNED DATA" => {
                    pkcs7 = true;
                    self.pkcs7(&block.decode()?)?;
                }
                other => labels.push(text::bounded(text::printable(other), 40)),
            }
        }
        match (self.certificates.is_empty(), pkcs7) {
            (false, _) => Ok(()),
            (true, true) => Err(BundleError::NoCertificateInPkcs7),
            (true, false) => Err(BundleError::NoCertificateInPem { labels: text::list(labels, 5) }),
        }
    }

    fn der(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        if pkcs7::looks_like_signed_data(bytes) {
            self.pkcs7(bytes)?;
            return if self.certificates.is_empty() {
                Err(BundleError::NoCertificateInPkcs7)
            } else {
                Ok(())
            };
        }
        if let Some(version) = leading_integer(bytes) {
            // PKCS#1, PKCS#8 and SEC 1 keys begin with version 0 or 1, PKCS#12 with 3.
            return Err(if version == [3] { BundleError::Pkcs12 } else { BundleError::PrivateKey });
        }
        let mut walk = Walk::der(bytes);
        while !walk.is_empty() {
            let Ok(element) = walk.any("certificate") else { return Err(self.broken("trailing bytes")) };
            self.certificate(element.raw)?;
        }
        Ok(())
    }

    fn pkcs7(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        pkcs7::certificates(bytes)
            .map_err(BundleError::Pkcs7)?
            .into_iter()
            .try_for_each(|raw| self.certificate(raw))
    }

    /// `OpenSSL`'s own format: a certificate followed by what it is trusted for, which is none of our business.
    fn trusted_certificate(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        match Walk::der(bytes).any("certificate") {
            Ok(element) => self.certificate(element.raw),
            Err(_) => Err(self.broken("trusted certificate")),
        }
    }

    fn certificate(&mut self, der: &[u8]) -> Result<(), BundleError> {
        if self.certificates.len() >= MAX_CERTIFICATES {
            return Err(BundleError::TooMany);
        }
        let position = self.certificates.len() + 1;
        let certificate =
            Certificate::from_der(der).map_err(|error| BundleError::Certificate { position, error })?;
        self.certificates.push(certificate);
        Ok(())
    }

    fn broken(&self, what: &'static str) -> BundleError {
        let position = self.certificates.len() + 1;
        BundleError::Certificate { position, error: CertificateError::Malformed(Malformed::new(what)) }
    }
}

/// A SEQUENCE's tag is also the digit `0`, with which text may begin; but no text in UTF-8 goes on with a byte
/// from 0x80 on after it, and every certificate has more than 127 bytes and so a length that does.
fn looks_like_der(bytes: &[u8]) -> bool {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    match bytes {
        [SEQUENCE, length, ..] if *length >= 0x80 => true,
        [SEQUENCE, ..] => !bytes.iter().all(is_text) && !pem::looks_like_pem(bytes),
        _ => false,
    }
}

/// Without the line's end that an editor or a shell put after the last element. Only what follows the elements is
/// cut, as the last byte of one may itself be white space.
fn without_blank_end(der: &[u8]) -> &[u8] {
    let mut walk = Walk::ber(der);
    while walk.any("element").is_ok() {}
    match der.split_at_checked(der.len().saturating_sub(walk.rest().len())) {
        Some((elements, rest)) if rest.trim_ascii().is_empty() => elements,
        _ => der,
    }
}

fn leading_integer(bytes: &[u8]) -> Option<&[u8]> {
    let mut fields = Walk::ber(bytes).expect(SEQUENCE, "structure").ok()?.inner();
    fields.expect(INTEGER, "version").ok().map(|version| version.value)
}
