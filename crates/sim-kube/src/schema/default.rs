//! Defaults, and the nulls that give way to them.

use serde_json::Value;

use super::cursor::Cursor;

pub(super) fn default(schema: Cursor<'_>, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, property) in schema.properties() {
                let Some(default) = property.default() else { continue };
                let missing = map.get(name).is_none_or(|value| value.is_null() && !property.nullable());
                if missing {
                    map.insert(name.to_owned(), default.clone());
                }
            }
            for (name, value) in map {
                if let Some(field) = schema.field(name) {
                    fill(field, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items() {
                for item in items {
                    fill(schema, item);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fill(schema: Cursor<'_>, value: &mut Value) {
    if value.is_null()
        && !schema.nullable()
        && let Some(default) = schema.default()
    {
        *value = default.clone();
    }
    default(schema, value);
}

pub(super) fn drop_nulls(schema: Cursor<'_>, value: &mut Value) {
    match value {
        Value::Object(map) => map.retain(|name, value| {
            let Some(field) = schema.field(name) else { return true };
            if value.is_null() && !field.nullable() && field.default().is_none() {
                return false;
            }
            drop_nulls(field, value);
            true
        }),
        Value::Array(items) => {
            if let Some(schema) = schema.items() {
                for item in items {
                    drop_nulls(schema, item);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
