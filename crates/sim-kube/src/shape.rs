//! Between the objects in the store and the objects on the wire.

use serde_json::{Value, json};

use crate::{Kind, events, object};

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
    object
}

/// An object as it is stored.
pub(crate) fn to_stored(kind: &Kind, object: &Value) -> Value {
    if is_new_event(kind) {
        return events::to_stored(object);
    }
    let mut stored = object.clone();
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
