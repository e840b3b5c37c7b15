//! `ExternalIssuer` (namespaced) and `ExternalClusterIssuer` (cluster): the two kinds share one spec and one
//! status; what differs are the CEL rules at their roots.

#![allow(
    clippy::duplicated_attributes,
    reason = "each printer column has a type, and kube's derive has no other way to say so"
)]
#![allow(unreachable_pub, reason = "the derive of KubeSchema makes a second, private struct of each of ours")]

use std::fmt;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conditions::{Condition, date_time, seconds};
use super::duration::GoDuration;
use ca::KeyAlgorithm;

/// Where certificates of this issuer come from, and how patiently.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "external-issuer.io",
    version = "v1alpha1",
    kind = "ExternalIssuer",
    plural = "externalissuers",
    namespaced,
    status = "IssuerStatus",
    shortname = "extissuer",
    category = "cert-manager",
    derive = "PartialEq",
    doc = "An issuer that signs the CertificateRequests of its own namespace with the company's PKI.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.signerType"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!has(self.spec.configRef) || !has(self.spec.configRef.__namespace__)")
        .message("spec.configRef.namespace: an ExternalIssuer reads the ConfigMap of its own namespace; remove the field, or use an ExternalClusterIssuer"),
    validation = Rule::new("!has(self.spec.authSecretRef) || !has(self.spec.authSecretRef.__namespace__)")
        .message("spec.authSecretRef.namespace: an ExternalIssuer reads the Secret of its own namespace; remove the field, or use an ExternalClusterIssuer"),
    validation = Rule::new("!has(self.spec.mockca) || !has(self.spec.mockca.caSecretRef) || !has(self.spec.mockca.caSecretRef.__namespace__)")
        .message("spec.mockca.caSecretRef.namespace: an ExternalIssuer reads the Secret of its own namespace; remove the field, or use an ExternalClusterIssuer")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.signerType != 'pki' || has(self.configRef)")
        .message("signerType pki needs configRef: the ConfigMap with the PKI's configuration"),
    validation = Rule::new("self.signerType != 'pki' || !has(self.mockca)")
        .message("mockca is only for signerType mockca: remove it, or change signerType"),
    validation = Rule::new("self.signerType != 'mockca' || !has(self.configRef)")
        .message("configRef is only for signerType pki: a mock CA has no PKI configuration"),
    validation = Rule::new("self.signerType != 'mockca' || !has(self.authSecretRef)")
        .message("authSecretRef is only for signerType pki: a mock CA needs no credentials"),
    validation = Rule::new("self.signerType != 'mockca' || !has(self.revokeUnused)")
        .message("revokeUnused is only for signerType pki: a mock CA revokes nothing")
)]
pub struct IssuerSpec {
    /// `pki`: the PKI that the ConfigMap of `configRef` describes. `mockca`: a CA in the controller's memory,
    /// for tests; it is never chosen silently.
    pub signer_type: SignerType,
    /// The ConfigMap that holds the PKI's configuration, as YAML or JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_ref: Option<ConfigReference>,
    /// The Secret that holds the credential for the PKI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret_ref: Option<SecretReference>,
    /// How long errors that may pass (time-outs, HTTP 429 and 5xx) are retried before a request is failed for
    /// good. Default 12h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retry_duration: Option<GoDuration>,
    /// How often a PKI that answered "pending" is asked again. Default 30s, at least 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_interval: Option<GoDuration>,
    /// The bound on one HTTP call to the PKI. Default 30s, at least 1s, at most 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<GoDuration>,
    /// How often the PKI's health and the credentials are checked again. Default 1m, at least 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_interval: Option<GoDuration>,
    /// Have the PKI revoke a certificate that it issued to us and that no request can use: its request was gone, finished
    /// or denied when it came, or it does not answer the request. Default false: it is only reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_unused: Option<bool>,
    /// Options of `signerType: mockca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mockca: Option<MockCaSpec>,
}

/// The cluster kind: signs the requests of every namespace.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "external-issuer.io",
    version = "v1alpha1",
    kind = "ExternalClusterIssuer",
    plural = "externalclusterissuers",
    status = "IssuerStatus",
    shortname = "extclusterissuer",
    category = "cert-manager",
    derive = "PartialEq",
    doc = "An issuer that signs the CertificateRequests of every namespace with the company's PKI.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.signerType"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(transparent)]
pub struct ClusterIssuerSpec(pub IssuerSpec);

/// Which signer serves an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignerType {
    /// The PKI described by the ConfigMap.
    Pki,
    /// A CA in the controller's memory, for tests.
    MockCa,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigReference {
    /// The ConfigMap's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The ConfigMap's namespace: only for an `ExternalClusterIssuer`, and then the cluster resource
    /// namespace, which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// The key in the ConfigMap's data.
    #[serde(default = "default_config_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// The key under which the configuration is looked for when `configRef.key` is absent.
pub const DEFAULT_CONFIG_KEY: &str = "pki.yaml";

fn default_config_key() -> String {
    DEFAULT_CONFIG_KEY.to_owned()
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The Secret's namespace: only for an `ExternalClusterIssuer`, and then the cluster resource namespace,
    /// which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// The key in the Secret's data. Default: by the login, `token` for a token, `secretId` for AppRole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// Options of a mock CA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.caSecretRef) || !has(self.keyAlgorithm)")
        .message("keyAlgorithm and caSecretRef exclude each other: the Secret's own key decides")
)]
pub struct MockCaSpec {
    /// The algorithm of the CA's key. Default `ecdsa-p256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_algorithm: Option<MockCaKeyAlgorithm>,
    /// A Secret made by the user with the CA (`tls.crt`, `tls.key`), so that it survives restarts. The
    /// controller never writes Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretReference>,
    /// Answer "pending" until this long after a request was first submitted, as a PKI with manual approval
    /// does. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_for: Option<GoDuration>,
}

/// A Secret that holds a CA: `tls.crt` and `tls.key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaSecretReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The Secret's namespace: only for an `ExternalClusterIssuer`, and then the cluster resource namespace,
    /// which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// The key algorithms a mock CA can be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MockCaKeyAlgorithm {
    /// NIST P-256 with SHA-256.
    #[default]
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// NIST P-384 with SHA-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// NIST P-521 with SHA-512.
    #[serde(rename = "ecdsa-p521")]
    EcdsaP521,
    /// RSA, 2048 bits, PKCS#1 v1.5 with SHA-256.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl From<MockCaKeyAlgorithm> for KeyAlgorithm {
    fn from(algorithm: MockCaKeyAlgorithm) -> Self {
        match algorithm {
            MockCaKeyAlgorithm::EcdsaP256 => Self::EcdsaP256,
            MockCaKeyAlgorithm::EcdsaP384 => Self::EcdsaP384,
            MockCaKeyAlgorithm::EcdsaP521 => Self::EcdsaP521,
            MockCaKeyAlgorithm::Rsa2048 => Self::Rsa2048,
            MockCaKeyAlgorithm::Rsa3072 => Self::Rsa3072,
            MockCaKeyAlgorithm::Rsa4096 => Self::Rsa4096,
            MockCaKeyAlgorithm::Ed25519 => Self::Ed25519,
        }
    }
}

/// How an issuer stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerStatus {
    /// `Ready`: configuration, credentials and the PKI's health were really checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// SHA-256 (hex) of the configuration in force: of the text in the ConfigMap, or of the mock CA's options.
    /// Absent while there is none that could be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<String>,
    /// When the PKI's health was last checked, to the second; written when the answer changes, and otherwise
    /// at most once a minute.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    #[schemars(schema_with = "date_time")]
    pub last_health_check_time: Option<Timestamp>,
}

/// The two kinds of issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IssuerKind {
    /// `ExternalIssuer`, in a namespace.
    Issuer,
    /// `ExternalClusterIssuer`, in none.
    ClusterIssuer,
}

impl IssuerKind {
    /// The kind's name in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "ExternalIssuer",
            Self::ClusterIssuer => "ExternalClusterIssuer",
        }
    }
}

/// Which issuer: kind, namespace (none for the cluster kind) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerKey {
    /// The kind.
    pub kind: IssuerKind,
    /// The namespace; `None` for the cluster kind.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl IssuerKey {
    /// The issuer that a request in `namespace` refers to, or `None` if the reference is not to one of ours.
    ///
    /// The group must be ours exactly; an empty kind means the namespaced kind (issuer-lib
    /// `controllers/certificaterequest_controller.go` `matchIssuerType`).
    #[must_use]
    pub fn referred(reference: &super::IssuerReference, namespace: &str) -> Option<Self> {
        if reference.group != super::GROUP {
            return None;
        }
        match reference.kind.as_str() {
            "" | "ExternalIssuer" => Some(Self {
                kind: IssuerKind::Issuer,
                namespace: Some(namespace.to_owned()),
                name: reference.name.clone(),
            }),
            "ExternalClusterIssuer" => {
                Some(Self { kind: IssuerKind::ClusterIssuer, namespace: None, name: reference.name.clone() })
            }
            _ => None,
        }
    }
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind.as_str(), self.name),
            None => write!(f, "{} {}", self.kind.as_str(), self.name),
        }
    }
}
