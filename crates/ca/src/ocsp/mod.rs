//! The Online Certificate Status Protocol (RFC 6960): what a request asks, and what an authority answers about
//! the certificates that it issued, signed with its own key (2.2: the CA is its own responder).
//!
//! ```text
//! bytes ──OcspRequest::from_der──> CertId… ──Authority::answer_ocsp──> OCSPResponse
//!                   └── Err ──> OcspFailure::MalformedRequest
//! ```
//!
//! - A request comes from anybody: it is bounded, and reading it neither panics nor copies.
//! - A `CertID` is repeated byte for byte: clients look for their own.
//! - Signatures of requests are not verified; requestor names, and extensions that are neither critical nor a
//!   nonce, are passed over.

mod request;
mod response;

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use der::{
    Sequence,
    asn1::{IntRef, OctetStringRef},
};
use spki::AlgorithmIdentifierRef;

pub use self::{
    request::{OcspRequest, OcspRequestError},
    response::{CertStatus, OcspFailure, OcspProfile},
};
use crate::{Authority, CaError, extension::public_key_digest};

/// Which certificate is meant (4.1.1): its serial number, and hashes of its issuer's name and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Sequence)]
pub struct CertId<'a> {
    hash_algorithm: AlgorithmIdentifierRef<'a>,
    issuer_name_hash: &'a OctetStringRef,
    issuer_key_hash: &'a OctetStringRef,
    serial: IntRef<'a>,
}

impl<'a> CertId<'a> {
    /// The hash algorithm; `None` for one that is not supported.
    #[must_use]
    pub fn hash_algorithm(&self) -> Option<HashAlgorithm> {
        HashAlgorithm::ALL.into_iter().find(|algorithm| algorithm.oid() == self.hash_algorithm.oid)
    }

    /// The serial number as encoded, in the shape of [`x509::Certificate::serial`]: the content of the INTEGER,
    /// with the leading zero that keeps it positive.
    #[must_use]
    pub fn serial(&self) -> &'a [u8] {
        self.serial.as_bytes()
    }

    /// Whether the hashes are those of this authority's name and key. Not with a hash algorithm that is not
    /// supported.
    ///
    /// # Errors
    /// When the authority's public key cannot be read.
    pub fn names_issuer(&self, authority: &Authority) -> Result<bool, CaError> {
        let Some(algorithm) = self.hash_algorithm().map(HashAlgorithm::digest) else { return Ok(false) };
        let name = digest(algorithm, authority.name_der());
        let key = public_key_digest(algorithm, authority.key().spki_der())?;
        Ok(name.as_ref() == self.issuer_name_hash.as_bytes()
            && key.as_ref() == self.issuer_key_hash.as_bytes())
    }
}

/// The hash algorithms of a [`CertId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are FIPS 180-4's")]
pub enum HashAlgorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl HashAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    const fn oid(self) -> spki::ObjectIdentifier {
        spki::ObjectIdentifier::new_unwrap(match self {
            Self::Sha1 => "1.3.14.3.2.26",
            Self::Sha256 => "2.16.840.1.101.3.4.2.1",
            Self::Sha384 => "2.16.840.1.101.3.4.2.2",
            Self::Sha512 => "2.16.840.1.101.3.4.2.3",
        })
    }

    fn digest(self) -> &'static Algorithm {
        match self {
            // A label, not a protection: two issuers whose hashes collide would have to be one's own.
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}
