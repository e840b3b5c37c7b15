//! Request bodies: JSON, YAML or protobuf, made into the JSON of the kind that the path names.

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use crate::{Failure, Kind, protobuf};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The media type of a request's body, without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// An object of `kind` in the body of a create or an update.
pub(crate) fn object(kind: &Kind, headers: &HeaderMap, body: &Bytes) -> Result<Value, Failure> {
    let mut object = match media_type(headers) {
        // Clients that do not say send JSON.
        "" | "application/json" => json_body(kind, body)?,
        "application/yaml" => yaml(body)?,
        PROTOBUF if !kind.custom => protobuf::decode(body)?,
        _ if kind.custom => return Err(unknown_format(&["application/json", "application/yaml"])),
        _ => {
            return Err(unknown_format(&["application/json", "application/yaml", PROTOBUF]));
        }
    };
    check_type(kind, &mut object, body)?;
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

fn json_body(kind: &Kind, body: &Bytes) -> Result<Value, Failure> {
    let unrecognized = |why: &str, shown: &str| {
        let kind = &kind.kind;
        Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
        ))
    };
    if body.is_empty() {
        return Err(unrecognized(
            "couldn't get version/kind; json parse error: unexpected end of JSON input",
            "<empty>",
        ));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        unrecognized(&format!("couldn't get version/kind; json parse error: {error}"), &beginning(body))
    })?;
    if value.is_object() {
        return Ok(value);
    }
    Err(unrecognized(
        "couldn't get version/kind; json parse error: the value is not an object",
        &beginning(body),
    ))
}

/// How the server shows a body that it does not understand.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.len() <= 30 {
        return text.into_owned();
    }
    format!("{} ...", text.chars().take(30).collect::<String>())
}

/// What the object says that it is must be what the path says.
fn check_type(kind: &Kind, object: &mut Value, body: &Bytes) -> Result<(), Failure> {
    let said = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, name) = (said("apiVersion"), said("kind"));
    let expected = kind.api_version();
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
    if !name.is_empty() && name != kind.kind {
        let (own, version) = (&kind.kind, &kind.version);
        let internal =
            if kind.group.is_empty() { "core" } else { kind.group.split('.').next().unwrap_or_default() };
        return Err(Failure::bad_request(format!(
            "{name} in version \"{version}\" cannot be handled as a {own}: converting ({version}.{name}) to \
             ({internal}.{own}): unknown conversion"
        )));
    }
    if !api_version.is_empty() && api_version != expected {
        let own = &kind.kind;
        return Err(Failure::bad_request(format!(
            "{own} in version \"{api_version}\" cannot be handled as a {own}: no kind \"{own}\" is registered for \
             version \"{api_version}\" in scheme \"pkg/runtime/scheme.go:111\""
        )));
    }
    if let Value::Object(object) = object {
        object.insert("apiVersion".to_owned(), json!(expected));
        object.insert("kind".to_owned(), json!(kind.kind));
    }
    Ok(())
}

/// The options in the body of a deletion.
pub(crate) fn options(headers: &HeaderMap, body: &Bytes) -> Result<Value, Failure> {
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
