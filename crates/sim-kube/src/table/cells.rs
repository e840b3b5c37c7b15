//! The cells of an object's row.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::duration::since;
use super::json_path;
use super::text;
use crate::Kind;
use crate::rbac::list;

/// One cell per column of the kind (and the name first, which a custom kind's columns leave out).
pub(super) fn of(kind: &Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = Value::from(at(object, "/metadata/name"));
    if kind.custom {
        let columns = kind.columns.iter().map(|column| custom(object, &column.json_path, &column.kind, now));
        return std::iter::once(name).chain(columns).collect();
    }
    let age = Value::from(since(object.pointer("/metadata/creationTimestamp").and_then(Value::as_str), now));
    match kind.plural.as_str() {
        "configmaps" => vec![name, json!(size(object, "data") + size(object, "binaryData")), age],
        "secrets" => vec![name, json!(text(object, "type")), json!(size(object, "data")), age],
        "namespaces" => vec![name, json!(at(object, "/status/phase")), age],
        "serviceaccounts" => vec![name, age],
        "leases" => vec![name, json!(at(object, "/spec/holderIdentity")), age],
        "services" => service(object, name, age),
        "pods" => pod(object, name, age, now),
        "events" => event(object, name, now),
        "rolebindings" | "clusterrolebindings" => binding(object, name, age),
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => {
            vec![name, json!(list(object, "webhooks").len()), age]
        }
        "validatingadmissionpolicies" => {
            let spec = object.get("spec").unwrap_or(&Value::Null);
            let param = spec.get("paramKind").filter(|param| param.is_object());
            let param = param.map_or_else(
                || "<unset>".to_owned(),
                |param| format!("{}/{}", text(param, "apiVersion"), text(param, "kind")),
            );
            vec![name, json!(list(spec, "validations").len()), json!(param), age]
        }
        "validatingadmissionpolicybindings" => {
            let param = match (at(object, "/spec/paramRef/namespace"), at(object, "/spec/paramRef/name")) {
                (_, "") => "<unset>".to_owned(),
                ("", name) => format!("*/{name}"),
                (namespace, name) => format!("{namespace}/{name}"),
            };
            vec![name, json!(at(object, "/spec/policyName")), json!(param), age]
        }
        // What has no columns of its own has the date, and the client makes an age of it.
        _ => vec![name, json!(at(object, "/metadata/creationTimestamp"))],
    }
}

fn at<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn size(object: &Value, key: &str) -> usize {
    object.get(key).and_then(Value::as_object).map(serde_json::Map::len).unwrap_or_default()
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

fn custom(object: &Value, path: &str, kind: &str, now: Timestamp) -> Value {
    let Some(value) = json_path::first(object, path) else { return Value::Null };
    match (kind, value) {
        (_, Value::Null) => Value::Null,
        ("string", Value::String(_)) | ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => {
            value.clone()
        }
        ("string", other) => json!(other.to_string()),
        ("integer", Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => json!(number),
            #[expect(clippy::cast_possible_truncation, reason = "a column of integers shows the whole part")]
            (None, Some(number)) => json!(number as i64),
            (None, None) => Value::Null,
        },
        ("date", Value::String(time)) => json!(since(Some(time), now)),
        _ => Value::Null,
    }
}

fn service(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let kind = text(spec, "type");
    let joined = |key: &str| texts(list(spec, key)).join(",");
    let balanced = object.pointer("/status/loadBalancer").map(|balancer| {
        let ingress = list(balancer, "ingress").iter();
        let address = |one| if text(one, "ip").is_empty() { text(one, "hostname") } else { text(one, "ip") };
        ingress.map(address).collect::<Vec<_>>().join(",")
    });
    let external = match (kind, joined("externalIPs")) {
        ("ClusterIP" | "NodePort", own) => or_none(&own).to_owned(),
        ("LoadBalancer", own) => {
            let all: Vec<String> =
                balanced.into_iter().chain([own]).filter(|part| !part.is_empty()).collect();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        ("ExternalName", _) => text(spec, "externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    };
    let number = |port: &Value, key: &str| port.get(key).and_then(Value::as_i64).unwrap_or_default();
    let ports: Vec<String> = list(spec, "ports")
        .iter()
        .map(|port| match number(port, "nodePort") {
            0 => format!("{}/{}", number(port, "port"), text(port, "protocol")),
            node => format!("{}:{node}/{}", number(port, "port"), text(port, "protocol")),
        })
        .collect();
    let selector = spec.get("selector").and_then(Value::as_object);
    let selector: Vec<String> = selector
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let internal = texts(list(spec, "clusterIPs")).first().copied().unwrap_or_default();
    vec![
        name,
        json!(kind),
        json!(or_none(internal)),
        json!(external),
        json!(or_none(&ports.join(","))),
        age,
        json!(or_none(&selector.join(","))),
    ]
}

/// A pod that nobody runs has no more than a phase; one whose status somebody wrote has what it says.
fn pod(object: &Value, name: Value, age: Value, now: Timestamp) -> Vec<Value> {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let status = object.get("status").unwrap_or(&Value::Null);
    let mut reason =
        if text(status, "reason").is_empty() { text(status, "phase") } else { text(status, "reason") };
    let (mut ready, mut restarts, mut restarted) = (0, 0, None);
    for container in list(status, "containerStatuses").iter().rev() {
        restarts += container.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
        let ended = container.pointer("/lastState/terminated/finishedAt").and_then(Value::as_str);
        restarted = restarted.max(ended);
        let state = |key: &str| at(container, &format!("/state/{key}/reason"));
        if !state("waiting").is_empty() {
            reason = state("waiting");
        } else if !state("terminated").is_empty() {
            reason = state("terminated");
        } else if container.get("ready") == Some(&Value::Bool(true)) {
            ready += 1;
        }
    }
    let over = matches!(text(status, "phase"), "Succeeded" | "Failed");
    if !over && object.pointer("/metadata/deletionTimestamp").is_some() {
        reason = "Terminating";
    }
    let restarts = match restarted {
        Some(time) if restarts != 0 => format!("{restarts} ({} ago)", since(Some(time), now)),
        _ => restarts.to_string(),
    };
    vec![
        name,
        json!(format!("{ready}/{}", list(spec, "containers").len())),
        json!(reason),
        json!(restarts),
        age,
        json!(or_none(at(object, "/status/podIPs/0/ip"))),
        json!(or_none(text(spec, "nodeName"))),
        json!(or_none(text(status, "nominatedNodeName"))),
        json!("<none>"),
    ]
}

/// An event of either group.
fn event(object: &Value, name: Value, now: Timestamp) -> Vec<Value> {
    let either = |core: &'static str, newer: &'static str| {
        object.get(core).or_else(|| object.get(newer)).filter(|value| !value.is_null())
    };
    let time = |core, newer| either(core, newer).and_then(Value::as_str);
    let first = time("firstTimestamp", "deprecatedFirstTimestamp").or_else(|| time("eventTime", "eventTime"));
    let last = time("lastTimestamp", "deprecatedLastTimestamp").or(first);
    let series = object.get("series").filter(|series| series.is_object());
    let (last, count) = match series {
        Some(series) => (series.get("lastObservedTime").and_then(Value::as_str), series.get("count")),
        None => (last, either("count", "deprecatedCount")),
    };
    let count = count.and_then(Value::as_i64).filter(|count| *count > 0).unwrap_or(1);
    let about = either("involvedObject", "regarding").unwrap_or(&Value::Null);
    let kind = text(about, "kind").to_lowercase();
    let target = match text(about, "name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let source = either("source", "deprecatedSource").unwrap_or(&Value::Null);
    let first_said = |texts: [&'static str; 2], part: &'static str| match text(source, part) {
        "" => {
            texts.into_iter().map(|key| text(object, key)).find(|text| !text.is_empty()).unwrap_or_default()
        }
        own => own,
    };
    let component = first_said(["reportingComponent", "reportingController"], "component");
    let instance = first_said(["reportingInstance", "reportingInstance"], "host");
    let source = if instance.is_empty() { component.to_owned() } else { format!("{component}, {instance}") };
    let message = either("message", "note").and_then(Value::as_str).unwrap_or_default();
    vec![
        json!(since(last, now)),
        json!(text(object, "type")),
        json!(text(object, "reason")),
        json!(target),
        json!(text(about, "fieldPath")),
        json!(source),
        json!(message.trim()),
        json!(since(first, now)),
        json!(count),
        name,
    ]
}

fn binding(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let role = object.get("roleRef").unwrap_or(&Value::Null);
    let subjects = |kind: &str| {
        let of_kind = list(object, "subjects").iter().filter(|subject| text(subject, "kind") == kind);
        let named = of_kind.map(|subject| match (kind, text(subject, "namespace")) {
            ("ServiceAccount", namespace) => format!("{namespace}/{}", text(subject, "name")),
            _ => text(subject, "name").to_owned(),
        });
        json!(named.collect::<Vec<_>>().join(", "))
    };
    vec![
        name,
        json!(format!("{}/{}", text(role, "kind"), text(role, "name"))),
        age,
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

fn texts(values: &[Value]) -> Vec<&str> {
    values.iter().filter_map(Value::as_str).collect()
}
