//! Who may do what: a user with a role of chance, who writes roles and bindings and asks about itself.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{one_of, text_of};
use crate::sequence::Request;

const ROOT: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/$P-x";

fn rule() -> BoxedStrategy<Value> {
    let all = "rbac.authorization.k8s.io";
    one_of(&[
        json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}),
        json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"], "resourceNames": ["a"]}),
        json!({"apiGroups": ["", "x"], "resources": ["secrets", "configmaps"], "verbs": ["get", "list"]}),
        json!({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}),
        json!({"apiGroups": ["*"], "resources": ["*/status"], "verbs": ["*"]}),
        json!({"apiGroups": ["conformance.example.com"], "resources": ["things/status"], "verbs": ["patch"]}),
        json!({"apiGroups": [all], "resources": ["roles", "rolebindings"], "verbs": ["create", "update", "patch", "get"]}),
        json!({"apiGroups": [all], "resources": ["roles"], "verbs": ["escalate"]}),
        json!({"apiGroups": [all], "resources": ["roles"], "verbs": ["bind"], "resourceNames": ["a"]}),
        json!({"apiGroups": [all], "resources": ["clusterroles"], "verbs": ["bind"]}),
    ])
}

fn rules() -> BoxedStrategy<Value> {
    prop::collection::vec(rule(), 0..3).prop_map(Value::from).boxed()
}

fn role(name: &str, rules: &Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules})
}

fn binding(name: &str, kind: &str, role: &str) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "$P-ann"}]})
}

/// A role for the user, bound by an administrator, and what the user then does.
pub(crate) fn sequence() -> BoxedStrategy<Vec<Request>> {
    let writes = json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"],
        "verbs": ["create", "update", "patch", "get"]});
    let own = (rules(), prop::bool::weighted(0.8)).prop_map(move |(mut rules, may_write)| {
        if may_write {
            rules.as_array_mut().unwrap().push(writes.clone());
        }
        rules
    });
    (own, prop::collection::vec(request(), 3..10))
        .prop_map(|(rules, requests)| {
            let mut sequence = vec![
                Request::new("POST", format!("{ROOT}/roles")).json(&role("own", &rules)),
                Request::new("POST", format!("{ROOT}/rolebindings")).json(&binding("own", "Role", "own")),
            ];
            sequence.extend(requests);
            sequence
        })
        .boxed()
}

fn request() -> BoxedStrategy<Request> {
    let name = || text_of(&["a", "b"]);
    let made = (name(), rules())
        .prop_map(|(name, rules)| Request::new("POST", format!("{ROOT}/roles")).json(&role(&name, &rules)));
    let replaced = (name(), rules()).prop_map(|(name, rules)| {
        Request::new("PUT", format!("{ROOT}/roles/{name}")).json(&role(&name, &rules))
    });
    let patched = (
        name(),
        one_of(&[
            json!({"metadata": {"finalizers": ["example.com/f"]}}),
            json!({"metadata": {"labels": {"a": "1"}}}),
            json!({"rules": []}),
        ]),
    )
        .prop_map(|(name, patch)| {
            let mut request = Request::new("PATCH", format!("{ROOT}/roles/{name}")).json(&patch);
            "application/merge-patch+json".clone_into(&mut request.content_type);
            request
        });
    let bound = (
        name(),
        prop::sample::select(vec![
            ("Role", "a"),
            ("Role", "own"),
            ("ClusterRole", "system:basic-user"),
            ("Role", "none"),
            ("Odd", "a"),
        ]),
    )
        .prop_map(|(name, (kind, role))| {
            Request::new("POST", format!("{ROOT}/rolebindings")).json(&binding(&name, kind, role))
        });
    let read = text_of(&[
        "/api/v1/namespaces/$P-x/secrets",
        "/api/v1/namespaces/$P-x/secrets/a",
        "/api/v1/namespaces/$P-x/configmaps/b",
        "/api/v1/namespaces/$P-y/secrets/a",
        "/api/v1/namespaces/$P-y/secrets",
        "/apis/conformance.example.com/v1/namespaces/$P-x/things/a/status",
        "/version",
    ])
    .prop_map(|path| Request::new("GET", path));
    let review = (
        text_of(&["get", "list", "escalate"]),
        text_of(&["secrets", "roles"]),
        text_of(&["$P-x", "$P-y", ""]),
        text_of(&["a", ""]),
    )
        .prop_map(|(verb, resource, namespace, name)| {
            let attributes = json!({"verb": verb, "resource": resource, "namespace": namespace, "name": name,
                "group": if resource == "roles" { "rbac.authorization.k8s.io" } else { "" }});
            let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes}});
            Request::new("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").json(&review)
        });
    let any = prop_oneof![4 => made, 3 => replaced, 2 => patched, 5 => bound, 3 => read, 2 => review];
    (any, prop::bool::weighted(0.85))
        .prop_map(|(mut request, as_user)| {
            if as_user {
                "$P-ann".clone_into(&mut request.user);
            }
            request
        })
        .boxed()
}
