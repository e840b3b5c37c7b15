//! `CertificateRequest`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::{Condition, GoDuration, IssuerReference, condition, time::seconds};

/// What an issuer is asked for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The lifetime asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// Who shall sign.
    #[serde(default)]
    pub issuer_ref: IssuerReference,
    /// The CSR, PEM.
    #[serde(default)]
    pub request: ByteString,
    /// Whether the certificate shall be a CA's.
    #[serde(default, rename = "isCA", skip_serializing_if = "std::ops::Not::not")]
    pub is_ca: bool,
    /// Key usages and extended key usages, in cert-manager's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<String>,
    /// Who made the object: name. Stamped by the webhook.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// Who made the object: uid. Stamped by the webhook.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Who made the object: groups. Stamped by the webhook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Who made the object: what else is known. Stamped by the webhook.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What approvers and issuers answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateRequestStatus {
    /// `Approved` or `Denied`, `Ready`, `InvalidRequest`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The chain, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ByteString>,
    /// The most distant issuer, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<ByteString>,
    /// When it failed.
    #[serde(skip_serializing_if = "Option::is_none", with = "seconds")]
    pub failure_time: Option<Timestamp>,
}

impl CertificateRequest {
    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        condition(&self.status.as_ref()?.conditions, type_)
    }
}
