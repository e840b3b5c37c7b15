//! Making and changing objects.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::driver::{CONFIG_MAPS, DEFINITIONS, Driver, FOOS, JSON, MERGE, config_map, definition, foo, text};

fn message(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, text(&answer.1, "/message"))
}

fn with_foos() -> Driver {
    let mut driver = Driver::new();
    driver.make(DEFINITIONS, &definition());
    driver
}

#[test]
fn the_server_says_who_an_object_is_and_since_when() {
    let mut driver = with_foos();
    let mut object = foo("a");
    object["metadata"]["uid"] = json!("mine");
    object["metadata"]["generation"] = json!(7);
    object["status"] = json!({"conditions": []});
    let made = driver.make(FOOS, &object);
    let metadata = &made["metadata"];
    assert_eq!((text(&made, "/metadata/namespace"), &metadata["generation"]), ("default", &json!(1)));
    assert_eq!(text(&made, "/metadata/creationTimestamp"), "2026-01-01T00:00:00Z");
    assert_eq!((text(&made, "/metadata/uid").len(), made.get("status")), (36, None));
    assert_eq!(made["spec"]["x"], 5, "defaults are filled in");
    assert_eq!(metadata["resourceVersion"], driver.cluster.store().revision().to_string());
}

#[test]
fn names_are_generated_and_the_same_seed_generates_the_same() {
    let object = json!({"metadata": {"generateName": "gen-"}});
    let one = Driver::new().make(CONFIG_MAPS, &object);
    let two = Driver::new().make(CONFIG_MAPS, &object);
    assert_eq!(one["metadata"], two["metadata"]);
    let name = text(&one, "/metadata/name");
    assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
}

#[test]
fn what_cannot_be_made_is_refused_in_the_servers_words() {
    let mut driver = with_foos();
    driver.make(CONFIG_MAPS, &config_map("a"));
    let mut post = |path: &str, body: &Value| {
        let (code, value) = driver.post(path, body);
        (code, text(&value, "/message").to_owned())
    };
    let said = |code: u16, message: &str| (code, message.to_owned());

    assert_eq!(post(CONFIG_MAPS, &config_map("a")), said(409, "configmaps \"a\" already exists"));
    let mut versioned = config_map("b");
    versioned["metadata"]["resourceVersion"] = json!("1");
    assert_eq!(
        post(CONFIG_MAPS, &versioned),
        said(500, "resourceVersion should not be set on objects to be created")
    );
    assert_eq!(
        post("/api/v1/namespaces/nope/configmaps", &config_map("b")),
        said(404, "namespaces \"nope\" not found")
    );
    assert_eq!(
        post(CONFIG_MAPS, &json!({"metadata": {}})),
        said(
            422,
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required"
        )
    );
    let mut elsewhere = config_map("b");
    elsewhere["metadata"]["namespace"] = json!("other");
    assert_eq!(
        post(CONFIG_MAPS, &elsewhere),
        said(400, "the namespace of the provided object does not match the namespace sent on the request")
    );
    assert_eq!(
        post(CONFIG_MAPS, &json!({"metadata": {"name": "b"}, "data": {"a": 1}})),
        said(
            400,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct \
             field ConfigMap.data of type string"
        )
    );
    assert_eq!(
        post(FOOS, &json!({"apiVersion": "ex.io/v1", "kind": "Bar", "metadata": {"name": "b"}, "spec": {}})),
        said(422, "Bar.ex.io \"b\" is invalid: kind: Invalid value: \"Bar\": must be Foo")
    );
    assert_eq!(
        post(
            FOOS,
            &json!({"apiVersion": "ex.io/v1", "kind": "Foo", "metadata": {"name": "b"}, "spec": {"x": 0}})
        ),
        said(
            422,
            "Foo.ex.io \"b\" is invalid: spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1"
        )
    );
    assert_eq!(
        post(
            &format!("{FOOS}?fieldValidation=Strict"),
            &json!({"apiVersion": "ex.io/v1", "kind": "Foo", "metadata": {"name": "b"}, "spec": {"y": 0}})
        ),
        said(
            400,
            "Foo in version \"v1\" cannot be handled as a Foo: strict decoding error: unknown field \"spec.y\""
        )
    );
    assert_eq!(
        post("/api/v1/configmaps", &config_map("b")),
        said(405, "the server does not allow this method on the requested resource")
    );
    assert_eq!(
        post("/api/v1/namespaces/default/nopes", &json!({})),
        said(404, "the server could not find the requested resource")
    );
}

#[test]
fn a_stale_write_is_refused_and_a_write_that_changes_nothing_is_none() {
    let mut driver = with_foos();
    let made = driver.make(FOOS, &foo("a"));
    let path = format!("{FOOS}/a");
    let before = driver.cluster.store().revision();

    let (code, same) = driver.put(&path, &made);
    assert_eq!((code, &same), (200, &made));
    assert_eq!(driver.cluster.store().revision(), before);

    let answer = driver.put(&path, &foo("a"));
    assert_eq!(
        message(&answer),
        (
            422,
            "foos.ex.io \"a\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
        )
    );
    let mut stale = made.clone();
    stale["metadata"]["resourceVersion"] = json!("1");
    let answer = driver.put(&path, &stale);
    assert_eq!(
        message(&answer),
        (
            409,
            "Operation cannot be fulfilled on foos.ex.io \"a\": the object has been modified; please apply your changes \
             to the latest version and try again"
        )
    );
    let mut another = made.clone();
    another["metadata"]["uid"] = json!("abc");
    let (code, conflict) = driver.put(&path, &another);
    assert_eq!((code, text(&conflict, "/reason")), (409, "Conflict"));
    let answer = driver.patch(MERGE, &path, &json!({"metadata": {"uid": "abc"}}));
    assert_eq!(
        message(&answer),
        (422, "Foo.ex.io \"a\" is invalid: metadata.uid: Invalid value: \"abc\": field is immutable")
    );
}

#[test]
fn status_and_the_rest_have_different_writers_and_only_the_rest_counts() {
    let mut driver = with_foos();
    driver.make(FOOS, &foo("a"));
    let (whole, status_path) = (format!("{FOOS}/a"), format!("{FOOS}/a/status"));
    let conditions = json!([{"type": "Ready", "status": "True"}]);

    let wanted = json!({"metadata": {"labels": {"a": "b"}, "uid": "x"}, "spec": {"x": 9}, "status": {"conditions": conditions}});
    let (code, object) = driver.patch(MERGE, &status_path, &wanted);
    assert_eq!((code, &object["status"]["conditions"], &object["spec"]["x"]), (200, &conditions, &json!(5)));
    assert_eq!((&object["metadata"]["generation"], object["metadata"].get("labels")), (&json!(1), None));

    let wanted = json!({"metadata": {"labels": {"a": "b"}}, "status": {"conditions": []}});
    let (code, object) = driver.patch(MERGE, &whole, &wanted);
    assert_eq!((code, &object["status"]["conditions"]), (200, &conditions));
    assert_eq!(
        (&object["metadata"]["generation"], &object["metadata"]["labels"]["a"]),
        (&json!(1), &json!("b"))
    );

    let (_, object) = driver.patch(MERGE, &whole, &json!({"spec": {"x": 6}}));
    assert_eq!(object["metadata"]["generation"], 2);
    let (code, got) = driver.get(&status_path);
    assert_eq!((code, got), (200, object));
}

#[test]
fn patches_test_and_fail_as_a_whole() {
    let mut driver = with_foos();
    driver.make(FOOS, &foo("a"));
    let path = format!("{FOOS}/a");
    let answer = driver.patch(JSON, &path, &json!([{"op": "test", "path": "/spec/x", "value": 1}]));
    assert_eq!(message(&answer), (422, "the server rejected our request due to an error in our request"));
    let (code, object) = driver.patch(
        JSON,
        &path,
        &json!([{"op": "test", "path": "/spec/x", "value": 5}, {"op": "replace", "path": "/spec/x", "value": 6}]),
    );
    assert_eq!((code, &object["spec"]["x"]), (200, &json!(6)));
    let answer = driver.patch("application/strategic-merge-patch+json", &path, &json!({}));
    assert_eq!(answer.0, 415);
    let answer = driver.patch(MERGE, &path, &json!({"metadata": {"name": "b"}}));
    assert_eq!(message(&answer), (400, "the name of the object (b) does not match the name on the URL (a)"));
    let answer = driver.patch(MERGE, &format!("{FOOS}/nope"), &json!({}));
    assert_eq!(message(&answer), (404, "foos.ex.io \"nope\" not found"));
}

#[test]
fn a_dry_run_does_everything_but_write() {
    let mut driver = Driver::new();
    let before = driver.cluster.store().revision();
    let (code, object) = driver.post(&format!("{CONFIG_MAPS}?dryRun=All"), &config_map("a"));
    assert_eq!((code, object["metadata"].get("resourceVersion")), (201, None));
    assert_eq!(driver.cluster.store().revision(), before);
    driver.make(CONFIG_MAPS, &config_map("a"));
    let before = driver.cluster.store().revision();
    let (code, _) = driver.patch(MERGE, &format!("{CONFIG_MAPS}/a?dryRun=All"), &json!({"data": {"a": "b"}}));
    assert_eq!((code, driver.delete(&format!("{CONFIG_MAPS}/a?dryRun=All"), &Value::Null).0), (200, 200));
    assert_eq!(driver.cluster.store().revision(), before);
}

#[test]
fn secrets_keep_text_as_base64_and_keep_their_type() {
    let mut driver = Driver::new();
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    let mut text_secret = secret("s");
    text_secret["stringData"] = json!({"a": "b"});
    let made = driver.make(secrets, &text_secret);
    assert_eq!(
        (&made["data"]["a"], text(&made, "/type"), made.get("stringData")),
        (&json!("Yg=="), "Opaque", None)
    );

    let mut other = secret("s");
    other["type"] = json!("foo");
    let answer = driver.put(&format!("{secrets}/s"), &other);
    assert_eq!(
        message(&answer),
        (422, "Secret \"s\" is invalid: type: Invalid value: \"foo\": field is immutable")
    );
    let mut tls = secret("t");
    tls["type"] = json!("kubernetes.io/tls");
    let answer = driver.post(secrets, &tls);
    assert_eq!(
        message(&answer),
        (422, "Secret \"t\" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required value]")
    );
    let mut bad = secret("u");
    bad["data"] = json!({"a": "!!!"});
    let answer = driver.post(secrets, &bad);
    assert_eq!(
        message(&answer),
        (400, "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 0")
    );
}

#[test]
fn leases_are_made_by_a_put_and_guarded_by_their_revision() {
    let mut driver = Driver::new();
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    let mut lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
        "spec": {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.000000Z"}});
    let (code, made) = driver.put(path, &lease);
    assert_eq!((code, text(&made, "/spec/renewTime")), (201, "2026-01-01T00:00:00.000000Z"));
    lease["spec"]["renewTime"] = json!("2026-01-01T00:00:00.5Z");
    let answer = driver.put(path, &lease);
    assert_eq!(
        message(&answer),
        (
            400,
            "Lease in version \"v1\" cannot be handled as a Lease: parsing time \"2026-01-01T00:00:00.5Z\" as \
             \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \".5Z\" as \".000000\""
        )
    );
}

#[test]
fn an_event_is_one_thing_in_two_groups_and_lasts_an_hour_from_its_last_write() {
    let mut driver = Driver::new();
    let (old, new) =
        ("/api/v1/namespaces/default/events", "/apis/events.k8s.io/v1/namespaces/default/events");
    let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "regarding": {"kind": "Secret", "name": "s", "namespace": "default"}, "reason": "R", "note": "N", "type": "Normal",
        "action": "A", "eventTime": "2026-01-01T00:00:00.123456Z", "reportingController": "c", "reportingInstance": "i"});
    driver.make(new, &event);
    let (code, seen) = driver.get(&format!("{old}/e"));
    assert_eq!((code, text(&seen, "/involvedObject/name"), text(&seen, "/message")), (200, "s", "N"));
    let selected = |driver: &mut Driver, query: &str| driver.get(query).1["items"].as_array().unwrap().len();
    assert_eq!(selected(&mut driver, &format!("{old}?fieldSelector=involvedObject.name%3Ds,source%3Dc")), 1);
    assert_eq!(selected(&mut driver, &format!("{new}?fieldSelector=regarding.name%3Dt")), 0);

    driver.pass(SignedDuration::from_mins(40));
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:40:00.000000Z"}});
    assert_eq!(driver.patch(MERGE, &format!("{new}/e"), &series).0, 200);
    driver.pass(SignedDuration::from_mins(59));
    assert_eq!(driver.get(&format!("{old}/e")).1["series"]["count"], 2);
    driver.pass(SignedDuration::from_mins(1));
    assert_eq!(driver.get(&format!("{old}/e")).0, 404);
}

#[test]
fn a_definition_is_served_at_once() {
    let mut driver = Driver::new();
    assert_eq!(driver.get(FOOS).0, 404);
    let made = driver.make(DEFINITIONS, &definition());
    assert_eq!(
        (text(&made, "/spec/names/listKind"), &made["status"]["conditions"]),
        ("FooList", &Value::Null)
    );
    let (_, definition) = driver.get(&format!("{DEFINITIONS}/foos.ex.io"));
    let established =
        definition["status"]["conditions"].as_array().unwrap().iter().any(|condition| {
            (text(condition, "/type"), text(condition, "/status")) == ("Established", "True")
        });
    assert!(established, "{definition}");
    assert_eq!(driver.get(FOOS).1["kind"], "FooList");
}
