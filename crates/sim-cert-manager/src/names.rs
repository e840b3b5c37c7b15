//! cert-manager's labels, annotations and words.

/// The issuance that is under way, or the last that failed.
pub const ISSUING: &str = "Issuing";
/// Whether the certificate is good; or how far a request has come.
pub const READY: &str = "Ready";
/// Set by an approver.
pub const APPROVED: &str = "Approved";
/// Set by an approver.
pub const DENIED: &str = "Denied";
/// Set by an issuer.
pub const INVALID_REQUEST: &str = "InvalidRequest";

/// Reason of a request's `Ready` when it is done.
pub const ISSUED: &str = "Issued";
/// Reason of a request's `Ready` when it never will be.
pub const FAILED: &str = "Failed";

/// The key of a Secret's private key.
pub const TLS_KEY: &str = "tls.key";
/// The key of a Secret's certificates.
pub const TLS_CRT: &str = "tls.crt";
/// The key of a Secret's CA.
pub const CA_CRT: &str = "ca.crt";
/// The key of a Secret's private key in DER.
pub const KEY_DER: &str = "key.der";
/// The key of a Secret's private key and certificates in one.
pub const COMBINED_PEM: &str = "tls-combined.pem";

/// Label of every Secret that cert-manager makes.
pub const LABEL_MANAGED: &str = "controller.cert-manager.io/fao";
/// Label of the Secret that holds the key of an issuance under way.
pub const LABEL_NEXT_PRIVATE_KEY: &str = "cert-manager.io/next-private-key";

/// On Secrets and requests: the Certificate's name.
pub const CERTIFICATE_NAME: &str = "cert-manager.io/certificate-name";
/// On Secrets.
pub const ISSUER_NAME: &str = "cert-manager.io/issuer-name";
/// On Secrets.
pub const ISSUER_KIND: &str = "cert-manager.io/issuer-kind";
/// On Secrets.
pub const ISSUER_GROUP: &str = "cert-manager.io/issuer-group";
/// On requests: which certificate of the Certificate it is for, counted from 1.
pub const REVISION: &str = "cert-manager.io/certificate-revision";
/// On requests: the Secret that holds the key.
pub const PRIVATE_KEY_SECRET_NAME: &str = "cert-manager.io/private-key-secret-name";

/// The field manager that writes Certificates' Secrets.
pub const ISSUING_MANAGER: &str = "cert-manager-certificates-issuing";
