//! Between the objects in the store and the objects on the wire.

use serde_json::{Value, json};

use crate::{Kind, events, go_values, object, rbac};

/// Whether objects of this kind are stored under other names.
fn is_new_event(kind: &Kind) -> bool {
    kind.group == "events.k8s.io" && kind.plural == "events"
}

/// A stored object, in the version that `kind` is.
pub(crate) fn from_stored(kind: &Kind, stored: &Value) -> Value {
    if is_new_event(kind) {
        return events::from_stored(stored);
    }
    let mut object = stored.clone();
    object::put(&mut object, "apiVersion", Some(json!(kind.api_version())));
    // What the type always says.
    if kind.group == rbac::GROUP && kind.plural.ends_with("roles") && object.get("rules").is_none() {
        object::put(&mut object, "rules", Some(Value::Null));
    }
    object
}

/// An object as it is stored.
pub(crate) fn to_stored(kind: &Kind, object: &Value) -> Value {
    if is_new_event(kind) {
        return events::to_stored(object);
    }
    let mut stored = object.clone();
    if let Some(schema) = kind.schema.as_deref().filter(|_| !kind.custom) {
        go_values::forget_empty(schema, &mut stored);
    }
    if kind.storage == events::resource() {
        events::fill(&mut stored);
    }
    stored
}

/// An object as one item of a list: of built-in kinds, the list says what they are.
pub(crate) fn item(kind: &Kind, mut object: Value) -> Value {
    if !kind.custom {
        object::take(&mut object, "apiVersion");
        object::take(&mut object, "kind");
    }
    object
}

/// A list of items.
pub(crate) fn list(kind: &Kind, metadata: &Value, items: Vec<Value>) -> Value {
    let items: Vec<Value> = items.into_iter().map(|object| item(kind, object)).collect();
    json!({"kind": kind.list_kind, "apiVersion": kind.api_version(), "metadata": metadata, "items": items})
}
