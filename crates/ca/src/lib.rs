//! Issuing X.509: keys, authorities, certificates made from signing requests, and the word of an authority about
//! what it issued: CRLs and OCSP responses.
//!
//! ```text
//! SigningKey ──self_signed──> Authority ──subordinate──> Authority ──issue(Csr, LeafProfile)──> Certificate
//!                                                        ├──sign_crl(CrlProfile, RevokedCertificate…)──> CRL
//!                                                        └──answer_ocsp(CertId…, OcspProfile)──> OCSP response
//! ```
//!
//! Why issuing is its own crate: two programs issue, the controller's `MockCA` signer and mock-pki, and X.509 is
//! a standard that both must keep in the same way. They share this and nothing else: wire types stay apart, so
//! that neither can hide the other's mistake. *Reading* X.509 is `external-issuer-x509`, and what is issued here
//! is read back by it before it leaves.
//!
//! Invariants:
//! - **raw**: subject, public key and subject alternative names of a request go into the certificate as the
//!   bytes they are. A name that is decoded and encoded again may change its order (SET OF), and a second OU, a
//!   multi-valued RDN or a `T61String` may get lost; the same for the issuer's own name;
//! - **no clock, no memory**: validity is the profile's, to the second, and the caller clips it to the
//!   authority's; what was issued and what was revoked is the caller's to know;
//! - **no secret leaves**: no `Debug`, no error and no certificate holds private key bytes;
//! - what [`Authority::issue`] signs was signed by the request's own key.

mod authority;
mod crl;
mod der_types;
mod error;
mod extension;
mod key;
mod name;
mod ocsp;
mod profile;
mod san;
mod serial;

pub use authority::{Authority, Requested};
pub use crl::{CrlProfile, CrlReason, RevokedCertificate};
pub use error::CaError;
pub use extension::Extra;
pub use key::{KeyAlgorithm, SigningKey};
pub use name::{AttributeType, Rdn, distinguished_name};
pub use ocsp::{CertId, CertStatus, HashAlgorithm, OcspFailure, OcspProfile, OcspRequest, OcspRequestError};
pub use profile::{CaProfile, LeafProfile, Sans, Subject};
pub use san::{GeneralName, append_general_name, general_names, without_last_general_name};
pub use serial::Serial;
