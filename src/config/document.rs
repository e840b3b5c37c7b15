//! The document as a user writes it, in YAML or JSON. Its JSON Schema is generated from these types.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use crate::api::GoDuration;

/// The PKI's configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a mapping that begins with the PKI's type, such as \"type: vault\""
)]
pub(super) struct Document {
    /// Which product the PKI is.
    #[serde(rename = "type")]
    pub type_: BackendType,
    /// Settings for `type: vault`.
    pub vault: Option<VaultDocument>,
    /// How the PKI's server is verified.
    #[serde(default)]
    pub tls: TlsDocument,
    /// How far an answer may differ from what was asked.
    #[serde(default)]
    pub tolerance: ToleranceDocument,
}

/// The products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BackendType {
    /// HashiCorp Vault or OpenBao.
    Vault,
}

/// HashiCorp Vault or OpenBao.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VaultDocument {
    /// The server's address, such as `https://vault.example.com:8200`.
    pub url: String,
    /// The signing path without `/v1/`: `<mount>/sign/<role>`, `<mount>/sign-verbatim[/<role>]`, or one of
    /// them below `<mount>/issuer/<issuer>/`.
    pub path: String,
    /// The namespace (`X-Vault-Namespace`).
    pub namespace: Option<String>,
    /// How to log in.
    pub auth: VaultAuthDocument,
    /// Before a request is submitted that may have been submitted before (the controller was restarted, or no answer
    /// came), look through the certificates that the mount keeps for one with its key, and use that. Needs `list` on
    /// `<mount>/certs` and `<mount>/certs/detailed`, and a role that stores certificates. Not done when absent.
    pub lookup: Option<VaultLookupDocument>,
}

/// Looking for certificates that were issued before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VaultLookupDocument {
    /// In a mount that keeps more certificates than this the lookup gives up, says so, and the request is submitted.
    /// Default 10000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_certificates: Option<u32>,
}

/// How to log in to Vault. The secret part is in the Secret of `authSecretRef`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VaultAuthDocument {
    /// The method.
    pub method: VaultAuthMethod,
    /// For `appRole`: the role's id.
    pub role_id: Option<String>,
    /// For `appRole`: where the method is mounted. Default `approle`.
    pub mount_path: Option<String>,
}

/// Vault's login methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum VaultAuthMethod {
    /// A token, as it is (Secret key `token`).
    Token,
    /// AppRole (Secret key `secretId`).
    AppRole,
}

/// How the PKI's server is verified. The least version is TLS 1.2.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TlsDocument {
    /// The CA certificates to trust, in PEM; the system's own when absent.
    pub ca_bundle: Option<String>,
    /// `1.2` (default) or `1.3`.
    pub min_version: Option<MinVersion>,
}

/// The least TLS version.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(super) enum MinVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// How far an answer may differ from what was asked before the request is failed instead of issued.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ToleranceDocument {
    /// `commonName` (default): the common name asked for is there; `exact`: the whole subject; `any`.
    #[serde(default)]
    pub subject: SubjectDocument,
    /// `commonNameAdded` (default): the names asked for, and at most the common name as a further DNS name;
    /// `exact`; `superset`: further names are fine; `any`.
    #[serde(default)]
    pub subject_alt_names: SansDocument,
    /// `superset` (default): each usage asked for is there; `exact`; `any`.
    #[serde(default)]
    pub usages: UsagesDocument,
    /// How much longer than asked the certificate may live: a duration (default `1h`) or `any`. Shorter is
    /// always fine.
    pub longer_by: Option<LongerBy>,
    /// How far in the future the certificate may begin. Default `5m`.
    pub clock_skew: Option<GoDuration>,
}

/// Subject tolerance.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum SubjectDocument {
    /// The common name must be there.
    #[default]
    CommonName,
    /// The subject must be equal.
    Exact,
    /// The subject is not looked at.
    Any,
}

/// Subject alternative name tolerance.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum SansDocument {
    /// Equal, but for the common name as a further DNS name.
    #[default]
    CommonNameAdded,
    /// Equal.
    Exact,
    /// Further names are fine.
    Superset,
    /// Not looked at.
    Any,
}

/// Usage tolerance.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum UsagesDocument {
    /// Each usage asked for is there.
    #[default]
    Superset,
    /// Equal.
    Exact,
    /// Not looked at.
    Any,
}

/// A duration, or `any`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a duration such as \"1h\", or \"any\"")]
pub(super) enum LongerBy {
    /// No bound.
    Any(AnyWord),
    /// At most this much.
    By(GoDuration),
}

/// The word `any`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AnyWord {
    /// `any`.
    Any,
}

/// The JSON Schema of the document.
#[must_use]
pub fn schema() -> Schema {
    schemars::schema_for!(Document)
}
