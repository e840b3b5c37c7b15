//! What becomes of JSON in the typed values of a server written in Go, as clients can see it: of nothing in a map
//! or a list the type's zero, of an empty list or map nothing once it has been stored, of a whole number that was
//! written with a fraction one without.

use serde_json::{Map, Number, Value, json};

/// Gives nulls in maps and lists the zero of their type, and leaves out fields that are null.
pub(crate) fn fill_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| !value.is_null() || property(schema, key).is_none());
            let entries = schema.get("additionalProperties");
            for (key, value) in map {
                match (property(schema, key), entries) {
                    (Some(schema), _) => fill_nulls(schema, value),
                    (None, Some(schema)) => fill(schema, value),
                    (None, None) => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    fill(schema, item);
                }
            }
        }
        _ => {}
    }
}

fn fill(schema: &Value, value: &mut Value) {
    if value.is_null() {
        *value = match schema.get("type").and_then(Value::as_str) {
            Some("string") => json!(""),
            Some("integer" | "number") => json!(0),
            Some("boolean") => json!(false),
            Some("object") => json!({}),
            _ => return,
        };
    }
    fill_nulls(schema, value);
}

/// Removes empty lists and maps, which storage cannot tell from none. What stands for an object that has no fields
/// set stays.
pub(crate) fn forget_empty(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| {
                let Some(schema) = property(schema, key) else { return true };
                forget_empty(schema, value);
                !is_empty(schema, value)
            });
            if let Some(schema) = schema.get("additionalProperties") {
                map.values_mut().for_each(|value| forget_empty(schema, value));
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    forget_empty(schema, item);
                }
            }
        }
        _ => {}
    }
}

fn is_empty(schema: &Value, value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && schema.get("additionalProperties").is_some(),
        _ => false,
    }
}

fn property<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    schema.get("properties")?.get(key)
}

/// Writes whole numbers without a fraction.
pub(crate) fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole(number) {
                *number = whole;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => Map::values_mut(map).for_each(whole_numbers),
        _ => {}
    }
}

fn whole(number: &Number) -> Option<Number> {
    let float =
        number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15)?;
    format!("{float:.0}").parse::<i64>().ok().map(Number::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_what_the_type_says() {
        let schema = json!({"properties": {
            "labels": {"additionalProperties": {"type": "string"}},
            "list": {"items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        }});
        let mut value = json!({"labels": {"a": null}, "list": [null, {"n": null}], "other": {"a": null}});
        fill_nulls(&schema, &mut value);
        assert_eq!(value, json!({"labels": {"a": ""}, "list": [{}, {}], "other": {"a": null}}));
    }

    #[test]
    fn what_is_empty_is_forgotten_and_what_is_an_object_is_not() {
        let schema = json!({"properties": {
            "map": {"additionalProperties": {"type": "string"}},
            "list": {"items": {"type": "object", "properties": {"l": {"items": {}}}}},
            "object": {"properties": {}},
        }});
        let mut value = json!({"map": {}, "list": [{"l": []}], "object": {}});
        forget_empty(&schema, &mut value);
        assert_eq!(value, json!({"list": [{}], "object": {}}));
    }

    #[test]
    fn a_whole_number_has_no_fraction() {
        let mut value = json!([1.0, 1.5, -2.0, 1e30, 3]);
        whole_numbers(&mut value);
        assert_eq!(value.to_string(), "[1,1.5,-2,1e+30,3]");
    }
}
