//! `CustomResourceDefinition`s: what is filled in, what is refused, and the kinds that they define.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::resource::Column;
use crate::schema::Schema;
use crate::{Cause, GroupResource, Kind, Verb, object};

/// The finalizer that keeps a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Where definitions are stored.
#[must_use]
pub(crate) fn resource() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

/// The resource that a definition defines.
#[must_use]
pub(crate) fn defined(definition: &Value) -> GroupResource {
    GroupResource::new(
        object::text(definition, "/spec/group"),
        object::text(definition, "/spec/names/plural"),
    )
}

/// Fills in what a definition may leave out.
pub(crate) fn default(definition: &mut Value) {
    let kind = object::text(definition, "/spec/names/kind").to_owned();
    object::edit(definition, "spec", |spec| {
        let mut names = spec.remove("names").unwrap_or_else(|| json!({}));
        if let Value::Object(names) = &mut names {
            names.entry("singular").or_insert_with(|| json!(kind.to_lowercase()));
            names.entry("listKind").or_insert_with(|| json!(format!("{kind}List")));
        }
        spec.insert("names".to_owned(), names);
        spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    });
}

/// Begins a definition's status, or keeps it up.
pub(crate) fn prepare(definition: &mut Value, old: Option<&Value>) {
    let stored = storage_version(definition);
    let status = match old {
        Some(old) => {
            let mut status = old.get("status").cloned().unwrap_or_else(|| json!({}));
            let mut versions: Vec<String> =
                object::texts(&status, "/storedVersions").into_iter().map(str::to_owned).collect();
            if !versions.contains(&stored) {
                versions.push(stored);
            }
            object::put(&mut status, "storedVersions", Some(json!(versions)));
            status
        }
        None => {
            json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": [stored]})
        }
    };
    object::put(definition, "status", Some(status));
}

/// What is wrong with a definition. Not everything that the real server refuses is refused here: the names, the
/// versions and that there are schemas.
pub(crate) fn validate(definition: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let resource = defined(definition);
    let name = object::name(definition);
    if name != format!("{}.{}", resource.plural, resource.group) {
        causes.push(Cause::invalid(
            "metadata.name",
            &json!(name),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    for (field, value) in [("spec.group", &resource.group), ("spec.names.plural", &resource.plural)] {
        if value.is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    if object::text(definition, "/spec/names/kind").is_empty() {
        causes.push(Cause::required("spec.names.kind", ""));
    }
    let scope = object::text(definition, "/spec/scope");
    if !matches!(scope, "Cluster" | "Namespaced") {
        causes.push(Cause::not_supported("spec.scope", &json!(scope), &["Cluster", "Namespaced"]));
    }
    let storing =
        versions(definition).filter(|version| version.get("storage") == Some(&Value::Bool(true))).count();
    if storing != 1 {
        let why = "must have exactly one version marked as storage version";
        let shown: Vec<&Value> = versions(definition).collect();
        causes.push(Cause::invalid("spec.versions", &json!(shown), why));
    }
    for (at, version) in versions(definition).enumerate() {
        let field = format!("spec.versions[{at}].schema.openAPIV3Schema");
        match version.pointer("/schema/openAPIV3Schema").map(Schema::custom_resource) {
            None => causes.push(Cause::required(field, "schemas are required")),
            Some(Err(why)) => {
                causes.push(Cause::new("FieldValueInvalid", field, format!("Invalid value: {why}")));
            }
            Some(Ok(_)) => {}
        }
    }
    if let Some(old) = old {
        for (field, pointer) in [
            ("spec.group", "/spec/group"),
            ("spec.scope", "/spec/scope"),
            ("spec.names.plural", "/spec/names/plural"),
            ("spec.names.kind", "/spec/names/kind"),
        ] {
            if definition.pointer(pointer) != old.pointer(pointer) {
                let value = definition.pointer(pointer).cloned().unwrap_or_default();
                causes.push(Cause::invalid(field, &value, "field is immutable"));
            }
        }
    }
    causes
}

/// The status of a definition whose names nobody else has and whose kinds are served.
pub(crate) fn established(definition: &Value, time: &str) -> Value {
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "lastTransitionTime": time, "reason": reason, "message": message});
    json!({
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": definition.pointer("/spec/names").cloned().unwrap_or_default(),
        "storedVersions": definition.pointer("/status/storedVersions").cloned().unwrap_or_default(),
    })
}

/// Says in a definition's status that it is on its way out.
pub(crate) fn terminate(definition: &mut Value, time: &str) {
    let condition = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": time, "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    });
    if let Some(conditions) = definition.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        conditions.push(condition);
    }
}

/// Whether a definition's kinds are served.
#[must_use]
pub(crate) fn is_established(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        object::text(condition, "/type") == "Established" && object::text(condition, "/status") == "True"
    })
}

/// The kinds that a definition defines: one for every version that is served.
pub(crate) fn kinds(definition: &Value) -> Vec<Kind> {
    versions(definition)
        .filter(|version| version.get("served") == Some(&Value::Bool(true)))
        .map(|version| one(definition, version))
        .collect()
}

fn one(definition: &Value, version: &Value) -> Kind {
    let names = |key: &str| object::text(definition, &format!("/spec/names/{key}")).to_owned();
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<String>>();
    let subresources = version.get("subresources").and_then(Value::as_object);
    let fields = version.get("selectableFields").and_then(Value::as_array);
    let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
    Kind {
        group: object::text(definition, "/spec/group").to_owned(),
        version: object::text(version, "/name").to_owned(),
        kind: names("kind"),
        list_kind: names("listKind"),
        plural: names("plural"),
        singular: names("singular"),
        short_names: owned(object::texts(definition, "/spec/names/shortNames")),
        categories: owned(object::texts(definition, "/spec/names/categories")),
        namespaced: object::text(definition, "/spec/scope") == "Namespaced",
        verbs: Verb::ALL.to_vec(),
        subresources: subresources.into_iter().flat_map(|map| map.keys().cloned()).collect(),
        custom: true,
        storage: defined(definition),
        storage_version: version.get("storage") == Some(&Value::Bool(true)),
        deprecation: deprecation(definition, version),
        schema: version.pointer("/schema/openAPIV3Schema").cloned().map(Arc::new),
        columns: columns.map_or_else(|| vec![age()], |columns| columns.iter().map(column).collect()),
        selectable_fields: fields
            .into_iter()
            .flatten()
            .map(|field| object::text(field, "/jsonPath").trim_start_matches('.').to_owned())
            .collect(),
        create_on_update: false,
        unconditional_update: false,
    }
}

/// What those who use a version are warned of.
fn deprecation(definition: &Value, version: &Value) -> String {
    let own = object::text(version, "/deprecationWarning");
    if version.get("deprecated") != Some(&Value::Bool(true)) {
        String::new()
    } else if own.is_empty() {
        let (group, version) = (object::text(definition, "/spec/group"), object::text(version, "/name"));
        format!("{group}/{version} {} is deprecated", object::text(definition, "/spec/names/kind"))
    } else {
        own.to_owned()
    }
}

/// The column of a kind that names none.
fn age() -> Column {
    Column {
        name: "Age".to_owned(),
        kind: "date".to_owned(),
        json_path: ".metadata.creationTimestamp".to_owned(),
        ..Column::default()
    }
}

fn column(column: &Value) -> Column {
    let text = |key: &str| object::text(column, &format!("/{key}")).to_owned();
    Column {
        name: text("name"),
        kind: text("type"),
        format: text("format"),
        description: text("description"),
        priority: column.get("priority").and_then(Value::as_i64).unwrap_or_default(),
        json_path: text("jsonPath"),
    }
}

/// The version in which objects are stored.
pub(crate) fn storage_version(definition: &Value) -> String {
    let storage = versions(definition).find(|version| version.get("storage") == Some(&Value::Bool(true)));
    storage.map(|version| object::text(version, "/name").to_owned()).unwrap_or_default()
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten()
}
