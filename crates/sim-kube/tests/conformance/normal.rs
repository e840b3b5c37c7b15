//! Evens out what differs between two servers that do the same.
//!
//! Everything here is a difference that the comparison does not see, so everything here is named in
//! `docs/simulated-cluster.md`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use crate::play::Raw;

static UID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap());
/// Times of the present; those that a sequence sends are of another year.
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"20(2[1-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)").unwrap()
});
/// A time as Go prints one for people.
static GO_TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"20(2[1-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} [A-Z]{3,4}").unwrap()
});
/// Names that a server made up behind the bases that sequences use.
static GENERATED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("\\b(gen[0-9]{2}-)[bcdfghjklmnpqrstvwxz2456789]{5}\\b").unwrap());
/// Revisions in sentences.
static REVISION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(ResourceVersion in the precondition \(|ResourceVersion in record \(|too old resource version: |Too large resource version: |current: |resource version: \d+ \()(\d+)",
    )
    .unwrap()
});

/// The symbols that one play uses.
#[derive(Clone, Debug)]
pub(crate) struct Normal {
    prefix: String,
    symbols: BTreeMap<(&'static str, String), String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Normal {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), symbols: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// The same symbol for the same text, in the order in which they first come.
    fn symbol(&mut self, class: &'static str, text: &str) -> String {
        if let Some(known) = self.symbols.get(&(class, text.to_owned())) {
            return known.clone();
        }
        let count = self.counts.entry(class).or_default();
        *count += 1;
        let symbol = format!("<{class} {count}>");
        self.symbols.insert((class, text.to_owned()), symbol.clone());
        symbol
    }

    /// An answer: code, headers and body.
    pub(crate) fn answer(&mut self, raw: &Raw) -> Value {
        let mut answer = json!({"code": raw.code});
        for (key, values) in &raw.headers {
            let values: Vec<String> = values.iter().map(|value| self.text(value)).collect();
            answer[key] = json!(values);
        }
        answer["body"] = match serde_json::from_slice::<Value>(&raw.body) {
            Ok(body) => self.object(body),
            Err(_) => json!(self.text(&String::from_utf8_lossy(&raw.body))),
        };
        answer
    }

    /// An object, a list, a Status or an event.
    pub(crate) fn object(&mut self, mut value: Value) -> Value {
        if value["kind"] == "Status" {
            even_failure(&mut value);
        }
        self.value("", value)
    }

    fn value(&mut self, key: &str, value: Value) -> Value {
        match value {
            Value::String(text) => self.string(key, &text),
            Value::Array(mut list) => {
                if key == "managedFields" {
                    // Their order follows from the second in which they were written.
                    list.sort_by_key(|entry| {
                        ["operation", "manager", "apiVersion", "subresource"]
                            .map(|key| entry[key].as_str().unwrap_or_default().to_owned())
                    });
                }
                if key == "finalizers" {
                    // A set of Go's, whose order is another each time.
                    list.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
                }
                list.into_iter().map(|item| self.value("", item)).collect()
            }
            Value::Object(map) => {
                let is_list = ["items", "rows"].iter().any(|key| map.contains_key(*key));
                let fields = map.into_iter().map(|(key, mut value)| {
                    if key == "rows" && value.is_null() {
                        value = json!([]);
                    }
                    if is_list && key == "metadata" && value.is_object() {
                        // The store's revision, which also counts what others write.
                        value["resourceVersion"] = json!("<list>");
                    }
                    let value = self.value(&key, value);
                    (self.text(&key), value)
                });
                Value::Object(fields.collect::<Map<_, _>>())
            }
            other => other,
        }
    }

    fn string(&mut self, key: &str, text: &str) -> Value {
        match key {
            "resourceVersion" if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
                json!(self.symbol("rv", text))
            }
            "continue" if !text.is_empty() => json!("<continue>"),
            "ca.crt" => json!("<ca>"),
            _ => json!(self.text(text)),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let text = text.replace(&self.prefix, "$P");
        let text = TIME.replace_all(&text, "<time>");
        let text = GO_TIME.replace_all(&text, "<time>");
        let text = REVISION.replace_all(&text, "$1<number>");
        let text = UID.replace_all(&text, |found: &Captures<'_>| self.symbol("uid", &found[0]));
        GENERATED
            .replace_all(&text, |found: &Captures<'_>| {
                format!("{}{}", &found[1], self.symbol("name", &found[0]))
            })
            .into_owned()
    }
}

/// What Go's decoders say about text that they do not understand: that it is refused is compared, the words are not.
fn even_message(status: &mut Value) {
    // A patch that leaves no object is shown in the server's own way of printing it.
    if status["message"].as_str().unwrap_or_default().starts_with(" \"\" is invalid: patch: ") {
        let shown = status["details"]["causes"][0]["message"].as_str().unwrap_or_default();
        let why = shown.rsplit_once("\": ").map_or("", |(_, why)| why);
        let why = if why.starts_with("strict") { why } else { "<decoder>" };
        status["message"] = json!(format!("patch: {why}"));
        status["details"] = Value::Null;
        return;
    }
    let message = status["message"].as_str().unwrap_or_default();
    // Of several misfits the real server names those that it comes across before it gives up, in an order of chance.
    if let Some((before, _)) =
        message.strip_prefix("failed to create typed patch object (").and_then(|rest| rest.split_once("): "))
    {
        status["message"] = json!(format!("failed to create typed patch object ({before}): <misfits>"));
        return;
    }
    if status["code"] == 406 {
        status["message"] = json!("<not acceptable>");
        if let Some(status) = status.as_object_mut() {
            status.remove("details");
        }
        return;
    }
    let marks = [
        "Invalid JSON Patch",
        "json: cannot unmarshal",
        "json parse error: ",
        "error decoding patch: ",
        "error decoding YAML: ",
        "parsing time ",
        ": error decoding from json: ",
        ": illegal base64 data",
        "cannot convert float64",
        "illegal base64 data",
    ];
    let first = marks.iter().filter_map(|mark| message.find(mark)).min();
    if let Some(first) = first.and_then(|at| message.get(..at)) {
        status["message"] = json!(format!("{first}<decoder>"));
    }
}

/// Several faults come in no order, and so does the sentence that joins them.
fn even_failure(status: &mut Value) {
    if let Some(causes) = status.pointer_mut("/details/causes").and_then(Value::as_array_mut) {
        // The server looks more than once, and repeats itself.
        causes.sort_by_key(Value::to_string);
        causes.dedup();
    }
    even_message(status);
    let message = status["message"].as_str().unwrap_or_default().to_owned();
    if let Some((before, rest)) = message.split_once(" is invalid: [") {
        let mut parts: Vec<&str> = rest.trim_end_matches(']').split(", ").collect();
        parts.sort_unstable();
        status["message"] = json!(format!("{before} is invalid: [{}]", parts.join(", ")));
    }
}
