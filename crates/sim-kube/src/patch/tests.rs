use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn pod_schema() -> Schema {
    Schema::parse(&json!({
        "type": "object",
        "properties": {
            "data": {"type": "object", "additionalProperties": {"type": "string"}},
            "finalizers": {
                "type": "array", "items": {"type": "string"}, "x-kubernetes-patch-strategy": "merge",
            },
            "args": {"type": "array", "items": {"type": "string"}},
            "strategy": {"type": "object", "x-kubernetes-patch-strategy": "retainKeys"},
            "env": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "string"}}},
                "x-kubernetes-patch-strategy": "merge",
                "x-kubernetes-patch-merge-key": "name",
            },
        },
    }))
    .unwrap()
}

fn strategic(object: &Value, patch: &Value) -> Result<Value, Failure> {
    strategic_merge_patch(object, patch, &pod_schema())
}

#[test]
fn a_merge_patch_deletes_with_null_merges_objects_and_replaces_lists() {
    let object = json!({"a": {"b": 1, "c": 2}, "list": [1, 2], "gone": 1});
    let patch = json!({"a": {"c": null, "d": {"e": null, "f": 3}}, "list": [null, 3], "gone": null});
    let merged = merge_patch(&object, &patch).unwrap();
    assert_eq!(merged, json!({"a": {"b": 1, "d": {"f": 3}}, "list": [null, 3]}));
}

#[test]
fn a_json_patch_applies_whole_or_not_at_all() {
    let object = json!({"metadata": {"finalizers": ["a"]}, "list": [1, 2, 3]});
    let patch = json!([
        {"op": "test", "path": "/metadata/finalizers/0", "value": "a"},
        {"op": "test", "path": "/metadata/absent", "value": null},
        {"op": "remove", "path": "/metadata/finalizers/0"},
        {"op": "add", "path": "/list/-", "value": 4},
        {"op": "replace", "path": "/list/-4", "value": 0},
        {"op": "copy", "from": "/list", "path": "/x~1y"},
        {"op": "move", "from": "/list/0", "path": "/moved"},
    ]);
    assert_eq!(
        json_patch(&object, &patch),
        Ok(json!({"metadata": {"finalizers": []}, "list": [2, 3, 4], "moved": 0, "x/y": [0, 2, 3, 4]}))
    );
    let failing = json!([{"op": "test", "path": "/list/0", "value": 2}]);
    let failure = json_patch(&object, &failing).unwrap_err();
    assert_eq!((failure.code.as_u16(), failure.reason.as_str()), (422, "Invalid"));
    assert_eq!(failure.message, "the server rejected our request due to an error in our request");
}

#[test]
fn a_patch_that_copies_an_object_into_itself_is_refused() {
    let patch: Vec<Value> = (0..300).map(|_| json!({"op": "copy", "from": "/a", "path": "/a/a"})).collect();
    assert!(json_patch(&json!({"a": {"b": 1}}), &patch.into()).is_err());
    let patch: Vec<Value> =
        (0..300).map(|n| json!({"op": "add", "path": "/a".repeat(n + 1), "value": {}})).collect();
    assert!(json_patch(&json!({}), &patch.into()).is_err());
}

#[test]
fn a_patch_of_the_wrong_type_is_a_bad_request() {
    let message = |failure: Result<Value, Failure>| failure.unwrap_err().message;
    assert_eq!(
        message(json_patch(&json!({}), &json!({}))),
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
    );
    assert_eq!(
        message(merge_patch(&json!({}), &json!([]))),
        "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
    );
}

#[test]
fn a_strategic_patch_merges_lists_by_key() {
    let object = json!({"env": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}], "args": ["x"]});
    let patch = json!({"env": [{"name": "b", "value": "3"}, {"name": "c"}], "args": ["y"]});
    let merged = strategic(&object, &patch).unwrap();
    assert_eq!(
        merged,
        json!({"env": [{"name": "a", "value": "1"}, {"name": "b", "value": "3"}, {"name": "c"}], "args": ["y"]})
    );
    let patch = json!({"env": [{"name": "a", "$patch": "delete"}]});
    assert_eq!(
        strategic(&object, &patch).unwrap(),
        json!({"env": [{"name": "b", "value": "2"}], "args": ["x"]})
    );
}

#[test]
fn a_strategic_patch_obeys_its_directives() {
    let object =
        json!({"finalizers": ["a", "b"], "strategy": {"type": "x", "rolling": {}}, "data": {"k": "v"}});
    let patch = json!({
        "$deleteFromPrimitiveList/finalizers": ["a"],
        "strategy": {"$retainKeys": ["type"], "type": "y"},
        "data": {"$patch": "replace", "l": "w"},
    });
    assert_eq!(
        strategic(&object, &patch).unwrap(),
        json!({"finalizers": ["b"], "strategy": {"type": "y"}, "data": {"l": "w"}})
    );
    let object = json!({"env": [{"name": "a"}, {"name": "own"}, {"name": "b"}]});
    let patch = json!({
        "$setElementOrder/env": [{"name": "b"}, {"name": "a"}],
        "env": [{"name": "a", "value": "1"}],
    });
    assert_eq!(
        strategic(&object, &patch).unwrap(),
        json!({"env": [{"name": "own"}, {"name": "b"}, {"name": "a", "value": "1"}]})
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        "[ab]".prop_map(Value::from),
        Just(json!("delete")),
        Just(json!("replace")),
    ];
    let keys = "a|b|env|name|finalizers|data|[$]patch|[$]retainKeys|[$]setElementOrder/env|[$]deleteFromPrimitiveList/finalizers";
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(keys, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_patch_panics(object in any_json(), patch in any_json()) {
        let _ = merge_patch(&object, &patch);
        let _ = json_patch(&object, &patch);
        let _ = strategic(&object, &patch);
    }

    #[test]
    fn no_json_patch_operation_panics(
        object in any_json(),
        operations in proptest::collection::vec(
            ("add|remove|replace|move|copy|test", "(/(a|b|-|-1|0|1|99999999999999999999)){0,3}", "(/(a|b|0)){0,2}", any_json()),
            0..6,
        ),
    ) {
        let operations: Vec<Value> = operations
            .into_iter()
            .map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
            .collect();
        let _ = json_patch(&object, &operations.into());
    }

    #[test]
    fn a_merge_patch_applied_twice_is_applied_once(object in any_json(), patch in any_json()) {
        if let Ok(once) = merge_patch(&object, &patch) {
            prop_assert_eq!(merge_patch(&once, &patch), Ok(once));
        }
    }
}
