//! The metadata of objects that are sent.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::kinds::Place;
use super::{one_of, some_of};

/// Labels, annotations, finalizers and owners.
pub(crate) fn metadata(place: &Place) -> BoxedStrategy<Value> {
    let mut fields = vec![
        ("labels", labels()),
        (
            "annotations",
            prop_oneof![
                9 => one_of(&[json!({"note": "x"}), json!({"note": "y", "n": "1"}), json!({}), Value::Null]),
                1 => one_of(&[json!({"-bad": "x"}), json!({"note": 1}), json!({"A.b/C": "x"}), json!({"/x": ""})]),
            ]
            .boxed(),
        ),
    ];
    let seldom = prop_oneof![
        6 => one_of(&[json!(["example.com/f"]), json!(["example.com/g"]), json!(["example.com/f", "example.com/g"]), json!([])]),
        1 => one_of(&[json!(["plain"]), json!(["example.com/f", "example.com/f"]), json!(["a b/c"]), json!("f"), json!(["orphan"])]),
    ];
    fields.push(("finalizers", seldom.boxed()));
    if place.namespaced {
        fields.push(("ownerReferences", owners()));
    }
    let rest = some_of(vec![
        ("generation", one_of(&[json!(7)])),
        ("creationTimestamp", one_of(&[json!("2020-01-01T00:00:00Z"), Value::Null])),
        ("deletionTimestamp", one_of(&[json!("2020-01-01T00:00:00Z")])),
        ("deletionGracePeriodSeconds", one_of(&[json!(5)])),
        ("uid", one_of(&[json!("$UID"), json!("11111111-1111-1111-1111-111111111111")])),
        ("managedFields", one_of(&[json!([]), json!([{}]), Value::Null])),
        ("namespace", one_of(&[json!("$P-x"), json!("$P-y"), json!("")])),
        ("bogus", one_of(&[json!("x")])),
    ]);
    (some_of(fields), prop::option::weighted(0.06, rest))
        .prop_map(|(often, seldom)| super::joined(&often, &seldom.unwrap_or_else(|| json!({}))))
        .boxed()
}

fn labels() -> BoxedStrategy<Value> {
    prop_oneof![
        9 => some_of(vec![
            ("app", one_of(&[json!("1"), json!("2")])),
            ("tier", one_of(&[json!("1"), json!("")])),
        ]),
        1 => one_of(&[json!({"app": "-bad-"}), json!({"a/b/c": "1"}), json!({"app": 1}), json!({"app": null}), json!([])]),
    ]
    .boxed()
}

fn owners() -> BoxedStrategy<Value> {
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "$OWNER"});
    let with = |key: &str, value: Value| {
        let mut owner = owner.clone();
        owner[key] = value;
        owner
    };
    prop_oneof![
        8 => one_of(&[Value::Null, json!([])]),
        4 => one_of(&[
            json!([owner]),
            json!([with("blockOwnerDeletion", json!(true))]),
            json!([with("controller", json!(true))]),
        ]),
        1 => one_of(&[
            json!([with("name", json!(""))]),
            json!([with("uid", json!(""))]),
            json!([with("kind", json!(""))]),
            json!([with("apiVersion", json!(""))]),
            json!([owner.clone(), owner.clone()]),
            json!([with("controller", json!(true)), {"apiVersion": "v1", "kind": "ConfigMap", "name": "b", "uid": "u", "controller": true}]),
        ]),
    ]
    .boxed()
}
