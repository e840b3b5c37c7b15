//! Events: `v1` and `events.k8s.io/v1` are two faces of one thing, which is stored with the first one's names.

use serde_json::{Value, json};

use crate::{Cause, GroupResource, object};

/// The name of a field in `events.k8s.io/v1`, and in `v1`.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];
/// What `v1` always says.
const ALWAYS: [&str; 5] =
    ["reportingComponent", "reportingInstance", "source", "firstTimestamp", "lastTimestamp"];
/// The longest that the parts of an event may be.
const LONGEST: usize = 128;

/// Where events are stored.
#[must_use]
pub(crate) fn resource() -> GroupResource {
    GroupResource::new("", "events")
}

/// An event as it is stored, of one in `events.k8s.io/v1`.
pub(crate) fn to_stored(event: &Value) -> Value {
    let mut stored = renamed(event, |(new, old)| (new, old));
    object::put(&mut stored, "apiVersion", Some(json!("v1")));
    fill(&mut stored);
    stored
}

/// A stored event in `events.k8s.io/v1`.
pub(crate) fn from_stored(stored: &Value) -> Value {
    let mut event = renamed(stored, |(new, old)| (old, new));
    object::put(&mut event, "apiVersion", Some(json!("events.k8s.io/v1")));
    // What is said only if there is something to say.
    for key in ["reportingController", "reportingInstance"] {
        if event.get(key).is_some_and(|value| value == "") {
            object::take(&mut event, key);
        }
    }
    event
}

/// Gives a stored event the fields that `v1` always has.
pub(crate) fn fill(stored: &mut Value) {
    let Value::Object(stored) = stored else { return };
    stored.entry("eventTime").or_insert(Value::Null);
    for key in ALWAYS {
        let nothing = match key {
            "source" => json!({}),
            "firstTimestamp" | "lastTimestamp" => Value::Null,
            _ => json!(""),
        };
        stored.entry(key).or_insert(nothing);
    }
    stored.entry("involvedObject").or_insert_with(|| json!({}));
}

fn renamed(
    event: &Value,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Value {
    let names = NAMES.map(direction);
    let fields = event.as_object().into_iter().flatten().map(|(key, value)| {
        let key = names.iter().find(|(from, _)| from == key).map_or(key.as_str(), |(_, to)| to);
        (key.to_owned(), value.clone())
    });
    Value::Object(fields.collect())
}

/// What is wrong with an event, which is in the names of the version that it came in.
pub(crate) fn validate(event: &Value, new_version: bool, creating: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (regarding, controller) = if new_version {
        ("regarding", "reportingController")
    } else {
        ("involvedObject", "reportingComponent")
    };
    // The messages keep the old names.
    let about = object::text(event, &format!("/{regarding}/namespace"));
    let namespace = object::namespace(event);
    let at_home = if about.is_empty() {
        namespace == "default" || namespace == "kube-system"
    } else {
        about == namespace
    };
    if !at_home {
        causes.push(Cause::invalid(
            "involvedObject.namespace",
            &json!(about),
            "does not match event.namespace",
        ));
    }
    let timed = !object::text(event, "/eventTime").is_empty();
    if timed {
        for (key, field) in [
            (controller, "reportingController"),
            ("reportingInstance", "reportingInstance"),
            ("action", "action"),
            ("reason", "reason"),
        ] {
            let value = object::text(event, &format!("/{key}"));
            if value.is_empty() {
                causes.push(Cause::required(field, ""));
            } else if value.len() > LONGEST {
                causes.push(Cause::invalid(
                    field,
                    &json!(""),
                    &format!("can have at most {LONGEST} characters"),
                ));
            }
        }
    }
    if new_version && creating {
        if !timed {
            causes.push(Cause::required("eventTime", ""));
        }
        let kind = object::text(event, "/type");
        if !matches!(kind, "Normal" | "Warning") {
            causes.push(Cause::invalid("type", &json!(""), &format!("has invalid value: {kind}")));
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_has_two_faces() {
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
            "regarding": {"kind": "Secret", "name": "s", "namespace": "default"}, "note": "n", "reason": "R",
            "reportingController": "c", "reportingInstance": "i", "action": "A", "type": "Normal",
            "eventTime": "2026-01-01T00:00:00.123456Z",
        });
        let stored = to_stored(&event);
        assert_eq!(object::text(&stored, "/involvedObject/name"), "s");
        assert_eq!(object::text(&stored, "/reportingComponent"), "c");
        assert_eq!(stored.get("firstTimestamp"), Some(&Value::Null));
        let back = from_stored(&stored);
        assert_eq!(object::text(&back, "/note"), "n");
        assert_eq!(back.get("deprecatedSource"), Some(&json!({})));
        assert_eq!(validate(&back, true, true), []);
    }
}
