//! Who owns which fields, and what that means for the next write.

use serde_json::{Value, json};

use crate::driver::{APPLY, DEFINITIONS, Driver, FOOS, MERGE, definition, foo, text};

fn with_foo() -> Driver {
    let mut driver = Driver::new();
    driver.make(DEFINITIONS, &definition());
    driver.make(FOOS, &foo("a"));
    driver
}

/// Every manager with its operation, its subresource and its fields.
fn managers(object: &Value) -> Vec<(String, Value)> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let one = |entry: Value| {
        let part = |key: &str| text(&entry, key).to_owned();
        (
            format!("{} {} {}", part("/manager"), part("/operation"), part("/subresource")),
            entry["fieldsV1"].clone(),
        )
    };
    entries.into_iter().map(one).collect()
}

fn status(conditions: &Value) -> Value {
    json!({"apiVersion": "ex.io/v1", "kind": "Foo", "metadata": {"name": "a"}, "status": {"conditions": conditions}})
}

#[test]
fn the_writer_of_an_object_owns_what_it_wrote() {
    let mut driver = with_foo();
    let (_, made) = driver.get(&format!("{FOOS}/a"));
    assert_eq!(managers(&made), [("test Update ".to_owned(), json!({"f:spec": {".": {}, "f:x": {}}}))]);
}

#[test]
fn status_is_applied_by_condition_and_shared_when_equal() {
    let mut driver = with_foo();
    let path = format!("{FOOS}/a/status");
    let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
    let before = driver.cluster.store().revision();

    let (code, one) = driver.patch(APPLY, &format!("{path}?fieldManager=one"), &status(&ready("False")));
    assert_eq!((code, &one["status"]["conditions"]), (200, &ready("False")));
    let owned = json!({"f:status": {"f:conditions": {"k:{\"type\":\"Ready\"}": {".": {}, "f:status": {}, "f:type": {}}}}});
    assert_eq!(managers(&one)[0], ("one Apply status".to_owned(), owned));
    assert_eq!(one["metadata"]["generation"], 1);

    let (code, again) = driver.patch(APPLY, &format!("{path}?fieldManager=one"), &status(&ready("False")));
    assert_eq!((code, again, driver.cluster.store().revision()), (200, one, before + 1), "nothing changed");

    let (code, conflict) = driver.patch(APPLY, &format!("{path}?fieldManager=two"), &status(&ready("True")));
    assert_eq!((code, text(&conflict, "/details/causes/0/reason")), (409, "FieldManagerConflict"));
    assert_eq!(text(&conflict, "/details/causes/0/field"), ".status.conditions[type=\"Ready\"].status");

    let other = json!([{"type": "Other", "status": "True"}]);
    let (_, both) = driver.patch(APPLY, &format!("{path}?fieldManager=two"), &status(&other));
    assert_eq!(both["status"]["conditions"].as_array().unwrap().len(), 2);
    let (_, gone) = driver.patch(APPLY, &format!("{path}?fieldManager=one"), &status(&json!([])));
    assert_eq!(
        gone["status"]["conditions"],
        json!([{"type": "Other", "status": "True"}]),
        "who owned it alone dropped it"
    );
}

#[test]
fn an_apply_of_status_changes_nothing_else_and_minds_the_revision() {
    let mut driver = with_foo();
    let mut applied = status(&json!([{"type": "Ready", "status": "True"}]));
    applied["metadata"]["labels"] = json!({"x": "y"});
    applied["metadata"]["uid"] = json!("somebody-else");
    applied["spec"] = json!({"x": 9});
    let path = format!("{FOOS}/a/status?fieldManager=one&force=true");
    let (code, object) = driver.patch(APPLY, &path, &applied);
    assert_eq!(
        (code, &object["spec"]["x"], object["metadata"].get("labels")),
        (200, &json!(5), None),
        "{object}"
    );

    let mut stale = status(&json!([]));
    stale["metadata"]["resourceVersion"] = json!("1");
    let (code, conflict) = driver.patch(APPLY, &path, &stale);
    assert_eq!((code, text(&conflict, "/reason")), (409, "Conflict"));
    let (code, missing) = driver.patch(
        APPLY,
        &format!("{FOOS}/nope/status?fieldManager=one"),
        &json!({
        "apiVersion": "ex.io/v1", "kind": "Foo", "metadata": {"name": "nope"}, "status": {}}),
    );
    assert_eq!((code, text(&missing, "/message")), (404, "foos.ex.io \"nope\" not found"));
}

#[test]
fn an_apply_makes_what_is_not_there() {
    let mut driver = with_foo();
    let path = format!("{FOOS}/b?fieldManager=one");
    let mut applied =
        json!({"apiVersion": "ex.io/v1", "kind": "Foo", "metadata": {"name": "b"}, "spec": {"x": 7}});
    let (code, made) = driver.patch(APPLY, &path, &applied);
    assert_eq!((code, text(&made, "/metadata/name"), &made["spec"]["x"]), (201, "b", &json!(7)));
    assert_eq!(managers(&made), [("one Apply ".to_owned(), json!({"f:spec": {"f:x": {}}}))]);

    applied["metadata"] = json!({"name": "c", "uid": "abc"});
    let (code, failure) = driver.patch(APPLY, &format!("{FOOS}/c?fieldManager=one"), &applied);
    assert_eq!(
        (code, text(&failure, "/message")),
        (
            409,
            "Operation cannot be fulfilled on foos.ex.io \"c\": uid mismatch: the provided object specified uid abc, and \
             no existing object was found"
        )
    );
    let (code, failure) = driver.patch(APPLY, &format!("{FOOS}/b"), &applied);
    assert_eq!(
        (code, text(&failure, "/message")),
        (
            422,
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
        )
    );
    let (code, failure) = driver.patch(MERGE, &format!("{FOOS}/b?force=true"), &json!({}));
    assert_eq!(
        (code, text(&failure, "/message")),
        (
            422,
            "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
        )
    );
}

#[test]
fn a_definition_says_that_the_server_wrote_its_status() {
    let mut driver = with_foo();
    let (_, definition) = driver.get(&format!("{DEFINITIONS}/foos.ex.io"));
    let names: Vec<String> = managers(&definition).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["kube-apiserver Update status", "test Update "]);
}
