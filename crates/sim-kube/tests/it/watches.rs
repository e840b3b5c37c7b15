//! Watches: what they tell, from when on, and how they end.

use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use sim_kube::fault::Peer;
use sim_kube::{Answer, Cut, ExpiredWatch, Options};

use crate::driver::{CONFIG_MAPS, DEFINITIONS, Driver, FOOS, MERGE, config_map, definition, text};

#[test]
fn a_watch_tells_every_write_once_from_its_revision_on() {
    let mut driver = Driver::new();
    driver.make(CONFIG_MAPS, &config_map("a"));
    let from = driver.cluster.store().revision();
    driver.make(CONFIG_MAPS, &config_map("b"));
    let watch = driver.watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={from}"));
    let fresh = driver.watch(&format!("{CONFIG_MAPS}?watch=1"));
    driver.patch(MERGE, &format!("{CONFIG_MAPS}/a"), &json!({"data": {"x": "y"}}));
    driver.delete(&format!("{CONFIG_MAPS}/a"), &Value::Null);
    assert_eq!(driver.heard(watch).0, ["ADDED b", "MODIFIED a", "DELETED a"]);
    assert_eq!(driver.heard(fresh).0, ["ADDED a", "ADDED b", "MODIFIED a", "DELETED a"]);
    assert_eq!(driver.heard(watch), (vec![], false));
}

#[test]
fn a_deleted_object_carries_the_revision_of_its_deletion() {
    let mut driver = Driver::new();
    driver.make(CONFIG_MAPS, &config_map("a"));
    let watch =
        driver.watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={}", driver.cluster.store().revision()));
    driver.delete(&format!("{CONFIG_MAPS}/a"), &Value::Null);
    let step = driver.cluster.poll_watch(watch, driver.now);
    let event: Value = serde_json::from_slice(&step.lines[0]).unwrap();
    let revision = driver.cluster.store().revision().to_string();
    assert_eq!(
        (text(&event, "/type"), text(&event, "/object/metadata/resourceVersion")),
        ("DELETED", revision.as_str())
    );
}

#[test]
fn what_comes_into_the_selection_is_added_and_what_leaves_it_is_deleted() {
    let mut driver = Driver::new();
    let watch = driver.watch(&format!("{CONFIG_MAPS}?watch=1&labelSelector=in"));
    driver.make(CONFIG_MAPS, &config_map("a"));
    let label = |value: Value| json!({"metadata": {"labels": {"in": value}}});
    for value in [json!("1"), json!("2"), Value::Null] {
        driver.patch(MERGE, &format!("{CONFIG_MAPS}/a"), &label(value));
    }
    assert_eq!(driver.heard(watch).0, ["ADDED a", "MODIFIED a", "DELETED a"]);
}

#[test]
fn a_streamed_list_ends_with_a_bookmark() {
    let mut driver = Driver::new();
    driver.make(CONFIG_MAPS, &config_map("a"));
    let query = "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let watch = driver.watch(&format!("{CONFIG_MAPS}?{query}"));
    let step = driver.cluster.poll_watch(watch, driver.now);
    let last: Value = serde_json::from_slice(step.lines.last().unwrap()).unwrap();
    assert_eq!((step.lines.len(), text(&last, "/type")), (2, "BOOKMARK"));
    assert_eq!(last["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(last["object"]["metadata"]["resourceVersion"], driver.cluster.store().revision().to_string());

    let none = driver.watch(&format!("{CONFIG_MAPS}?{}", query.replace("Events=true", "Events=false")));
    assert_eq!(driver.heard(none).0, Vec::<String>::new());
}

#[test]
fn a_watch_is_told_how_far_it_is_and_ends_in_time() {
    let mut driver = Driver::new();
    let watch = driver.watch(&format!("{CONFIG_MAPS}?watch=1&allowWatchBookmarks=1&timeoutSeconds=90"));
    let silent = driver.watch(&format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=90"));
    // The state that it began with is complete.
    assert_eq!(driver.heard(watch).0, ["BOOKMARK"]);
    assert_eq!(driver.cluster.watch_deadline(watch), Some(driver.now + SignedDuration::from_mins(1)));
    driver.pass(SignedDuration::from_mins(1));
    assert_eq!(driver.heard(watch), (vec!["BOOKMARK".to_owned()], false));
    assert_eq!(driver.cluster.watch_deadline(watch), Some(driver.now + SignedDuration::from_secs(28)));
    driver.pass(SignedDuration::from_secs(28));
    assert_eq!(driver.heard(watch), (vec!["BOOKMARK".to_owned()], false));
    driver.pass(SignedDuration::from_secs(2));
    assert_eq!(driver.heard(watch), (vec![], true));
    assert_eq!(driver.heard(silent), (vec![], true));
    assert_eq!(driver.heard(silent), (vec![], true));
    assert_eq!(driver.cluster.open_watches(), 0);
}

#[test]
fn a_watch_that_comes_too_late_is_told_so_in_one_of_two_ways() {
    for (expired_watch, code) in [(ExpiredWatch::Event, 200), (ExpiredWatch::Status, 410)] {
        let mut driver = Driver::with(Options { expired_watch, ..Options::default() });
        driver.make(CONFIG_MAPS, &config_map("a"));
        let newest = driver.cluster.store().revision();
        driver.cluster.compact(newest);
        let path = format!("{CONFIG_MAPS}?watch=1&resourceVersion=2");
        match driver.answer(Method::GET, &path, "", &Value::Null) {
            Answer::Watch(head, id) => {
                assert_eq!(head.status(), code);
                let told = driver.heard(id);
                assert_eq!(told, (vec![format!("ERROR too old resource version: 2 ({newest})")], true));
            }
            Answer::Response(response) => assert_eq!(response.status(), code),
        }
    }
}

#[test]
fn a_watch_can_be_cut() {
    let mut driver = Driver::new();
    for (cut, last) in [(Cut::End, vec![]), (Cut::Expired, vec!["ERROR"])] {
        let watch = driver.watch(&format!("{CONFIG_MAPS}?watch=1"));
        driver.heard(watch);
        assert_eq!(driver.cluster.cut_watches(None, &cut), 1);
        let (heard, ended) = driver.heard(watch);
        let kinds: Vec<&str> = heard.iter().map(|event| event.split(' ').next().unwrap()).collect();
        assert_eq!((kinds, ended), (last, true));
    }
}

#[test]
fn watches_end_with_the_kind_that_they_watch() {
    let mut driver = Driver::new();
    driver.make(DEFINITIONS, &definition());
    let watch = driver.watch(&format!("{FOOS}?watch=1"));
    assert!(!driver.heard(watch).1);
    driver.delete(&format!("{DEFINITIONS}/foos.ex.io"), &Value::Null);
    driver.pass(SignedDuration::from_secs(10));
    assert!(driver.heard(watch).1);
    assert_eq!(driver.get(FOOS).0, 404);
}

#[test]
fn a_watch_that_was_held_up_for_longer_than_the_history_goes_back_is_told_so() {
    let mut driver = Driver::new();
    let watch = driver.watch(&format!("{CONFIG_MAPS}?watch=1"));
    assert_eq!(driver.heard(watch), (vec![], false));
    let frozen = driver.cluster.faults().freeze(Peer::default(), driver.cluster.store().revision());
    driver.make(CONFIG_MAPS, &config_map("a"));
    assert_eq!(driver.heard(watch), (vec![], false));
    let newest = driver.cluster.store().revision();
    driver.cluster.compact(newest);
    drop(frozen);
    let told = format!("ERROR too old resource version: {} ({newest})", newest - 1);
    assert_eq!(driver.heard(watch), (vec![told], true));
}
