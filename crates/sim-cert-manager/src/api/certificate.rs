//! `Certificate`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Condition, GoDuration, IssuerReference, condition, time::seconds};

/// What a user wants to have in a Secret.
///
/// Fields that this crate does not act upon (key stores) are kept as they are.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "Certificate",
    namespaced,
    status = "CertificateStatus",
    schema = "disabled",
    derive = "Default",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// The subject's attributes besides the common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<X509Subject>,
    /// The whole subject as RFC 4514 text, instead of `subject` and `common_name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub literal_subject: String,
    /// The subject's common name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub common_name: String,
    /// The lifetime asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// How long before its end the certificate is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<GoDuration>,
    /// The same, in parts of a hundred of the lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before_percentage: Option<i32>,
    /// Whether and in which windows the certificate is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<CertificateRenewal>,
    /// Alternative names: DNS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// Alternative names: IP addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// Alternative names: URIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
    /// Alternative names: otherName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_names: Option<Vec<OtherName>>,
    /// Alternative names: e-mail addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email_addresses: Vec<String>,
    /// The Secret to fill.
    #[serde(default)]
    pub secret_name: String,
    /// Labels and annotations that the Secret gets besides cert-manager's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_template: Option<CertificateSecretTemplate>,
    /// Who shall sign.
    #[serde(default)]
    pub issuer_ref: IssuerReference,
    /// Whether the certificate shall be a CA's.
    #[serde(default, rename = "isCA", skip_serializing_if = "std::ops::Not::not")]
    pub is_ca: bool,
    /// Key usages and extended key usages, in cert-manager's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<String>,
    /// What key to make, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<CertificatePrivateKey>,
    /// The algorithm that signs the request; the key's usual one when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signature_algorithm: String,
    /// Whether the usages are in the CSR too; they are when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encode_usages_in_request: Option<bool>,
    /// How many CertificateRequests are kept; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
    /// Further keys of the Secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_output_formats: Vec<AdditionalOutputFormat>,
    /// Name constraints to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_constraints: Option<NameConstraints>,
    /// What else the object holds.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `spec.subject`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the names are X.520's")]
pub struct X509Subject {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizational_units: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub localities: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provinces: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub street_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub postal_codes: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub serial_number: String,
}

/// `spec.otherNames`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OtherName {
    /// What kind of name, dotted.
    #[serde(default)]
    pub oid: String,
    /// The name.
    #[serde(default, rename = "utf8Value")]
    pub utf8_value: String,
}

/// `spec.privateKey`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificatePrivateKey {
    /// `Always` (also when empty) or `Never`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rotation_policy: String,
    /// `PKCS1` (also when empty) or `PKCS8`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub encoding: String,
    /// `RSA` (also when empty), `ECDSA` or `Ed25519`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub algorithm: String,
    /// Bits; 2048 for RSA and 256 for ECDSA when 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub size: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// `spec.secretTemplate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateSecretTemplate {
    /// Annotations for the Secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels for the Secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// `spec.additionalOutputFormats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdditionalOutputFormat {
    /// `DER` or `CombinedPEM`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// `spec.renewal`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateRenewal {
    /// `RenewBefore` or `Disabled`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// When renewal is welcome.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<CertificateRenewalWindow>,
}

/// `spec.renewal.windows`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateRenewalWindow {
    /// An IANA time zone; UTC when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timezone: String,
    /// How long the window stays open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_duration: Option<GoDuration>,
    /// When it opens.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cron: String,
}

/// `spec.nameConstraints`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NameConstraints {
    /// Whether the extension is critical.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// What names may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permitted: Option<NameConstraintItem>,
    /// What names may not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded: Option<NameConstraintItem>,
}

/// One side of `spec.nameConstraints`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NameConstraintItem {
    /// DNS domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_domains: Vec<String>,
    /// IP ranges in CIDR notation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_ranges: Vec<String>,
    /// E-mail addresses or hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub email_addresses: Vec<String>,
    /// Domains of URIs.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "uriDomains")]
    pub uri_domains: Vec<String>,
}

/// How far it has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateStatus {
    /// `Ready` and, while a certificate is made or after it failed, `Issuing`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When the last of the failures in a row was.
    #[serde(skip_serializing_if = "Option::is_none", with = "seconds")]
    pub last_failure_time: Option<Timestamp>,
    /// The certificate's first moment.
    #[serde(skip_serializing_if = "Option::is_none", with = "seconds")]
    pub not_before: Option<Timestamp>,
    /// The certificate's last moment.
    #[serde(skip_serializing_if = "Option::is_none", with = "seconds")]
    pub not_after: Option<Timestamp>,
    /// When it is renewed.
    #[serde(skip_serializing_if = "Option::is_none", with = "seconds")]
    pub renewal_time: Option<Timestamp>,
    /// How many certificates were issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The Secret that holds the key of the issuance under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_private_key_secret_name: Option<String>,
    /// How many issuances failed in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_issuance_attempts: Option<i64>,
    /// What else the object holds.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Certificate {
    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        condition(&self.status.as_ref()?.conditions, type_)
    }

    /// The revision that the next certificate gets.
    #[must_use]
    pub fn next_revision(&self) -> u64 {
        self.status.as_ref().and_then(|status| status.revision).unwrap_or(0).saturating_add(1)
    }
}
