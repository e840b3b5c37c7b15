//! What every write goes through: the schema, admission, validation, and who owns which fields.

use serde_json::Value;

use super::Request;
use crate::admission::Attributes;
use crate::apply::Scope;
use crate::cluster::Cluster;
use crate::schema::Schema;
use crate::{Cause, Failure, Kind, Verb, meta, object, strategy};

impl Cluster {
    /// Fits an object that came in to its schema: what the schema does not know is taken out, what it fills in is
    /// filled in. Returns what to warn of; under strict validation that is a failure instead.
    pub(crate) fn decode(
        &mut self,
        request: &Request<'_>,
        object: &mut Value,
    ) -> Result<Vec<String>, Failure> {
        let kind = &request.kind;
        let schema = self.schemas.of(kind);
        let unknown: Vec<String> =
            schema.prune(object).into_iter().map(|field| format!("unknown field \"{field}\"")).collect();
        if !unknown.is_empty() && request.call.params.field_validation == "Strict" {
            return Err(undecodable(kind, &format!("strict decoding error: {}", unknown.join(", "))));
        }
        schema.drop_nulls(object);
        strategy::check_encoding(kind, object)?;
        if kind.custom {
            schema.default(object);
        } else if let Some(cause) =
            schema.validate(object, None).iter().find(|cause| cause.reason == "FieldValueTypeInvalid")
        {
            // Built-in kinds are no JSON to the real server but values of a type: what has another is not understood.
            return Err(undecodable(kind, &wrong_type(kind, cause)));
        }
        let quiet = request.call.params.field_validation == "Ignore";
        Ok(if quiet { Vec::new() } else { unknown })
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
        }
        causes.extend(strategy::validate(kind, object, old));
        if causes.is_empty() {
            return Ok(());
        }
        // Both faces of an event are one kind to the real server's validation.
        let group = if kind.plural == "events" { "" } else { &kind.group };
        Err(Failure::invalid(group, said, object::name(object), causes))
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
        scope(request, &schema, &request.kind.api_version()).track(
            old.or(nothing.as_ref()),
            object,
            &request.manager(),
        )
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
        scope(request, &schema, &request.kind.api_version()).apply(
            live,
            applied,
            &params.field_manager,
            params.force,
        )
    }
}

/// The part of an object that a request writes, for the ownership of its fields.
fn scope<'a>(request: &'a Request<'_>, schema: &'a Schema, api_version: &'a str) -> Scope<'a> {
    let kind = &request.kind;
    let ignored: &[&str] = match request.call.subresource.as_str() {
        "" if kind.group.is_empty() && kind.plural == "namespaces" => &["spec", "status"],
        "" if kind.has("status") => &["status"],
        "" => &[],
        "finalize" => &["metadata", "status"],
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

fn undecodable(kind: &Kind, why: &str) -> Failure {
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
