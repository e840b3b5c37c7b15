//! What Vault's status and words mean. Pure.
//!
//! Vault says 400 both for a request that a role forbids and for a role that does not exist, and 500 for an
//! issuer that does not exist; only the words tell. They were measured on OpenBao 2.7.2 and are the same in
//! Vault, from whose code they come; words that are not known count as what the status says.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use super::super::http::Reply;

/// Vault said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: RefusalKind,
    /// Vault's words on one line.
    pub(super) text: String,
    pub(super) retry_after: Option<Duration>,
    /// A 403 in the form that the policy check gives it, which only a good token reaches.
    pub(super) is_policy: bool,
    /// A 5xx that is not in Vault's form: a gateway that gave up on Vault, which may have done what it was asked.
    pub(super) is_anothers: bool,
}

/// To what it said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusalKind {
    /// This request: it will never be signed.
    Request,
    /// The token, or what it may do.
    Forbidden,
    /// What the configuration names: mount, role, issuer, namespace, URL.
    Configuration,
    /// Everything, at present.
    Unavailable,
}

impl Refusal {
    pub(super) fn new(kind: RefusalKind, text: String) -> Self {
        Self { kind, text, retry_after: None, is_policy: false, is_anothers: false }
    }
}

/// Words in a 400 that speak of the configuration rather than the request.
const CONFIGURATION_WORDS: [&str; 4] =
    ["unknown role", "missing client token", "operation unavailable in namespaces", "cannot write to a path"];

/// Words in a 500 that speak of a CA that is not there, which waiting does not mend.
const NO_ISSUER_WORDS: [&str; 3] = [
    "could not fetch the CA certificate",
    "unable to find PKI issuer",
    "no default issuer currently configured",
];

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

/// Whether the answer to a call is a success.
pub(super) fn check(reply: &Reply) -> Result<(), Refusal> {
    if reply.status.is_success() {
        return Ok(());
    }
    let errors = reply.json::<Errors>().map(|body| body.errors);
    let is_policy = errors.iter().flatten().any(|text| text.starts_with("1 error occurred"));
    let text = words(errors.as_deref().unwrap_or_default());
    let kind = kind(reply.status, errors.is_some(), &text);
    let summary = reply.summary();
    let text = match (errors.is_some(), kind) {
        (true, _) if text.is_empty() => summary,
        (true, _) => text,
        (false, RefusalKind::Configuration) => {
            format!("{summary}, not from Vault: is the URL that of Vault?")
        }
        (false, _) => format!("{summary}, not from Vault"),
    };
    let retry_after = reply.retry_after.filter(|_| kind == RefusalKind::Unavailable);
    let is_policy = is_policy && kind == RefusalKind::Forbidden;
    let is_anothers = errors.is_none() && reply.status.is_server_error();
    Err(Refusal { kind, text, retry_after, is_policy, is_anothers })
}

fn kind(status: StatusCode, from_vault: bool, text: &str) -> RefusalKind {
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    match status.as_u16() {
        // A gateway's limit on bodies, or Vault's: the request is too large, and stays so.
        413 => RefusalKind::Request,
        // Of these, 412 is Vault Enterprise's "not yet replicated here", 472 and 473 are its standbys'.
        408 | 409 | 412 | 425 | 429 | 472 | 473 => RefusalKind::Unavailable,
        403 => RefusalKind::Forbidden,
        500 if says(&NO_ISSUER_WORDS) => RefusalKind::Configuration,
        400 if from_vault && !says(&CONFIGURATION_WORDS) => RefusalKind::Request,
        422 if from_vault => RefusalKind::Request,
        400..=499 => RefusalKind::Configuration,
        _ => RefusalKind::Unavailable,
    }
}

/// Vault's words on one line, of bearable length: it lists several errors with bullets on lines of their own.
fn words(errors: &[String]) -> String {
    const MAX: usize = 500;
    let lines = errors.iter().flat_map(|text| text.lines());
    let said: Vec<&str> = lines
        .map(|line| line.trim().trim_start_matches("* "))
        .filter(|line| !line.is_empty() && !line.ends_with("occurred:"))
        .collect();
    said.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX).collect()
}

#[derive(Deserialize)]
struct HealthBody {
    initialized: bool,
    sealed: bool,
}

/// Whether `sys/health` says that Vault can serve. A standby can: it passes requests on.
pub(super) fn check_health(reply: &Reply) -> Result<(), Refusal> {
    let said = reply.json::<HealthBody>();
    let problem = match reply.status.as_u16() {
        200 | 429 | 472 | 473 if said.is_some() => return Ok(()),
        501 => "not initialised",
        _ if said.as_ref().is_some_and(|body| !body.initialized) => "not initialised",
        _ if said.as_ref().is_some_and(|body| body.sealed) => "sealed",
        200..=299 => {
            let text = format!("{}, which is not Vault's: is the URL that of Vault?", reply.summary());
            return Err(Refusal::new(RefusalKind::Configuration, text));
        }
        _ => return check(reply),
    };
    let text = format!("Vault is {problem}");
    Err(Refusal { retry_after: reply.retry_after, ..Refusal::new(RefusalKind::Unavailable, text) })
}
