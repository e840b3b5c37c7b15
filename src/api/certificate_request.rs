//! cert-manager's `CertificateRequest` (`cert-manager.io/v1`), as far as an issuer reads and writes it
//! (cert-manager `pkg/apis/certmanager/v1/types_certificaterequest.go`).

use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::conditions::{Condition, seconds};
use super::duration::GoDuration;

/// The condition that says how far the request has come.
pub const READY: &str = "Ready";
/// The condition an approver sets; immutable once set.
pub const APPROVED: &str = "Approved";
/// The condition that forbids signing; immutable once set.
pub const DENIED: &str = "Denied";
/// The condition cert-manager reads as "can never be signed".
pub const INVALID_REQUEST: &str = "InvalidRequest";

/// What cert-manager asks of an issuer.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "CertificateRequest",
    namespaced,
    status = "CertificateRequestStatus",
    schema = "disabled",
    derive = "Default",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequestSpec {
    /// The issuer that shall sign.
    #[serde(default)]
    pub issuer_ref: IssuerReference,
    /// The PEM of the CSR (the API carries it in base64).
    #[serde(default)]
    pub request: ByteString,
    /// The lifetime asked for; [`DEFAULT_DURATION`] when absent. Kept as text: what cert-manager lets
    /// through is judged where it is used, so that one odd object cannot break the watch of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Whether the certificate shall be a CA.
    #[serde(default, rename = "isCA", skip_serializing_if = "std::ops::Not::not")]
    pub is_ca: bool,
    /// The usages asked for, in cert-manager's words; signing and key encipherment when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<String>,
}

/// The lifetime that an absent `spec.duration` means: 90 days
/// (cert-manager `pkg/apis/certmanager/v1/const.go` `DefaultCertificateDuration`).
pub const DEFAULT_DURATION: GoDuration = GoDuration::from_secs(90 * 24 * 3600);

/// `spec.issuerRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerReference {
    /// The issuer's name.
    #[serde(default)]
    pub name: String,
    /// The issuer's kind; the namespaced kind when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The issuer's API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
}

/// What the issuer answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequestStatus {
    /// `Ready`, and what others wrote: `Approved`, `Denied`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// PEM: the leaf, then its intermediates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ByteString>,
    /// PEM: the most distant issuer that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<ByteString>,
    /// Set with `Failed` and `Denied`; cert-manager's back-off and its clean-up of failed requests need it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub failure_time: Option<Timestamp>,
}

impl CertificateRequest {
    /// The conditions, none if there is no status yet.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        Condition::find(self.conditions(), type_)
    }
}
