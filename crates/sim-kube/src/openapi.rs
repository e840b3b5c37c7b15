//! The OpenAPI v3 documents, one for every version of every group: recorded for built-in kinds, made for custom
//! ones. kubectl reads them to explain a kind and to learn that the server checks fields itself.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::discovery::hash;
use crate::rbac::text;
use crate::{Kind, Registry, builtin};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Where the documents are, by the part of their path that names them.
#[must_use]
pub fn index(registry: &Registry) -> Value {
    let built_in = builtin::openapi_groups().map(|group| path(group, "v1"));
    let custom = registry.kinds().filter(|kind| kind.custom).map(|kind| path(&kind.group, &kind.version));
    let paths: Map<String, Value> = built_in
        .chain(custom)
        .filter_map(|path| {
            let hash = hash(&document(registry, &path)?);
            let url = format!("/openapi/v3/{path}?hash={hash}");
            Some((path, json!({"serverRelativeURL": url})))
        })
        .collect();
    json!({"paths": paths})
}

/// The document at a path such as `api/v1` or `apis/cert-manager.io/v1`.
#[must_use]
pub fn document(registry: &Registry, path: &str) -> Option<Bytes> {
    let (group, version) = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["api", version] => ("", *version),
        ["apis", group, version] => (*group, *version),
        _ => return None,
    };
    let kinds: Vec<&Kind> = registry
        .kinds()
        .map(AsRef::as_ref)
        .filter(|kind| kind.custom && kind.group == group && kind.version == version)
        .collect();
    if kinds.is_empty() {
        return (version == "v1").then(|| builtin::openapi(group)).flatten();
    }
    Some(Bytes::from(custom_document(&kinds).to_string()))
}

fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn custom_document(kinds: &[&Kind]) -> Value {
    let mut schemas = metadata_schemas();
    let mut paths = Map::new();
    for kind in kinds {
        let name = component(kind);
        schemas.insert(name.clone(), schema(kind));
        schemas.insert(format!("{name}List"), list_schema(kind, &name));
        let base = format!("/{}", path(&kind.group, &kind.version));
        let plural = &kind.plural;
        let objects = if kind.namespaced {
            format!("{base}/namespaces/{{namespace}}/{plural}")
        } else {
            format!("{base}/{plural}")
        };
        if kind.namespaced {
            paths.insert(format!("{base}/{plural}"), operations(kind, &[("get", "list")], &[]));
        }
        let many = [("get", "list"), ("post", "post"), ("delete", "deletecollection")];
        let one = [("get", "get"), ("put", "put"), ("patch", "patch"), ("delete", "delete")];
        let namespace = ["namespace"];
        let above = if kind.namespaced { namespace.as_slice() } else { &[] };
        let named = [&["name"], above].concat();
        paths.insert(objects.clone(), operations(kind, &many, above));
        paths.insert(format!("{objects}/{{name}}"), operations(kind, &one, &named));
        for subresource in &kind.subresources {
            let [get, put, patch, _] = one;
            paths.insert(
                format!("{objects}/{{name}}/{subresource}"),
                operations(kind, &[get, put, patch], &named),
            );
        }
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// The schemas of `metadata`, which are the same for every kind.
fn metadata_schemas() -> Map<String, Value> {
    // The smallest document that has them all.
    let document: Value =
        serde_json::from_slice(&builtin::openapi("coordination.k8s.io").unwrap_or_default())
            .unwrap_or_default();
    let schemas =
        document.pointer("/components/schemas").and_then(Value::as_object).cloned().unwrap_or_default();
    schemas.into_iter().filter(|(name, _)| name.starts_with("io.k8s.apimachinery.")).collect()
}

/// `io.cert-manager.v1.Issuer` for the Issuer of `cert-manager.io/v1`.
fn component(kind: &Kind) -> String {
    let group: Vec<&str> = kind.group.rsplit('.').collect();
    format!("{}.{}.{}", group.join("."), kind.version, kind.kind)
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

fn identity(kind: &Kind, name: &str) -> Value {
    json!([{"group": kind.group, "kind": name, "version": kind.version}])
}

fn schema(kind: &Kind) -> Value {
    let mut schema = kind.schema.as_deref().cloned().unwrap_or_else(|| json!({}));
    let Some(object) = schema.as_object_mut() else { return schema };
    object.insert("type".to_owned(), json!("object"));
    object.insert("x-kubernetes-group-version-kind".to_owned(), identity(kind, &kind.kind));
    let properties = object.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.extend(type_properties());
        properties.insert("metadata".to_owned(), metadata("ObjectMeta", "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"));
    }
    schema
}

fn list_schema(kind: &Kind, component: &str) -> Value {
    let mut properties = type_properties();
    properties.insert("metadata".to_owned(), metadata("ListMeta", "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"));
    properties.insert(
        "items".to_owned(),
        json!({
            "description": format!(
                "List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
                kind.plural
            ),
            "type": "array",
            "items": {"$ref": reference(component)},
        }),
    );
    json!({
        "description": format!("{} is a list of {}", kind.list_kind, kind.kind),
        "type": "object",
        "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind": identity(kind, &kind.list_kind),
    })
}

fn metadata(kind: &str, description: &str) -> Value {
    json!({"description": description, "allOf": [{"$ref": reference(&format!("{META}.{kind}"))}]})
}

/// `apiVersion` and `kind`, described as every built-in kind describes them.
fn type_properties() -> Map<String, Value> {
    let described = builtin::kinds().iter().find_map(|kind| {
        let properties = kind.schema.as_ref()?.get("properties")?;
        Some((
            text(properties.get("apiVersion")?, "description").to_owned(),
            text(properties.get("kind")?, "description").to_owned(),
        ))
    });
    let (api_version, kind) = described.unwrap_or_default();
    let property = |name: &str, description: String| {
        (name.to_owned(), json!({"description": description, "type": "string"}))
    };
    [property("apiVersion", api_version), property("kind", kind)].into_iter().collect()
}

/// The operations at one path: method and action, and what the path leaves open.
fn operations(kind: &Kind, operations: &[(&str, &str)], open: &[&str]) -> Value {
    let mut at_path = Map::new();
    for (method, action) in operations {
        at_path.insert((*method).to_owned(), operation(kind, action));
    }
    let parameters = open
        .iter()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}}));
    at_path.insert("parameters".to_owned(), parameters.collect());
    Value::Object(at_path)
}

fn operation(kind: &Kind, action: &str) -> Value {
    let object = component(kind);
    let patch = format!("{META}.Patch");
    let options = format!("{META}.DeleteOptions");
    let status = format!("{META}.Status");
    let (parameters, takes, gives): (&[&str], _, _) = match action {
        "get" => (&["resourceVersion"], None, object),
        "list" => (
            &[
                "allowWatchBookmarks",
                "continue",
                "fieldSelector",
                "labelSelector",
                "limit",
                "resourceVersion",
                "resourceVersionMatch",
                "sendInitialEvents",
                "timeoutSeconds",
                "watch",
            ],
            None,
            format!("{object}List"),
        ),
        "post" | "put" => (
            &["dryRun", "fieldManager", "fieldValidation"],
            Some(("application/json", object.clone())),
            object,
        ),
        "patch" => (
            &["dryRun", "fieldManager", "fieldValidation", "force"],
            Some(("application/merge-patch+json", patch)),
            object,
        ),
        _ => (
            &["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"],
            Some(("application/json", options)),
            status,
        ),
    };
    let content = |media_type: &str, name: &str| json!({media_type: {"schema": {"$ref": reference(name)}}});
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| {
            let of_type = match *name {
                "allowWatchBookmarks" | "force" | "orphanDependents" | "sendInitialEvents" | "watch" => {
                    "boolean"
                }
                "gracePeriodSeconds" | "limit" | "timeoutSeconds" => "integer",
                _ => "string",
            };
            json!({"name": name, "in": "query", "schema": {"type": of_type, "uniqueItems": true}})
        })
        .collect();
    let mut operation = json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": content("application/json", &gives)}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    });
    if let (Some((media_type, name)), Some(operation)) = (takes, operation.as_object_mut()) {
        operation.insert(
            "requestBody".to_owned(),
            json!({"content": content(media_type, &name), "required": action != "delete"}),
        );
    }
    operation
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::GroupResource;

    fn registry() -> Registry {
        let mut registry = Registry::built_in();
        let resource = GroupResource::new("cert-manager.io", "issuers");
        let issuer = Kind {
            group: resource.group.clone(),
            kind: "Issuer".to_owned(),
            list_kind: "IssuerList".to_owned(),
            plural: resource.plural.clone(),
            custom: true,
            subresources: vec!["status".to_owned()],
            schema: Some(Arc::new(json!({"type": "object", "properties": {"spec": {"type": "object"}}}))),
            ..builtin::kinds().iter().find(|kind| kind.plural == "secrets").unwrap().as_ref().clone()
        };
        registry.replace(&resource, vec![issuer]);
        registry
    }

    #[test]
    fn the_index_names_every_document_and_its_hash() {
        let registry = registry();
        let index = index(&registry);
        let paths = index["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 9);
        for (path, place) in paths {
            let hash = hash(&document(&registry, path).unwrap());
            assert_eq!(place["serverRelativeURL"], format!("/openapi/v3/{path}?hash={hash}"));
        }
        assert_eq!(document(&registry, "apis/cert-manager.io/v2"), None);
        assert_eq!(document(&registry, "nonsense"), None);
    }

    #[test]
    fn a_custom_kinds_document_refers_to_nothing_that_it_does_not_have() {
        let document: Value =
            serde_json::from_slice(&document(&registry(), "apis/cert-manager.io/v1").unwrap()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        let mut references = 0;
        for rest in text.split("#/components/schemas/").skip(1) {
            let name = rest.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
            references += 1;
        }
        assert!(references > 20);
        let issuer = &schemas["io.cert-manager.v1.Issuer"];
        assert_eq!(
            issuer["x-kubernetes-group-version-kind"],
            json!([{"group": "cert-manager.io", "kind": "Issuer", "version": "v1"}])
        );
        assert!(issuer["properties"]["spec"].is_object() && issuer["properties"]["metadata"].is_object());
    }

    #[test]
    fn a_patch_may_say_how_strictly_fields_are_checked() {
        let document: Value =
            serde_json::from_slice(&document(&registry(), "apis/cert-manager.io/v1").unwrap()).unwrap();
        let patch =
            &document["paths"]["/apis/cert-manager.io/v1/namespaces/{namespace}/issuers/{name}"]["patch"];
        assert!(
            patch["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .any(|parameter| parameter["name"] == "fieldValidation")
        );
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Issuer");
    }
}
