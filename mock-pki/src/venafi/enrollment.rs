//! A certificate object: the certificates it had, and what is being done for it.
//!
//! ```text
//! Idle ──request──> InProcess ──> Idle with one more certificate
//!                      │└──held──> Waiting ──approved──> InProcess
//!                      └───────────────┴──> Failed ──reset──> Idle
//! ```
//!
//! Whoever signs takes the order out first ([`Stage::InProcess`]), so that two who come at once make one certificate.

use std::{collections::BTreeMap, sync::Arc};

use ca::SigningKey;
use jiff::Timestamp;
use serde_json::{Value, json};
use x509::{Certificate, Csr};

/// The stage in which a request goes to the CA: where it waits, and where it fails.
pub(crate) const POST_CSR: u16 = 500;

/// What the product says of a request that came while another was under way or in error.
pub(crate) const IN_ERROR: &str = "This certificate cannot be processed while it is in an error state. Fix any errors, and then click Retry.";
pub(crate) const IN_PROCESS: &str = "WebSDK CertRequest Module Requested Certificate";

/// What a certificate is to say. Without `Debug`: a key is in it.
#[derive(Clone)]
pub(crate) struct Order {
    /// The client's request, or nothing where the key is made here.
    pub(crate) csr: Option<Csr>,
    pub(crate) key: Option<Arc<SigningKey>>,
    pub(crate) common_name: Option<String>,
    pub(crate) subject: ca::Subject,
    pub(crate) subject_alt_names: ca::Sans,
    /// The same as the policy looks at them, where they do not come from the CSR.
    pub(crate) names: Vec<x509::SubjectAltName>,
    /// The end that was asked for.
    pub(crate) not_after: Option<Timestamp>,
}

/// A certificate of an object.
pub(crate) struct Version {
    pub(crate) certificate: Certificate,
    /// SHA-1 of the DER, upper-case hexadecimal.
    pub(crate) thumbprint: String,
    /// As it is sent: the issuer first.
    pub(crate) chain: Vec<Certificate>,
    /// Kept where it was made here.
    pub(crate) key: Option<Arc<SigningKey>>,
    pub(crate) issued: Timestamp,
}

/// What is being done.
pub(crate) enum Stage {
    Idle,
    /// Being signed right now.
    InProcess,
    /// Until somebody decides about this request for approval.
    Waiting {
        approval: u64,
        order: Order,
    },
    /// In error until it is reset.
    Failed {
        status: String,
        order: Option<Order>,
    },
}

/// All of it.
pub(crate) struct Enrollment {
    pub(crate) stage: Stage,
    /// Oldest first.
    pub(crate) versions: Vec<Version>,
    /// What the last certificate was made from, for a renewal without a new request.
    pub(crate) last: Option<Order>,
    pub(crate) is_disabled: bool,
    pub(crate) created_by: String,
    /// Attributes that clients set and read again.
    pub(crate) attributes: BTreeMap<String, Vec<String>>,
    /// Custom fields, by the item's GUID.
    pub(crate) custom: BTreeMap<String, Vec<String>>,
}

impl Enrollment {
    pub(crate) fn new(created_by: String) -> Self {
        Self {
            stage: Stage::Idle,
            versions: Vec::new(),
            last: None,
            is_disabled: false,
            created_by,
            attributes: BTreeMap::new(),
            custom: BTreeMap::new(),
        }
    }

    pub(crate) fn current(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The status of a request that is under way or in error: text, and whether it is an error.
    pub(crate) fn processing(&self) -> Option<(&str, bool)> {
        match &self.stage {
            Stage::Idle => None,
            Stage::InProcess | Stage::Waiting { .. } => Some(("Post CSR", false)),
            Stage::Failed { status, .. } => Some((status, true)),
        }
    }

    /// An attribute, as `Config/ReadDn` gives it.
    pub(crate) fn attribute(&self, name: &str) -> Option<Vec<String>> {
        match name {
            "Disabled" => self.is_disabled.then(|| vec!["1".to_owned()]),
            "Status" => self.processing().map(|(status, _)| vec![status.to_owned()]),
            "Stage" => self.processing().map(|_| vec![POST_CSR.to_string()]),
            _ => self.attributes.get(name).cloned(),
        }
    }

    /// `ProcessingDetails`; an empty object when nothing is under way.
    pub(crate) fn describe_processing(&self) -> Value {
        match self.processing() {
            None => json!({}),
            Some((status, in_error)) => json!({ "InError": in_error, "Stage": POST_CSR, "Status": status }),
        }
    }
}
