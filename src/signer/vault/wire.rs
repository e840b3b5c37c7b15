//! The signing request and its answer, as Vault writes them.
//!
//! `sign/<role>` gets what cert-manager's own Vault issuer sends (`internal/vault/vault.go`). With the role's
//! defaults (`use_csr_sans`, `use_csr_common_name`) Vault takes all names from the CSR; with these off it takes
//! the names sent beside it. Measured on OpenBao 2.7.2: both give DNS names, IP addresses, URIs and mail
//! addresses. An otherName survives only by way of the CSR: sent beside it in `other_sans`, it would be in the
//! certificate twice with the role's defaults, so it is not sent; registeredID and directoryName survive only
//! `sign-verbatim`. What gets lost is found by the judge.

use std::fmt;

use serde::{Deserialize, Serialize};
use x509::csr::CsrError;
use x509::usage::KeyUsage;
use x509::{SubjectAltName, Usages, bundle};

use super::super::http::Reply;
use super::super::{Answer, Order, Origin, Outcome};
use crate::config::SignKind;

/// A signing request without a CSR.
#[derive(Serialize)]
pub(super) struct Probe {}

/// A signing request.
#[derive(Debug, Serialize)]
pub(super) struct SignRequest {
    csr: String,
    ttl: String,
    #[serde(flatten)]
    names: Option<Names>,
    #[serde(flatten)]
    usages: Option<UsageNames>,
}

/// The names beside the CSR, for roles that do not take them from it.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are Vault's")]
struct Names {
    #[serde(skip_serializing_if = "String::is_empty")]
    common_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    alt_names: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ip_sans: String,
    #[serde(skip_serializing_if = "List::is_empty")]
    uri_sans: List,
    /// The common name is among the alternative names if the CSR has it there.
    exclude_cn_from_sans: &'static str,
}

/// For `sign-verbatim`: used where the CSR has no such extension, and then instead of Vault's defaults, which
/// allow more than was asked.
#[derive(Debug, Serialize)]
struct UsageNames {
    key_usage: Vec<&'static str>,
    ext_key_usage_oids: Vec<String>,
}

/// Joined with commas, as cert-manager does; as an array where an item has a comma itself.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum List {
    Joined(String),
    Apart(Vec<String>),
}

/// Why a request cannot be put to Vault at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A CA certificate.
    Ca,
    /// The names cannot be read.
    Names(CsrError),
    /// A name that Vault would split.
    Comma(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ca => f.write_str(
                "isCA: Vault's sign and sign-verbatim never make a CA certificate, they drop the request's basic \
                 constraints; use another issuer for CA certificates",
            ),
            Self::Names(error) => write!(f, "the request's subject alternative names cannot be read: {error}"),
            Self::Comma(name) => write!(f, "{name} has a comma, with which Vault would make two names of it"),
        }
    }
}

impl SignRequest {
    pub(super) fn new(order: &Order, kind: SignKind) -> Result<Self, Unfit> {
        if order.is_ca {
            return Err(Unfit::Ca);
        }
        let (names, usages) = match kind {
            SignKind::Sign => (Some(Names::of(order)?), None),
            SignKind::SignVerbatim => (None, Some(UsageNames::of(&order.usages))),
        };
        Ok(Self { csr: order.csr.to_pem(), ttl: ttl(order.duration.as_secs()), names, usages })
    }
}

impl Names {
    fn of(order: &Order) -> Result<Self, Unfit> {
        let (mut alt, mut ips, mut uris) = (Vec::new(), Vec::new(), Vec::new());
        for name in order.csr.subject_alt_names().map_err(Unfit::Names)? {
            match name {
                SubjectAltName::Dns(text) | SubjectAltName::Email(text) if text.contains(',') => {
                    return Err(Unfit::Comma(SubjectAltName::Dns(text).to_string()));
                }
                SubjectAltName::Dns(text) | SubjectAltName::Email(text) => alt.push(text),
                SubjectAltName::Ip(address) => ips.push(address.to_string()),
                SubjectAltName::Uri(text) => uris.push(text),
                SubjectAltName::Other(_) => {}
            }
        }
        let common_name = order.csr.subject().common_name().unwrap_or_default().to_owned();
        let uri_sans = List::new(uris);
        let (alt_names, ip_sans) = (alt.join(","), ips.join(","));
        Ok(Self { common_name, alt_names, ip_sans, uri_sans, exclude_cn_from_sans: "true" })
    }
}

impl List {
    fn new(items: Vec<String>) -> Self {
        if items.iter().any(|item| item.contains(',')) {
            Self::Apart(items)
        } else {
            Self::Joined(items.join(","))
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Joined(text) if text.is_empty())
    }
}

impl UsageNames {
    fn of(usages: &Usages) -> Self {
        Self {
            key_usage: usages.key_usages().map(go_name).collect(),
            ext_key_usage_oids: usages.extended().map(ToString::to_string).collect(),
        }
    }
}

/// Go's names (`crypto/x509` `KeyUsage…`), which Vault takes.
const fn go_name(usage: KeyUsage) -> &'static str {
    match usage {
        KeyUsage::DigitalSignature => "DigitalSignature",
        KeyUsage::ContentCommitment => "ContentCommitment",
        KeyUsage::KeyEncipherment => "KeyEncipherment",
        KeyUsage::DataEncipherment => "DataEncipherment",
        KeyUsage::KeyAgreement => "KeyAgreement",
        KeyUsage::CertSign => "CertSign",
        KeyUsage::CrlSign => "CRLSign",
        KeyUsage::EncipherOnly => "EncipherOnly",
        KeyUsage::DecipherOnly => "DecipherOnly",
    }
}

/// Go's duration text in whole seconds. Never none: Vault takes 0 for its own default, a month.
fn ttl(seconds: u64) -> String {
    let seconds = seconds.max(1);
    format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[derive(Deserialize)]
struct Signed {
    data: Option<SignedData>,
}

#[derive(Deserialize)]
struct SignedData {
    certificate: Option<String>,
    issuing_ca: Option<String>,
    ca_chain: Option<Vec<String>>,
}

/// Reads the answer to a signing request that succeeded.
///
/// A body that is not Vault's is the issuer's fault: the URL leads elsewhere. No body at all is a gateway's
/// hiccup, so it is asked again. A certificate that is there but cannot be read is final: asking again would
/// issue another one of the same kind, and cert-manager tries again in its own time.
pub(super) fn read_answer(reply: &Reply) -> Outcome {
    if reply.is_empty() {
        let message = format!("Vault's answer is empty ({})", reply.summary());
        return Outcome::Retryable { message, retry_after: None, may_have_issued: true };
    }
    let signed = reply.json::<Signed>().and_then(|signed| signed.data);
    let Some(SignedData { certificate: Some(certificate), issuing_ca, ca_chain }) = signed else {
        let summary = reply.summary();
        let message = format!("{summary}, but without Vault's data.certificate: is the URL that of Vault?");
        return Outcome::IssuerAtFault { message };
    };
    let ca_chain = ca_chain.unwrap_or_default().join("\n");
    let read = || -> Result<Answer, (&'static str, bundle::BundleError)> {
        let mut certificates =
            bundle::read_certificates(certificate.as_bytes()).map_err(|error| ("certificate", error))?;
        certificates.extend(optional(&ca_chain).map_err(|error| ("ca_chain", error))?);
        let authorities =
            optional(issuing_ca.as_deref().unwrap_or_default()).map_err(|error| ("issuing_ca", error))?;
        Ok(Answer { certificates, authorities, origin: Origin::Issued })
    };
    match read() {
        Ok(answer) => Outcome::Issued(answer),
        Err((field, error)) => {
            Outcome::Permanent { message: format!("Vault's answer, data.{field}: {error}") }
        }
    }
}

fn optional(pem: &str) -> Result<Vec<x509::Certificate>, bundle::BundleError> {
    if pem.trim().is_empty() { Ok(Vec::new()) } else { bundle::read_certificates(pem.as_bytes()) }
}
