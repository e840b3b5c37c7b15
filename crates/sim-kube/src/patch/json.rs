//! RFC 6902, with the server's liberties: an index may count from the end (`-1`), and a test of an absent field
//! for null holds.

use serde_json::Value;

/// Deeper than anything that is read; a patch that copies an object into itself would go on for ever.
const MAX_DEPTH: usize = 200;

/// What all copies of one patch may add, in values; the server's bound is 3 MiB of text.
const MAX_COPIED: usize = 300_000;

/// Why a patch does not apply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub String);

type Outcome<T> = Result<T, Refused>;

fn refuse<T>(message: String) -> Outcome<T> {
    Err(Refused(message))
}

pub(super) fn apply(object: &mut Value, operations: &[Value]) -> Outcome<()> {
    let mut copied = 0;
    for operation in operations {
        let text = |key: &str| match operation.get(key).and_then(Value::as_str) {
            Some(text) => Ok(text),
            None => refuse(format!("operation missing {key} field")),
        };
        let value = || operation.get("value").cloned().unwrap_or(Value::Null);
        let path = text("path")?;
        match text("op")? {
            "add" => add(object, path, value())?,
            "remove" => {
                remove(object, path)?;
            }
            "replace" => replace(object, path, value())?,
            "test" => test(object, path, &value())?,
            "move" => {
                let moved = remove(object, text("from")?)?;
                add(object, path, moved)?;
            }
            "copy" => {
                let copy = read(object, text("from")?)?.cloned().unwrap_or(Value::Null);
                copied += weight(&copy, 0)?;
                if copied > MAX_COPIED {
                    return refuse("the copies of this patch are too large".to_owned());
                }
                add(object, path, copy)?;
            }
            other => return refuse(format!("Unexpected kind: {other}")),
        }
    }
    weight(object, 0).map(|_| ())
}

/// How many values a value holds; an error if they nest too deeply.
fn weight(value: &Value, depth: usize) -> Outcome<usize> {
    if depth > MAX_DEPTH {
        return refuse("exceeded max depth".to_owned());
    }
    let mut total = 1;
    match value {
        Value::Object(map) => {
            for value in map.values() {
                total += weight(value, depth + 1)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                total += weight(item, depth + 1)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(total)
}

fn tokens(path: &str) -> Vec<String> {
    path.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

/// The container that a path's last token is about, and that token.
fn container<'a>(object: &'a mut Value, path: &str) -> Outcome<(&'a mut Value, String)> {
    let mut tokens = tokens(path);
    let Some(last) = tokens.pop() else { return refuse(format!("doc is missing path: \"{path}\"")) };
    let mut at = object;
    for token in &tokens {
        let below = match at {
            Value::Object(map) => map.get_mut(token),
            Value::Array(items) => index(token, items.len()).ok().and_then(|at| items.get_mut(at)),
            _ => None,
        };
        match below {
            Some(below) if below.is_object() || below.is_array() => at = below,
            _ => return refuse(format!("doc is missing path: \"{path}\"")),
        }
    }
    Ok((at, last))
}

/// An index into a list of a length; a negative one counts from the end.
fn index(token: &str, length: usize) -> Outcome<usize> {
    let Ok(at) = token.parse::<i64>() else { return refuse(format!("not an array index: '{token}'")) };
    let from_end = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
    let found = if at < 0 { length.checked_sub(from_end) } else { usize::try_from(at).ok() };
    match found {
        Some(at) => Ok(at),
        None => refuse(format!("Unable to access invalid index: {token}")),
    }
}

fn add(object: &mut Value, path: &str, value: Value) -> Outcome<()> {
    if tokens(path).len() > MAX_DEPTH {
        return refuse("exceeded max depth".to_owned());
    }
    let (container, token) = container(object, path)?;
    match container {
        Value::Object(map) => {
            map.insert(token, value);
        }
        Value::Array(items) if token == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(&token, items.len() + 1)?;
            if at > items.len() {
                return refuse(format!("Unable to access invalid index: {token}"));
            }
            items.insert(at, value);
        }
        _ => return refuse(format!("doc is missing path: \"{path}\"")),
    }
    Ok(())
}

fn remove(object: &mut Value, path: &str) -> Outcome<Value> {
    let (container, token) = container(object, path)?;
    let removed = match container {
        Value::Object(map) => map.remove(&token),
        Value::Array(items) => {
            let at = index(&token, items.len())?;
            (at < items.len()).then(|| items.remove(at))
        }
        _ => None,
    };
    match removed {
        Some(removed) => Ok(removed),
        None => refuse(format!("Unable to remove nonexistent key: {path}")),
    }
}

fn replace(object: &mut Value, path: &str, value: Value) -> Outcome<()> {
    if path.is_empty() {
        if !value.is_object() {
            return refuse("replace operation value must be object or array".to_owned());
        }
        *object = value;
        return Ok(());
    }
    let (container, token) = container(object, path)?;
    match container {
        // A field that is absent is replaced all the same.
        Value::Object(map) => {
            map.insert(token, value);
            Ok(())
        }
        Value::Array(items) => {
            let at = index(&token, items.len())?;
            match items.get_mut(at) {
                Some(item) => {
                    *item = value;
                    Ok(())
                }
                None => refuse(format!("doc is missing key: {path}")),
            }
        }
        _ => refuse(format!("doc is missing path: {path}")),
    }
}

/// The value at a path; none where an object has no such field.
fn read<'a>(object: &'a mut Value, path: &str) -> Outcome<Option<&'a Value>> {
    if path.is_empty() {
        return Ok(Some(object));
    }
    let (container, token) = container(object, path)?;
    match container {
        Value::Object(map) => Ok(map.get(&token)),
        Value::Array(items) => {
            let at = index(&token, items.len())?;
            match items.get(at) {
                Some(item) => Ok(Some(item)),
                None => refuse(format!("Unable to access invalid index: {token}")),
            }
        }
        _ => refuse(format!("doc is missing path: {path}")),
    }
}

fn test(object: &mut Value, path: &str, value: &Value) -> Outcome<()> {
    let found = read(object, path)?.unwrap_or(&Value::Null);
    if found == value { Ok(()) } else { refuse(format!("testing value {path} failed")) }
}
