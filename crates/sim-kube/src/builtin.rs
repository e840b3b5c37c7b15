//! The built-in kinds, read from what a real server says about itself (`fixtures/kubernetes/`).
//!
//! The documents are part of the program and are unpacked once, when first asked for. They are ours: what cannot
//! be read in them is left out, and the tests see to it that nothing is.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use crate::rbac::{list, text};
use crate::resource::Column;
use crate::{GroupResource, Kind, Verb};

macro_rules! recorded {
    ($file:literal) => {
        include_bytes!(concat!("../../../fixtures/kubernetes/", $file))
    };
}

/// What the documents of one API group are recorded as.
const OPENAPI: &[(&str, &[u8])] = &[
    ("", recorded!("openapi-core.json.gz")),
    ("admissionregistration.k8s.io", recorded!("openapi-admissionregistration.k8s.io.json.gz")),
    ("apiextensions.k8s.io", recorded!("openapi-apiextensions.k8s.io.json.gz")),
    ("authentication.k8s.io", recorded!("openapi-authentication.k8s.io.json.gz")),
    ("authorization.k8s.io", recorded!("openapi-authorization.k8s.io.json.gz")),
    ("coordination.k8s.io", recorded!("openapi-coordination.k8s.io.json.gz")),
    ("events.k8s.io", recorded!("openapi-events.k8s.io.json.gz")),
    ("rbac.authorization.k8s.io", recorded!("openapi-rbac.authorization.k8s.io.json.gz")),
];

/// The answer at `/version`.
pub const VERSION: &[u8] = recorded!("version.json");

static DISCOVERY: LazyLock<Value> = LazyLock::new(|| parsed(&unpacked(recorded!("discovery.json.gz"))));
static TABLES: LazyLock<Value> = LazyLock::new(|| parsed(&unpacked(recorded!("tables.json.gz"))));
static BOOTSTRAP: LazyLock<Value> = LazyLock::new(|| parsed(&unpacked(recorded!("bootstrap.json.gz"))));
static DOCUMENTS: LazyLock<BTreeMap<&'static str, Bytes>> =
    LazyLock::new(|| OPENAPI.iter().map(|(group, packed)| (*group, Bytes::from(unpacked(packed)))).collect());
static KINDS: LazyLock<Vec<Arc<Kind>>> = LazyLock::new(read_kinds);

/// Every built-in kind, in the order of discovery.
#[must_use]
pub fn kinds() -> &'static [Arc<Kind>] {
    &KINDS
}

/// The built-in groups as aggregated discovery lists them (`APIGroupDiscovery`), the core group first.
#[must_use]
pub fn discovery() -> &'static [Value] {
    list(&DISCOVERY, "items")
}

/// The OpenAPI v3 document of a built-in group's v1.
#[must_use]
pub fn openapi(group: &str) -> Option<Bytes> {
    DOCUMENTS.get(group).cloned()
}

/// The groups that have a document.
pub fn openapi_groups() -> impl Iterator<Item = &'static str> {
    DOCUMENTS.keys().copied()
}

/// The ClusterRoles and ClusterRoleBindings that a cluster begins with.
#[must_use]
pub fn bootstrap() -> &'static [Value] {
    list(&BOOTSTRAP, "items")
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match GzDecoder::new(packed).read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn read_kinds() -> Vec<Arc<Kind>> {
    let mut kinds = Vec::new();
    for item in discovery() {
        let group = item.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let document = parsed(&openapi(group).unwrap_or_default());
        let schemas =
            document.pointer("/components/schemas").and_then(Value::as_object).cloned().unwrap_or_default();
        for version in list(item, "versions") {
            for resource in list(version, "resources") {
                kinds.push(Arc::new(read_kind(group, text(version, "version"), resource, &schemas)));
            }
        }
    }
    kinds
}

fn read_kind(group: &str, version: &str, resource: &Value, schemas: &Map<String, Value>) -> Kind {
    let plural = text(resource, "resource");
    let kind = resource.pointer("/responseKind/kind").and_then(Value::as_str).unwrap_or_default();
    Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        plural: plural.to_owned(),
        singular: text(resource, "singularResource").to_owned(),
        short_names: texts(resource, "shortNames"),
        categories: texts(resource, "categories"),
        namespaced: text(resource, "scope") == "Namespaced",
        verbs: Verb::ALL
            .into_iter()
            .filter(|verb| texts(resource, "verbs").iter().any(|own| own == verb.as_str()))
            .collect(),
        subresources: list(resource, "subresources")
            .iter()
            .map(|own| text(own, "subresource").to_owned())
            .collect(),
        custom: false,
        // One store under two names.
        storage: GroupResource::new(if plural == "events" { "" } else { group }, plural),
        storage_version: true,
        deprecation: String::new(),
        schema: component(schemas, group, version, kind)
            .map(|schema| Arc::new(resolved(schema, schemas, &mut Vec::new()))),
        columns: columns(group, version, plural),
        selectable_fields: selectable_fields(group, plural).iter().map(|&field| field.to_owned()).collect(),
        create_on_update: matches!(group, "coordination.k8s.io" | "rbac.authorization.k8s.io")
            || plural == "events",
        unconditional_update: !matches!(plural, "leases" | "customresourcedefinitions"),
    }
}

fn texts(object: &Value, key: &str) -> Vec<String> {
    list(object, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn columns(group: &str, version: &str, plural: &str) -> Vec<Column> {
    let path = if group.is_empty() {
        format!("/api/{version}/{plural}")
    } else {
        format!("/apis/{group}/{version}/{plural}")
    };
    list(&TABLES, &path)
        .iter()
        .map(|column| Column {
            name: text(column, "name").to_owned(),
            kind: text(column, "type").to_owned(),
            format: text(column, "format").to_owned(),
            description: text(column, "description").to_owned(),
            priority: column.get("priority").and_then(Value::as_i64).unwrap_or_default(),
            json_path: String::new(),
        })
        .collect()
}

/// The fields that selectors may name, which no document tells.
fn selectable_fields(group: &str, plural: &str) -> &'static [&'static str] {
    match (group, plural) {
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        _ => &[],
    }
}

/// The schema of a kind among the components.
fn component<'a>(
    schemas: &'a Map<String, Value>,
    group: &str,
    version: &str,
    kind: &str,
) -> Option<&'a Value> {
    let wanted = json!({"group": group, "version": version, "kind": kind});
    schemas.values().find(|schema| list(schema, "x-kubernetes-group-version-kind").contains(&wanted))
}

/// A schema with what it refers to in place of the references. What contains itself (a schema within a schema)
/// is anything from the second level on; so is what the document says nothing about.
fn resolved(schema: &Value, schemas: &Map<String, Value>, within: &mut Vec<String>) -> Value {
    let Some(object) = schema.as_object() else { return schema.clone() };
    if let Some(name) = referred(schema) {
        let mut target = match schemas.get(name) {
            Some(target) if !within.iter().any(|outer| outer == name) => {
                within.push(name.to_owned());
                let target = resolved(target, schemas, within);
                within.pop();
                target
            }
            _ => json!({"x-kubernetes-preserve-unknown-fields": true}),
        };
        // What stands beside the reference is about this use of it.
        if let Some(target) = target.as_object_mut() {
            let own = object.iter().filter(|(key, _)| !matches!(key.as_str(), "$ref" | "allOf"));
            target.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        }
        return target;
    }
    // A number or a text: IntOrString, Quantity.
    let either = object.contains_key("oneOf");
    let mut copy = Map::new();
    for (key, value) in object {
        let value = match (key.as_str(), value) {
            ("oneOf", _) => continue,
            ("format", _) if either => continue,
            ("properties", Value::Object(properties)) => {
                let parts = properties.iter();
                parts.map(|(name, part)| (name.clone(), resolved(part, schemas, within))).collect()
            }
            ("items" | "additionalProperties", part) => resolved(part, schemas, within),
            (_, value) => value.clone(),
        };
        copy.insert(key.clone(), value);
    }
    let says_what_it_holds = match text(schema, "type") {
        "object" => object.contains_key("properties") || object.contains_key("additionalProperties"),
        other => !other.is_empty(),
    };
    if either {
        copy.insert("x-kubernetes-int-or-string".to_owned(), json!(true));
    } else if !says_what_it_holds {
        copy.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
    }
    Value::Object(copy)
}

/// The component that a schema is, by `$ref` or by an `allOf` around one.
fn referred(schema: &Value) -> Option<&str> {
    let reference = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref"))?;
    reference.as_str()?.strip_prefix("#/components/schemas/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(group: &str, plural: &str) -> &'static Kind {
        kinds().iter().find(|kind| kind.group == group && kind.plural == plural).unwrap()
    }

    #[test]
    fn every_kind_has_a_schema_and_every_kind_that_can_be_listed_has_columns() {
        assert_eq!(kinds().len(), 24);
        for kind in kinds() {
            assert!(kind.schema.is_some(), "{}", kind.kind);
            assert_eq!(kind.columns.is_empty(), !kind.verbs.contains(&Verb::List), "{}", kind.kind);
        }
    }

    #[test]
    fn what_is_recorded_can_be_read() {
        assert_eq!(openapi_groups().count(), OPENAPI.len());
        for group in openapi_groups() {
            assert!(parsed(&openapi(group).unwrap()).pointer("/paths").is_some(), "{group}");
        }
        assert!(bootstrap().iter().any(|role| role["metadata"]["name"] == "cluster-admin"));
        assert_eq!(parsed(VERSION)["major"], "1");
    }

    #[test]
    fn a_kind_is_what_discovery_says() {
        let secret = kind("", "secrets");
        assert_eq!(
            (secret.kind.as_str(), secret.singular.as_str(), secret.namespaced),
            ("Secret", "secret", true)
        );
        assert_eq!(secret.verbs, Verb::ALL);
        assert_eq!(kind("", "serviceaccounts").subresources, ["token"]);
        assert_eq!(kind("", "namespaces").subresources, ["finalize", "status"]);
        assert_eq!(kind("authorization.k8s.io", "selfsubjectaccessreviews").verbs, [Verb::Create]);
        assert_eq!(kind("apiextensions.k8s.io", "customresourcedefinitions").short_names, ["crd", "crds"]);
    }

    #[test]
    fn no_schema_refers_to_another() {
        for kind in kinds() {
            let schema = kind.schema.as_ref().unwrap().to_string();
            assert!(!schema.contains("#/components/"), "{}", kind.kind);
        }
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let crd = kind("apiextensions.k8s.io", "customresourcedefinitions").schema.clone().unwrap();
        let property = "/properties/spec/properties/versions/items/properties/schema/properties/openAPIV3Schema\
                        /properties/properties/additionalProperties";
        assert_eq!(crd.pointer(property).unwrap()["x-kubernetes-preserve-unknown-fields"], true);
    }

    #[test]
    fn the_use_of_a_schema_adds_to_what_it_says() {
        let pod = kind("", "pods").schema.clone().unwrap();
        let containers = pod.pointer("/properties/spec/properties/containers").unwrap();
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        let limit =
            containers.pointer("/items/properties/resources/properties/limits/additionalProperties").unwrap();
        assert_eq!(limit["x-kubernetes-int-or-string"], true);
    }
}
