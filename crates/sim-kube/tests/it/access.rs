//! Who may do what, and the documents and forms that clients ask for first.

use http::Method;
use serde_json::{Value, json};
use sim_kube::{Answer, Identity};

use crate::driver::{CONFIG_MAPS, DEFINITIONS, Driver, FOOS, config_map, definition, foo, text};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";

fn refusal(driver: &mut Driver, path: &str) -> (u16, String) {
    let (code, failure) = driver.get(path);
    (code, text(&failure, "/message").to_owned())
}

#[test]
fn who_has_no_role_may_not_and_who_has_one_may() {
    let mut driver = Driver::new();
    driver.make(CONFIG_MAPS, &config_map("a"));
    driver.identity = Identity::service_account("default", "reader");
    let path = format!("{CONFIG_MAPS}/a");
    assert_eq!(
        refusal(&mut driver, &path),
        (
            403,
            "configmaps \"a\" is forbidden: User \"system:serviceaccount:default:reader\" cannot get resource \"configmaps\" \
             in API group \"\" in the namespace \"default\""
                .to_owned()
        )
    );
    let reader = std::mem::replace(&mut driver.identity, Identity::admin());
    driver.make(
        &format!("{RBAC}/roles"),
        &json!({"metadata": {"name": "reader"}, "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"], "verbs": ["get", "list"]}]}),
    );
    driver.make(
        &format!("{RBAC}/rolebindings"),
        &json!({
        "metadata": {"name": "reader"}, "roleRef": {"kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]}),
    );
    driver.identity = reader;
    assert_eq!(driver.get(&path).0, 200);
    assert_eq!(driver.get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Da")).0, 200);
    assert_eq!(driver.get(CONFIG_MAPS).0, 403);
    assert_eq!(driver.delete(&path, &Value::Null).0, 403);

    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {
        "resourceAttributes": {"namespace": "default", "verb": "get", "resource": "configmaps", "name": "a"}}});
    let answer = driver.make("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review);
    assert_eq!(answer["status"]["allowed"], true, "{answer}");
}

#[test]
fn a_service_account_gets_a_token_and_is_known_by_it() {
    let mut driver = Driver::new();
    driver.make("/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "s"}}));
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let answer = driver.make("/api/v1/namespaces/default/serviceaccounts/s/token", &request);
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {}", text(&answer, "/status/token")).parse().unwrap());
    let identity = driver.cluster.authenticate(driver.now, &headers, None).unwrap();
    assert_eq!(identity.name, "system:serviceaccount:default:s");
    assert!(identity.is_in("system:serviceaccounts:default"));
}

#[test]
fn a_definition_can_be_discovered_and_explained() {
    let mut driver = Driver::new();
    driver.make(DEFINITIONS, &definition());
    let (code, resources) = driver.get("/apis/ex.io/v1");
    assert_eq!((code, text(&resources, "/resources/0/name")), (200, "foos"));
    assert_eq!(driver.get("/openapi/v3/apis/ex.io/v1").0, 200);
    let (code, version) = driver.get("/version");
    assert_eq!((code, text(&version, "/major")), (200, "1"));
    match driver.answer(Method::HEAD, "/livez/ping", "", &Value::Null) {
        Answer::Response(response) => {
            assert_eq!(response.status(), 200);
            assert!(response.headers().contains_key("x-kubernetes-pf-flowschema-uid"));
        }
        Answer::Watch(..) => panic!("/livez/ping is a watch"),
    }
}

#[test]
fn tables_and_metadata_are_had_for_the_asking() {
    let mut driver = Driver::new();
    driver.make(DEFINITIONS, &definition());
    driver.make(FOOS, &foo("a"));
    driver.accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let (_, table) = driver.get(FOOS);
    assert_eq!((text(&table, "/kind"), text(&table, "/rows/0/cells/0")), ("Table", "a"));
    let watch = driver.watch(&format!("{FOOS}?watch=1"));
    let step = driver.cluster.poll_watch(watch, driver.now);
    let event: Value = serde_json::from_slice(&step.lines[0]).unwrap();
    assert_eq!((text(&event, "/object/kind"), text(&event, "/object/rows/0/cells/0")), ("Table", "a"));

    driver.accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let (_, list) = driver.get(FOOS);
    assert_eq!(text(&list, "/kind"), "PartialObjectMetadataList");
    assert_eq!((text(&list, "/items/0/metadata/name"), list["items"][0].get("spec")), ("a", None));

    driver.accept = "application/x-unknown";
    assert_eq!(driver.get(FOOS).0, 406);
}

#[test]
fn a_cluster_begins_with_the_roles_that_every_cluster_has() {
    let mut driver = Driver::new();
    let (code, role) = driver.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin");
    assert_eq!((code, text(&role, "/rules/0/verbs/0")), (200, "*"));
    driver.identity = Identity::user("somebody", []);
    assert_eq!((driver.get("/apis").0, driver.get("/metrics").0), (200, 403));
}
