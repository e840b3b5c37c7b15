//! Objects within objects: each says what it is.

use serde_json::Value;

use super::bad_value;
use crate::schema::cursor::Cursor;
use crate::status::Cause;

/// Checks the objects that are embedded in one; that one itself is known already.
pub(super) fn check(schema: Cursor<'_>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(schema, "", object, &mut causes);
    causes
}

fn walk(schema: Cursor<'_>, path: &str, value: &Value, causes: &mut Vec<Cause>) {
    if let Value::Object(map) = value
        && schema.node().embedded
        && !path.is_empty()
    {
        for name in ["apiVersion", "kind"] {
            let field = format!("{path}.{name}");
            match map.get(name) {
                None => causes.push(Cause::new("FieldValueRequired", field, "Required value")),
                Some(Value::String(text)) if text.is_empty() => {
                    let message = "Invalid value: \"\": must not be empty";
                    causes.push(Cause::new("FieldValueInvalid", field, message));
                }
                Some(Value::String(_)) => {}
                Some(other) => {
                    let message = format!("Invalid value: {}: must be a string", bad_value(other));
                    causes.push(Cause::new("FieldValueInvalid", field, message));
                }
            }
        }
    }
    for (below, path, value) in schema.below(path, value) {
        walk(below, &path, value, causes);
    }
}
