//! An object against its schema: is it one, and which fields does it set?

use std::fmt;

use serde_json::Value;

use super::fields::FieldSet;
use super::path::PathElement;
use super::shape::{Fields, Form, Items, List, Scalar, Shape};
use crate::go_print;

/// What does not fit the schema, in the server's words.
#[derive(Debug)]
pub(super) struct Misfits(Vec<(String, String)>);

impl fmt::Display for Misfits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |(path, message): &(String, String)| match path.as_str() {
            "" => message.clone(),
            path => format!("{path}: {message}"),
        };
        match self.0.as_slice() {
            [one] => f.write_str(&show(one)),
            several => {
                f.write_str("errors:")?;
                several.iter().try_for_each(|misfit| write!(f, "\n  {}", show(misfit)))
            }
        }
    }
}

impl Misfits {
    /// Whether a value is of another type than its field, and not only where there is no field.
    pub(super) fn is_of_another_type(&self) -> bool {
        self.0.iter().any(|(_, message)| message.starts_with("expected "))
    }
}

/// Checks an object that is to be applied: no unknown fields, no wrong types, nothing twice.
pub(super) fn check(shape: Shape<'_>, value: &Value) -> Result<(), Misfits> {
    let mut misfits = Vec::new();
    walk(shape, value, "", &mut misfits);
    if misfits.is_empty() { Ok(()) } else { Err(Misfits(misfits)) }
}

fn walk(shape: Shape<'_>, value: &Value, path: &str, misfits: &mut Vec<(String, String)>) {
    let mut misfit = |message: String| misfits.push((path.to_owned(), message));
    match shape.deduce(Some(value)).form() {
        _ if value.is_null() => {}
        Form::Map(fields) => match value {
            Value::Object(map) => {
                for (name, value) in map {
                    let path = format!("{path}.{name}");
                    match fields.field(name) {
                        Shape::Nothing => misfits.push((path, "field not declared in schema".to_owned())),
                        shape => walk(shape, value, &path, misfits),
                    }
                }
            }
            other => misfit(format!("expected map, got &{{{}}}", go_print::value(other))),
        },
        Form::Scalar(scalar) => {
            let fits = match scalar {
                Scalar::Numeric => value.is_number(),
                Scalar::String => value.is_string(),
                Scalar::Boolean => value.is_boolean(),
                Scalar::Any => !value.is_array() && !value.is_object(),
            };
            if !fits {
                misfit(match scalar {
                    Scalar::Numeric => {
                        format!("expected numeric (int or float), got {}", go_print::type_name(value))
                    }
                    Scalar::String => {
                        let shown = go_print::syntax(value);
                        format!("expected string, got &value.valueUnstructured{{Value:{shown}}}")
                    }
                    Scalar::Boolean => format!("expected boolean, got &{{{}}}", go_print::value(value)),
                    Scalar::Any => format!("expected any scalar, got &{{{}}}", go_print::value(value)),
                });
            }
        }
        Form::List(list) => match value {
            Value::Array(items) => walk_list(list, items, path, misfits),
            other => misfit(format!("expected list, got &{{{}}}", go_print::value(other))),
        },
        Form::None => misfit("schema error: invalid atom: inlined".to_owned()),
    }
}

fn walk_list(list: List<'_>, items: &[Value], path: &str, misfits: &mut Vec<(String, String)>) {
    let mut seen: Vec<PathElement> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let step = if matches!(list.items, Items::Atomic) {
            PathElement::Index(i64::try_from(at).unwrap_or(i64::MAX))
        } else {
            match list.step(item) {
                Ok(step) => {
                    if seen.contains(&step) {
                        misfits.push((path.to_owned(), format!("duplicate entries for key {step}")));
                    }
                    seen.push(step.clone());
                    step
                }
                Err(why) => {
                    misfits.push((path.to_owned(), format!("element {at}: {why}")));
                    return;
                }
            }
        };
        walk(list.element, item, &format!("{path}{step}"), misfits);
    }
}

/// The fields that an object sets: every leaf, every item, and what has no name in the schema or is empty.
pub(super) fn field_set(shape: Shape<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(shape, value, &mut Vec::new(), &mut set);
    set
}

fn collect(shape: Shape<'_>, value: &Value, path: &mut Vec<PathElement>, set: &mut FieldSet) {
    match shape.deduce(Some(value)).form() {
        Form::Map(fields) if fields.atomic => set.insert(path),
        Form::Map(fields) => collect_map(fields, value, path, set),
        Form::Scalar(_) | Form::None => set.insert(path),
        Form::List(list) if list.is_atomic() => set.insert(path),
        Form::List(list) => {
            let steps = steps(list, value);
            for (at, (step, item)) in steps.iter().enumerate() {
                let twice = steps.iter().enumerate().any(|(other, (s, _))| other != at && s == step);
                path.push(step.clone());
                if !twice {
                    collect(list.element, item, path, set);
                }
                set.insert(path);
                path.pop();
            }
        }
    }
}

fn collect_map(fields: Fields<'_>, value: &Value, path: &mut Vec<PathElement>, set: &mut FieldSet) {
    for (name, value) in value.as_object().into_iter().flatten() {
        path.push(PathElement::field(name));
        collect(fields.field(name), value, path, set);
        let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        if empty || !fields.declares(name) {
            set.insert(path);
        }
        path.pop();
    }
}

/// The items of a list with the steps to them; one to which no step leads is passed over.
pub(super) fn steps<'v>(list: List<'_>, value: &'v Value) -> Vec<(PathElement, &'v Value)> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(|item| Some((list.step(item).ok()?, item))).collect()
}
