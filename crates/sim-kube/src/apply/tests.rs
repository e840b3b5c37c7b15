use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn schema() -> Schema {
    Schema::custom_resource(&json!({"type": "object", "properties": {"spec": {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "atomic": {"type": "array", "items": {"type": "string"}},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "map": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {
                    "k": {"type": "string", "default": "d"}, "v": {"type": "integer"},
                }},
            },
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    }}}))
    .unwrap()
}

fn scope(schema: &Schema) -> Scope<'_> {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    Scope { schema, api_version: "e.io/v1", kind: "X", subresource: "", ignored: &[], now }
}

#[expect(clippy::needless_pass_by_value, reason = "made where it is passed")]
fn object(spec: Value) -> Value {
    json!({"apiVersion": "e.io/v1", "kind": "X", "metadata": {"name": "x"}, "spec": spec})
}

fn spec() -> impl Strategy<Value = Value> {
    let texts = || proptest::sample::subsequence(vec!["x", "y", "z"], 0..=3).prop_shuffle();
    let items =
        proptest::sample::subsequence(vec!["d", "e", "f"], 0..=3).prop_shuffle().prop_flat_map(|keys| {
            proptest::collection::vec(proptest::option::of(0..2_i64), keys.len()).prop_map(move |values| {
                let items = keys.iter().zip(values).map(|(key, value)| match value {
                    Some(value) => json!({"k": key, "v": value}),
                    None => json!({"k": key}),
                });
                items.collect::<Value>()
            })
        });
    let free =
        prop_oneof![Just(json!({})), Just(json!({"p": 1})), Just(json!({"p": {"q": [1]}, "r": null})),];
    let any = |strategy: BoxedStrategy<Value>| proptest::option::of(strategy);
    (
        any("[xy]".prop_map(Value::from).boxed()),
        any(texts().prop_map(|texts| json!(texts)).boxed()),
        any(texts().prop_map(|texts| json!(texts)).boxed()),
        any(items.boxed()),
        any(free.boxed()),
    )
        .prop_map(|(a, atomic, set, map, free)| {
            let fields = [("a", a), ("atomic", atomic), ("set", set), ("map", map), ("free", free)];
            let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::Object(fields.collect())
        })
}

/// An empty list or map that held what the manager owned goes with it, and comes back when it is applied again, so
/// that only what holds something is applied for good.
fn without_empty(mut spec: Value) -> Value {
    let empty = |value: &Value| *value == json!([]) || *value == json!({});
    spec.as_object_mut().unwrap().retain(|_, value| !empty(value));
    spec
}

/// One write: by whom, forced or not, an apply or an update, of what.
fn writes() -> impl Strategy<Value = Vec<(String, bool, bool, Value)>> {
    proptest::collection::vec(("[mno]", any::<bool>(), any::<bool>(), spec()), 1..8)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "f:a|k:|v:1|i:9|[.]|x".prop_map(Value::from),
    ];
    let keys = "a|k|v|set|map|spec|metadata|managedFields|fieldsV1|f:a|k:[{]\"k\":1[}]|v:1|i:1|[.]|q:|x";
    leaf.prop_recursive(5, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(keys, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn a_field_of_an_embedded_key_order_is_one_field() {
    let decode = |text: &str| PathElement::decode(text).unwrap().unwrap();
    assert_eq!(decode("k:{\"b\":1,\"a\":\"x\"}"), decode("k:{\"a\":\"x\",\"b\":1}"));
    assert_eq!(decode("k:{\"b\":1,\"a\":\"x\"}").to_string(), "[a=\"x\",b=1]");
    assert_eq!(decode("v:1"), decode("v:1.0"));
    assert_eq!(PathElement::decode("q:x"), Ok(None));
    assert!(PathElement::decode("f").is_err());
}

#[test]
fn an_item_without_its_key_counts_with_the_default() {
    let schema = schema();
    let scope = scope(&schema);
    let live = scope.apply(None, &object(json!({"map": [{"v": 1}]})), "m", false).unwrap();
    let failure =
        scope.apply(Some(&live), &object(json!({"map": [{"k": "d", "v": 2}]})), "n", false).unwrap_err();
    assert_eq!(failure.message, "Apply failed with 1 conflict: conflict with \"m\": .spec.map[k=\"d\"].v");
}

proptest! {
    #[test]
    fn no_write_panics(live in any_json(), written in any_json(), manager in "kubectl|m|", force in any::<bool>()) {
        let schema = schema();
        let scope = scope(&schema);
        let whole = object(written.clone());
        for written in [&written, &whole] {
            let _ = scope.apply(Some(&live), written, &manager, force);
            let _ = scope.apply(None, written, &manager, force);
            let _ = scope.track(Some(&live), written.clone(), &manager);
        }
    }

    #[test]
    fn a_field_set_survives_its_form(fields in any_json()) {
        if let Ok(set) = FieldSet::decode(&fields) {
            prop_assert_eq!(FieldSet::decode(&set.encode()), Ok(set));
        }
    }

    /// Whatever was written before: a forced apply succeeds; what it sets is so; the same again changes nothing;
    /// and what nobody owns any more is gone, unless it was never applied.
    #[test]
    fn a_forced_apply_holds(writes in writes(), last in spec()) {
        let schema = schema();
        let scope = scope(&schema);
        let mut live: Option<Value> = None;
        for (manager, force, applies, spec) in writes {
            let written = object(without_empty(spec));
            let outcome = if applies {
                scope.apply(live.as_ref(), &written, &manager, force)
            } else {
                Ok(scope.track(live.as_ref(), written, &manager))
            };
            if let Ok(new) = outcome {
                live = Some(new);
            }
        }
        let applied = object(without_empty(last));
        // The first may take out an object of which the manager owns nothing but that it is there, and which it
        // still says: a real server does, and puts it back the next time.
        let first = scope.apply(live.as_ref(), &applied, "m", true).unwrap();
        let once = scope.apply(Some(&first), &applied, "m", true).unwrap();
        let twice = scope.apply(Some(&once), &applied, "m", true).unwrap();
        prop_assert_eq!(&twice, &once);
        let unforced = scope.apply(Some(&once), &applied, "m", false);
        prop_assert_eq!(unforced.as_ref(), Ok(&once));
        let bare = without_managed_fields(&once);
        prop_assert_eq!(merge::merge(Shape::of(&schema), &bare, &applied), bare);
        // Another who agrees has no conflict.
        prop_assert!(scope.apply(Some(&once), &applied, "p", false).is_ok());
        // The manager leaves, and owns nothing.
        let nothing = json!({"apiVersion": "e.io/v1", "kind": "X", "metadata": {"name": "x"}});
        let left = scope.apply(Some(&once), &nothing, "m", false).unwrap();
        prop_assert!(Managers::decode(&left).unwrap().remove(&scope.writer("m", true)).is_none());
    }
}
