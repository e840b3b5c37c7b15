//! Request bodies in Kubernetes' protobuf encoding, decoded into JSON.
//!
//! Go's typed clients send built-in kinds this way and take JSON back, so nothing is ever encoded here. A body is
//! four magic bytes and a `runtime.Unknown`, which says what kind it holds. What the JSON of the same client would
//! leave out (empty texts, zeroes, empty parts of a kind that has them always) is left out here too.

mod messages;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Failure;
use messages::{Field, Shape};
use wire::{Malformed, Reader, Wire};

const MAGIC: &[u8] = b"k8s\0";

/// The object in a body of type `application/vnd.kubernetes.protobuf`.
pub fn decode(body: &[u8]) -> Result<Value, Failure> {
    let Some(body) = body.strip_prefix(MAGIC) else {
        return Err(Failure::bad_request(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        ));
    };
    let malformed = |error: Malformed| Failure::bad_request(format!("proto: {error}"));
    let meta = part(body, 1).and_then(|meta| message(messages::TYPE_META, meta)).map_err(malformed)?;
    let said = |key: &str| meta.get(key).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (said("apiVersion"), said("kind"));
    let Some(fields) = messages::of(api_version, kind) else {
        return Err(Failure::unsupported_media_type(format!(
            "protobuf is not understood here for kind \"{kind}\" in version \"{api_version}\""
        )));
    };
    let mut object = part(body, 2).and_then(|raw| message(fields, raw)).map_err(malformed)?;
    object.insert("apiVersion".to_owned(), json!(api_version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(object))
}

/// The bytes of one field of a message; none if it is not there.
fn part(bytes: &[u8], number: u64) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(bytes);
    while let Some((own, value)) = reader.field()? {
        if own == number {
            return value.bytes();
        }
    }
    Ok(&[])
}

/// One message. Fields that the table does not have are skipped, as any protobuf decoder does.
fn message(fields: &[Field], bytes: &[u8]) -> Result<Map<String, Value>, Malformed> {
    let mut object = Map::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.field()? {
        let Some(field) = fields.iter().find(|field| field.number == number) else { continue };
        read(&field.shape, field.name, &value, &mut object)?;
    }
    Ok(object)
}

fn read(
    shape: &Shape,
    name: &str,
    value: &Wire<'_>,
    object: &mut Map<String, Value>,
) -> Result<(), Malformed> {
    let said = match shape {
        Shape::Text => Some(value.text()?).filter(|text| !text.is_empty()).map(Value::from),
        Shape::Integer => Some(value.integer()?).filter(|number| *number != 0).map(Value::from),
        Shape::OptionalText => Some(Value::from(value.text()?)),
        Shape::OptionalInteger => Some(Value::from(value.integer()?)),
        Shape::OptionalBool => Some(Value::from(value.integer()? != 0)),
        Shape::Bytes => Some(Value::from(STANDARD.encode(value.bytes()?))),
        Shape::Time => time(value, "%Y-%m-%dT%H:%M:%SZ")?,
        Shape::MicroTime => time(value, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
        Shape::Fields => serde_json::from_slice(part(value.bytes()?, 1)?).ok(),
        Shape::Part(fields) => {
            Some(message(fields, value.bytes()?)?).filter(|part| !part.is_empty()).map(Value::Object)
        }
        Shape::OptionalPart(fields) => Some(Value::Object(message(fields, value.bytes()?)?)),
        Shape::Texts => return push(object, name, Value::from(value.text()?)),
        Shape::Parts(fields) => return push(object, name, Value::Object(message(fields, value.bytes()?)?)),
        Shape::TextMap => return entry(messages::TEXT_ENTRY, name, value, json!(""), object),
        Shape::BytesMap => return entry(messages::BYTES_ENTRY, name, value, json!(""), object),
        Shape::TextsMap => {
            let mut entry = message(messages::TEXTS_ENTRY, value.bytes()?)?;
            let items = entry.get_mut("value").and_then(|value| value.get_mut("items")).map(Value::take);
            return insert(object, name, &entry, items.unwrap_or_else(|| json!([])));
        }
    };
    if let Some(said) = said {
        object.insert(name.to_owned(), said);
    }
    Ok(())
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), Malformed> {
    match object.entry(name).or_insert_with(|| json!([])) {
        Value::Array(list) => list.push(value),
        _ => return Err(Malformed),
    }
    Ok(())
}

fn entry(
    fields: &[Field],
    name: &str,
    value: &Wire<'_>,
    missing: Value,
    object: &mut Map<String, Value>,
) -> Result<(), Malformed> {
    let mut entry = message(fields, value.bytes()?)?;
    let value = entry.remove("value").unwrap_or(missing);
    insert(object, name, &entry, value)
}

fn insert(
    object: &mut Map<String, Value>,
    name: &str,
    entry: &Map<String, Value>,
    value: Value,
) -> Result<(), Malformed> {
    let key = entry.get("key").and_then(Value::as_str).unwrap_or_default();
    match object.entry(name).or_insert_with(|| json!({})) {
        Value::Object(map) => map.insert(key.to_owned(), value),
        _ => return Err(Malformed),
    };
    Ok(())
}

/// A point in time; an empty message is none.
fn time(value: &Wire<'_>, format: &str) -> Result<Option<Value>, Malformed> {
    let bytes = value.bytes()?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let parts = message(messages::TIMESTAMP, bytes)?;
    let part = |key: &str| parts.get(key).and_then(Value::as_i64).unwrap_or_default();
    let nanos = i32::try_from(part("nanos")).map_err(|_| Malformed)?;
    let at = Timestamp::new(part("seconds"), nanos).map_err(|_| Malformed)?;
    Ok(Some(Value::from(at.strftime(format).to_string())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Objects as client-go encodes them, in JSON and in protobuf.
    fn recorded() -> Vec<(Value, Vec<u8>)> {
        let recorded: Value =
            serde_json::from_str(include_str!("../../../fixtures/kubernetes/protobuf.json")).unwrap();
        let one = |one: &Value| {
            (one["object"].clone(), STANDARD.decode(one["protobuf"].as_str().unwrap()).unwrap())
        };
        recorded.as_array().unwrap().iter().map(one).collect()
    }

    /// What says nothing: Go's JSON has some of it, where protobuf does not tell it from nothing at all.
    fn without_nothing(value: Value) -> Value {
        let says = |value: &Value| {
            !value.is_null() && *value != json!({}) && *value != json!("") && *value != json!(0)
        };
        match value {
            Value::Object(object) => Value::Object(
                object
                    .into_iter()
                    .map(|(key, value)| (key, without_nothing(value)))
                    .filter(|(_, value)| says(value))
                    .collect(),
            ),
            Value::Array(list) => list.into_iter().map(without_nothing).collect(),
            other => other,
        }
    }

    #[test]
    fn what_go_encodes_is_what_it_writes_as_json() {
        let recorded = recorded();
        assert_eq!(recorded.len(), 21);
        for (mut object, bytes) in recorded {
            if let Some(object) = object.as_object_mut() {
                // The server's part, which nobody sends.
                let review = object["kind"]
                    .as_str()
                    .is_some_and(|kind| kind.contains("Review") || kind == "TokenRequest");
                object.retain(|key, _| key != "status" || !review);
            }
            assert_eq!(without_nothing(decode(&bytes).unwrap()), without_nothing(object));
        }
    }

    #[test]
    fn what_is_set_to_zero_is_set() {
        let of = |kind: &str| {
            let (_, bytes) = recorded().into_iter().find(|(object, _)| object["kind"] == kind).unwrap();
            decode(&bytes).unwrap()
        };
        let secret = of("Secret");
        assert_eq!((&secret["immutable"], &secret["data"]["none"]), (&json!(false), &json!("")));
        assert_eq!(secret["metadata"]["labels"]["empty"], "");
        assert_eq!(secret["metadata"]["ownerReferences"][0]["blockOwnerDeletion"], false);
        let lease = of("Lease");
        assert_eq!(
            (&lease["spec"]["holderIdentity"], &lease["spec"]["leaseTransitions"]),
            (&json!(""), &json!(0))
        );
        assert_eq!(lease["spec"]["renewTime"], "2026-11-24T08:02:03.123456Z");
        assert_eq!(of("Role")["rules"][0]["apiGroups"], json!([""]));
        assert_eq!(of("DeleteOptions")["gracePeriodSeconds"], 0);
    }

    #[test]
    fn a_kind_that_is_not_understood_is_refused_as_a_media_type() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(b"\x0a\x09\x0a\x02v1\x12\x03Pod");
        assert_eq!(decode(&bytes).unwrap_err().code, 415);
    }

    #[test]
    fn a_body_that_ends_early_is_a_bad_request() {
        for (_, bytes) in recorded() {
            for end in 0..bytes.len() {
                // Some beginnings are whole messages; none may be more than that.
                if let Err(failure) = decode(bytes.get(..end).unwrap()) {
                    assert!(matches!(failure.code.as_u16(), 400 | 415), "{failure}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_usize..21, at in 0_usize..1000) {
            let (_, mut bytes) = recorded().swap_remove(kind);
            let at = at % bytes.len();
            bytes.splice(at..at, body.iter().copied().take(3));
            let _ = decode(&bytes);
            let _ = decode(&[MAGIC, &body].concat());
        }
    }
}
