//! The parts that every object has, read from and written to JSON that may be anything.

use serde_json::{Map, Value};

/// What is at a path of keys, such as `/metadata/name`. A JSON pointer without escapes and indices, so that nothing
/// is copied on the way: this is asked of every object all the time.
pub(crate) fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').skip(1).try_fold(object, |value, key| value.as_object()?.get(key))
}

/// The text at a path; empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// The revision of the write that left the object; 0 if it does not say.
pub(crate) fn revision(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or_default()
}

/// Whether the object is on its way out.
pub(crate) fn is_deleting(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// The texts of the list at a path.
pub(crate) fn texts<'a>(object: &'a Value, path: &str) -> Vec<&'a str> {
    at(object, path).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    texts(object, "/metadata/finalizers")
}

/// The uids of the objects that this one depends on.
pub(crate) fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    at(object, "/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten()
}

/// Changes the map at `key` of an object, which is made if it is not there; a value that is no map becomes one.
pub(crate) fn edit(object: &mut Value, key: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    let Value::Object(object) = object else { return };
    let part = object.entry(key.to_owned()).or_insert(Value::Null);
    let mut map = match part.take() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    change(&mut map);
    *part = Value::Object(map);
}

/// Changes an object's metadata.
pub(crate) fn edit_metadata(object: &mut Value, change: impl FnOnce(&mut Map<String, Value>)) {
    edit(object, "metadata", change);
}

/// Sets one field of an object's metadata.
pub(crate) fn set_metadata(object: &mut Value, key: &str, value: impl Into<Value>) {
    edit_metadata(object, |metadata| {
        metadata.insert(key.to_owned(), value.into());
    });
}

/// Removes one field of an object, and returns it.
pub(crate) fn take(object: &mut Value, key: &str) -> Option<Value> {
    object.as_object_mut()?.remove(key)
}

/// Sets one field of an object, or removes it.
pub(crate) fn put(object: &mut Value, key: &str, value: Option<Value>) {
    let Value::Object(object) = object else { return };
    match value {
        Some(value) => object.insert(key.to_owned(), value),
        None => object.remove(key),
    };
}

/// Copies `key` of `from` to `to`, or removes it there if `from` has none.
pub(crate) fn copy(to: &mut Map<String, Value>, from: Option<&Value>, key: &str) {
    match from.and_then(|from| from.get(key)) {
        Some(value) => to.insert(key.to_owned(), value.clone()),
        None => to.remove(key),
    };
}
