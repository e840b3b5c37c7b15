//! The forms that a client may ask for instead of the object itself: the Table that `kubectl get` shows, and
//! metadata alone.

mod cells;
mod duration;
mod json_path;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{Failure, Kind, builtin, object};

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The object or the list.
    Object,
    /// The metadata of the object or of the list's objects.
    Metadata,
    /// A table with one row per object, and how much of the object is in the row.
    Table(Include),
}

/// How much of an object is in a table's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

impl Form {
    /// The first form in the `Accept` header that can be had; `include_object` is the query parameter.
    pub fn asked(headers: &HeaderMap, include_object: &str) -> Result<Self, Failure> {
        let accepts: Vec<&str> =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        if accepts.iter().all(|accept| accept.trim().is_empty()) {
            return Ok(Self::Object);
        }
        let mut clauses = accepts.iter().flat_map(|accept| accept.split(','));
        match clauses.find_map(Self::of_clause) {
            Some(Self::Table(_)) => Ok(Self::Table(Include::read(include_object)?)),
            Some(form) => Ok(form),
            None => Err(Failure::new(
                StatusCode::NOT_ACCEPTABLE,
                "NotAcceptable",
                "only the following media types are accepted: application/json, application/yaml, \
                 application/vnd.kubernetes.protobuf",
            )),
        }
    }

    /// Whether a list can be shown in this form, as a client asked for it who may have thought of one object.
    /// The other way around, too.
    pub(crate) fn check(headers: &HeaderMap, kind: &Kind, list: bool) -> Result<(), Failure> {
        let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut clauses = accepts.flat_map(|accept| accept.split(','));
        let chosen = clauses.find(|clause| Self::of_clause(clause).is_some()).unwrap_or_default();
        let asked = chosen.split(';').find_map(|parameter| parameter.trim().strip_prefix("as="));
        let (asked, what) = match asked {
            Some(asked @ "PartialObjectMetadata") if list => (asked, "a list"),
            Some(asked @ "PartialObjectMetadataList") if !list => (asked, "not a list"),
            _ => return Ok(()),
        };
        let group = kind.storage.group.split('.').next().unwrap_or_default();
        let name = if list { &kind.list_kind } else { &kind.kind };
        let of_type = match group {
            _ if kind.custom => "unstructured.Unstructured".to_owned(),
            "" => format!("core.{name}"),
            group => format!("{group}.{name}"),
        };
        let message = format!("you requested {asked}, but the requested object is {what} (*{of_type})");
        Err(Failure::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message))
    }

    /// One media type with its parameters.
    fn of_clause(clause: &str) -> Option<Self> {
        let mut parts = clause.split(';').map(str::trim);
        let media_type = parts.next()?;
        let (mut form, mut group, mut version) = ("", "", "");
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key {
                "as" => form = value,
                "g" => group = value,
                "v" => version = value,
                _ => {}
            }
        }
        let json = matches!(media_type, "application/json" | "application/*" | "*/*");
        let meta = group == "meta.k8s.io" && matches!(version, "v1" | "v1beta1");
        match form {
            "" if json => Some(Self::Object),
            "Table" if json && meta => Some(Self::Table(Include::Metadata)),
            "PartialObjectMetadata" | "PartialObjectMetadataList" if json && meta => Some(Self::Metadata),
            _ => None,
        }
    }

    /// An object or a list in this form. The headings of a table are left out where the client has them already:
    /// behind the first event of a watch.
    #[must_use]
    pub fn render(self, kind: &Kind, value: &Value, headings: bool, now: Timestamp) -> Value {
        let items =
            value.get("items").and_then(Value::as_array).filter(|_| text(value, "kind") == kind.list_kind);
        match (self, items) {
            (Self::Object, _) => value.clone(),
            (Self::Metadata, None) => metadata_of(value),
            (Self::Metadata, Some(items)) => {
                let mut metadata = value.get("metadata").cloned().unwrap_or_default();
                if text(&metadata, "continue").is_empty() {
                    object::take(&mut metadata, "continue");
                }
                let items: Vec<Value> = items.iter().map(metadata_of).collect();
                json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata,
                    "items": if items.is_empty() { Value::Null } else { json!(items) },
                })
            }
            (Self::Table(include), items) => {
                let rows = items.map_or(std::slice::from_ref(value), Vec::as_slice);
                table(kind, value, rows, include, headings, now)
            }
        }
    }
}

impl Include {
    fn read(value: &str) -> Result<Self, Failure> {
        match value {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(Failure::bad_request(format!("unrecognized includeObject value: {}", json!(other)))),
        }
    }
}

fn metadata_of(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

/// An object of a list, which does not say what it is because the list does.
fn with_type(kind: &Kind, object: &Value) -> Value {
    let mut object = object.clone();
    if let Value::Object(object) = &mut object {
        object.insert("apiVersion".to_owned(), json!(kind.api_version()));
        object.insert("kind".to_owned(), json!(kind.kind));
    }
    object
}

fn table(
    kind: &Kind,
    whole: &Value,
    rows: &[Value],
    include: Include,
    headings: bool,
    now: Timestamp,
) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|object| {
            let row = match include {
                Include::None => Value::Null,
                Include::Metadata => metadata_of(object),
                Include::Object => with_type(kind, object),
            };
            json!({"cells": cells::of(kind, object, now), "object": row})
        })
        .collect();
    let mut metadata = Map::new();
    for key in ["resourceVersion", "continue", "remainingItemCount"] {
        if let Some(value) = whole.pointer(&format!("/metadata/{key}")) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let headings = if headings { self::headings(kind) } else { Value::Null };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": headings,
        "rows": rows,
    })
}

fn headings(kind: &Kind) -> Value {
    let columns = kind.columns.iter().map(|column| {
        let description = if column.description.is_empty() && kind.custom {
            format!("Custom resource definition column (in JSONPath format): {}", column.json_path)
        } else {
            column.description.clone()
        };
        json!({
            "name": column.name,
            "type": column.kind,
            "format": column.format,
            "description": description,
            "priority": column.priority,
        })
    });
    // A custom kind's columns stand behind the name, which every kind has.
    let name = kind.custom.then(|| {
        let described =
            builtin::kinds().iter().flat_map(|kind| &kind.columns).find(|column| column.name == "Name");
        json!({
            "name": "Name",
            "type": "string",
            "format": "name",
            "description": described.map(|column| column.description.as_str()),
            "priority": 0,
        })
    });
    name.into_iter().chain(columns).collect()
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Column;

    fn now() -> Timestamp {
        "2026-11-24T08:02:03Z".parse().unwrap()
    }

    fn kind(plural: &str) -> &'static Kind {
        builtin::kinds().iter().find(|kind| kind.plural == plural).unwrap()
    }

    fn accept(accept: &str) -> Result<Form, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Form::asked(&headers, "")
    }

    #[test]
    fn the_first_form_that_can_be_had_is_given() {
        assert_eq!(Form::asked(&HeaderMap::new(), "").unwrap(), Form::Object);
        assert_eq!(accept("application/json").unwrap(), Form::Object);
        assert_eq!(accept("application/vnd.kubernetes.protobuf,application/json").unwrap(), Form::Object);
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accept(kubectl).unwrap(), Form::Table(Include::Metadata));
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        assert_eq!(accept(metadata).unwrap(), Form::Metadata);
        assert_eq!(accept("image/png").unwrap_err().code, StatusCode::NOT_ACCEPTABLE);
    }

    #[test]
    fn a_list_of_secrets_is_a_table_as_the_real_server_draws_it() {
        let list = json!({
            "kind": "SecretList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
            "items": [{
                "metadata": {"name": "a", "creationTimestamp": "2026-11-24T08:00:00Z"},
                "type": "Opaque", "data": {"k": "", "l": ""},
            }],
        });
        let table = Form::Table(Include::None).render(kind("secrets"), &list, true, now());
        assert_eq!(table["rows"], json!([{"cells": ["a", "Opaque", 2, "2m3s"], "object": null}]));
        assert_eq!((&table["metadata"], &table["kind"]), (&json!({"resourceVersion": "7"}), &json!("Table")));
        let names: Vec<&Value> =
            table["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
        assert_eq!(names, ["Name", "Type", "Data", "Age"]);
        assert_eq!(
            Form::Table(Include::None).render(kind("secrets"), &list, false, now())["columnDefinitions"],
            Value::Null
        );
    }

    #[test]
    fn every_built_in_kind_has_a_cell_for_every_column() {
        for kind in builtin::kinds().iter().filter(|kind| !kind.columns.is_empty()) {
            let object = json!({"metadata": {"name": "a"}});
            let table = Form::Table(Include::Metadata).render(kind, &object, true, now());
            let cells = table["rows"][0]["cells"].as_array().unwrap();
            assert_eq!(cells.len(), table["columnDefinitions"].as_array().unwrap().len(), "{}", kind.kind);
            assert_eq!(cells.iter().filter(|cell| **cell == "a").count(), 1, "{}", kind.kind);
        }
    }

    #[test]
    fn a_custom_kinds_columns_follow_its_name() {
        let column = |name: &str, kind: &str, json_path: &str| Column {
            name: name.to_owned(),
            kind: kind.to_owned(),
            json_path: json_path.to_owned(),
            ..Column::default()
        };
        let custom = Kind {
            custom: true,
            columns: vec![
                column("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#),
                column("Count", "integer", ".spec.count"),
                column("Age", "date", ".metadata.creationTimestamp"),
                column("Missing", "string", ".spec.missing"),
            ],
            ..kind("secrets").clone()
        };
        let object = json!({
            "metadata": {"name": "a", "creationTimestamp": "2026-11-24T08:00:00Z"},
            "spec": {"count": 3},
            "status": {"conditions": [{"type": "Approved", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        let table = Form::Table(Include::None).render(&custom, &object, true, now());
        assert_eq!(table["rows"][0]["cells"], json!(["a", "True", 3, "2m3s", null]));
        assert_eq!(table["columnDefinitions"][0]["format"], "name");
    }

    #[test]
    fn metadata_alone_is_partial_object_metadata() {
        let secret = json!({"kind": "Secret", "metadata": {"name": "a"}, "data": {}});
        assert_eq!(
            Form::Metadata.render(kind("secrets"), &secret, true, now()),
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}})
        );
    }
}
