//! The rules of single built-in kinds, as far as their schema does not say them: what is filled in and what is
//! refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::{Cause, Failure, Kind, definition, events, object};

const RBAC: &str = "rbac.authorization.k8s.io";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
                          or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Whether what came in can be read at all: text that stands for bytes or for a time.
pub(crate) fn check_encoding(kind: &Kind, object: &Value) -> Result<(), Failure> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "secrets") => check_base64(kind, object),
        ("coordination.k8s.io", "leases") => {
            check_micro_time(kind, object, "/spec/acquireTime")?;
            check_micro_time(kind, object, "/spec/renewTime")
        }
        ("" | "events.k8s.io", "events") => check_micro_time(kind, object, "/eventTime"),
        _ => Ok(()),
    }
}

/// Fills in what the server fills in, when an object is made (`old` is nothing) and when it is replaced.
pub(crate) fn prepare(kind: &Kind, object: &mut Value, old: Option<&Value>) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "secrets") => prepare_secret(object),
        ("", "configmaps") => {
            drop_empty_map(object, "data");
            drop_empty_map(object, "binaryData");
        }
        ("", "namespaces") => prepare_namespace(object, old),
        (RBAC, "rolebindings" | "clusterrolebindings") => prepare_binding(object),
        ("apiextensions.k8s.io", _) => definition::prepare(object, old),
        _ => {}
    }
}

/// What a built-in object holds of which nothing has been said: the parts that its type always has, and that hence
/// nobody adds.
pub(crate) fn nothing(kind: &Kind) -> Option<Value> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "events") => Some(json!({"source": {}})),
        ("events.k8s.io", "events") => Some(json!({"deprecatedSource": {}})),
        ("", "namespaces" | "pods" | "services") | ("coordination.k8s.io", "leases") => {
            Some(json!({"spec": {}}))
        }
        ("apiextensions.k8s.io", _) => Some(json!({"spec": {"names": {}}})),
        _ => None,
    }
}

/// What is wrong with an object beside its metadata and its schema.
pub(crate) fn validate(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "secrets") => validate_secret(object, old),
        ("", "configmaps") => wrong_keys(object, &["data", "binaryData"]),
        ("coordination.k8s.io", "leases") => validate_lease(object),
        (RBAC, "roles" | "clusterroles") => validate_rules(object),
        (RBAC, _) => validate_binding(object, old),
        ("", "events") => events::validate(object, false, old.is_none()),
        ("events.k8s.io", "events") => events::validate(object, true, old.is_none()),
        ("apiextensions.k8s.io", _) => definition::validate(object, old),
        _ => Vec::new(),
    };
    if let (Some(old), "secrets" | "configmaps") = (old, kind.plural.as_str()) {
        causes.extend(immutable_content(object, old));
    }
    causes
}

fn check_base64(kind: &Kind, object: &Value) -> Result<(), Failure> {
    let cannot = |why: String| {
        Failure::bad_request(format!(
            "Secret in version \"{}\" cannot be handled as a Secret: {why}",
            kind.version
        ))
    };
    if let Some(data) = object.get("data").and_then(Value::as_object) {
        for value in data.values().filter_map(Value::as_str) {
            if let Err(error) = STANDARD.decode(value) {
                let at = match error {
                    base64::DecodeError::InvalidByte(at, _)
                    | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                    _ => value.len(),
                };
                return Err(cannot(format!("illegal base64 data at input byte {at}")));
            }
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

fn validate_secret(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = wrong_keys(object, &["data"]);
    let kind = object::text(object, "/type");
    let required: &[&str] = match kind {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    let data = object.get("data");
    for key in required {
        if data.and_then(|data| data.get(key)).is_none() {
            causes.push(Cause::required(format!("data[{key}]"), ""));
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

/// A namespace says in a label what it is called, and keeps a finalizer until its content is gone.
fn prepare_namespace(object: &mut Value, old: Option<&Value>) {
    let name = object::name(object).to_owned();
    object::edit_metadata(object, |metadata| {
        let mut labels = metadata.remove("labels").unwrap_or_else(|| json!({}));
        object::put(&mut labels, "kubernetes.io/metadata.name", Some(json!(name)));
        metadata.insert("labels".to_owned(), labels);
    });
    let (spec, status) = match old {
        Some(old) => (old.get("spec").cloned(), old.get("status").cloned()),
        None => (Some(json!({"finalizers": ["kubernetes"]})), Some(json!({"phase": "Active"}))),
    };
    object::put(object, "spec", spec);
    object::put(object, "status", status);
}

fn prepare_binding(object: &mut Value) {
    object::edit(object, "roleRef", |reference| {
        let group = reference.entry("apiGroup").or_insert_with(|| json!(""));
        if group == "" {
            *group = json!(RBAC);
        }
    });
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        let default = if object::text(subject, "/kind") == "ServiceAccount" { "" } else { RBAC };
        if object::text(subject, "/apiGroup").is_empty() && !default.is_empty() {
            object::put(subject, "apiGroup", Some(json!(default)));
        }
    }
}

fn validate_binding(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let Some(reference) = object.get("roleRef") else { return Vec::new() };
    let mut causes = Vec::new();
    if let Some(old) = old
        && old.get("roleRef") != Some(reference)
    {
        let part = |key: &str| reference.get(key).cloned().unwrap_or_else(|| json!(""));
        // The real server prints its own fields' names here, not those of the wire.
        let shown = json!({"APIGroup": part("apiGroup"), "Kind": part("kind"), "Name": part("name")});
        causes.push(Cause::invalid("roleRef", &shown, "cannot change roleRef"));
    }
    if object::text(reference, "/name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    if !matches!(object::text(reference, "/kind"), "Role" | "ClusterRole") {
        let kind = json!(object::text(reference, "/kind"));
        causes.push(Cause::not_supported("roleRef.kind", &kind, &["ClusterRole", "Role"]));
    }
    causes
}

fn validate_rules(object: &Value) -> Vec<Cause> {
    let rules = object.get("rules").and_then(Value::as_array).into_iter().flatten();
    rules
        .enumerate()
        .filter(|(_, rule)| object::texts(rule, "/verbs").is_empty())
        .map(|(at, _)| Cause::required(format!("rules[{at}].verbs"), "verbs must contain at least one value"))
        .collect()
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
fn check_micro_time(kind: &Kind, object: &Value, pointer: &str) -> Result<(), Failure> {
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
    let (own, version, layout) = (&kind.kind, &kind.version, "2006-01-02T15:04:05.000000Z07:00");
    Err(Failure::bad_request(format!(
        "{own} in version \"{version}\" cannot be handled as a {own}: parsing time {} as \"{layout}\": cannot parse {} \
         as \".000000\"",
        json!(text),
        json!(fraction)
    )))
}

fn drop_empty_map(object: &mut Value, key: &str) {
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    if object.get(key).is_some_and(empty) {
        object::take(object, key);
    }
}
