//! Whatever is asked, there is an answer.

use http::Method;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};
use sim_kube::Answer;

use crate::driver::{DEFINITIONS, Driver, config_map, definition, foo};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9A-Z:/. -]{0,12}".prop_map(Value::from),
        Just(json!("2026-01-01T00:00:00Z")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop_oneof![
            Just("metadata".to_owned()),
            Just("name".to_owned()),
            Just("spec".to_owned()),
            Just("x".to_owned()),
            Just("status".to_owned()),
            Just("conditions".to_owned()),
            Just("finalizers".to_owned()),
            Just("managedFields".to_owned()),
            Just("ownerReferences".to_owned()),
            Just("labels".to_owned()),
            "[a-zA-Z]{1,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// An object of the kind that is at most one step away from a good one.
fn body() -> impl Strategy<Value = Value> {
    let pointer = prop_oneof![
        Just(""),
        Just("/metadata"),
        Just("/metadata/name"),
        Just("/spec"),
        Just("/spec/x"),
        Just("/kind"),
        Just("/apiVersion"),
        Just("/metadata/managedFields"),
        Just("/metadata/finalizers"),
        Just("/spec/versions"),
        Just("/spec/names"),
    ];
    let good = prop_oneof![Just(foo("a")), Just(config_map("a")), Just(definition())];
    (good, pointer, json()).prop_map(|(mut object, pointer, value)| {
        match object.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => object["metadata"]["extra"] = value,
        }
        object
    })
}

fn path() -> impl Strategy<Value = String> {
    let place = prop_oneof![
        Just("/apis/ex.io/v1/namespaces/default/foos"),
        Just("/api/v1/namespaces/default/configmaps"),
        Just("/api/v1/namespaces/default/secrets"),
        Just("/api/v1/namespaces/default/events"),
        Just("/apis/events.k8s.io/v1/namespaces/default/events"),
        Just("/api/v1/namespaces"),
        Just("/apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
        Just("/apis/coordination.k8s.io/v1/namespaces/default/leases"),
        Just("/apis/rbac.authorization.k8s.io/v1/clusterroles"),
        Just("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        Just("/api/v1/configmaps"),
        Just("/openapi/v3"),
    ];
    let rest = prop_oneof![
        Just(""),
        Just("/a"),
        Just("/a/status"),
        Just("/default"),
        Just("/foos.ex.io"),
        Just("/a/finalize"),
        Just("//"),
        Just("/%2F%00"),
        Just("/a/token"),
    ];
    let query = prop_oneof![
        Just(String::new()),
        Just("?fieldManager=m&force=true".to_owned()),
        Just("?watch=1&allowWatchBookmarks=1&timeoutSeconds=1".to_owned()),
        Just("?limit=1&resourceVersion=5".to_owned()),
        Just("?fieldValidation=Strict".to_owned()),
        Just("?dryRun=All&propagationPolicy=Foreground".to_owned()),
        "\\?(labelSelector|fieldSelector|continue|resourceVersion)=[a-z0-9=!,()%]{0,8}",
    ];
    (place, rest, query).prop_map(|(place, rest, query)| format!("{place}{rest}{query}"))
}

fn request() -> impl Strategy<Value = (Method, String, &'static str, Value)> {
    let method = prop_oneof![
        Just(Method::GET),
        Just(Method::POST),
        Just(Method::PUT),
        Just(Method::PATCH),
        Just(Method::DELETE),
        Just(Method::HEAD),
        Just(Method::OPTIONS),
    ];
    let media_type = prop_oneof![
        Just("application/json"),
        Just("application/merge-patch+json"),
        Just("application/json-patch+json"),
        Just("application/strategic-merge-patch+json"),
        Just("application/apply-patch+yaml"),
        Just("application/yaml"),
        Just("application/vnd.kubernetes.protobuf"),
        Just("text/plain"),
    ];
    let body = prop_oneof![3 => body(), 1 => json()];
    (method, path(), media_type, body)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered_and_revisions_only_grow(requests in prop::collection::vec(request(), 1..24)) {
        let mut driver = Driver::new();
        driver.make(DEFINITIONS, &definition());
        let mut revision = driver.cluster.store().revision();
        let mut watches = Vec::new();
        for (method, path, media_type, body) in requests {
            let Ok(uri) = path.parse::<http::Uri>() else { continue };
            match driver.answer(method.clone(), &uri.to_string(), media_type, &body) {
                Answer::Watch(_, id) => watches.push(id),
                Answer::Response(response) => {
                    let code = response.status();
                    // Where the real server has no better word than 500, it says which value it could not read.
                    // An answer to HEAD has no words at all.
                    let says_why = method == Method::HEAD || !response.body().is_empty();
                    prop_assert!(code.as_u16() < 500 || says_why, "{method} {path}: {code}");
                    if method != Method::HEAD && !code.is_success() && response.headers().get("content-type").is_some_and(|kind| kind == "application/json") {
                        let status: Value = serde_json::from_slice(response.body()).unwrap();
                        prop_assert_eq!(&status["kind"], "Status");
                        prop_assert_eq!(&status["code"], &json!(code.as_u16()));
                    }
                }
            }
            driver.pass(SignedDuration::from_millis(500));
            prop_assert!(driver.cluster.store().revision() >= revision);
            revision = driver.cluster.store().revision();
            for &id in &watches {
                driver.heard(id);
            }
        }
    }
}
