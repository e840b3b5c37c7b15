//! How it ends, for Secrets all the way.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Found;
use super::facts::{Facts, certificates, condition, decoded, of_kind, reason, text};
use crate::record::Evidence;
use crate::scenario::{Blow, Op};

/// A pair in every version, and none that is older than the one before.
pub(super) fn i8(facts: &Facts<'_>, found: &mut Found) {
    let mut last: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for change in of_kind(facts.evidence, "", "secrets") {
        let Some(secret) = change.new.as_deref() else { continue };
        if text(secret, "/type") != "kubernetes.io/tls" {
            continue;
        }
        let leaf = certificates(secret, "/data/tls.crt").and_then(|chain| chain.into_iter().next());
        let key = decoded(secret, "/data/tls.key").and_then(|pem| ca::SigningKey::from_pem(&pem).ok());
        let (Some(leaf), Some(key)) = (leaf, key) else {
            found.add(&change.path, change.at, "the Secret holds no certificate, or no key");
            continue;
        };
        if !leaf.has_key(key.spki_der()) {
            found.add(&change.path, change.at, "certificate and key do not belong together");
        }
        if last.get(change.path.as_str()).is_some_and(|before| leaf.not_before() < *before) {
            found.add(&change.path, change.at, "an older certificate than before");
        }
        last.insert(&change.path, leaf.not_before());
    }
}

/// Rest.
pub(super) fn i9(facts: &Facts<'_>, found: &mut Found) {
    for restless in &facts.evidence.restless {
        found.add(restless.as_str(), facts.end(), "it did not come to rest although all is well");
    }
}

/// No panic, no finalizer.
pub(super) fn i13(facts: &Facts<'_>, found: &mut Found) {
    if let Some(line) = facts.evidence.log.lines().find(|line| line.contains("a task panicked")) {
        found.add("the log", facts.end(), line);
    }
    for process in &facts.evidence.processes {
        if let Some((at, how)) = &process.ended
            && how == "panicked"
        {
            found.add(&process.name, *at, "the process ended with a panic");
        }
    }
    for change in &facts.evidence.changes {
        let finalizers =
            change.new.as_deref().and_then(|new| new.pointer("/metadata/finalizers")?.as_array());
        let ours =
            |finalizer: &Value| finalizer.as_str().is_some_and(|text| text.contains("external-issuer"));
        if finalizers.is_some_and(|all| all.iter().any(ours)) {
            found.add(&change.path, change.at, "a finalizer of ours holds it");
            return;
        }
    }
}

/// A refused event leaves no trace in how things end.
pub(super) fn i16(facts: &Facts<'_>, found: &mut Found) {
    let refused = facts.evidence.calls.iter().find(|call| {
        call.plural() == "events" && call.code.is_some_and(|code| code >= 400 && code != 404 && code != 409)
    });
    let Some(refused) = refused else { return };
    let others = facts.evidence.calls.iter().any(|call| matches!(call.blow, Some(blow) if !is_refusal(blow)));
    let quiet = facts.evidence.happened.iter().all(|(_, op)| {
        matches!(
            op,
            Op::NoEvents(_) | Op::Renew | Op::Approve | Op::Ask(_) | Op::Strike(..) | Op::EditCertificate
        )
    });
    if quiet && !others {
        for restless in &facts.evidence.restless {
            found.add(
                restless.as_str(),
                facts.end(),
                format!("it did not come to rest after an event was refused: {refused}"),
            );
        }
    }
}

const fn is_refusal(blow: Blow) -> bool {
    matches!(blow, Blow::Status(_))
}

/// What the store holds in the end, without what differs between any two runs: names, times, keys and serials. Two runs
/// that are to end alike have the same.
#[must_use]
pub fn shape(evidence: &Evidence) -> Value {
    let facts = Facts::of(evidence);
    let mut shape = serde_json::Map::new();
    for (group, plural) in [
        ("cert-manager.io", "certificaterequests"),
        ("cert-manager.io", "certificates"),
        ("external-issuer.io", "externalissuers"),
        ("external-issuer.io", "externalclusterissuers"),
        ("", "secrets"),
    ] {
        for (path, object) in facts.last(group, plural) {
            let Some(object) = object else { continue };
            let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
            let conditions: Vec<String> = conditions
                .into_iter()
                .flatten()
                .map(|condition| {
                    let fields = ["/type", "/status", "/reason"].map(|field| text(condition, field));
                    fields.join(" ")
                })
                .collect();
            let data = object.get("data").and_then(Value::as_object);
            let keys: Vec<&String> = data.into_iter().flat_map(serde_json::Map::keys).collect();
            shape.insert(
                format!("{plural} {path}"),
                json!({
                    "reason": reason(object),
                    "conditions": conditions,
                    "certificate": object.pointer("/status/certificate").is_some(),
                    "failureTime": object.pointer("/status/failureTime").is_some(),
                    "revision": object.pointer("/status/revision"),
                    "ready": condition(object, "Ready").map(|ready| text(ready, "/status")),
                    "keys": keys,
                    "finalizers": object.pointer("/metadata/finalizers"),
                }),
            );
        }
    }
    Value::Object(shape)
}
