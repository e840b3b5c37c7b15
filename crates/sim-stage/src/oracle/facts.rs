//! What the judges look at: the evidence, sorted by request and by certificate.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use mock_pki::ledger::Issued;
use serde_json::Value;
use sim_kube::store::Change;
use x509::Certificate;

use crate::record::{Evidence, PkiCall};
use crate::scenario::Op;

/// Evidence, sorted.
pub(crate) struct Facts<'a> {
    pub(crate) evidence: &'a Evidence,
    /// The requests for our issuers, by uid.
    pub(crate) requests: BTreeMap<String, History<'a>>,
    /// What the PKI issued, each with the call that asked for it.
    pub(crate) issued: Vec<(&'a Issued, Option<&'a PkiCall>)>,
}

/// The life of a request.
pub(crate) struct History<'a> {
    pub(crate) uid: String,
    /// `shop/web-1`.
    pub(crate) path: String,
    /// The SHA-256 of its CSR.
    pub(crate) csr: String,
    pub(crate) created: Timestamp,
    pub(crate) deleted: Option<Timestamp>,
    pub(crate) versions: Vec<&'a Change>,
}

pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| text(condition, "/type") == type_)
}

pub(crate) fn is_true(object: &Value, type_: &str) -> bool {
    condition(object, type_).is_some_and(|condition| text(condition, "/status") == "True")
}

/// The reason of `Ready`.
pub(crate) fn reason(object: &Value) -> &str {
    condition(object, "Ready").map_or("", |ready| text(ready, "/reason"))
}

/// Whether a request has come to its end.
pub(crate) fn is_finished(request: &Value) -> bool {
    matches!(reason(request), "Issued" | "Failed" | "Denied") || is_true(request, "Ready")
}

/// A field that holds base64, as bytes.
pub(crate) fn decoded(object: &Value, pointer: &str) -> Option<Vec<u8>> {
    STANDARD.decode(object.pointer(pointer)?.as_str()?).ok()
}

/// The certificates in a field of PEM in base64.
pub(crate) fn certificates(object: &Value, pointer: &str) -> Option<Vec<Certificate>> {
    x509::bundle::read_certificates(&decoded(object, pointer)?).ok()
}

/// What a request asks for.
pub(crate) fn csr(request: &Value) -> Option<x509::Csr> {
    x509::Csr::from_pem(&decoded(request, "/spec/request")?).ok()
}

/// A leaf as the ledger writes it.
pub(crate) fn fingerprint(certificate: &Certificate) -> String {
    x509::hex(&certificate.sha256())
}

impl<'a> Facts<'a> {
    pub(crate) fn of(evidence: &'a Evidence) -> Self {
        let mut requests: BTreeMap<String, History<'a>> = BTreeMap::new();
        for change in of_kind(evidence, "cert-manager.io", "certificaterequests") {
            let Some(object) = change.new.as_deref().or(change.old.as_deref()) else { continue };
            if text(object, "/spec/issuerRef/group") != "external-issuer.io" {
                continue;
            }
            let uid = text(object, "/metadata/uid").to_owned();
            let history = requests.entry(uid.clone()).or_insert_with(|| History {
                uid,
                path: change.path.clone(),
                csr: csr(object).map(|csr| x509::hex(&csr.sha256())).unwrap_or_default(),
                created: change.at,
                deleted: None,
                versions: Vec::new(),
            });
            if change.new.is_none() {
                history.deleted = Some(change.at);
            }
            history.versions.push(change);
        }
        Self { evidence, requests, issued: issued(evidence) }
    }

    /// The requests with this CSR.
    pub(crate) fn with_csr<'s>(&'s self, csr: &'s str) -> impl Iterator<Item = &'s History<'a>> + 's {
        self.requests.values().filter(move |history| history.csr == csr)
    }

    /// The calls that ask for a certificate, each with its CSR.
    pub(crate) fn orders(&self) -> impl Iterator<Item = (&'a PkiCall, &'a str)> {
        self.evidence.pki.iter().filter_map(|call| Some((call, call.csr.as_deref()?)))
    }

    /// Whether an op of this kind had happened by then.
    pub(crate) fn happened(&self, by: Timestamp, is: impl Fn(&Op) -> bool) -> bool {
        self.evidence.happened.iter().any(|(at, op)| *at <= by && is(op))
    }

    /// Whether a process was shown old news at that time, or soon before.
    pub(crate) fn was_held(&self, process: &str, at: Timestamp) -> bool {
        let soon = |until: Timestamp| until.saturating_add(SignedDuration::from_secs(1)).unwrap_or(until);
        self.evidence
            .held
            .iter()
            .any(|(held, from, until)| held == process && *from <= at && at <= soon(*until))
    }

    /// Whether a process had ended by then.
    pub(crate) fn had_ended(&self, process: &str, by: Timestamp) -> bool {
        let process = self.evidence.process(process);
        process.and_then(|process| process.ended.as_ref()).is_some_and(|(ended, _)| *ended <= by)
    }

    pub(crate) fn end(&self) -> Timestamp {
        self.evidence.end.unwrap_or(Timestamp::MAX)
    }

    /// The last state of every object of a kind that was ever written, by path; nothing for those that are gone.
    pub(crate) fn last(&self, group: &'a str, plural: &'a str) -> BTreeMap<&'a str, Option<&'a Arc<Value>>> {
        of_kind(self.evidence, group, plural)
            .map(|change| (change.path.as_str(), change.new.as_ref()))
            .collect()
    }
}

impl<'a> History<'a> {
    /// The request as it was at this time; nothing if it was not there.
    pub(crate) fn at(&self, time: Timestamp) -> Option<&'a Value> {
        let change = self.versions.iter().rev().find(|change| change.at <= time)?;
        change.new.as_deref()
    }

    /// The request with its last state, also if it is gone.
    pub(crate) fn last(&self) -> Option<&'a Value> {
        self.versions.iter().rev().find_map(|change| change.new.as_deref())
    }

    /// The leaves that were published, each once, with when.
    pub(crate) fn published(&self) -> Vec<(Timestamp, Certificate)> {
        let mut all: Vec<(Timestamp, Certificate)> = Vec::new();
        for change in &self.versions {
            let leaf = change.new.as_deref().and_then(|object| certificates(object, "/status/certificate"));
            let Some(leaf) = leaf.and_then(|certificates| certificates.into_iter().next()) else { continue };
            if all.last().is_none_or(|(_, last)| last.der() != leaf.der()) {
                all.push((change.at, leaf));
            }
        }
        all
    }
}

/// The writes of a kind.
pub(crate) fn of_kind<'a>(
    evidence: &'a Evidence,
    group: &'a str,
    plural: &'a str,
) -> impl Iterator<Item = &'a Change> {
    evidence
        .changes
        .iter()
        .filter(move |change| change.resource.group == group && change.resource.plural == plural)
}

/// Each issued certificate with its call: by the request's id if the answer held it, or else the first call for the
/// same CSR that nothing else is known of.
fn issued(evidence: &Evidence) -> Vec<(&Issued, Option<&PkiCall>)> {
    let mut taken: Vec<&PkiCall> = Vec::new();
    let mut all = Vec::new();
    for issued in &evidence.ledger {
        let by_id =
            evidence.pki.iter().find(|call| call.request_id.as_deref() == Some(issued.request_id.as_str()));
        let by_csr = || {
            evidence.pki.iter().find(|call| {
                call.request_id.is_none()
                    && call.csr == issued.csr_sha256
                    && call.arrived.is_some_and(|arrived| arrived <= issued.issued_at)
                    && !taken.iter().any(|taken| std::ptr::eq(*taken, *call))
            })
        };
        let call = by_id.or_else(by_csr);
        taken.extend(call);
        all.push((issued, call));
    }
    all
}
