//! Deleting: finalizers, preconditions, dependents, namespaces and definitions.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::driver::{CONFIG_MAPS, DEFINITIONS, Driver, FOOS, MERGE, config_map, definition, foo, text};

const A_WHILE: SignedDuration = SignedDuration::from_secs(10);

fn finalized(mut object: Value) -> Value {
    object["metadata"]["finalizers"] = json!(["ex.io/f"]);
    object
}

fn owned_by(mut object: Value, owner: &Value) -> Value {
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": true,
    }]);
    object
}

#[test]
fn finalizers_keep_an_object_until_the_last_is_gone() {
    let mut driver = Driver::new();
    driver.make(DEFINITIONS, &definition());
    driver.make(FOOS, &finalized(foo("a")));
    let path = format!("{FOOS}/a");
    let (code, leaving) = driver.delete(&path, &Value::Null);
    assert_eq!((code, text(&leaving, "/metadata/deletionTimestamp")), (200, "2026-01-01T00:00:00Z"));
    assert_eq!(
        (&leaving["metadata"]["generation"], &leaving["metadata"]["deletionGracePeriodSeconds"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(driver.delete(&path, &Value::Null), (200, leaving.clone()), "once is enough");

    let (code, failure) =
        driver.patch(MERGE, &path, &json!({"metadata": {"finalizers": ["ex.io/f", "ex.io/g"]}}));
    assert_eq!(
        (code, text(&failure, "/message")),
        (
            422,
            "Foo.ex.io \"a\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is \
             being deleted, found new finalizers []string{\"ex.io/g\"}"
        )
    );
    let (code, last) = driver.patch(MERGE, &path, &json!({"metadata": {"finalizers": null}}));
    assert_eq!((code, &last["metadata"]["resourceVersion"]), (200, &leaving["metadata"]["resourceVersion"]));
    assert_eq!(driver.get(&path).0, 404);
}

#[test]
fn a_deletion_may_name_the_object_that_it_means() {
    let mut driver = Driver::new();
    let made = driver.make(CONFIG_MAPS, &config_map("a"));
    let path = format!("{CONFIG_MAPS}/a");
    let (code, failure) = driver.delete(&path, &json!({"preconditions": {"uid": "nope"}}));
    let uid = text(&made, "/metadata/uid");
    assert_eq!(
        (code, text(&failure, "/message").to_owned()),
        (
            409,
            format!(
                "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (nope) does not match the \
                 UID in record ({uid}). The object might have been deleted and then recreated"
            )
        )
    );
    assert_eq!(driver.delete(&path, &json!({"preconditions": {"resourceVersion": "1"}})).0, 409);
    let (code, gone) = driver.delete(&path, &json!({"preconditions": {"uid": uid}}));
    assert_eq!((code, text(&gone, "/status"), text(&gone, "/details/uid")), (200, "Success", uid));
}

#[test]
fn dependents_go_after_their_owner() {
    let mut driver = Driver::new();
    let owner = driver.make(CONFIG_MAPS, &config_map("owner"));
    let child = driver.make(CONFIG_MAPS, &owned_by(config_map("child"), &owner));
    driver.make(CONFIG_MAPS, &owned_by(config_map("grandchild"), &child));
    driver.make(CONFIG_MAPS, &config_map("other"));
    driver.delete(&format!("{CONFIG_MAPS}/owner"), &Value::Null);
    driver.pass(A_WHILE);
    let (_, list) = driver.get(CONFIG_MAPS);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
}

#[test]
fn an_owner_may_wait_for_its_dependents_or_let_them_go() {
    let mut driver = Driver::new();
    for (policy, left) in [("Foreground", 0), ("Orphan", 1)] {
        let owner = driver.make(CONFIG_MAPS, &config_map("owner"));
        driver.make(CONFIG_MAPS, &owned_by(config_map("child"), &owner));
        let (code, waiting) =
            driver.delete(&format!("{CONFIG_MAPS}/owner"), &json!({"propagationPolicy": policy}));
        assert_eq!((code, text(&waiting, "/kind")), (200, "ConfigMap"));
        driver.pass(A_WHILE);
        assert_eq!(driver.get(&format!("{CONFIG_MAPS}/owner")).0, 404, "{policy}");
        let (_, list) = driver.get(CONFIG_MAPS);
        let items = list["items"].as_array().unwrap();
        assert_eq!(items.len(), left, "{policy}");
        assert!(items.iter().all(|item| item["metadata"].get("ownerReferences").is_none()));
    }
}

#[test]
fn a_namespace_goes_when_its_content_has_gone() {
    let mut driver = Driver::new();
    driver.make("/api/v1/namespaces", &json!({"metadata": {"name": "team"}}));
    let inside = "/api/v1/namespaces/team/configmaps";
    driver.make(inside, &config_map("a"));
    driver.make(inside, &finalized(config_map("stuck")));
    let (code, leaving) = driver.delete("/api/v1/namespaces/team", &Value::Null);
    assert_eq!((code, text(&leaving, "/status/phase")), (200, "Terminating"));
    let (code, failure) = driver.post(inside, &config_map("b"));
    assert_eq!(
        (code, text(&failure, "/message"), text(&failure, "/details/causes/0/reason")),
        (
            403,
            "configmaps \"b\" is forbidden: unable to create new content in namespace team because it is being terminated",
            "NamespaceTerminating"
        )
    );
    driver.pass(A_WHILE);
    assert_eq!((driver.get(&format!("{inside}/a")).0, driver.get("/api/v1/namespaces/team").0), (404, 200));
    driver.patch(MERGE, &format!("{inside}/stuck"), &json!({"metadata": {"finalizers": null}}));
    driver.pass(A_WHILE);
    assert_eq!(driver.get("/api/v1/namespaces/team").0, 404);
    assert_eq!(driver.cluster.next_due(), None, "nothing is left to do");

    let (code, failure) = driver.delete("/api/v1/namespaces/default", &Value::Null);
    assert_eq!(
        (code, text(&failure, "/message")),
        (403, "namespaces \"default\" is forbidden: this namespace may not be deleted")
    );
}

#[test]
fn a_definition_goes_when_its_objects_have_gone() {
    let mut driver = Driver::new();
    driver.make(DEFINITIONS, &definition());
    driver.make(FOOS, &finalized(foo("a")));
    driver.delete(&format!("{DEFINITIONS}/foos.ex.io"), &Value::Null);
    let (code, failure) = driver.post(FOOS, &foo("b"));
    assert_eq!(
        (code, text(&failure, "/message")),
        (
            403,
            "foos.ex.io \"b\" is forbidden: create not allowed while custom resource definition is terminating"
        )
    );
    driver.pass(A_WHILE);
    assert_eq!(driver.get(FOOS).0, 200);
    driver.patch(MERGE, &format!("{FOOS}/a"), &json!({"metadata": {"finalizers": null}}));
    driver.pass(A_WHILE);
    assert_eq!((driver.get(FOOS).0, driver.get(&format!("{DEFINITIONS}/foos.ex.io")).0), (404, 404));
}

#[test]
fn a_collection_is_deleted_by_its_selector() {
    let mut driver = Driver::new();
    let mut labelled = config_map("a");
    labelled["metadata"]["labels"] = json!({"x": "y"});
    driver.make(CONFIG_MAPS, &labelled);
    driver.make(CONFIG_MAPS, &config_map("b"));
    let (code, list) = driver.delete(&format!("{CONFIG_MAPS}?labelSelector=x"), &Value::Null);
    assert_eq!((code, list["items"].as_array().unwrap().len()), (200, 1));
    assert_eq!(
        (driver.get(&format!("{CONFIG_MAPS}/a")).0, driver.get(&format!("{CONFIG_MAPS}/b")).0),
        (404, 200)
    );
    assert_eq!(driver.delete("/api/v1/namespaces", &Value::Null).0, 405);
}
