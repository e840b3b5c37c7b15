//! The rules of single built-in kinds, as far as their schema does not say them: what is filled in and what is
//! refused.

mod rbac;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::{Cause, Kind, definition, events, object};
use rbac::GROUP as RBAC;

const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
                          or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Whether what came in can be read at all: text that stands for bytes or for a time.
pub(crate) fn check_encoding(kind: &Kind, object: &Value) -> Result<(), String> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "secrets") => check_base64(object, "data"),
        ("", "configmaps") => check_base64(object, "binaryData"),
        ("coordination.k8s.io", "leases") => {
            check_micro_time(object, "/spec/acquireTime")?;
            check_micro_time(object, "/spec/renewTime")
        }
        ("" | "events.k8s.io", "events") => {
            check_micro_time(object, "/eventTime")?;
            check_micro_time(object, "/series/lastObservedTime")
        }
        _ => Ok(()),
    }
}

/// Fills in what is the case when nothing is said, which is done before anybody is told to own it.
pub(crate) fn default(kind: &Kind, object: &mut Value) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "secrets") => prepare_secret(object),
        ("", "configmaps") => {
            drop_empty_map(object, "data");
            drop_empty_map(object, "binaryData");
        }
        ("", "namespaces") => {
            if !object::name(object).is_empty() {
                label_namespace(object);
            }
            object::edit(object, "status", |status| {
                let phase = status.entry("phase").or_insert_with(|| json!(""));
                if phase == "" {
                    *phase = json!("Active");
                }
            });
        }
        ("" | "events.k8s.io", "events") => {
            let series = object.get_mut("series").and_then(Value::as_object_mut);
            series.map(|series| series.entry("lastObservedTime").or_insert(Value::Null));
            // What says nothing is not said.
            let said_nothing = |value: &Value| value == "" || *value == json!(0);
            for key in ["action", "reason", "message", "note", "type", "count", "deprecatedCount"] {
                if object.get(key).is_some_and(said_nothing) {
                    object::take(object, key);
                }
            }
        }
        (RBAC, "rolebindings" | "clusterrolebindings") => rbac::default_binding(object),
        ("apiextensions.k8s.io", _) => definition::default(object),
        _ => {}
    }
}

/// Sets what only the server sets, when an object is made (`old` is nothing) and when it is replaced.
pub(crate) fn prepare(kind: &Kind, object: &mut Value, old: Option<&Value>) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces") => prepare_namespace(object, old),
        ("", "serviceaccounts") => {
            // Only the names of Secrets count.
            for secret in object.get_mut("secrets").and_then(Value::as_array_mut).into_iter().flatten() {
                *secret = secret.get("name").map_or_else(|| json!({}), |name| json!({"name": name}));
            }
        }
        ("coordination.k8s.io", "leases") => prepare_lease(object, old),
        ("apiextensions.k8s.io", _) => definition::prepare(object, old),
        _ => {}
    }
}

/// What a built-in object holds of which nothing has been said: the parts that its type always has, and that hence
/// nobody adds.
pub(crate) fn nothing(kind: &Kind) -> Option<Value> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "events") => Some(json!({
            "involvedObject": {}, "source": {}, "firstTimestamp": null, "lastTimestamp": null, "eventTime": null,
            "reportingComponent": "", "reportingInstance": "",
        })),
        ("events.k8s.io", "events") => Some(json!({
            "regarding": {}, "deprecatedSource": {}, "deprecatedFirstTimestamp": null,
            "deprecatedLastTimestamp": null, "eventTime": null,
        })),
        ("", "namespaces") => Some(json!({"spec": {}, "status": {"phase": "Active"}})),
        ("", "pods" | "services") => Some(json!({"spec": {}, "status": {}})),
        ("coordination.k8s.io", "leases") | ("authorization.k8s.io", _) => Some(json!({"spec": {}})),
        (RBAC, "roles" | "clusterroles") => Some(json!({"rules": null})),
        ("apiextensions.k8s.io", _) => Some(json!({"spec": {"names": {}}})),
        _ => None,
    }
}

/// What the writer of a built-in object is warned of.
pub(crate) fn warnings(kind: &Kind, object: &Value) -> Option<String> {
    let is_pair = kind.group.is_empty()
        && kind.plural == "secrets"
        && object::text(object, "/type") == "kubernetes.io/tls";
    let certificate =
        object.get("data").and_then(|data| data.get("tls.crt")).filter(|_| is_pair)?.as_str()?;
    let certificate = STANDARD.decode(certificate).unwrap_or_default();
    let is_pem = String::from_utf8_lossy(&certificate).contains("-----BEGIN ");
    (!is_pem).then(|| "tls: failed to find any PEM data in certificate input".to_owned())
}

/// What is wrong with an object beside its metadata and its schema.
pub(crate) fn validate(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "secrets") => validate_secret(object, old),
        ("", "configmaps") => wrong_keys(object, &["data", "binaryData"]),
        ("", "namespaces") if old.is_some() => wrong_phase(object),
        ("coordination.k8s.io", "leases") => validate_lease(object),
        (RBAC, "roles" | "clusterroles") => rbac::validate_role(object, kind.namespaced),
        (RBAC, _) => rbac::validate_binding(object, old, kind.namespaced),
        ("" | "events.k8s.io", "events") => events::validate(kind, object, old),
        ("apiextensions.k8s.io", _) => definition::validate(object, old),
        _ => Vec::new(),
    };
    if let (Some(old), "secrets" | "configmaps") = (old, kind.plural.as_str()) {
        causes.extend(immutable_content(object, old));
    }
    causes
}

fn check_base64(object: &Value, key: &str) -> Result<(), String> {
    let values = object.get(key).and_then(Value::as_object).into_iter().flatten();
    for value in values.filter_map(|(_, value)| value.as_str()) {
        if let Err(error) = STANDARD.decode(value) {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => value.len(),
            };
            return Err(format!("illegal base64 data at input byte {at}"));
        }
    }
    Ok(())
}

fn prepare_secret(object: &mut Value) {
    if let Some(Value::Object(texts)) = object::take(object, "stringData") {
        object::edit(object, "data", |data| {
            for (key, value) in texts {
                data.insert(key, json!(STANDARD.encode(value.as_str().unwrap_or_default())));
            }
        });
    }
    drop_empty_map(object, "data");
    if object::text(object, "/type").is_empty() {
        object::put(object, "type", Some(json!("Opaque")));
    }
}

fn wrong_phase(namespace: &Value) -> Vec<Cause> {
    let (expected, when) =
        if object::is_deleting(namespace) { ("Terminating", "not empty") } else { ("Active", "empty") };
    let phase = object::text(namespace, "/status/phase");
    let why = format!("may only be '{expected}' if `deletionTimestamp` is {when}");
    if phase == expected { Vec::new() } else { vec![Cause::invalid("status.Phase", &json!(phase), &why)] }
}

fn validate_secret(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = wrong_keys(object, &["data"]);
    let kind = object::text(object, "/type");
    let data = object.get("data");
    let has = |key: &str| data.and_then(|data| data.get(key)).is_some();
    let required: &[&str] = match kind {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        // One of them is enough, and both are asked for.
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => &["username", "password"],
        _ => &[],
    };
    for key in required.iter().filter(|key| !has(key)) {
        causes.push(Cause::required(format!("data[{key}]"), ""));
    }
    if kind == "kubernetes.io/service-account-token" {
        let account = "kubernetes.io/service-account.name";
        let annotations = object.pointer("/metadata/annotations");
        if annotations.and_then(|annotations| annotations.get(account)).is_none_or(|name| name == "") {
            causes.push(Cause::required(format!("metadata.annotations[{account}]"), ""));
        }
    }
    if let Some(old) = old
        && object::text(old, "/type") != kind
    {
        causes.push(Cause::invalid("type", &json!(kind), "field is immutable"));
    }
    causes
}

/// What `immutable` forbids.
fn immutable_content(object: &Value, old: &Value) -> Vec<Cause> {
    let immutable = |object: &Value| object.get("immutable") == Some(&Value::Bool(true));
    if !immutable(old) {
        return Vec::new();
    }
    let why = "field is immutable when `immutable` is set";
    let mut causes = Vec::new();
    if !immutable(object) {
        causes.push(Cause::forbidden("immutable", why));
    }
    for field in ["data", "binaryData"] {
        if object.get(field) != old.get(field) {
            causes.push(Cause::forbidden(field, why));
        }
    }
    causes
}

fn wrong_keys(object: &Value, fields: &[&str]) -> Vec<Cause> {
    let right = |key: &str| {
        let mut letters = key.chars();
        !key.is_empty()
            && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'))
    };
    let keys = fields.iter().flat_map(|field| {
        let map = object.get(field).and_then(Value::as_object);
        map.into_iter().flat_map(Map::keys).map(move |key| (*field, key))
    });
    keys.filter_map(|(field, key)| {
        let why = match key.as_str() {
            "." => "must not be '.'",
            ".." => "must not be '..'",
            key if key.starts_with("..") => "must not start with '..'",
            key if key.len() > 253 => "must be no more than 253 characters",
            key if !right(key) => CONFIG_KEY,
            _ => return None,
        };
        Some(Cause::invalid(format!("{field}[{key}]"), &json!(key), why))
    })
    .collect()
}

/// A namespace says in a label what it is called.
fn label_namespace(object: &mut Value) {
    let name = object::name(object).to_owned();
    object::edit_metadata(object, |metadata| {
        let mut labels = metadata.remove("labels").unwrap_or_else(|| json!({}));
        object::put(&mut labels, "kubernetes.io/metadata.name", Some(json!(name)));
        metadata.insert("labels".to_owned(), labels);
    });
}

/// A namespace keeps a finalizer until its content is gone.
fn prepare_namespace(object: &mut Value, old: Option<&Value>) {
    // The name that the server made up was not known before.
    label_namespace(object);
    let (spec, status) = if let Some(old) = old {
        (old.get("spec").cloned(), old.get("status").cloned())
    } else {
        let mut finalizers = object::texts(object, "/spec/finalizers");
        if !finalizers.contains(&"kubernetes") {
            finalizers.push("kubernetes");
        }
        (Some(json!({"finalizers": finalizers})), Some(json!({"phase": "Active"})))
    };
    object::put(object, "spec", spec);
    object::put(object, "status", status);
}

/// Electing leaders by version is not switched on.
fn prepare_lease(object: &mut Value, old: Option<&Value>) {
    let Some(spec) = object.get_mut("spec") else { return };
    for key in ["strategy", "preferredHolder"] {
        if old.is_none_or(|old| old.pointer(&format!("/spec/{key}")).is_none()) {
            object::take(spec, key);
        }
    }
}

fn validate_lease(object: &Value) -> Vec<Cause> {
    let number = |field: &str| object.pointer(&format!("/spec/{field}")).and_then(Value::as_i64);
    let mut causes = Vec::new();
    if let Some(seconds) = number("leaseDurationSeconds").filter(|&seconds| seconds <= 0) {
        causes.push(Cause::invalid("spec.leaseDurationSeconds", &json!(seconds), "must be greater than 0"));
    }
    if let Some(times) = number("leaseTransitions").filter(|&times| times < 0) {
        causes.push(Cause::invalid(
            "spec.leaseTransitions",
            &json!(times),
            "must be greater than or equal to 0",
        ));
    }
    causes
}

/// A `MicroTime` has exactly six digits behind the seconds, and is not understood otherwise.
fn check_micro_time(object: &Value, pointer: &str) -> Result<(), String> {
    let text = object::text(object, pointer);
    if text.is_empty() {
        return Ok(());
    }
    let fraction = text.get(19..).unwrap_or_default();
    let digits =
        fraction.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if digits == 6 && text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(());
    }
    let layout = "2006-01-02T15:04:05.000000Z07:00";
    Err(format!(
        "parsing time {} as \"{layout}\": cannot parse {} as \".000000\"",
        json!(text),
        json!(fraction)
    ))
}

fn drop_empty_map(object: &mut Value, key: &str) {
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    if object.get(key).is_some_and(empty) {
        object::take(object, key);
    }
}
