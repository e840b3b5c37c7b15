//! cert-manager's `Certificate`, as far as scenarios write and read it.

use external_issuer::api::conditions::Condition;
use jiff::Timestamp;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use external_issuer::api::{
    CertificateRequest, CertificateRequestSpec, ExternalClusterIssuer, ExternalIssuer, IssuerReference,
};

/// What a user asks of cert-manager.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "Certificate",
    namespaced,
    status = "CertificateStatus",
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// Where the key and the certificate go.
    pub secret_name: String,
    /// Who signs.
    pub issuer_ref: IssuerReference,
    /// The subject's common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// DNS names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// The lifetime, in Go's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// How long before the end to renew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<String>,
    /// Algorithm, size, rotation policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Value>,
    /// Every other field, as it is.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, Value>,
}

/// What cert-manager says about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// `Ready` and `Issuing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// How many times it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Failures in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_issuance_attempts: Option<i64>,
    /// When it last failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure_time: Option<Timestamp>,
    /// When it will be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_time: Option<Timestamp>,
    /// Every other field, as it is.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, Value>,
}

impl Certificate {
    /// A condition of this type.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.status.as_ref().and_then(|status| Condition::find(&status.conditions, type_))
    }

    /// How many times it was issued.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.status.as_ref().and_then(|status| status.revision).unwrap_or_default()
    }
}
