//! Strategic merge patch: a merge patch that knows the lists of built-in kinds.
//!
//! A list whose schema says `merge` is merged by its merge key, or by value if it holds scalars; any other is
//! replaced. Directives steer it: `$patch: delete` and `replace`, `$deleteFromPrimitiveList/<field>`,
//! `$setElementOrder/<field>`, `$retainKeys`.

use serde_json::{Map, Value};

use crate::go_print;
use crate::schema::{Cursor, PatchStrategy};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const ELEMENT_ORDER: &str = "$setElementOrder";

/// Why a patch does not apply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The patch is at fault: 400.
    Malformed(&'static str),
    /// Lists of lists cannot be merged: 422.
    ListsOfLists,
    /// What the server reports as its own fault: 500.
    Other(String),
}

const BAD_PRIMITIVE_LIST: Fault = Fault::Malformed("invalid patch format of primitive list");
const BAD_RETAIN_KEYS: Fault = Fault::Malformed("invalid patch format of retainKeys");
const BAD_ELEMENT_ORDER: Fault = Fault::Malformed("invalid patch format of setElementOrder list");

type Object = Map<String, Value>;

pub(super) fn apply(object: &Value, patch: &Value, schema: Cursor<'_>) -> Result<Value, Fault> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(bad_type("map[string]interface {}", patch));
    };
    merge_map(object.clone(), patch.clone(), Some(schema)).map(Value::Object)
}

fn merge_map(mut object: Object, mut patch: Object, schema: Option<Cursor<'_>>) -> Result<Object, Fault> {
    match patch.get(DIRECTIVE).map(Value::as_str) {
        None => {}
        Some(Some("replace")) => {
            patch.remove(DIRECTIVE);
            return Ok(patch);
        }
        Some(Some("delete")) => return Ok(Object::new()),
        Some(_) => return Err(bad_patch_type(&patch)),
    }
    retain_keys(&mut object, &mut patch)?;
    element_orders(&mut object, &mut patch, schema)?;
    for (name, value) in patch {
        let (name, delete) = match name.strip_prefix(DELETE_FROM) {
            Some(rest) => (rest.strip_prefix('/').ok_or(BAD_PRIMITIVE_LIST)?.to_owned(), true),
            None => (name, false),
        };
        if value.is_null() {
            object.remove(&name);
            continue;
        }
        let field = schema.and_then(|schema| schema.field(&name));
        match (object.remove(&name), value) {
            (Some(Value::Object(below)), Value::Object(patch)) => {
                let replaced = field.and_then(Cursor::patch).is_some_and(|patch| patch.replace);
                let merged = if replaced { patch } else { merge_map(below, patch, field)? };
                object.insert(name, Value::Object(merged));
            }
            (Some(Value::Array(items)), Value::Array(patch)) => {
                let merged = merge_list(items, patch, field, delete)?;
                object.insert(name, Value::Array(merged));
            }
            (Some(kept), _) if delete => {
                object.insert(name, kept);
            }
            (None, _) if delete => {}
            (_, value) => {
                if let Some(value) = without_directives(without_nulls(value)) {
                    object.insert(name, value);
                }
            }
        }
    }
    Ok(object)
}

/// `$retainKeys`: what it does not name goes; the patch may not bring anything else.
fn retain_keys(object: &mut Object, patch: &mut Object) -> Result<(), Fault> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let retained = retained.as_array().ok_or(BAD_RETAIN_KEYS)?;
    let retains = |name: &str| retained.iter().any(|retained| retained.as_str() == Some(name));
    let stray = patch.iter().any(|(name, value)| {
        let steers = name.starts_with(DELETE_FROM) || name.starts_with(ELEMENT_ORDER);
        !value.is_null() && !steers && !retains(name)
    });
    if stray {
        return Err(BAD_RETAIN_KEYS);
    }
    object.retain(|name, _| retains(name));
    Ok(())
}

/// `$setElementOrder/<field>`: merges that list now, and puts it in that order.
fn element_orders(object: &mut Object, patch: &mut Object, schema: Option<Cursor<'_>>) -> Result<(), Fault> {
    let orders: Vec<String> = patch.keys().filter(|name| name.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in orders {
        let Some(order) = patch.remove(&directive) else { continue };
        let Value::Array(order) = order else { return Err(bad_type("[]interface {}", &order)) };
        let name = directive.strip_prefix(ELEMENT_ORDER).and_then(|rest| rest.strip_prefix('/'));
        let name = name.ok_or(BAD_ELEMENT_ORDER)?;
        let field = schema.and_then(|schema| schema.field(name));
        let key = strategy(field).merge_key;
        let live = take_list(object, name)?;
        let brought = take_list(patch, name)?;
        check_order(brought.as_deref().unwrap_or_default(), &order, key.as_deref())?;
        let merged = match (live.clone(), brought) {
            (Some(live), None) => live,
            (None, Some(brought)) => brought.into_iter().filter_map(without_directives).collect(),
            (Some(live), Some(brought)) => merge_list(live, brought, field, false)?,
            (None, None) => continue,
        };
        let ordered = in_order(merged, &order, &live.unwrap_or_default(), key.as_deref())?;
        object.insert(name.to_owned(), Value::Array(ordered));
    }
    Ok(())
}

fn take_list(object: &mut Object, name: &str) -> Result<Option<Vec<Value>>, Fault> {
    match object.remove(name) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(bad_type("[]interface {}", &other)),
    }
}

/// Every item that a patch brings must have its place in the order, and the same one.
fn check_order(brought: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Fault> {
    if brought.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut places = order.iter();
    for item in brought.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let wanted = identity(item, key)?;
        let found = places.by_ref().any(|place| identity(place, key).is_ok_and(|place| place == wanted));
        if !found {
            return Err(Fault::Other(format!(
                "The order in patch list:\n{}\n doesn't match {ELEMENT_ORDER} list:\n{}\n",
                go_print::value(&Value::Array(brought.to_vec())),
                go_print::value(&Value::Array(order.to_vec()))
            )));
        }
    }
    Ok(())
}

fn strategy(field: Option<Cursor<'_>>) -> PatchStrategy {
    field.and_then(Cursor::patch).cloned().unwrap_or_default()
}

fn merge_list(
    live: Vec<Value>,
    patch: Vec<Value>,
    field: Option<Cursor<'_>>,
    delete: bool,
) -> Result<Vec<Value>, Fault> {
    let PatchStrategy { merge, merge_key, .. } = strategy(field);
    if !merge && !delete {
        return Ok(patch);
    }
    let Some(first) = live.first().or(patch.first()) else { return Ok(live) };
    if first.is_array() {
        return Err(Fault::ListsOfLists);
    }
    let kind = std::mem::discriminant(first);
    if live.iter().chain(&patch).any(|item| std::mem::discriminant(item) != kind) {
        let (live, patch) = (go_print::value(&Value::Array(live)), go_print::value(&Value::Array(patch)));
        return Err(Fault::Other(format!("list element types are not identical: [{live} {patch}]")));
    }
    if !first.is_object() {
        if delete {
            return Ok(live.into_iter().filter(|item| !patch.contains(item)).collect());
        }
        let mut merged = live.clone();
        for item in &patch {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return in_order(merged, &patch, &live, None);
    }
    let Some(key) = merge_key else {
        return Err(Fault::Other("cannot merge lists without merge key for struct".to_owned()));
    };
    merge_objects(live, patch, &key, field.and_then(Cursor::items))
}

fn merge_objects(
    live: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
    schema: Option<Cursor<'_>>,
) -> Result<Vec<Value>, Fault> {
    let before = live.clone();
    let mut merged = live;
    let mut brought = Vec::new();
    let mut replaced = false;
    for item in patch {
        let Some(directive) = item.get(DIRECTIVE) else {
            brought.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let gone = identity(&item, Some(key))?.clone();
                merged.retain(|item| item.get(key) != Some(&gone));
            }
            Some("replace") => replaced = true,
            Some("merge") => {
                return Err(Fault::Other("merging lists cannot yet be specified in the patch".to_owned()));
            }
            _ => return Err(bad_patch_type(item.as_object().unwrap_or(&Object::new()))),
        }
    }
    if replaced {
        return Ok(brought);
    }
    let order = brought.clone();
    for item in brought {
        let wanted = identity(&item, Some(key))?.clone();
        match merged.iter_mut().find(|live| live.get(key) == Some(&wanted)) {
            Some(found) => {
                let (Value::Object(live), Value::Object(patch)) = (found.take(), item) else { continue };
                *found = Value::Object(merge_map(live, patch, schema)?);
            }
            None => merged.push(item),
        }
    }
    in_order(merged, &order, &before, Some(key))
}

/// Puts a merged list in order: what the patch names as it names it, the rest where it was, as far as that goes.
fn in_order(
    merged: Vec<Value>,
    order: &[Value],
    live: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, Fault> {
    let place = |list: &[Value], item: &Value| -> Result<Option<usize>, Fault> {
        let wanted = identity(item, key)?;
        Ok(list.iter().position(|other| identity(other, key).is_ok_and(|other| other == wanted)))
    };
    let mut named = Vec::new();
    let mut rest = Vec::new();
    for item in merged {
        match place(order, &item)? {
            Some(at) => named.push((at, place(live, &item)?, item)),
            None => rest.push((place(live, &item)?, item)),
        }
    }
    named.sort_by_key(|(at, ..)| *at);
    rest.sort_by_key(|(at, _)| at.unwrap_or(usize::MAX));
    let mut rest = rest.into_iter().peekable();
    let mut out = Vec::new();
    for (_, was, item) in named {
        // A server's own item goes before the first named one that it stood before.
        while let Some((at, own)) =
            rest.next_if(|(at, _)| matches!((at, was), (Some(at), Some(was)) if *at < was))
        {
            let _ = at;
            out.push(own);
        }
        out.push(item);
    }
    out.extend(rest.map(|(_, item)| item));
    Ok(out)
}

/// What tells an item of a list from the others: its merge key, or itself.
fn identity<'a>(item: &'a Value, key: Option<&str>) -> Result<&'a Value, Fault> {
    let Some(key) = key else { return Ok(item) };
    let Value::Object(map) = item else { return Err(bad_type("map[string]interface {}", item)) };
    map.get(key).ok_or_else(|| {
        Fault::Other(format!("map: {} does not contain declared merge key: {key}", go_print::value(item)))
    })
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name, without_nulls(value))).collect::<Object>().into()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// What a patch adds, without the directives for which there is nothing to steer.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => {
            let kept = map.into_iter().filter_map(|(name, value)| Some((name, without_directives(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        other => Some(other),
    }
}

fn bad_patch_type(patch: &Object) -> Fault {
    let directive = patch.get(DIRECTIVE).map(go_print::value).unwrap_or_default();
    Fault::Other(format!(
        "unknown patch type: {directive} in map: {}",
        go_print::value(&Value::Object(patch.clone()))
    ))
}

fn bad_type(wanted: &str, got: &Value) -> Fault {
    let got = go_print::type_name(got);
    Fault::Other(format!("expected a {wanted}, but received a {got}"))
}
