//! Request bodies: JSON, YAML or protobuf, made into the JSON of the kind that the path names.

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use crate::{Failure, Kind, Registry, protobuf};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The media type of a request's body, without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Whether the body is in a format in which objects of `kind` come.
pub(crate) fn check_format(kind: &Kind, headers: &HeaderMap) -> Result<(), Failure> {
    match media_type(headers) {
        // Clients that do not say send JSON.
        "" | "application/json" | "application/yaml" => Ok(()),
        PROTOBUF if !kind.custom => Ok(()),
        _ => Err(unknown_format(&["application/json", "application/yaml", PROTOBUF])),
    }
}

/// An object of `kind` in the body of a create or an update.
pub(crate) fn object(
    registry: &Registry,
    kind: &Kind,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Value, Failure> {
    check_format(kind, headers)?;
    let mut object = match media_type(headers) {
        "application/yaml" => yaml(body).map(|value| if value.is_null() { json!({}) } else { value })?,
        PROTOBUF => protobuf::decode(body).map_err(|failure| unrecognized(kind, &failure.message, body))?,
        _ => json_body(kind, body)?,
    };
    if !object.is_object() {
        let why = "couldn't get version/kind; json parse error: the value is not an object";
        return Err(unrecognized(kind, why, body));
    }
    check_type(registry, kind, &mut object, body)?;
    Ok(object)
}

/// A patch that is JSON.
pub(crate) fn json_patch(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))
}

/// YAML, of which JSON is a part.
pub(crate) fn yaml(body: &Bytes) -> Result<Value, Failure> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))?;
    // The common case is JSON, and its parser knows its numbers best.
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    serde_saphyr::from_str(text)
        .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))
}

/// 415, with what would have been understood.
pub(crate) fn unknown_format(known: &[&str]) -> Failure {
    let known = known.join(", ");
    Failure::unsupported_media_type(format!(
        "the body of the request was in an unknown format - accepted media types include: {known}"
    ))
}

/// 400: the body is nothing of which the server could tell what it is.
fn unrecognized(kind: &Kind, why: &str, body: &Bytes) -> Failure {
    let (kind, shown) = (&kind.kind, beginning(body));
    Failure::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
    ))
}

fn json_body(kind: &Kind, body: &Bytes) -> Result<Value, Failure> {
    if body.is_empty() {
        let why = "couldn't get version/kind; json parse error: unexpected end of JSON input";
        return Err(unrecognized(kind, why, body));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        unrecognized(kind, &format!("couldn't get version/kind; json parse error: {error}"), body)
    })?;
    // Nothing at all is an object of which nothing is said.
    let value = if value.is_null() { json!({}) } else { value };
    let mistyped = |key: &&str| value.get(key).is_some_and(|said| !said.is_string() && !said.is_null());
    if let Some(key) = ["apiVersion", "kind"].into_iter().find(mistyped) {
        let why =
            format!("couldn't get version/kind; json parse error: json: cannot unmarshal the value of {key}");
        return Err(unrecognized(kind, &why, body));
    }
    Ok(value)
}

/// How the server shows a body that it does not understand.
fn beginning(body: &[u8]) -> String {
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let shown = body.get(..30).unwrap_or(body);
    // What does not begin like an object is shown as bytes.
    let mut text = if body.first() == Some(&b'{') {
        String::from_utf8_lossy(shown).into_owned()
    } else {
        shown
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|digit| char::from_digit(u32::from(digit), 16))
            .collect()
    };
    if shown.len() < body.len() {
        text.push_str(" ...");
    }
    text
}

/// What the object says that it is must be what the path says.
fn check_type(registry: &Registry, kind: &Kind, object: &mut Value, body: &Bytes) -> Result<(), Failure> {
    let said = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, name) = (said("apiVersion"), said("kind"));
    let expected = kind.api_version();
    if api_version.matches('/').count() > 1 {
        return Err(unrecognized(kind, &format!("unexpected GroupVersion string: {api_version}"), body));
    }
    if kind.custom {
        for (key, missing) in [("Kind", name.is_empty()), ("apiVersion", api_version.is_empty())] {
            if missing {
                let (own, text) = (&kind.kind, String::from_utf8_lossy(body));
                return Err(Failure::bad_request(format!(
                    "the object provided is unrecognized (must be of type {own}): Object '{key}' is missing in '{text}' ({})",
                    beginning(body)
                )));
            }
        }
        if api_version != expected {
            return Err(Failure::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({expected})"
            )));
        }
        return Ok(());
    }
    let said_version = if api_version.is_empty() { &expected } else { &api_version };
    let said_kind = if name.is_empty() { &kind.kind } else { &name };
    if registry.of_object(said_version, said_kind).is_none() {
        let own = &kind.kind;
        return Err(Failure::bad_request(format!(
            "{said_kind} in version \"{}\" cannot be handled as a {own}: no kind \"{said_kind}\" is registered for \
             version \"{said_version}\" in scheme \"pkg/runtime/scheme.go:111\"",
            version_of(said_version)
        )));
    }
    if !name.is_empty() && name != kind.kind {
        let (own, version) = (&kind.kind, version_of(said_version));
        let internal =
            if kind.group.is_empty() { "core" } else { kind.group.split('.').next().unwrap_or_default() };
        return Err(Failure::bad_request(format!(
            "{name} in version \"{version}\" cannot be handled as a {own}: converting ({version}.{name}) to \
             ({internal}.{own}): unknown conversion"
        )));
    }
    if !api_version.is_empty() && api_version != expected {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({expected})"
        )));
    }
    if let Value::Object(object) = object {
        object.insert("apiVersion".to_owned(), json!(expected));
        object.insert("kind".to_owned(), json!(kind.kind));
    }
    Ok(())
}

/// The version in what an object says of its group and version.
fn version_of(api_version: &str) -> &str {
    api_version.rsplit('/').next().unwrap_or(api_version)
}

/// Whether a value is of the type of its field.
type Fits = fn(&Value) -> bool;

/// The options in the body of a deletion.
pub(crate) fn options(headers: &HeaderMap, body: &Bytes) -> Result<Value, Failure> {
    let options = options_body(headers, body)?;
    let said = |key: &str| options.get(key).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (said("kind"), said("apiVersion"));
    if !kind.is_empty() && kind != "DeleteOptions" {
        let version = if version.is_empty() { "v1" } else { version };
        return Err(Failure::bad_request(format!(
            "no kind \"{kind}\" is registered for version \"{version}\" in scheme \"pkg/runtime/scheme.go:111\""
        )));
    }
    let texts = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let preconditions =
        |value: &Value| value.as_object().is_some_and(|map| map.values().all(Value::is_string));
    let types: [(&str, Fits); 5] = [
        ("propagationPolicy", Value::is_string),
        ("orphanDependents", Value::is_boolean),
        ("gracePeriodSeconds", Value::is_i64),
        ("dryRun", texts),
        ("preconditions", preconditions),
    ];
    for (key, fits) in types {
        if options.get(key).is_some_and(|value| !value.is_null() && !fits(value)) {
            return Err(Failure::bad_request(format!(
                "json: cannot unmarshal the value into Go struct field DeleteOptions.{key}"
            )));
        }
    }
    Ok(options)
}

/// A body that is JSON or YAML.
pub(crate) fn options_body(headers: &HeaderMap, body: &Bytes) -> Result<Value, Failure> {
    match media_type(headers) {
        "" | "application/json" => serde_json::from_slice(body).map_err(|error| {
            Failure::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
        }),
        "application/yaml" => yaml(body),
        _ => Err(unknown_format(&[
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ])),
    }
}
