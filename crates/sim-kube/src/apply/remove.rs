//! An object without some of its fields.

use serde_json::{Map, Value};

use super::fields::FieldSet;
use super::path::PathElement;
use super::shape::{Form, Shape};

/// Removes what a set names; what the schema does not know to be made of parts stays whole, or goes.
pub(super) fn remove(shape: Shape<'_>, value: &Value, items: &FieldSet) -> Value {
    place(shape, value, items).unwrap_or(Value::Null)
}

/// Nothing, if nothing is left.
fn place(shape: Shape<'_>, value: &Value, items: &FieldSet) -> Option<Value> {
    match shape.deduce(Some(value)).form() {
        Form::Scalar(_) | Form::None => Some(value.clone()),
        Form::Map(fields) => {
            let map = value.as_object().filter(|map| !map.is_empty() && !fields.atomic)?;
            let mut out = Map::new();
            let mut matched = false;
            for (name, value) in map {
                let step = PathElement::field(name);
                if items.members().contains(&step) {
                    continue;
                }
                let kept = match items.children().get(&step) {
                    None => value.clone(),
                    Some(below) => {
                        matched = true;
                        place(fields.field(name), value, below).unwrap_or_else(|| emptied(value))
                    }
                };
                out.insert(name.clone(), kept);
            }
            (!out.is_empty() || matched).then_some(Value::Object(out))
        }
        Form::List(list) => {
            let all = value.as_array().filter(|all| !all.is_empty() && !list.is_atomic())?;
            let mut out = Vec::new();
            let mut matched = false;
            for item in all {
                let step = list.step(item).ok();
                if step.as_ref().is_some_and(|step| items.members().contains(step)) {
                    continue;
                }
                out.push(match step.and_then(|step| items.children().get(&step)) {
                    None => item.clone(),
                    Some(below) => {
                        matched = true;
                        place(list.element, item, below).unwrap_or_else(|| emptied(item))
                    }
                });
            }
            (!out.is_empty() || matched).then_some(Value::Array(out))
        }
    }
}

/// A container that lost all it held stays, empty.
fn emptied(value: &Value) -> Value {
    match value {
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        _ => Value::Null,
    }
}
