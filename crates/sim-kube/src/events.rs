//! Events: `v1` and `events.k8s.io/v1` are two faces of one thing, which is stored with the first one's names.

use serde_json::{Value, json};

use crate::{Cause, GroupResource, Kind, meta, object};

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
/// The longest that a note may be.
const LONGEST_NOTE: usize = 1024;

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

/// What is wrong with an event, which is in the names of the version that it came in. The messages keep the names of
/// `v1` for most fields. Only the newer version asks for more than the older one, and for other things when an event
/// is made than when it is replaced.
pub(crate) fn validate(kind: &Kind, event: &Value, old: Option<&Value>) -> Vec<Cause> {
    let new_version = kind.group == "events.k8s.io";
    let stored = if new_version { to_stored(event) } else { event.clone() };
    let mut causes =
        validate_always(&stored, if new_version { "reportingController" } else { "reportingComponent" });
    if new_version {
        match old {
            None => causes.extend(validate_new(&stored)),
            Some(old) => causes.extend(validate_changes(&stored, &to_stored(old))),
        }
    }
    causes
}

fn validate_always(event: &Value, controller: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let timed = !object::text(event, "/eventTime").is_empty();
    let (about, namespace) = (object::text(event, "/involvedObject/namespace"), object::namespace(event));
    let at_home = if about.is_empty() {
        namespace == "default" || (timed && namespace == "kube-system")
    } else {
        timed || about == namespace
    };
    if !at_home {
        let why = "does not match event.namespace";
        causes.push(Cause::invalid("involvedObject.namespace", &json!(about), why));
    }
    if !timed {
        return causes;
    }
    let text = |key: &str| object::text(event, &format!("/{key}"));
    let component = text("reportingComponent");
    if component.is_empty() {
        causes.push(Cause::required(controller, ""));
    }
    causes.extend(
        meta::wrong_key(component).iter().map(|why| Cause::invalid(controller, &json!(component), why)),
    );
    for field in ["reportingInstance", "action", "reason"] {
        if text(field).is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    let limits =
        [("reportingInstance", LONGEST), ("action", LONGEST), ("reason", LONGEST), ("message", LONGEST_NOTE)];
    for (field, most) in limits {
        if text(field).len() > most {
            causes.push(Cause::invalid(field, &json!(""), &format!("can have at most {most} characters")));
        }
    }
    causes
}

fn validate_new(event: &Value) -> Vec<Cause> {
    let mut causes = validate_series(event);
    if object::text(event, "/eventTime").is_empty() {
        causes.push(Cause::required("eventTime", ""));
    }
    let kind = object::text(event, "/type");
    if !matches!(kind, "Normal" | "Warning") {
        causes.push(Cause::invalid("type", &json!(""), &format!("has invalid value: {kind}")));
    }
    let said = |key: &str| match event.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Object(source)) => source.values().any(|value| value != ""),
        Some(value) => *value != json!(0),
    };
    for field in
        ["firstTimestamp", "lastTimestamp", "count", "source"].into_iter().filter(|field| said(field))
    {
        causes.push(Cause::invalid(field, &json!(""), "needs to be unset"));
    }
    causes
}

fn validate_series(event: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(series) = event.get("series").filter(|series| series.is_object()) else { return causes };
    if series.get("count").and_then(Value::as_i64).unwrap_or_default() < 2 {
        causes.push(Cause::invalid("series.count", &json!(""), "should be at least 2"));
    }
    if object::text(series, "/lastObservedTime").is_empty() {
        causes.push(Cause::required("series.lastObservedTime", ""));
    }
    causes
}

fn validate_changes(event: &Value, old: &Value) -> Vec<Cause> {
    let mut causes =
        if event.get("series") == old.get("series") { Vec::new() } else { validate_series(event) };
    let fields = [
        ("involvedObject", "involvedObject"),
        ("reason", "reason"),
        ("message", "message"),
        ("source", "source"),
        ("firstTimestamp", "firstTimestamp"),
        ("lastTimestamp", "lastTimestamp"),
        ("count", "count"),
        ("reason", "reason"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ];
    for (key, field) in fields {
        let (new, before) = (event.get(key), old.get(key));
        if new != before && !(is_nothing(new) && is_nothing(before)) {
            let shown = new.cloned().unwrap_or_else(|| if key == "count" { json!(0) } else { json!("") });
            causes.push(Cause::invalid(field, &shown, "field is immutable"));
        }
    }
    causes
}

fn is_nothing(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value == "" || *value == json!(0) || *value == json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

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
        let kind = builtin::kinds().iter().find(|kind| kind.group == "events.k8s.io").unwrap();
        assert_eq!(validate(kind, &back, None), []);
    }
}
