//! Making, changing and deleting.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::content::{content, status};
use super::kinds::Place;
use super::metadata::metadata;
use super::reads::{name, namespace};
use super::{joined, maybe, one_of, text_of};
use crate::sequence::Request;

type Query = Vec<(String, String)>;

/// What any write may ask for.
fn options() -> BoxedStrategy<Query> {
    (
        maybe("fieldManager", 0.4, &["m1", "m2", "m1"]),
        maybe("fieldValidation", 0.25, &["Strict", "Warn", "Ignore", "Odd"]),
        maybe("dryRun", 0.05, &["All", "All", "Odd", ""]),
    )
        .prop_map(|(manager, validation, dry_run)| {
            manager.into_iter().chain(validation).chain(dry_run).collect()
        })
        .boxed()
}

/// An object with type, name and labels by which what is outside namespaces is found again.
fn object(place: &Place, name: &str, metadata: &Value, content: &Value) -> Value {
    let mut metadata = metadata.clone();
    if !name.is_empty() {
        metadata["name"] = json!(name);
    }
    if !place.namespaced {
        let labels = metadata.get("labels").cloned().unwrap_or_else(|| json!({}));
        if labels.is_object() {
            metadata["labels"] = joined(&labels, &json!({"seq": "$P"}));
        }
    }
    joined(&json!({"apiVersion": place.api_version, "kind": place.kind, "metadata": metadata}), content)
}

fn whole(place: &Place) -> BoxedStrategy<Value> {
    let place = *place;
    (name(&place), metadata(&place), content(&place))
        .prop_map(move |(name, metadata, content)| object(&place, &name, &metadata, &content))
        .boxed()
}

pub(crate) fn create(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    let seldom = prop_oneof![30 => Just(None), 1 => Just(Some("$RV")), 1 => Just(Some("0"))];
    (namespace(), whole(&place), options(), seldom)
        .prop_map(move |(namespace, mut object, options, version)| {
            if let Some(version) = version {
                object["metadata"]["resourceVersion"] = json!(version);
            }
            let mut request = Request::new("POST", place.collection(&namespace)).json(&object);
            request.query = options;
            request
        })
        .boxed()
}

/// Names made by the server; each base is used once in nearly every sequence, since their order is chance.
pub(crate) fn generate_name(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    (10..100_u8, metadata(&place), content(&place), options())
        .prop_map(move |(base, metadata, content, options)| {
            let mut object = object(&place, "", &metadata, &content);
            object["metadata"]["generateName"] = json!(format!("gen{base}-"));
            let mut request = Request::new("POST", place.collection("$P-x")).json(&object);
            request.query = options;
            request
        })
        .boxed()
}

fn with_status(place: &Place, object: Value) -> BoxedStrategy<(bool, Value)> {
    let weight = if place.status { 0.35 } else { 0.02 };
    (prop::bool::weighted(weight), status(place))
        .prop_map(move |(writes_status, status)| {
            let object =
                if writes_status { joined(&object, &json!({"status": status})) } else { object.clone() };
            (writes_status, object)
        })
        .boxed()
}

fn on_status(request: &mut Request, writes_status: bool) {
    if writes_status {
        request.path.push_str("/status");
    }
}

pub(crate) fn update(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    let version = prop_oneof![
        10 => Just(Some("$RV")),
        2 => Just(Some("$OLD")),
        2 => Just(None),
        1 => Just(Some("x")),
        1 => Just(Some("0")),
    ];
    let seldom = prop_oneof![20 => Just(None), 1 => Just(Some("b")), 1 => Just(Some(""))];
    let object = whole(&place).prop_flat_map(move |object| with_status(&place, object));
    (namespace(), object, options(), version, seldom)
        .prop_map(move |(namespace, (writes_status, mut object), options, version, other_name)| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if let Some(version) = version {
                object["metadata"]["resourceVersion"] = json!(version);
            }
            if let Some(other_name) = other_name {
                object["metadata"]["name"] = json!(other_name);
            }
            let mut request = place.object("PUT", &namespace, &name).json(&object);
            on_status(&mut request, writes_status);
            request.query = options;
            request
        })
        .boxed()
}

/// A place in an object, for JSON patches.
fn pointer(place: &Place) -> BoxedStrategy<String> {
    let own: &[&'static str] = match place.plural {
        "configmaps" => &["/data/a", "/data/b", "/data", "/immutable", "/binaryData"],
        "secrets" => &["/data/a", "/data", "/stringData", "/type"],
        "things" => &[
            "/spec/size",
            "/spec/ports/0",
            "/spec/ports/-",
            "/spec/tags/0",
            "/spec/extra",
            "/spec/mode",
            "/spec",
            "/status/phase",
            "/spec/nested/depth",
        ],
        "gadgets" => &["/spec/count", "/spec/list/0", "/spec/free/a", "/other", "/status"],
        "roles" | "clusterroles" => &["/rules/0", "/rules/-", "/rules/0/verbs/0", "/rules"],
        _ => &["/spec", "/spec/x", "/status", "/type", "/message"],
    };
    let mut pointers = vec![
        "/metadata/labels/app",
        "/metadata/labels",
        "/metadata/annotations/note",
        "/metadata/finalizers",
        "/metadata/finalizers/0",
        "/metadata/name",
        "/metadata/resourceVersion",
        "/metadata/uid",
        "/bogus",
        "",
        "x",
        "/metadata/managedFields",
    ];
    pointers.extend(own);
    pointers.extend(own);
    text_of(&pointers)
}

fn json_patch(place: &Place) -> BoxedStrategy<Value> {
    let value = one_of(&[
        json!("1"),
        json!("x"),
        json!(1),
        json!({}),
        json!([]),
        Value::Null,
        json!({"a": "1"}),
        json!(["example.com/f"]),
        json!({"port": 1}),
        json!("fast"),
    ]);
    let operation = (
        text_of(&["add", "add", "add", "replace", "replace", "remove", "test", "copy", "move"]),
        pointer(place),
        pointer(place),
        value,
    )
        .prop_map(|(operation, path, from, value)| {
            let mut step = json!({"op": operation, "path": path});
            match operation.as_str() {
                "add" | "replace" | "test" => step["value"] = value,
                // What each server makes up for itself cannot be compared elsewhere.
                "copy" | "move" if from.ends_with("Version") || from.ends_with("uid") => {
                    step["from"] = json!("/metadata/labels");
                }
                "copy" | "move" => step["from"] = json!(from),
                _ => {}
            }
            step
        });
    prop_oneof![
        20 => prop::collection::vec(operation, 0..3).prop_map(Value::from),
        1 => one_of(&[json!([{"op": "odd", "path": "/x"}]), json!([{"path": "/x"}]), json!({}), json!([1]), json!([{"op": "add", "path": "/x"}])]),
    ]
    .boxed()
}

fn merge_patch(place: &Place) -> BoxedStrategy<Value> {
    let place = *place;
    let version = prop_oneof![10 => Just(None), 1 => Just(Some("$RV")), 1 => Just(Some("$OLD"))];
    let nulls = one_of(&[
        json!({"metadata": {"labels": null}}),
        json!({"metadata": {"finalizers": null}}),
        json!({"data": null}),
        json!({"spec": null}),
        json!({"metadata": {"annotations": {"note": null}}}),
        json!({"data": {"a": null}}),
        json!({"rules": null}),
        json!({"status": null}),
        json!({"metadata": {"name": "b"}}),
        json!({}),
        json!({"kind": "Odd"}),
        json!([]),
        json!("x"),
        json!({"metadata": null}),
    ]);
    let patch = (metadata(&place), content(&place), version).prop_map(|(metadata, content, version)| {
        let mut patch = joined(&json!({"metadata": metadata}), &content);
        if let Some(version) = version {
            patch["metadata"]["resourceVersion"] = json!(version);
        }
        patch
    });
    prop_oneof![5 => patch, 2 => nulls].boxed()
}

fn strategic_patch(place: &Place) -> BoxedStrategy<Value> {
    let directives = one_of(&[
        json!({"data": {"$patch": "delete"}}),
        json!({"data": {"$patch": "replace", "z": "eg=="}}),
        json!({"$patch": "delete"}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/f"]}}),
        json!({"metadata": {"$setElementOrder/finalizers": ["example.com/g", "example.com/f"], "finalizers": ["example.com/g"]}}),
        json!({"metadata": {"$retainKeys": ["name"], "name": "a"}}),
        json!({"metadata": {"$patch": "odd"}}),
        json!({"metadata": {"ownerReferences": [{"uid": "$OWNER", "$patch": "delete"}]}}),
        json!({"imagePullSecrets": [{"name": "a", "$patch": "delete"}]}),
        json!({"imagePullSecrets": [{"name": "c"}]}),
        json!({"secrets": [{"name": "c"}]}),
        json!({"rules": [{"verbs": ["get"]}]}),
    ]);
    prop_oneof![3 => merge_patch(place), 2 => directives].boxed()
}

pub(crate) fn patch(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    let strategic = if place.custom { 1 } else { 6 };
    let body = prop_oneof![
        6 => json_patch(&place).prop_map(|patch| ("application/json-patch+json", patch)),
        8 => merge_patch(&place).prop_map(|patch| ("application/merge-patch+json", patch)),
        strategic => strategic_patch(&place).prop_map(|patch| ("application/strategic-merge-patch+json", patch)),
    ];
    let body = body.prop_flat_map(move |(media_type, body)| {
        let body = if body.is_object() {
            with_status(&place, body)
        } else {
            (prop::bool::weighted(0.1), Just(body)).boxed()
        };
        (Just(media_type), body)
    });
    (namespace(), name(&place), body, options(), maybe("force", 0.02, &["true"]))
        .prop_map(move |(namespace, name, (media_type, (writes_status, body)), options, force)| {
            let mut request = place.object("PATCH", &namespace, &name).json(&body);
            media_type.clone_into(&mut request.content_type);
            on_status(&mut request, writes_status && place.status);
            request.query = options;
            request.query.extend(force);
            request
        })
        .boxed()
}

pub(crate) fn apply(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    let manager = prop_oneof![12 => text_of(&["m1", "m2"]), 1 => text_of(&[""])];
    let query = (manager, maybe("force", 0.3, &["true", "true", "false"]), options());
    let object = whole(&place).prop_flat_map(move |object| with_status(&place, object));
    let seldom = prop_oneof![
        16 => Just(None),
        1 => Just(Some(("resourceVersion", "$RV"))),
        1 => Just(Some(("resourceVersion", "$OLD"))),
        1 => Just(Some(("name", ""))),
        1 => Just(Some(("name", "other"))),
    ];
    (namespace(), object, query, seldom)
        .prop_map(move |(namespace, (writes_status, mut object), (manager, force, options), seldom)| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if place.custom {
                // What is empty in the metadata of a custom object is a write, though nobody sees it.
                let metadata = object["metadata"].as_object_mut().unwrap();
                metadata.retain(|_, value| !value.is_null() && *value != json!([]) && *value != json!({}));
            }
            if let Some((key, value)) = seldom {
                object["metadata"][key] = json!(value);
            }
            let mut request = place.object("PATCH", &namespace, &name).json(&object);
            "application/apply-patch+yaml".clone_into(&mut request.content_type);
            on_status(&mut request, writes_status);
            request.query = options.into_iter().filter(|(key, _)| key != "fieldManager").collect();
            if !manager.is_empty() {
                request.query.push(("fieldManager".to_owned(), manager));
            }
            request.query.extend(force);
            request
        })
        .boxed()
}

/// The options of a deletion, in the body.
fn delete_options() -> BoxedStrategy<Option<Value>> {
    let options = one_of(&[
        json!({}),
        json!({"apiVersion": "v1", "kind": "DeleteOptions"}),
        json!({"preconditions": {"uid": "$UID"}}),
        json!({"preconditions": {"uid": "11111111-1111-1111-1111-111111111111"}}),
        json!({"preconditions": {"resourceVersion": "$RV"}}),
        json!({"preconditions": {"resourceVersion": "$OLD"}}),
        json!({"propagationPolicy": "Foreground"}),
        json!({"propagationPolicy": "Background"}),
        json!({"propagationPolicy": "Orphan"}),
        json!({"propagationPolicy": "Odd"}),
        json!({"orphanDependents": true}),
        json!({"orphanDependents": false}),
        json!({"orphanDependents": true, "propagationPolicy": "Orphan"}),
        json!({"gracePeriodSeconds": 0}),
        json!({"gracePeriodSeconds": 10}),
        json!({"gracePeriodSeconds": -1}),
        json!({"dryRun": ["All"]}),
        json!({"dryRun": ["Odd"]}),
        json!({"bogus": 1}),
        json!({"kind": "Odd", "apiVersion": "v1"}),
        json!({"propagationPolicy": 1}),
    ]);
    prop::option::weighted(0.5, options).boxed()
}

fn delete_query() -> BoxedStrategy<Query> {
    (
        maybe("propagationPolicy", 0.1, &["Foreground", "Background", "Orphan", "Odd"]),
        maybe("dryRun", 0.05, &["All", "Odd"]),
        maybe("gracePeriodSeconds", 0.05, &["0", "5", "x"]),
    )
        .prop_map(|(policy, dry_run, grace)| policy.into_iter().chain(dry_run).chain(grace).collect())
        .boxed()
}

pub(crate) fn delete(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    (namespace(), name(&place), delete_options(), delete_query())
        .prop_map(move |(namespace, name, options, query)| {
            let mut request = place.object("DELETE", &namespace, &name);
            if let Some(options) = options {
                request = request.json(&options);
            }
            request.query = query;
            request
        })
        .boxed()
}

pub(crate) fn delete_collection(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    let options = prop_oneof![
        5 => Just(None),
        1 => Just(Some(json!({"propagationPolicy": "Background"}))),
        1 => Just(Some(json!({"dryRun": ["All"]}))),
        1 => Just(Some(json!({"preconditions": {"uid": "11111111-1111-1111-1111-111111111111"}}))),
    ];
    (
        options,
        maybe("labelSelector", 0.5, &["app=1", "!app"]),
        maybe("fieldSelector", 0.2, &["metadata.name=a"]),
    )
        .prop_map(move |(options, labels, fields)| {
            let mut request = Request::new("DELETE", place.collection("$P-x"));
            if let Some(options) = options {
                request = request.json(&options);
            }
            request.query.extend(labels);
            request.query.extend(fields);
            if !place.namespaced {
                // Not others' objects.
                request.query = vec![("labelSelector".to_owned(), "seq=$P".to_owned())];
            }
            request
        })
        .boxed()
}

/// What is not understood: of the wrong type, no JSON, of another kind, at a path that is none, by a verb that is
/// not there.
pub(crate) fn nonsense(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    let media_type = text_of(&[
        "application/json",
        "application/json",
        "application/yaml",
        "text/plain",
        "",
        "application/merge-patch+json",
        "application/json; charset=utf-8",
        "application/apply-patch+yaml",
        "application/apply-patch+cbor",
        "application/cbor",
        "application/vnd.kubernetes.protobuf",
        "nonsense",
    ]);
    let body = prop_oneof![
        3 => whole(&place).prop_map(|object| object.to_string()),
        2 => text_of(&["", "{", "null", "[]", "1", "\"x\"", "{\"a\": 1,}", "{\"kind\": 1}", "{\"metadata\": 1}", "{} {}", "a: 1", "{\"metadata\": {\"name\": \"a\", \"name\": \"b\"}}"]),
        2 => (whole(&place), text_of(&["kind", "apiVersion"]), one_of(&[json!("Odd"), json!(""), json!("v1"), json!(1), json!("Secret"), json!("a/b/c")]))
            .prop_map(|(mut object, key, value)| {
                object[key] = value;
                object.to_string()
            }),
    ];
    let path = prop_oneof![
        4 => name(&place).prop_map(move |name| format!("{}/{name}", place.collection("$P-x"))),
        4 => Just(place.collection("$P-x")),
        1 => name(&place).prop_map(move |name| format!("{}/{name}/odd", place.collection("$P-x"))),
        1 => name(&place).prop_map(move |name| format!("{}/{name}/status", place.collection("$P-x"))),
        1 => name(&place).prop_map(move |name| format!("{}/{name}", place.everywhere())),
        1 => text_of(&["A_", "a%2Fb", "-", "."]).prop_map(move |name| format!("{}/{name}", place.collection("$P-x"))),
        1 => Just(format!("{}s", place.collection("$P-x"))),
    ];
    (
        text_of(&["POST", "PUT", "PATCH", "PATCH", "POST", "PUT", "GET", "HEAD", "OPTIONS"]),
        path,
        media_type,
        body,
    )
        .prop_map(move |(method, path, content_type, body)| {
            // A real server breaks the connection when a custom object comes as protobuf.
            let breaks = place.custom && content_type == "application/vnd.kubernetes.protobuf";
            let content_type = if breaks { "application/cbor".to_owned() } else { content_type };
            let reads = matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS");
            let mut request = Request { method, path, content_type, body, ..Request::default() };
            if reads {
                request.body.clear();
                request.content_type.clear();
                if request.method == "GET" && !place.namespaced {
                    request.query.push(("labelSelector".to_owned(), "seq=$P".to_owned()));
                }
            }
            request
        })
        .boxed()
}
