//! The typed Kubernetes resources: ours (`ExternalIssuer`, `ExternalClusterIssuer`) and cert-manager's
//! `CertificateRequest`. Pure data: nothing here talks to a cluster.

pub mod certificate_request;
pub mod conditions;
pub mod duration;
pub mod issuer;

pub use certificate_request::{
    CertificateRequest, CertificateRequestSpec, CertificateRequestStatus, IssuerReference,
};
pub use duration::GoDuration;
pub use issuer::{
    ExternalClusterIssuer, ExternalIssuer, IssuerKey, IssuerKind, IssuerSpec, IssuerStatus, SignerType,
};

/// The API group of both issuer kinds.
pub const GROUP: &str = "external-issuer.io";
