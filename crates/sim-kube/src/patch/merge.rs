//! RFC 7386: a null deletes, an object is merged, anything else replaces.

use serde_json::{Map, Value};

pub(super) fn apply(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = without_nulls(patch);
        return;
    };
    match object {
        Value::Object(object) => merge(object, patch),
        other => *other = without_nulls(&Value::Object(patch.clone())),
    }
}

fn merge(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match (value, object.get_mut(name)) {
            (Value::Null, _) => {
                object.remove(name);
            }
            (Value::Object(patch), Some(Value::Object(below))) => merge(below, patch),
            // An array that replaces one is taken as it is, nulls and all.
            (Value::Array(_), Some(Value::Object(_))) => {
                object.insert(name.clone(), value.clone());
            }
            (value, _) => {
                object.insert(name.clone(), without_nulls(value));
            }
        }
    }
}

/// What a patch adds, without the nulls that have nothing to delete. The items of a list stay, even a null.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
