//! What objects of each kind hold beside their metadata: often right, seldom wrong.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::kinds::Place;
use super::{mostly, one_of, some_of};

/// Some fields of an object of this kind; nearly always those without which it is none.
pub(crate) fn content(place: &Place) -> BoxedStrategy<Value> {
    let required = match place.plural {
        "externalissuers" | "externalclusterissuers" => json!({"spec": {"signerType": "mockca"}}),
        "certificaterequests" => json!({"spec": {"request": "eA==", "issuerRef": {"name": "i"}}}),
        _ => return any_content(place),
    };
    (any_content(place), prop::bool::weighted(0.85))
        .prop_map(move |(mut content, complete)| {
            let (spec, required) = (content["spec"].clone(), &required["spec"]);
            if complete && (spec.is_object() || spec.is_null()) {
                content["spec"] = super::joined(required, &spec);
            }
            content
        })
        .boxed()
}

fn any_content(place: &Place) -> BoxedStrategy<Value> {
    let fields = match place.plural {
        "configmaps" => config_map(),
        "secrets" => secret(),
        "serviceaccounts" => service_account(),
        "events" if place.api_version == "v1" => core_event(),
        "events" => new_event(),
        "leases" => return spec(lease()),
        "roles" | "clusterroles" => role(place),
        "rolebindings" => return role_binding(),
        "namespaces" => namespace(),
        "things" => return spec(thing()),
        "gadgets" => return gadget(),
        "externalissuers" | "externalclusterissuers" => return spec(issuer()),
        _ => return spec(certificate_request()),
    };
    some_of(fields)
}

/// A status of an object of this kind.
pub(crate) fn status(place: &Place) -> BoxedStrategy<Value> {
    match place.plural {
        "things" => some_of(vec![
            ("phase", mostly(&[json!("Ready"), json!("Waiting"), Value::Null], &[json!("Other"), json!(1)])),
            ("observed", mostly(&[json!(0), json!(1)], &[json!(-1), json!("1"), json!(1.5)])),
            (
                "conditions",
                mostly(
                    &[
                        json!([]),
                        json!([{"type": "A", "status": "True"}]),
                        json!([{"type": "A", "status": "False", "reason": "r"}]),
                        json!([{"type": "B", "status": "Unknown"}]),
                        json!([{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]),
                    ],
                    &[
                        json!([{"type": "A"}]),
                        json!([{"type": "A", "status": "True"}, {"type": "A", "status": "False"}]),
                        json!({}),
                    ],
                ),
            ),
            ("bogus", one_of(&[json!(1)])),
        ]),
        "namespaces" => some_of(vec![("phase", one_of(&[json!("Active"), json!("Odd")]))]),
        _ => some_of(vec![
            (
                "conditions",
                mostly(
                    &[
                        json!([]),
                        json!([{"type": "Ready", "status": "True", "reason": "Ok", "message": "m", "lastTransitionTime": "2020-01-01T00:00:00Z"}]),
                        json!([{"type": "Ready", "status": "False", "reason": "No", "message": "", "lastTransitionTime": "2020-01-01T00:00:00Z", "observedGeneration": 1}]),
                        json!([{"type": "Approved", "status": "True", "reason": "Yes", "message": "x", "lastTransitionTime": "2020-01-02T00:00:00Z"}]),
                    ],
                    &[
                        json!([{"type": "Ready"}]),
                        json!([{"type": "Ready", "status": "Maybe"}]),
                        json!([{"type": "Ready", "status": "True", "lastTransitionTime": "now"}]),
                    ],
                ),
            ),
            ("certificate", mostly(&[json!("eA=="), json!("")], &[json!("!"), json!(1)])),
            ("bogus", one_of(&[json!(1)])),
        ]),
    }
}

fn spec(spec: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let spec =
        prop_oneof![20 => some_of(spec), 1 => one_of(&[Value::Null, json!({}), json!([]), json!("x")])];
    let rest = some_of(vec![
        ("bogus", one_of(&[json!(1)])),
        ("status", one_of(&[json!({"phase": "Ready"}), json!(1)])),
    ]);
    (prop::option::weighted(0.95, spec), prop::option::weighted(0.1, rest))
        .prop_map(|(spec, rest)| {
            let spec = spec.map_or_else(|| json!({}), |spec| json!({"spec": spec}));
            super::joined(&spec, &rest.unwrap_or_default())
        })
        .boxed()
}

type Fields = Vec<(&'static str, BoxedStrategy<Value>)>;

fn config_map() -> Fields {
    vec![
        (
            "data",
            mostly(
                &[
                    json!({"a": "1"}),
                    json!({"a": "2"}),
                    json!({"a": "1", "b": "1"}),
                    json!({"b": "2"}),
                    Value::Null,
                    json!({"a": null}),
                ],
                &[
                    json!({"a": 1}),
                    json!({"a b": "x"}),
                    json!({"..": "x"}),
                    json!([]),
                    json!({"": "x"}),
                    json!({"a": {}}),
                ],
            ),
        ),
        (
            "binaryData",
            mostly(&[json!({"c": "eA=="})], &[json!({"c": "!"}), json!({"a": "eA=="}), json!({"c": "eA"})]),
        ),
        ("immutable", mostly(&[json!(false), json!(true), Value::Null], &[json!("true")])),
        ("bogus", one_of(&[json!(1)])),
    ]
}

fn secret() -> Fields {
    vec![
        (
            "data",
            mostly(
                &[
                    json!({"a": "eA=="}),
                    json!({"a": "eQ=="}),
                    json!({"b": "eA=="}),
                    Value::Null,
                    json!({"tls.crt": "eA==", "tls.key": "eA=="}),
                ],
                &[json!({"a": "x"}), json!({"a": 1}), json!({"a b": "eA=="}), json!({"a": "e A=="})],
            ),
        ),
        (
            "stringData",
            mostly(&[json!({"a": "z"}), json!({"c": ""}), json!({})], &[json!({"a": 1}), json!({"/": "x"})]),
        ),
        (
            "type",
            mostly(
                &[json!("Opaque"), json!("example.com/t"), json!("")],
                &[
                    json!("kubernetes.io/tls"),
                    json!("kubernetes.io/dockerconfigjson"),
                    json!("kubernetes.io/basic-auth"),
                    json!("kubernetes.io/ssh-auth"),
                    json!("kubernetes.io/service-account-token"),
                    json!(1),
                ],
            ),
        ),
        ("immutable", mostly(&[json!(false), json!(true)], &[json!(1)])),
    ]
}

fn service_account() -> Fields {
    vec![
        ("automountServiceAccountToken", mostly(&[json!(true), json!(false)], &[json!("x")])),
        (
            "imagePullSecrets",
            mostly(
                &[json!([{"name": "a"}]), json!([{"name": "b"}, {"name": "a"}]), json!([])],
                &[json!([{"name": "a"}, {"name": "a"}]), json!([{"nam": "x"}])],
            ),
        ),
        (
            "secrets",
            mostly(&[json!([{"name": "a"}]), json!([{"name": "a", "namespace": "n"}])], &[json!([1])]),
        ),
    ]
}

fn core_event() -> Fields {
    let mut fields = common_event();
    fields.extend([
        ("involvedObject", involved()),
        ("message", mostly(&[json!("m"), json!("n")], &[json!(1)])),
        (
            "source",
            mostly(
                &[json!({"component": "c"}), json!({"component": "c", "host": "h"}), json!({})],
                &[json!("x")],
            ),
        ),
        ("firstTimestamp", mostly(&[json!("2020-01-01T00:00:00Z"), Value::Null], &[json!("x")])),
        ("lastTimestamp", mostly(&[json!("2020-01-02T00:00:00Z")], &[json!(1)])),
        ("count", mostly(&[json!(1), json!(2)], &[json!("1"), json!(1.5)])),
        ("reportingComponent", one_of(&[json!("example.com/c"), json!(""), json!("bad name")])),
    ]);
    fields
}

fn new_event() -> Fields {
    let mut fields = common_event();
    fields.extend([
        ("regarding", involved()),
        ("note", mostly(&[json!("m"), json!("n")], &[json!(1)])),
        ("reportingController", mostly(&[json!("example.com/c")], &[json!(""), json!("bad name")])),
        ("deprecatedCount", one_of(&[json!(1)])),
    ]);
    fields
}

fn involved() -> BoxedStrategy<Value> {
    mostly(
        &[
            json!({"kind": "ConfigMap", "name": "a", "namespace": "$P-x"}),
            json!({"kind": "ConfigMap", "name": "b", "namespace": "$P-x", "apiVersion": "v1", "uid": "u"}),
        ],
        &[json!({}), json!({"kind": "Namespace", "name": "n"}), json!({"namespace": "other"}), json!("x")],
    )
}

fn common_event() -> Fields {
    vec![
        ("reason", mostly(&[json!("Because"), json!("Since")], &[json!(1)])),
        ("type", mostly(&[json!("Normal"), json!("Warning")], &[json!("Odd")])),
        ("action", one_of(&[json!("Do"), json!("")])),
        (
            "eventTime",
            mostly(
                &[json!("2020-01-01T00:00:00.000001Z"), Value::Null],
                &[json!("2020-01-01T00:00:00Z"), json!("x")],
            ),
        ),
        ("reportingInstance", one_of(&[json!("i"), json!("")])),
        (
            "series",
            mostly(
                &[json!({"count": 2, "lastObservedTime": "2020-01-01T00:00:00.000001Z"})],
                &[json!({"count": 1}), json!({})],
            ),
        ),
        ("related", one_of(&[json!({"kind": "Secret", "name": "s"})])),
    ]
}

fn lease() -> Fields {
    vec![
        ("holderIdentity", mostly(&[json!("one"), json!("two"), Value::Null], &[json!(""), json!(1)])),
        (
            "leaseDurationSeconds",
            mostly(&[json!(15), json!(30)], &[json!(0), json!(-1), json!("15"), json!(1.5)]),
        ),
        ("leaseTransitions", mostly(&[json!(0), json!(1)], &[json!(-1)])),
        (
            "renewTime",
            mostly(
                &[json!("2020-01-01T00:00:00.000000Z"), json!("2020-01-01T00:00:01.500000Z")],
                &[json!("2020-01-01T00:00:00Z"), json!("x"), json!(1)],
            ),
        ),
        ("acquireTime", one_of(&[json!("2020-01-01T00:00:00.000000Z")])),
        ("strategy", one_of(&[json!("OldestEmulationVersion"), json!("")])),
        ("preferredHolder", one_of(&[json!("x")])),
    ]
}

fn role(place: &Place) -> Fields {
    let rules = mostly(
        &[
            json!([]),
            json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]),
            json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"], "resourceNames": ["a"]}]),
            json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]),
            Value::Null,
        ],
        &[
            json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": []}]),
            json!([{"apiGroups": [""], "resources": ["secrets"]}]),
            json!([{"resources": ["secrets"], "verbs": ["get"]}]),
            json!([{"apiGroups": [""], "verbs": ["get"]}]),
            json!([{"nonResourceURLs": ["/x"], "verbs": ["get"]}]),
            json!([{"nonResourceURLs": ["/x"], "apiGroups": [""], "resources": ["x"], "verbs": ["get"]}]),
            json!([{}]),
            json!("x"),
        ],
    );
    let mut fields = vec![("rules", rules), ("bogus", one_of(&[json!(1)]))];
    if !place.namespaced {
        fields.push((
            "aggregationRule",
            one_of(&[
                json!({"clusterRoleSelectors": []}),
                json!({}),
                json!({"clusterRoleSelectors": [{"matchLabels": {"none": "$P-none"}}]}),
                json!({"clusterRoleSelectors": [{"matchLabels": {"-": "x"}}]}),
                json!({"clusterRoleSelectors": [{"matchExpressions": [{"key": "a", "operator": "Odd"}]}]}),
            ]),
        ));
    }
    fields
}

fn role_binding() -> BoxedStrategy<Value> {
    let role = mostly(
        &[
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"}),
            json!({"kind": "Role", "name": "a"}),
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}),
        ],
        &[
            json!({"kind": "Odd", "name": "a"}),
            json!({"kind": "Role"}),
            json!({"apiGroup": "x", "kind": "Role", "name": "a"}),
            json!({"kind": "Role", "name": "a/b"}),
        ],
    );
    let subjects = mostly(
        &[
            json!([]),
            json!([{"kind": "User", "name": "ann"}]),
            json!([{"kind": "Group", "name": "g", "apiGroup": "rbac.authorization.k8s.io"}]),
            json!([{"kind": "ServiceAccount", "name": "default", "namespace": "$P-x"}]),
            json!([{"kind": "User", "name": "ann"}, {"kind": "User", "name": "ben"}]),
        ],
        &[
            json!([{"kind": "ServiceAccount", "name": "default"}]),
            json!([{"kind": "User"}]),
            json!([{"kind": "Odd", "name": "x"}]),
            json!([{"kind": "User", "name": "x", "apiGroup": "y"}]),
            json!([{"kind": "ServiceAccount", "name": "A_", "namespace": "n"}]),
        ],
    );
    (prop::option::weighted(0.9, role), prop::option::weighted(0.6, subjects))
        .prop_map(|(role, subjects)| {
            let mut binding = json!({});
            if let Some(role) = role {
                binding["roleRef"] = role;
            }
            if let Some(subjects) = subjects {
                binding["subjects"] = subjects;
            }
            binding
        })
        .boxed()
}

fn namespace() -> Fields {
    vec![
        (
            "spec",
            one_of(&[
                json!({}),
                json!({"finalizers": ["kubernetes"]}),
                json!({"finalizers": ["example.com/x"]}),
                json!({"finalizers": []}),
            ]),
        ),
        ("status", one_of(&[json!({"phase": "Terminating"})])),
        ("bogus", one_of(&[json!(1)])),
    ]
}

fn thing() -> Fields {
    vec![
        (
            "size",
            mostly(
                &[json!(0), json!(1), json!(9), Value::Null],
                &[json!(7), json!(11), json!(-1), json!("3"), json!(1.5), json!(2.0), json!(1e30)],
            ),
        ),
        ("mode", mostly(&[json!("fast"), json!("slow")], &[json!("odd"), json!(""), json!(1), Value::Null])),
        ("word", mostly(&[json!("a"), json!("abc"), json!("")], &[json!("A"), json!("toolong"), json!("é")])),
        ("fixed", mostly(&[json!("f")], &[json!("g")])),
        (
            "ports",
            mostly(
                &[
                    json!([]),
                    json!([{"port": 1}]),
                    json!([{"port": 1, "note": "n"}]),
                    json!([{"port": 1, "protocol": "UDP"}]),
                    json!([{"port": 2}, {"port": 1}]),
                    json!([{"port": 1, "protocol": "TCP", "note": null}]),
                ],
                &[
                    json!([{"note": "x"}]),
                    json!([{"port": 1}, {"port": 1}]),
                    json!([{"port": "1"}]),
                    json!([1]),
                    json!({}),
                    json!([{"port": 1, "bogus": 1}]),
                    json!([null]),
                ],
            ),
        ),
        (
            "tags",
            mostly(
                &[json!([]), json!(["a"]), json!(["b", "a"]), json!(["b"]), Value::Null],
                &[json!(["a", "a"]), json!(["x"]), json!(["a", "b", "c", "d"]), json!([1])],
            ),
        ),
        (
            "items",
            mostly(
                &[json!([]), json!([{"a": "1"}]), json!([{"a": "2", "b": 2}, {}])],
                &[json!([{"b": "x"}]), json!([[]]), json!([null])],
            ),
        ),
        (
            "extra",
            mostly(
                &[json!({"x": {"y": [1, {"z": null}]}}), json!({"known": {"a": 1}}), json!({})],
                &[json!({"known": {"a": "1"}}), json!({"known": {"b": 1}}), json!([])],
            ),
        ),
        ("either", mostly(&[json!(1), json!("1"), json!("50%")], &[json!(true), json!(1.5), json!({})])),
        (
            "nested",
            mostly(
                &[
                    json!({}),
                    json!({"depth": "e"}),
                    json!({"deeper": {}}),
                    json!({"depth": "d", "deeper": {"x": 2}}),
                ],
                &[json!({"depth": 1}), Value::Null, json!({"deeper": null})],
            ),
        ),
        ("nothing", mostly(&[Value::Null, json!("x")], &[json!(1)])),
        (
            "limits",
            mostly(
                &[json!({}), json!({"a": 1}), json!({"a": 2, "b": 1}), json!({"a": null})],
                &[json!({"a": 10}), json!({"a": "x"}), json!({"a": 1, "b": 1, "c": 1})],
            ),
        ),
        ("whole", one_of(&[json!({"a": "1"}), json!({"b": "1"}), json!({})])),
        (
            "template",
            mostly(
                &[
                    json!({"apiVersion": "v1", "kind": "Pod", "spec": {"x": 1}}),
                    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "n", "labels": {"a": "b"}}}),
                ],
                &[
                    json!({}),
                    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "N_"}}),
                    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": 1}}}),
                    json!({"apiVersion": 1, "kind": "Pod"}),
                ],
            ),
        ),
        ("bogus", one_of(&[json!(1)])),
    ]
}

fn gadget() -> BoxedStrategy<Value> {
    let spec = some_of(vec![
        ("count", mostly(&[json!(1), json!(2)], &[json!(3_000_000_000_u64), json!("1"), json!(1.5)])),
        ("ratio", mostly(&[json!(1), json!(0.5), json!(1.0)], &[json!("x")])),
        ("list", mostly(&[json!(["a"]), json!(["b", "a"]), json!([])], &[json!([1]), json!("a")])),
        ("free", one_of(&[json!({"a": {"b": 1}}), json!({"a": {"c": [1, 2]}}), json!(1), Value::Null])),
    ]);
    let rest = some_of(vec![
        ("status", mostly(&[json!({"phase": "x"}), json!({"phase": "y"})], &[json!(1)])),
        ("other", one_of(&[json!(1), json!({"x": "y"})])),
    ]);
    (prop::option::weighted(0.95, spec), rest)
        .prop_map(|(spec, rest)| match spec {
            Some(spec) => super::joined(&json!({"spec": spec}), &rest),
            None => rest,
        })
        .boxed()
}

fn issuer() -> Fields {
    vec![
        (
            "signerType",
            mostly(&[json!("mockca"), json!("pki")], &[json!("odd"), json!(1), json!(""), Value::Null]),
        ),
        (
            "mockca",
            mostly(
                &[json!({}), json!({"caSecretRef": {"name": "ca"}})],
                &[json!({"caSecretRef": {}}), json!("x")],
            ),
        ),
        (
            "authSecretRef",
            mostly(
                &[json!({"name": "a"}), json!({"name": "a", "key": "k"})],
                &[json!({"name": ""}), json!({}), json!({"name": "a", "namespace": "n"})],
            ),
        ),
        (
            "configRef",
            mostly(&[json!({"name": "c"}), json!({"name": "c", "key": "k"})], &[json!({"key": "x"})]),
        ),
        (
            "healthCheckInterval",
            mostly(
                &[json!("1m"), json!("30s"), json!("1.5h")],
                &[json!("1"), json!("1ms"), json!("x"), json!("0")],
            ),
        ),
        ("maxRetryDuration", mostly(&[json!("12h")], &[json!("-1h"), json!(5)])),
        ("bogus", one_of(&[json!(1)])),
    ]
}

fn certificate_request() -> Fields {
    let always = |strategy: BoxedStrategy<Value>| prop_oneof![1 => strategy].boxed();
    vec![
        ("request", always(mostly(&[json!("eA=="), json!("eQ==")], &[json!("!"), json!(1)]))),
        (
            "issuerRef",
            always(mostly(
                &[
                    json!({"name": "i"}),
                    json!({"name": "i", "kind": "ExternalIssuer", "group": "external-issuer.io"}),
                ],
                &[json!({}), json!("i")],
            )),
        ),
        ("duration", mostly(&[json!("1h0m0s")], &[json!(1)])),
        ("isCA", mostly(&[json!(false), json!(true)], &[json!("x")])),
        (
            "usages",
            mostly(
                &[json!(["client auth"]), json!(["digital signature", "key encipherment"]), json!([])],
                &[json!(["odd"]), json!("x")],
            ),
        ),
        ("username", one_of(&[json!("u")])),
        ("extra", one_of(&[json!({"a": ["b"]})])),
        ("bogus", one_of(&[json!(1)])),
    ]
}
