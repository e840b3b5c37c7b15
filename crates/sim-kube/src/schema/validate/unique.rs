//! `x-kubernetes-list-type`: a set holds a value once, a map a key once.

use serde_json::{Map, Value};

use super::bad_value;
use crate::schema::cursor::{Cursor, ListType};
use crate::status::Cause;

/// Finds what is there twice, anywhere in an object.
pub(super) fn check(schema: Cursor<'_>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(schema, "", object, &mut causes);
    causes
}

fn walk(schema: Cursor<'_>, path: &str, value: &Value, causes: &mut Vec<Cause>) {
    if let Value::Array(items) = value {
        match schema.list_type() {
            Some(ListType::Set) => report(path, items, causes),
            Some(ListType::Map(keys)) => {
                let odd = items.iter().position(|item| !item.is_null() && !item.is_object());
                if let Some((at, item)) = odd.and_then(|at| Some((at, items.get(at)?))) {
                    let why = "must be an object for an array of list-type map";
                    let message = format!("Invalid value: {}: {why}", bad_value(item));
                    causes.push(Cause::new("FieldValueInvalid", format!("{path}[{at}]"), message));
                } else {
                    report(path, &items.iter().map(|item| key(keys, item)).collect::<Vec<_>>(), causes);
                }
            }
            Some(ListType::Atomic) | None => {}
        }
    }
    for (below, path, value) in schema.below(path, value) {
        walk(below, &path, value, causes);
    }
}

fn key(keys: &[String], item: &Value) -> Value {
    let named = keys.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone())));
    Value::Object(named.collect::<Map<_, _>>())
}

/// A value is reported at its second place, and not again.
fn report(path: &str, values: &[Value], causes: &mut Vec<Cause>) {
    for (at, value) in values.iter().enumerate() {
        let before = values.iter().take(at).filter(|other| *other == value).count();
        if before == 1 {
            let message = format!("Duplicate value: {}", bad_value(value));
            causes.push(Cause::new("FieldValueDuplicate", format!("{path}[{at}]"), message));
        }
    }
}
