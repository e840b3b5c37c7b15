//! Why nothing was issued.

/// What stood in the way of a key, an authority, a certificate, a CRL or an OCSP response. No variant quotes key
/// material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The cryptographic library could not make a key or a signature; nothing the caller gave is at fault.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
    /// The bytes hold no private key that can sign.
    #[error(
        "no usable private key: expected one PEM block PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, not \
         encrypted, with RSA of 2048, 3072 or 4096 bits, P-256, P-384, P-521 or Ed25519"
    )]
    UnusableKey,
    /// The request cannot be read or is not signed by its own key.
    #[error(transparent)]
    Request(#[from] x509::csr::CsrError),
    /// The CA's certificates cannot be read.
    #[error("the CA's certificates: {0}")]
    Certificates(#[from] x509::bundle::BundleError),
    /// None of the CA's certificates is for its key.
    #[error("none of the {certificates} CA certificates is for the private key")]
    KeyMismatch {
        /// How many were looked at.
        certificates: usize,
    },
    /// The certificate for the key is none of a CA.
    #[error("the certificate of {subject} is not a CA certificate (basic constraints CA:TRUE is missing)")]
    NotACa {
        /// The subject of the certificate.
        subject: String,
    },
    /// The certificate for the key is a CA's, but its key usages leave out signing certificates.
    #[error("the certificate of {subject} may not sign certificates (key usage keyCertSign is missing)")]
    MayNotSign {
        /// The subject of the certificate.
        subject: String,
    },
    /// The authority's key usages leave out signing CRLs.
    #[error("the certificate of {subject} may not sign CRLs (key usage cRLSign is missing)")]
    MayNotSignCrls {
        /// The subject of the certificate.
        subject: String,
    },
    /// A certificate beside the CA's chain.
    #[error("the certificate of {subject} is no part of the CA's chain")]
    UnrelatedCertificate {
        /// The subject of the certificate.
        subject: String,
    },
    /// This authority may not sign CA certificates.
    #[error("path length 0: this CA may sign certificates for end entities only")]
    PathLength,
    /// A time X.509 cannot express: before 1970 or after 9999.
    #[error("{0} is outside of what X.509 can say (years 1970 to 9999)")]
    Time(jiff::Timestamp),
    /// A name that is not allowed in its place, such as a non-ASCII DNS name.
    #[error("{value:?} cannot be a {what}")]
    Name {
        /// What it should be.
        what: &'static str,
        /// The offending text.
        value: String,
    },
    /// A part of what was to be signed cannot be encoded.
    #[error("encoding DER: {0}")]
    Encode(#[from] der::Error),
    /// The certificate that was made cannot be read back: an extension or a name in it is malformed.
    #[error("the certificate made from this request is malformed: {0}")]
    Malformed(#[from] x509::CertificateError),
}
