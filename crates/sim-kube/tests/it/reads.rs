//! Lists: what they show, and of when.

use serde_json::Value;

use crate::driver::{CONFIG_MAPS, Driver, config_map, text};

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| text(item, "/metadata/name")).collect()
}

fn with(count: usize) -> Driver {
    let mut driver = Driver::new();
    for at in 0..count {
        driver.make(CONFIG_MAPS, &config_map(&format!("c{at}")));
    }
    driver
}

#[test]
fn a_list_in_parts_shows_one_moment() {
    let mut driver = with(5);
    let (_, first) = driver.get(&format!("{CONFIG_MAPS}?&limit=2"));
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["c0", "c1"], &Value::from(3))
    );
    let revision = first["metadata"]["resourceVersion"].clone();
    let (code, _) = driver.delete(&format!("{CONFIG_MAPS}/c2"), &Value::Null);
    assert_eq!(code, 200);
    driver.make(CONFIG_MAPS, &config_map("c9"));

    let token = text(&first, "/metadata/continue").to_owned();
    let (_, second) = driver.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}"));
    assert_eq!((names(&second), &second["metadata"]["resourceVersion"]), (vec!["c2", "c3"], &revision));
    let token = text(&second, "/metadata/continue").to_owned();
    let (_, third) = driver.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}"));
    assert_eq!((names(&third), third["metadata"].get("continue")), (vec!["c4"], None));

    let newest = driver.cluster.store().revision();
    driver.cluster.compact(newest);
    let (code, gone) = driver.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}"));
    assert_eq!((code, text(&gone, "/reason")), (410, "Expired"));
    let token = text(&gone, "/metadata/continue").to_owned();
    let (code, rest) = driver.get(&format!("{CONFIG_MAPS}?limit=5&continue={token}"));
    assert_eq!((code, names(&rest)), (200, vec!["c4", "c9"]));
}

#[test]
fn a_list_is_of_the_revision_that_is_asked_for() {
    let mut driver = with(2);
    let then = driver.cluster.store().revision() - 1;
    let (_, exact) = driver.get(&format!("{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=Exact"));
    assert_eq!(
        (names(&exact), text(&exact, "/metadata/resourceVersion")),
        (vec!["c0"], then.to_string().as_str())
    );
    let (_, newer) =
        driver.get(&format!("{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=NotOlderThan"));
    assert_eq!(names(&newer), ["c0", "c1"]);
    let (code, failure) = driver.get(&format!("{CONFIG_MAPS}?resourceVersion=99999"));
    let current = driver.cluster.store().revision();
    assert_eq!(
        (code, text(&failure, "/message").to_owned()),
        (504, format!("Timeout: Too large resource version: 99999, current: {current}"))
    );
    driver.cluster.compact(current);
    let (code, _) = driver.get(&format!("{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=Exact"));
    assert_eq!(code, 410);
}

#[test]
fn options_that_make_no_sense_are_refused_in_the_servers_words() {
    let mut driver = with(0);
    let mut says = |query: &str| {
        let (code, failure) = driver.get(&format!("{CONFIG_MAPS}?{query}"));
        (
            code,
            text(&failure, "/message")
                .trim_start_matches("ListOptions.meta.k8s.io \"\" is invalid: ")
                .to_owned(),
        )
    };
    for (query, code, message) in [
        (
            "resourceVersionMatch=Exact",
            422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        (
            "resourceVersion=1&resourceVersionMatch=Foo",
            422,
            "resourceVersionMatch: Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
        ),
        (
            "sendInitialEvents=true",
            422,
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ),
        (
            "resourceVersion=abc",
            400,
            "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
        ),
        ("limit=abc", 400, "strconv.ParseInt: parsing \"abc\": invalid syntax"),
        (
            "watch=true&sendInitialEvents=true",
            422,
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "watch=true&resourceVersionMatch=NotOlderThan",
            422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (
            "watch=true&resourceVersion=abc",
            500,
            "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
        ),
        ("fieldSelector=a", 400, "invalid selector: 'a'; can't understand 'a'"),
    ] {
        assert_eq!(says(query), (code, message.to_owned()), "{query}");
    }
}
