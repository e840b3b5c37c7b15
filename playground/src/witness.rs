//! Watches the cluster as anybody with kubectl could, and tells what changes.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use sim_stage::Stage;

use crate::scene::NAMESPACE;
use crate::timeline::{Timeline, Who};

/// Tells for ever what happens in the cluster. What happens within the time `together` is told at once, in the order of
/// the cluster's revisions.
pub(crate) async fn watch(stage: &Stage, timeline: &Timeline, together: Duration) {
    let client = stage.admin();
    let follow =
        async |group: &str, version: &str, kind: &str, tell: fn(&Value, &Value) -> Vec<(Who, String)>| {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(group, version, kind));
            let mut known: HashMap<String, Value> = HashMap::new();
            let mut events =
                std::pin::pin!(watcher::watcher(api, watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                let object = match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => object,
                    Ok(watcher::Event::Delete(object)) => {
                        known.remove(&named(&serde_json::to_value(&object).unwrap_or_default()));
                        continue;
                    }
                    Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => continue,
                };
                let now = serde_json::to_value(&object).unwrap_or_default();
                let before = known.insert(named(&now), now.clone()).unwrap_or_default();
                // Made anew under its name: nothing of the old one counts.
                let before = if before.pointer("/metadata/uid") == now.pointer("/metadata/uid") {
                    before
                } else {
                    Value::Null
                };
                let revision = text(&now, "/metadata/resourceVersion").parse().unwrap_or_default();
                let at = written(stage, revision);
                for (who, what) in tell(&before, &now) {
                    timeline.tell(revision, at, who, what);
                }
            }
        };
    let flush = async {
        loop {
            timeline.has_something().await;
            tokio::time::sleep(together).await;
            timeline.flush();
        }
    };
    tokio::join!(
        flush,
        follow("external-issuer.io", "v1alpha1", "ExternalIssuer", issuer),
        follow("cert-manager.io", "v1", "Certificate", certificate),
        follow("cert-manager.io", "v1", "CertificateRequest", request),
        follow("", "v1", "Secret", secret),
    );
}

/// When this revision was written; now, if that is forgotten.
fn written(stage: &Stage, revision: u64) -> Timestamp {
    stage.server().with(|cluster, now| {
        let change = cluster.store().changes_after(revision.saturating_sub(1)).next();
        change.filter(|change| change.revision == revision).map_or(now, |change| change.at)
    })
}

/// The API of a kind in a namespace.
pub(crate) fn api(
    client: &Client,
    group: &str,
    version: &str,
    kind: &str,
    namespace: &str,
) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(group, version, kind))
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// `status.conditions[type]`: its status, reason and message.
pub(crate) fn condition(object: &Value, type_: &str) -> Option<(String, String, String)> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|condition| text(condition, "/type") == type_)?;
    Some((text(found, "/status"), text(found, "/reason"), text(found, "/message")))
}

pub(crate) fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Its name, with the namespace if that is another than yours.
fn named(object: &Value) -> String {
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    if namespace == NAMESPACE { name } else { format!("{namespace}/{name}") }
}

/// A condition that is not what it was.
fn changed(before: &Value, now: &Value, type_: &str) -> Option<(String, String, String)> {
    condition(now, type_).filter(|found| condition(before, type_).as_ref() != Some(found))
}

fn issuer(before: &Value, now: &Value) -> Vec<(Who, String)> {
    changed(before, now, "Ready")
        .map(|(status, reason, message)| {
            let ready = if status == "True" { "Ready" } else { "not Ready" };
            (Who::Controller, format!("ExternalIssuer {} is {ready} ({reason}): {message}", named(now)))
        })
        .into_iter()
        .collect()
}

fn certificate(before: &Value, now: &Value) -> Vec<(Who, String)> {
    let mut told = Vec::new();
    if let Some((_, reason, message)) =
        changed(before, now, "Issuing").filter(|(status, ..)| status == "True")
    {
        told.push((
            Who::CertManager,
            format!("Certificate {} is to be issued ({reason}): {message}", named(now)),
        ));
    }
    let renewal = text(now, "/status/renewalTime");
    if renewal != text(before, "/status/renewalTime") && !renewal.is_empty() {
        let revision = now.pointer("/status/revision").and_then(Value::as_i64).unwrap_or_default();
        told.push((
            Who::CertManager,
            format!("Certificate {} is Ready, revision {revision}, to be renewed at {renewal}", named(now)),
        ));
    }
    told
}

fn request(before: &Value, now: &Value) -> Vec<(Who, String)> {
    let mut told = Vec::new();
    if before.is_null() {
        let names = "with the CSR of a new key";
        told.push((Who::CertManager, format!("made CertificateRequest {} {names}", named(now))));
    }
    if let Some((_, reason, _)) = changed(before, now, "Approved") {
        told.push((Who::CertManager, format!("{} is Approved by {reason}", named(now))));
    }
    if let Some((_, reason, message)) = changed(before, now, "Ready") {
        told.push((Who::Controller, format!("{}: {reason}, {message}", named(now))));
    }
    told
}

fn secret(before: &Value, now: &Value) -> Vec<(Who, String)> {
    let held = |object: &Value| text(object, "/data/tls.crt");
    if held(now).is_empty() || held(now) == held(before) {
        return Vec::new();
    }
    let Some(leaf) = crate::story::leaf(now) else {
        return vec![(Who::Secret, format!("{} holds something that is no certificate", named(now)))];
    };
    let what = format!(
        "{} holds key and certificate: serial {}, until {}",
        named(now),
        leaf.serial_hex(),
        leaf.not_after()
    );
    vec![(Who::Secret, what)]
}
