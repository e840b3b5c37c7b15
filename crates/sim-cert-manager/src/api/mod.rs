//! cert-manager's types (`cert-manager.io/v1`), as far as its certificate controllers read and write them.
//!
//! Written anew from its `CustomResourceDefinition`s, not shared with the issuer under test: a wrong field name
//! must not be able to hide on both sides at once.

mod certificate;
mod certificate_request;
mod condition;
mod duration;
mod time;

pub use certificate::{
    AdditionalOutputFormat, Certificate, CertificatePrivateKey, CertificateRenewal, CertificateRenewalWindow,
    CertificateSecretTemplate, CertificateSpec, CertificateStatus, NameConstraintItem, NameConstraints,
    OtherName, X509Subject,
};
pub use certificate_request::{CertificateRequest, CertificateRequestSpec, CertificateRequestStatus};
pub use condition::{Condition, ConditionStatus, condition, is_true, remove_condition, set_condition};
pub use duration::GoDuration;
pub use time::{go_rfc1123, go_string, rfc3339, truncated};

use serde::{Deserialize, Serialize};

/// `spec.issuerRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerReference {
    /// The issuer's name.
    #[serde(default)]
    pub name: String,
    /// The issuer's kind; `Issuer` when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The issuer's API group; `cert-manager.io` when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
}

impl IssuerReference {
    /// The kind, with cert-manager's default.
    #[must_use]
    pub fn kind(&self) -> &str {
        if self.kind.is_empty() { "Issuer" } else { &self.kind }
    }

    /// The group, with cert-manager's default.
    #[must_use]
    pub fn group(&self) -> &str {
        if self.group.is_empty() { "cert-manager.io" } else { &self.group }
    }

    /// Whether both name the same issuer, defaults applied.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.kind() == other.kind() && self.group() == other.group()
    }
}
