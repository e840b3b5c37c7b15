//! An applied configuration laid over the live object.
//!
//! Nothing goes in a merge. Of the items of a list, those that are applied come as they are applied, and the
//! others keep their place among them.

use serde_json::{Map, Value};

use super::path::PathElement;
use super::shape::{Atom, Form, List, Shape};
use super::typed::steps;

pub(super) fn merge(shape: Shape<'_>, live: &Value, applied: &Value) -> Value {
    place(shape, Some(live), Some(applied)).unwrap_or_else(|| applied.clone())
}

fn place(shape: Shape<'_>, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let (was, is) = (shape.deduce(live), shape.deduce(applied));
    let atom = if applied.is_none() { was } else { is };
    form(atom, live, applied)
}

fn form(atom: Atom<'_>, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let leaf = || applied.or(live).cloned();
    match atom.form() {
        Form::Map(fields) => {
            let (was, is) = (live.and_then(Value::as_object), applied.and_then(Value::as_object));
            if fields.atomic || was.is_none_or(Map::is_empty) && is.is_none_or(Map::is_empty) {
                return leaf();
            }
            let mut out = Map::new();
            for name in was.into_iter().chain(is).flat_map(Map::keys) {
                if out.contains_key(name) {
                    continue;
                }
                let (live, applied) = (was.and_then(|map| map.get(name)), is.and_then(|map| map.get(name)));
                if let Some(merged) = place(fields.field(name), live, applied) {
                    out.insert(name.clone(), merged);
                }
            }
            (!out.is_empty()).then_some(Value::Object(out))
        }
        Form::List(list) => {
            let filled =
                |side: Option<&Value>| side.and_then(Value::as_array).is_some_and(|items| !items.is_empty());
            if list.is_atomic() || !filled(live) && !filled(applied) {
                return leaf();
            }
            let items = items(list, live, applied);
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Form::Scalar(_) | Form::None => leaf(),
    }
}

fn items(list: List<'_>, live: Option<&Value>, applied: Option<&Value>) -> Vec<Value> {
    let live = live.map(|live| steps(list, live)).unwrap_or_default();
    let applied = applied.map(|applied| steps(list, applied)).unwrap_or_default();
    let is_applied = |step: &PathElement| applied.iter().any(|(other, _)| other == step);
    // Of an item that is there several times, no copy is the one to merge with.
    let live_item = |step: &PathElement| {
        let mut found = live.iter().filter(|(other, _)| other == step);
        match (found.next(), found.next()) {
            (Some((_, item)), None) => Some(*item),
            (Some(_), Some(_)) => Some(&Value::Null),
            (None, _) => None,
        }
    };
    // The items that both have, as they are applied: what stands between two of them live stays there.
    let mut shared = applied.iter().map(|(step, _)| step).filter(|step| live.iter().any(|(l, _)| l == *step));
    let mut next_shared = shared.next();
    let mut out = Vec::new();
    let mut done: Vec<&PathElement> = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < live.len() || r < applied.len() {
        if let (Some((left, _)), Some((right, item))) = (live.get(l), applied.get(r)) {
            if left == right {
                out.extend(place(list.element, live_item(left), Some(item)));
                done.push(right);
                next_shared = shared.next();
                (l, r) = (l + 1, r + 1);
                continue;
            }
            if is_applied(left) && next_shared.is_some_and(|next| next != left) {
                // A shared item whose turn has not come.
                l += 1;
                continue;
            }
        }
        if let Some((left, item)) = live.get(l) {
            if !is_applied(left) {
                out.extend(place(list.element, Some(item), None));
                l += 1;
                continue;
            }
            if done.contains(&left) {
                l += 1;
            }
        }
        if let Some((right, item)) = applied.get(r) {
            out.extend(place(list.element, live_item(right), Some(item)));
            done.push(right);
            r += 1;
            if next_shared == Some(right) {
                next_shared = shared.next();
            }
        }
    }
    out
}
