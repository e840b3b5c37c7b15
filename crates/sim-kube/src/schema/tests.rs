use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn schema(schema: &Value) -> Schema {
    Schema::custom_resource(schema).unwrap()
}

#[test]
fn a_schema_that_refers_to_itself_is_read_and_followed() {
    let components = Components::parse(&json!({"components": {"schemas": {
        "Tree": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Tree"}], "default": {}}},
            },
        },
        "Loop": {"$ref": "#/components/schemas/Loop"},
    }}}))
    .unwrap();
    let tree = components.schema("Tree").unwrap();
    let mut value = json!({"children": [{"children": [{"name": "a", "x": 1}]}, null]});
    tree.default(&mut value);
    assert_eq!(tree.prune(&mut value), ["children[0].children[0].x"]);
    assert_eq!(value, json!({"children": [{"children": [{"name": "a"}]}, {}]}));
    let loop_ = components.schema("Loop").unwrap();
    assert_eq!(loop_.prune(&mut json!({"a": 1})), Vec::<String>::new());
    assert!(components.schema("Bush").is_none());
}

#[test]
fn a_schema_that_makes_no_sense_is_refused_with_its_place() {
    for (schema, message) in [
        (json!({"type": 5}), ".type: must be a string"),
        (json!({"properties": {"a": {"minimum": "x"}}}), ".properties[a].minimum: must be a number"),
        (
            json!({"items": {"pattern": "("}}),
            ".items.pattern: Invalid value: \"(\": must be a valid regular expression",
        ),
        (json!({"$ref": "#/components/schemas/X"}), ": nothing is called #/components/schemas/X"),
        (json!([]), ": must be an object"),
    ] {
        assert_eq!(Schema::parse(&schema).unwrap_err(), message);
    }
    let rule = Schema::parse(&json!({"x-kubernetes-validations": [{"rule": "self ==="}]})).unwrap_err();
    assert!(rule.starts_with(".x-kubernetes-validations[0].rule: Invalid value: "), "{rule}");
}

#[test]
fn rules_too_deep_to_run_are_refused() {
    for rule in [
        format!("{}true{}", "(".repeat(5000), ")".repeat(5000)),
        "!".repeat(5000) + "true",
        "1+".repeat(5000) + "1",
    ] {
        assert!(Schema::parse(&json!({"x-kubernetes-validations": [{"rule": rule}]})).is_err());
    }
}

#[test]
fn fields_are_seen_by_names_that_are_identifiers() {
    let schema = Schema::parse(&json!({
        "type": "object",
        "properties": {"namespace": {"type": "string"}, "a-b": {"type": "integer"}, "x__y": {"type": "integer"}},
        "x-kubernetes-validations": [
            {"rule": "self.__namespace__ == 'n' && self.a__dash__b == 1 && self.x__underscores__y == 2"},
        ],
    }))
    .unwrap();
    assert_eq!(schema.validate(&json!({"namespace": "n", "a-b": 1, "x__y": 2}), None), []);
    assert_eq!(schema.validate(&json!({"namespace": "m", "a-b": 1, "x__y": 2}), None).len(), 1);
}

#[test]
fn what_was_wrong_and_did_not_change_is_let_pass() {
    let schema = schema(&json!({"type": "object", "properties": {"spec": {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 1}, "b": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.b < 5"}],
    }}}));
    let old = json!({"spec": {"a": "too long", "b": 7}});
    assert_eq!(schema.validate(&old, Some(&old)), []);
    let new = json!({"spec": {"a": "too long", "b": 6}});
    let causes = schema.validate(&new, Some(&old));
    assert_eq!(causes, [Cause::new("FieldValueInvalid", "spec", "Invalid value: failed rule: self.b < 5")]);
    assert_eq!(schema.validate(&new, None).len(), 2);
}

#[test]
fn unknown_metadata_is_pruned_and_named_last() {
    let schema = schema(&json!({"type": "object", "properties": {"spec": {"type": "object"}}}));
    let mut object = json!({
        "apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "foo": 1, "labels": {"l": "1"}},
        "spec": {"x": {}}, "zz": 1,
    });
    assert_eq!(schema.prune(&mut object), ["spec.x", "zz", "metadata.foo"]);
    assert_eq!(
        object,
        json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "labels": {"l": "1"}}, "spec": {}})
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ab]{0,3}|2026-01-01T00:00:00Z|1h".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("a|b|metadata|kind", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = (
        "object|array|string|integer|number|boolean",
        "|date-time|duration|byte|int32|ipv4",
        any::<[bool; 5]>(),
        -3..3_i64,
        any_json(),
    )
        .prop_map(|(kind, format, [nullable, preserve, bounds, embedded, either], bound, default)| {
            let mut schema = json!({"type": kind, "format": format, "nullable": nullable, "default": default});
            let extra = if bounds {
                json!({
                    "minimum": bound, "maximum": bound, "exclusiveMaximum": nullable, "minLength": bound,
                    "maxLength": bound, "minItems": bound, "maxItems": bound, "maxProperties": bound, "pattern": "^a",
                    "enum": ["a", null, 1], "multipleOf": bound, "required": ["a", "c"],
                    "x-kubernetes-validations": [{"rule": "self == oldSelf"}, {"rule": "size(self) > 1 || self.a[0] < 3"}],
                })
            } else {
                json!({"x-kubernetes-list-type": if either { "set" } else { "map" }, "x-kubernetes-list-map-keys": ["a"]})
            };
            schema.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            if preserve {
                schema["x-kubernetes-preserve-unknown-fields"] = json!(true);
            }
            if embedded && kind == "object" {
                schema["x-kubernetes-embedded-resource"] = json!(true);
            }
            if either && preserve {
                schema.as_object_mut().unwrap().remove("type");
                schema["x-kubernetes-int-or-string"] = json!(nullable);
            }
            schema
        });
    leaf.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), inner.clone(), inner, 0..7).prop_map(|(mut outer, a, b, what)| {
            match what {
                0 => outer["properties"] = json!({"a": a, "b": b}),
                1 => outer["additionalProperties"] = a,
                2 => outer["items"] = a,
                3 => outer["anyOf"] = json!([a, b]),
                4 => outer["oneOf"] = json!([a, b]),
                5 => outer["allOf"] = json!([a, b]),
                _ => outer["not"] = a,
            }
            outer
        })
    })
}

proptest! {
    #[test]
    fn no_value_panics_under_any_schema(schema in any_schema(), mut new in any_json(), old in any_json()) {
        for schema in [Schema::parse(&schema), Schema::custom_resource(&schema)].into_iter().flatten() {
            let _ = schema.validate(&new, Some(&old));
            let _ = schema.validate_status(&new, None);
            schema.drop_nulls(&mut new);
            schema.default(&mut new);
            let _ = schema.prune(&mut new);
        }
    }

    #[test]
    fn no_document_panics_as_a_schema(document in any_json()) {
        let _ = Schema::parse(&document);
        let _ = Schema::custom_resource(&document);
        let _ = Components::parse(&json!({"components": {"schemas": document}}));
    }

    #[test]
    fn pruned_and_defaulted_twice_is_once(schema in any_schema(), mut value in any_json()) {
        if let Ok(schema) = Schema::parse(&schema) {
            schema.default(&mut value);
            let _ = schema.prune(&mut value);
            let once = value.clone();
            prop_assert_eq!(schema.prune(&mut value), Vec::<String>::new());
            prop_assert_eq!(value, once);
        }
    }
}
