//! Credentials: where they are read, with what the PKI is called, and where they must not be seen.

use jiff::{SignedDuration, Timestamp};

use super::Found;
use super::facts::{Facts, decoded, of_kind, text};
use crate::SYSTEM;
use crate::template::{CLUSTER_TOKEN, NAMESPACE};

/// How long a changed credential may still be used: a call that is under way, and a watch that is opened anew.
const STILL_USED: SignedDuration = SignedDuration::from_mins(3);

/// No canary where people look.
pub(super) fn i12(facts: &Facts<'_>, found: &mut Found) {
    let evidence = facts.evidence;
    let mut canaries: Vec<String> = evidence.canaries.clone();
    for change in of_kind(evidence, "", "secrets") {
        let Some(secret) = change.new.as_deref() else { continue };
        if let Some(key) = decoded(secret, "/data/tls.key") {
            canaries.push(text(secret, "/data/tls.key").to_owned());
            let pem = String::from_utf8_lossy(&key).into_owned();
            canaries.extend(
                pem.lines().filter(|line| line.len() > 30 && !line.starts_with("---")).map(str::to_owned),
            );
        }
    }
    canaries.retain(|canary| canary.len() > 8);
    canaries.sort_unstable();
    canaries.dedup();
    let holds = |text: &str| canaries.iter().any(|canary| text.contains(canary.as_str()));
    if let Some(line) = evidence.log.lines().find(|line| holds(line)) {
        found.add("the log", facts.end(), format!("a line holds a credential or a key: {line}"));
    }
    for change in &evidence.changes {
        let resource = &change.resource;
        let shown = match resource.plural.as_str() {
            "events" => change.new.as_deref().map(ToString::to_string),
            "certificaterequests" | "externalissuers" | "externalclusterissuers" | "leases" => {
                change.new.as_deref().map(ToString::to_string)
            }
            _ => None,
        };
        if shown.is_some_and(|shown| holds(&shown)) {
            found.add(
                format!("{} {}", resource.plural, change.path),
                change.at,
                "it holds a credential or a key",
            );
        }
    }
    if let Some(call) = evidence.calls.iter().find(|call| holds(&call.uri.to_string())) {
        found.add(call.uri.path(), call.sent, "the URL of a call holds a credential or a key");
    }
}

/// The credential of the namespace, as it is or as it was a moment ago; the cluster issuer's for cluster issuers.
pub(super) fn i14(facts: &Facts<'_>, found: &mut Found) {
    for call in &facts.evidence.pki {
        if call.token.is_empty() {
            continue;
        }
        let since = call.sent.saturating_sub(STILL_USED).unwrap_or(call.sent);
        let held = facts.was_held(&call.process, call.sent);
        let of_tenant = tokens(facts, since, call.sent, held);
        let of_cluster = call.token == CLUSTER_TOKEN;
        // A call for a request must come with its issuer's.
        let fits = match call.csr.as_deref().map(|csr| facts.with_csr(csr).next()) {
            Some(Some(history)) => match history.last().map(|last| text(last, "/spec/issuerRef/kind")) {
                Some("ExternalClusterIssuer") => of_cluster,
                _ => of_tenant.contains(&call.token),
            },
            _ => of_cluster || of_tenant.contains(&call.token),
        };
        if !fits {
            let which = if of_cluster {
                "the cluster issuer's"
            } else {
                "one that is not, or no longer, its issuer's"
            };
            found.add(
                &call.process,
                call.sent,
                format!("called the PKI with the wrong credential, {which}: {call}"),
            );
        }
    }
}

/// The tokens that the tenant's Secret held between these times; of all times before for who was shown old news.
fn tokens(facts: &Facts<'_>, since: Timestamp, until: Timestamp, held: bool) -> Vec<String> {
    let mut tokens = Vec::new();
    // Before its first change it held what it held from the beginning.
    let mut current = Some(crate::TOKEN.to_owned());
    let changes: Vec<_> = of_kind(facts.evidence, "", "secrets")
        .filter(|change| change.path == format!("{NAMESPACE}/pki-credentials") && change.at <= until)
        .collect();
    for change in changes {
        if change.at >= since || held {
            tokens.extend(current.take());
        }
        let token = change.new.as_deref().and_then(|secret| decoded(secret, "/data/token"));
        current = token.map(|token| String::from_utf8_lossy(&token).into_owned());
    }
    tokens.extend(current);
    tokens
}

/// Only what issuers name, where they may name it.
pub(super) fn i15(facts: &Facts<'_>, found: &mut Found) {
    for call in &facts.evidence.calls {
        let plural = call.plural();
        if !matches!(plural, "secrets" | "configmaps") {
            continue;
        }
        let namespace = call.call.as_ref().map_or("", |call| call.namespace.as_str());
        let query = call.uri.query().unwrap_or_default();
        let name = if plural == "secrets" { "pki-credentials" } else { "pki-config" };
        let named = query.contains(&format!("metadata.name%3D{name}"))
            || query.contains(&format!("metadata.name={name}"))
            || call.call.as_ref().is_some_and(|call| call.name == name);
        if !named || (namespace != NAMESPACE && namespace != SYSTEM) {
            found.add(call.uri.path(), call.sent, format!("read what no issuer names there: {call}"));
        }
    }
}
