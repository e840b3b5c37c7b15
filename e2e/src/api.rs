//! The types that scenarios write and read.
//!
//! Requests and issuers are as the controller has them, Certificates as cert-manager's simulation has them: those two
//! share nothing, so that a wrong field name cannot hide on both sides.

pub use external_issuer::api::{
    CertificateRequest, CertificateRequestSpec, ExternalClusterIssuer, ExternalIssuer, IssuerReference,
};
pub use sim_cert_manager::api::{
    Certificate, CertificatePrivateKey, CertificateSpec, OtherName, X509Subject,
};
