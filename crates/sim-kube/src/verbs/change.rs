//! What every write goes through: the schema, admission, validation, and who owns which fields.

use serde_json::{Map, Value, json};

use super::Request;
use crate::admission::Attributes;
use crate::apply::Scope;
use crate::cluster::Cluster;
use crate::rbac::escalation::{self, Writing};
use crate::schema::Schema;
use crate::{Cause, Failure, Kind, Verb, go_values, meta, object, strategy};

impl Cluster {
    /// Fits an object that came in to its schema: what the schema does not know is taken out, what it fills in is
    /// filled in. What is taken out is warned of; under strict validation it is a failure instead. The error says
    /// why the object is none.
    pub(crate) fn decode(&mut self, request: &Request<'_>, object: &mut Value) -> Result<(), String> {
        let kind = &request.kind;
        if kind.custom && object::text(object, "/kind") != kind.kind {
            // There is no schema for what it says that it is.
            return Ok(());
        }
        let mut unknown = self.schemas.of(kind).prune(object);
        // Metadata is read first.
        unknown.sort_by_key(|field| kind.custom && !field.starts_with("metadata."));
        let unknown: Vec<String> =
            unknown.into_iter().map(|field| format!("unknown field \"{field}\"")).collect();
        // What is mistyped is found before what is unknown.
        self.convert(kind, object, true)?;
        if !unknown.is_empty() && request.call.params.field_validation == "Strict" {
            return Err(format!("strict decoding error: {}", unknown.join(", ")));
        }
        if request.call.params.field_validation != "Ignore" {
            self.warnings.extend(unknown);
        }
        Ok(())
    }

    /// Fits what an apply made to its schema, which has been checked.
    pub(crate) fn convert_applied(
        &mut self,
        request: &Request<'_>,
        object: &mut Value,
    ) -> Result<(), Failure> {
        let kind = &request.kind;
        // Those whom it matters to were told by the apply.
        let _ = self.schemas.of(kind).prune(object);
        let version = format!("{}/{}, Kind={}", kind.group, kind.version, kind.kind);
        let what = format!("({}/{}; {version})", object::namespace(object), object::name(object));
        self.convert(kind, object, false).map_err(|why| {
            Failure::plain(format!(
                "failed to convert new object {what} to proper version: unable to convert unstructured object to \
                 {version}: {why}"
            ))
        })
    }

    /// Makes of JSON what a value of the kind's type is. The error says what it cannot be.
    /// Nulls go, unless an apply sent them to a custom resource.
    fn convert(&mut self, kind: &Kind, object: &mut Value, nulls_go: bool) -> Result<(), String> {
        let schema = self.schemas.of(kind);
        if kind.custom {
            for key in ["labels", "annotations"] {
                let texts = object.pointer_mut(&format!("/metadata/{key}")).and_then(Value::as_object_mut);
                texts.into_iter().flat_map(Map::values_mut).filter(|text| text.is_null()).for_each(|text| {
                    *text = json!("");
                });
            }
        }
        if let Some(schema) = kind.schema.as_deref().filter(|_| !kind.custom) {
            go_values::fill_nulls(schema, object);
        }
        if nulls_go || !kind.custom {
            schema.drop_nulls(object);
        }
        if kind.custom {
            // Of a custom object only the metadata has a type.
            object::edit_metadata(object, |metadata| metadata.retain(|_, value| !value.is_null()));
            let causes = schema.validate_values(object);
            let mistyped = |cause: &&Cause| {
                cause.reason == "FieldValueTypeInvalid"
                    && (cause.field.starts_with("metadata.")
                        || cause.field == "metadata"
                        || cause.field.contains(".metadata."))
            };
            if let Some(cause) = causes.iter().find(mistyped) {
                let why = wrong_type(kind, cause);
                let Some((embedded, _)) = cause.field.split_once(".metadata.") else { return Err(why) };
                let pointer = format!("/{}/metadata", embedded.replace('.', "/"));
                let shown = object.pointer(&pointer).unwrap_or(&Value::Null);
                return Err(format!("{embedded}.metadata: Invalid value: {shown}: {why}"));
            }
            schema.default(object);
            go_values::whole_numbers(object);
            object::edit_metadata(object, meta::drop_empty);
            return Ok(());
        }
        strategy::check_encoding(kind, object)?;
        // Built-in kinds are no JSON to the real server but values of a type: what has another is not understood.
        let causes = schema.validate_values(object);
        if let Some(cause) = causes.iter().find(|cause| cause.reason == "FieldValueTypeInvalid") {
            return Err(wrong_type(kind, cause));
        }
        // An empty list is said only where a type always says it.
        let said = strategy::nothing(kind).unwrap_or_default();
        let kept: Vec<(String, Value)> = said
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, _)| Some((key.clone(), object.get(key)?.clone())))
            .filter(|(_, value)| value.is_array())
            .collect();
        if let Some(schema) = kind.schema.as_deref() {
            go_values::forget_empty(schema, object);
        }
        object::edit_metadata(object, meta::drop_empty);
        strategy::default(kind, object);
        for (key, value) in kept {
            object::put(object, &key, Some(value));
        }
        for (key, value) in said.as_object().into_iter().flatten() {
            if object.get(key).is_none_or(Value::is_null) {
                object::put(object, key, Some(value.clone()));
            }
        }
        Ok(())
    }

    /// Leaves one of the owners that are the same, and warns of the others. `when` says how late it is.
    pub(crate) fn drop_repeated_owners(&mut self, object: &mut Value, when: &str) {
        let owners: Vec<Value> = object::owners(object).cloned().collect();
        let mut once: Vec<Value> = Vec::new();
        let mut repeated = Vec::new();
        for owner in owners {
            if once.contains(&owner) {
                repeated.push(object::text(&owner, "/uid").to_owned());
            } else {
                once.push(owner);
            }
        }
        if repeated.is_empty() {
            return;
        }
        self.warnings.push(format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and \
             may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            repeated.join(", ")
        ));
        object::set_metadata(object, "ownerReferences", once);
    }

    /// Whether an object may be stored as it is.
    pub(crate) fn check_valid(
        &mut self,
        request: &Request<'_>,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), Failure> {
        let kind = &request.kind;
        let mut causes = match old {
            Some(old) => meta::validate_update(kind, object, old),
            None => meta::validate(kind, object),
        };
        let said = object::text(object, "/kind");
        if said != kind.kind {
            let cause = Cause::invalid("kind", &said.into(), &format!("must be {}", kind.kind));
            return Err(Failure::invalid(&kind.group, said, object::name(object), vec![cause]));
        }
        if kind.custom {
            let schema = self.schemas.of(kind);
            causes.extend(if request.call.subresource.is_empty() {
                schema.validate(object, old)
            } else {
                schema.validate_status(object, old)
            });
            // Metadata is a type of its own, which knows no sets.
            causes.retain(|cause| {
                cause.reason != "FieldValueDuplicate" || !cause.field.starts_with("metadata.finalizers")
            });
        }
        let special = strategy::validate(kind, object, old);
        // An event of the older version is looked at as an object only if it is right as an event.
        if kind.group.is_empty() && kind.plural == "events" && old.is_none() && !special.is_empty() {
            causes.clear();
        }
        causes.extend(special);
        if causes.is_empty() {
            self.warnings.extend(strategy::warnings(kind, object));
            if kind.custom && request.call.subresource.is_empty() {
                self.warnings.extend(meta::warnings(object, old));
            }
            return Ok(());
        }
        // Both faces of an event are one kind to the real server's validation.
        let group = if kind.plural == "events" { "" } else { &kind.group };
        Err(Failure::invalid(group, said, object::name(object), causes))
    }

    /// Whether the caller may give away what a role or a binding gives.
    pub(crate) fn check_escalation(
        &self,
        request: &Request<'_>,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<(), Failure> {
        let writing = Writing {
            user: request.user,
            resource: &request.kind.resource(),
            namespace: &request.call.namespace,
            name: &request.call.name,
        };
        escalation::check(&self.store, &writing, old, new)
    }

    /// Asks everybody who has a say. Returns the object as they leave it.
    pub(crate) fn admit(
        &self,
        request: &Request<'_>,
        verb: Verb,
        old: Option<&Value>,
        new: Option<Value>,
    ) -> Result<Option<Value>, Failure> {
        let mut new = new;
        for admission in &self.admission {
            let name = new.as_ref().or(old).map_or("", object::name).to_owned();
            let attributes = Attributes {
                verb,
                kind: &request.kind,
                subresource: &request.call.subresource,
                namespace: &request.call.namespace,
                name: &name,
                old,
                new: new.as_ref(),
                user: request.user,
                store: &self.store,
            };
            if let Some(changed) = admission.admit(&attributes)? {
                new = Some(changed);
            }
        }
        Ok(new)
    }

    /// Notes whose fields the request wrote.
    pub(crate) fn track(&mut self, request: &Request<'_>, old: Option<&Value>, object: Value) -> Value {
        let schema = self.schemas.of(&request.kind);
        let nothing = strategy::nothing(&request.kind);
        let api_version = request.kind.api_version();
        let scope = scope(request, &schema, &api_version);
        let is_another = object::text(&object, "/kind") != request.kind.kind;
        // What replaces an object and repeats an item of a set cannot be compared with it.
        let finalizers = object::finalizers(&object);
        let repeats = old.is_some_and(|old| object::finalizers(old) != finalizers)
            && finalizers
                .iter()
                .enumerate()
                .any(|(at, own)| finalizers.iter().skip(at + 1).any(|other| other == own));
        if repeats || (request.kind.custom && (is_another || !scope.fits(&object))) {
            let mut object = object;
            object::edit_metadata(&mut object, |metadata| {
                metadata.remove("managedFields");
            });
            return object;
        }
        scope.track(old.or(nothing.as_ref()), object, &request.manager())
    }

    /// What an apply makes of the live object, or of none.
    pub(crate) fn merge_applied(
        &mut self,
        request: &Request<'_>,
        live: Option<&Value>,
        applied: &Value,
    ) -> Result<Value, Failure> {
        let schema = self.schemas.of(&request.kind);
        let params = &request.call.params;
        // Parts that say nothing are nobody's.
        let nothing = strategy::nothing(&request.kind).unwrap_or_default();
        let live = live.map(|live| {
            let mut live = live.clone();
            for (key, value) in nothing.as_object().into_iter().flatten() {
                if live.get(key) == Some(value) {
                    object::take(&mut live, key);
                }
            }
            live
        });
        let mut merged = scope(request, &schema, &request.kind.api_version()).apply(
            live.as_ref(),
            applied,
            &params.field_manager,
            params.force,
        )?;
        // Who wrote before owns no part that the type always has.
        let entries = merged.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            if object::text(entry, "/manager") == "before-first-apply" {
                for key in nothing.as_object().into_iter().flat_map(Map::keys) {
                    let part = entry.pointer_mut(&format!("/fieldsV1/f:{key}"));
                    part.and_then(Value::as_object_mut).map(|part| part.remove("."));
                }
            }
        }
        Ok(merged)
    }
}

/// Whether who writes the status of an object writes its metadata with it.
pub(super) fn has_whole_status(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.has("status")
}

/// The part of an object that a request writes, for the ownership of its fields.
fn scope<'a>(request: &'a Request<'_>, schema: &'a Schema, api_version: &'a str) -> Scope<'a> {
    let kind = &request.kind;
    let ignored: &[&str] = match request.call.subresource.as_str() {
        "" if kind.has("status") => &["status"],
        "" => &[],
        "finalize" => &["metadata", "status"],
        "status" if has_whole_status(kind) => &["spec"],
        _ => &["metadata", "spec"],
    };
    Scope {
        schema,
        api_version,
        kind: &kind.kind,
        subresource: &request.call.subresource,
        ignored,
        now: request.now,
    }
}

/// 400: the body is no object of the kind.
pub(super) fn undecodable(kind: &Kind, why: &str) -> Failure {
    let (own, version) = (&kind.kind, &kind.version);
    Failure::bad_request(format!("{own} in version \"{version}\" cannot be handled as a {own}: {why}"))
}

/// A value of a wrong type, in the words of a decoder: the cause names both types in its own.
fn wrong_type(kind: &Kind, cause: &Cause) -> String {
    let got = match cause.message.split('"').nth(1).unwrap_or_default() {
        "integer" | "number" => "number",
        "boolean" => "bool",
        other => other,
    };
    let wanted = cause
        .message
        .split("must be of type ")
        .nth(1)
        .and_then(|rest| rest.split(':').next())
        .unwrap_or_default();
    format!(
        "json: cannot unmarshal {got} into Go struct field {}{} of type {wanted}",
        kind.kind,
        fields(kind, &cause.field)
    )
}

/// The part of a path that consists of a type's own fields, before the keys of a map.
fn fields(kind: &Kind, path: &str) -> String {
    let mut fields = String::new();
    let mut schema = kind.schema.as_deref();
    for part in path.split('.') {
        let name = part.split('[').next().unwrap_or_default();
        let Some(next) = schema.and_then(|schema| schema.get("properties")?.get(name)) else { break };
        fields.push('.');
        fields.push_str(name);
        schema = next.get("items").or(Some(next));
    }
    fields
}
