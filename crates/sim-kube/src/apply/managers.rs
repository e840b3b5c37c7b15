//! Who owns what: `metadata.managedFields`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::compare::Comparison;
use super::conflict::Conflict;
use super::fields::FieldSet;

/// How many managers that update an object remembers; the oldest of more become one.
const MAX_UPDATERS: usize = 10;

/// Who writes, and how. The derived order is the server's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Writer {
    pub manager: String,
    /// By apply, or by any other write?
    pub applies: bool,
    /// The version an update was made at; an applier is the same at every version.
    pub api_version: String,
    pub subresource: String,
}

/// What a writer owns.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub set: FieldSet,
    pub api_version: String,
    /// When it last changed the object; nothing if its only write was to agree with others.
    pub time: Option<Timestamp>,
}

/// All writers of an object; none with nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Managers(BTreeMap<Writer, Entry>);

/// Do these managed fields say that they be forgotten?
pub(super) fn resets(entries: &[Value]) -> bool {
    match entries {
        [] => true,
        [one] => one.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

impl Managers {
    pub(super) fn decode(object: &Value) -> Result<Self, String> {
        let mut managers = Self::default();
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        for (at, entry) in entries.into_iter().flatten().enumerate() {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let applies = match text("operation").as_str() {
                "Apply" => true,
                "Update" => false,
                _ => return Err("operation must be `Apply` or `Update`".to_owned()),
            };
            let api_version = text("apiVersion");
            if api_version.is_empty() {
                return Err("apiVersion must not be empty".to_owned());
            }
            match text("fieldsType").as_str() {
                "FieldsV1" => {}
                "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
                other => return Err(format!("invalid fieldsType \"{other}\" in managed fields entry {at}")),
            }
            let none = json!({});
            let fields = entry.get("fieldsV1").filter(|fields| !fields.is_null()).unwrap_or(&none);
            let set = FieldSet::decode(fields).map_err(|e| format!("error decoding set: {e}"))?;
            let writer = Writer {
                manager: text("manager"),
                applies,
                api_version: if applies { String::new() } else { api_version.clone() },
                subresource: text("subresource"),
            };
            managers.0.insert(writer, Entry { set, api_version, time: text("time").parse().ok() });
        }
        Ok(managers)
    }

    /// Puts them into an object, in the server's order: applies first, then by age.
    pub(super) fn encode_into(&self, object: &mut Value) {
        let Some(object) = object.as_object_mut() else { return };
        let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        let Some(metadata) = metadata.as_object_mut() else { return };
        let mut entries: Vec<(&Writer, &Entry)> = self.0.iter().collect();
        entries.sort_by_key(|(writer, entry)| {
            (
                !writer.applies,
                entry.time.map_or(0, Timestamp::as_second),
                writer.manager.clone(),
                entry.api_version.clone(),
                writer.subresource.clone(),
            )
        });
        let entries: Vec<Value> = entries.into_iter().map(|(writer, entry)| encode(writer, entry)).collect();
        if entries.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".to_owned(), Value::Array(entries));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, writer: Writer, entry: Entry) {
        self.0.insert(writer, entry);
    }

    pub(super) fn remove(&mut self, writer: &Writer) -> Option<Entry> {
        self.0.remove(writer)
    }

    /// What anybody owns.
    pub(super) fn union(&self) -> FieldSet {
        self.0.values().fold(FieldSet::default(), |union, entry| union.union(&entry.set))
    }

    /// What somebody owns and a change would take.
    pub(super) fn conflicts(&self, changed: &Comparison) -> Vec<Conflict> {
        let taken = changed.modified.union(&changed.added);
        let of = |(writer, entry): (&Writer, &Entry)| {
            let paths = entry.set.intersection(&taken).paths();
            paths.into_iter().map(|path| Conflict { writer: writer.clone(), path }).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    /// Takes from everybody what was changed or removed.
    pub(super) fn lose(&mut self, but: Option<&Writer>, changed: &Comparison) {
        let taken = changed.modified.union(&changed.added);
        for (writer, entry) in &mut self.0 {
            if but != Some(writer) {
                entry.set = entry.set.difference(&taken).difference(&changed.removed);
            }
        }
        self.0.retain(|_, entry| !entry.set.is_empty());
    }

    /// Makes the oldest updaters one, per version, if there are too many.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<(i64, Writer)> = self
            .0
            .iter()
            .filter(|(writer, _)| !writer.applies)
            .map(|(writer, entry)| (entry.time.map_or(0, Timestamp::as_second), writer.clone()))
            .collect();
        updaters.sort();
        let mut left = updaters.len();
        let mut first_of: BTreeMap<String, Writer> = BTreeMap::new();
        for (_, writer) in updaters {
            if left <= MAX_UPDATERS {
                break;
            }
            let Some(version) = self.0.get(&writer).map(|entry| entry.api_version.clone()) else { continue };
            let Some(first) = first_of.get(&version) else {
                first_of.insert(version, writer);
                continue;
            };
            let bucket = Writer {
                manager: "ancient-changes".to_owned(),
                applies: false,
                api_version: version,
                subresource: String::new(),
            };
            let Some(entry) = self.0.remove(&writer) else { continue };
            let before = match self.0.remove(&bucket) {
                Some(before) => Some(before),
                None => self.0.remove(first),
            };
            let set = before.map_or_else(|| entry.set.clone(), |before| entry.set.union(&before.set));
            self.0.insert(bucket, Entry { set, ..entry });
            left -= 1;
        }
    }
}

fn encode(writer: &Writer, entry: &Entry) -> Value {
    let mut out = Map::new();
    out.insert("manager".to_owned(), json!(writer.manager));
    out.insert("operation".to_owned(), json!(if writer.applies { "Apply" } else { "Update" }));
    out.insert("apiVersion".to_owned(), json!(entry.api_version));
    if let Some(time) = entry.time {
        out.insert("time".to_owned(), json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
    }
    out.insert("fieldsType".to_owned(), json!("FieldsV1"));
    out.insert("fieldsV1".to_owned(), entry.set.encode());
    if !writer.subresource.is_empty() {
        out.insert("subresource".to_owned(), json!(writer.subresource));
    }
    Value::Object(out)
}
