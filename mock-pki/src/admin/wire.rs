//! What the control port says and is told: shapes that its handlers, its OpenAPI document and the Rust client share.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    admin::tree::Node, approval::Pending, fault::Installed, journal::Entry, ledger::Issued,
    near_miss::NearMiss,
};

/// An error: what is wrong, or what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A sentence.
    pub error: String,
}

/// Which version this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// The version of mock-pki.
    pub version: String,
}

/// Issued certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Oldest first.
    pub issued: Vec<Issued>,
    /// How many the ledger had no room for any more.
    pub forgotten: u64,
}

/// Which certificates are wanted; what is left out may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerFilter {
    /// Only those whose place contains this, such as `pki_int/sign/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_by: Option<String>,
    /// Only those with this common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// Only those with this subject alternative name, such as `DNS:app.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_alt_name: Option<String>,
    /// Only those made in the answer with this request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only those whose client sent this `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Only those for the request with this SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csr_sha256: Option<String>,
    /// Only those with the public key with this SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spki_sha256: Option<String>,
    /// Only those that were revoked, or were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<bool>,
    /// Only the latest so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl LedgerFilter {
    pub(crate) fn wants(&self, issued: &Issued) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        };
        self.issued_by.as_ref().is_none_or(|part| issued.issued_by.contains(part.as_str()))
            && is(&self.common_name, issued.common_name.as_ref())
            && self.subject_alt_name.as_ref().is_none_or(|name| issued.subject_alt_names.contains(name))
            && is(&self.request_id, Some(&issued.request_id))
            && is(&self.idempotency_key, issued.idempotency_key.as_ref())
            && is(&self.csr_sha256, issued.csr_sha256.as_ref())
            && is(&self.spki_sha256, Some(&issued.spki_sha256))
            && self.revoked.is_none_or(|revoked| issued.revoked_at.is_some() == revoked)
    }
}

/// One issued certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedCertificate {
    /// What the ledger says.
    pub issued: Issued,
    /// The certificate.
    pub pem: String,
}

/// One issued certificate, with what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateDetails {
    /// What the ledger says.
    pub issued: Issued,
    /// The certificate.
    pub pem: String,
    /// What it says.
    pub details: Vec<Node>,
}

/// Requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    /// Oldest first.
    pub requests: Vec<Entry>,
    /// How many there were since the last reset, also those that are forgotten.
    pub seen: u64,
}

/// Which requests are wanted; what is left out may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JournalFilter {
    /// Only requests to this face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub face: Option<String>,
    /// Only requests whose path contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only requests with this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests that were answered with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Only the request that was answered with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only requests to which this kind of fault applied first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Only requests whose `User-Agent` contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Only requests after the one with this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only the latest so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl JournalFilter {
    pub(crate) fn wants(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        };
        is(&self.face, Some(&entry.face))
            && self.path.as_ref().is_none_or(|part| entry.path.contains(part.as_str()))
            && self.method.as_ref().is_none_or(|method| entry.method.eq_ignore_ascii_case(method))
            && self.status.is_none_or(|status| entry.status == Some(status))
            && is(&self.request_id, entry.request_id.as_ref())
            && is(&self.fault, entry.fault.as_ref())
            && self.user_agent.as_ref().is_none_or(|part| {
                entry.user_agent.as_ref().is_some_and(|agent| agent.contains(part.as_str()))
            })
            && self.after.is_none_or(|after| entry.number > after)
    }
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// How many.
    pub count: usize,
}

/// The requests that come closest to what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NearMisses {
    /// The nearest first, five at most.
    pub near_misses: Vec<NearMiss>,
}

/// The faults in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultList {
    /// In the order in which they were installed.
    pub faults: Vec<Installed>,
}

/// All kinds of faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultKinds {
    /// By name.
    pub kinds: Vec<FaultKind>,
}

/// A kind of fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultKind {
    /// Its name.
    pub kind: String,
    /// What it does.
    pub about: String,
    /// Its parameters with their defaults.
    pub parameters: Value,
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// Its id.
    pub id: u64,
}

/// Requests that had to be approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalList {
    /// Oldest first.
    pub approvals: Vec<Pending>,
}

/// The snapshots that are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotList {
    /// By name.
    pub snapshots: Vec<SnapshotInfo>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotInfo {
    /// Its name.
    pub name: String,
    /// When it was taken, by the clock of the faces.
    pub taken_at: Timestamp,
    /// How many certificates its ledger has.
    pub issued: usize,
}

/// What an export holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportOptions {
    /// The private keys of CAs, tokens, secret ids and passwords too.
    #[serde(default)]
    pub secrets: bool,
}
