//! Replacing objects, whole or only their status.

use serde_json::{Value, json};

use super::change::{has_whole_status, undecodable};
use super::options::{self, Options};
use super::{Reply, Request};
use crate::cluster::Cluster;
use crate::{Cause, Failure, Kind, Verb, body, meta, object, shape, strategy};

/// The subresource that has its own writers.
const STATUS: &str = "status";
/// The subresource by which a namespace's own finalizers go.
const FINALIZE: &str = "finalize";

impl Cluster {
    /// PUT.
    pub(crate) fn update(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let kind = &request.kind;
        options::check(request, Options::Update)?;
        let mut object = body::object(&self.registry, kind, request.headers, request.body)?;
        self.decode(request, &mut object).map_err(|why| undecodable(kind, &why))?;
        request.check_namespace_of(&mut object)?;
        request.check_name_of(&object)?;
        self.drop_repeated_owners(&mut object, "");
        let (namespace, name) = (&request.call.namespace, &request.call.name);
        let Some(stored) = self.store.get(&kind.storage, namespace, name).cloned() else {
            if kind.create_on_update && request.call.subresource.is_empty() {
                if !object::uid(&object).is_empty() {
                    return Err(another_uid(request, object::uid(&object), ""));
                }
                return self.create_object(request, object, false);
            }
            return Err(Failure::not_found(&kind.resource(), name));
        };
        let (claimed, there) = (object::uid(&object), object::uid(&stored));
        if !claimed.is_empty() && claimed != there {
            return Err(another_uid(request, claimed, there));
        }
        let old = shape::from_stored(kind, &stored);
        self.update_object(request, &old, object, false)
    }

    /// Replaces `old` by what a PUT or a patch made of it, which has been decoded. `applied` says that the new object already carries who
    /// owns its fields.
    pub(crate) fn update_object(
        &mut self,
        request: &Request<'_>,
        old: &Value,
        object: Value,
        applied: bool,
    ) -> Result<Reply, Failure> {
        let kind = &request.kind;
        let name = object::name(old).to_owned();
        match meta::claimed_revision(&object)? {
            Some(claimed) if claimed != object::revision(old) => {
                return Err(Failure::modified(&kind.resource(), &name));
            }
            None if !kind.unconditional_update => {
                let cause =
                    Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
                return Err(Failure::invalid(&kind.group, &kind.plural, &name, vec![cause]));
            }
            _ => {}
        }
        let object = if applied { object } else { self.track(request, Some(old), object) };
        let object = settled(request, old, object);
        self.check_escalation(request, Some(old), &object)?;
        let mut object = self.admit(request, Verb::Update, Some(old), Some(object))?.unwrap_or_default();
        self.check_valid(request, &object, Some(old))?;
        object::set_metadata(&mut object, "resourceVersion", object::text(old, "/metadata/resourceVersion"));

        if request.call.params.dry_run {
            return Ok(Reply::ok(object));
        }
        // A write that changes nothing of what is stored is none.
        let stored = shape::to_stored(kind, &object);
        if shape::from_stored(kind, &stored) == *old {
            return Ok(Reply::ok(old.clone()));
        }
        let namespace = object::namespace(old).to_owned();
        if object::is_deleting(old) && is_released(kind, &object) {
            self.store.remove(request.now, &kind.storage, &namespace, &name);
            return Ok(Reply::ok(object));
        }
        let stored = self.store.put(request.now, &kind.storage, &namespace, &name, stored);
        Ok(Reply::ok(shape::from_stored(kind, &stored)))
    }
}

/// The object on the path is not the one that the caller means: the real server says so in its storage's words.
fn another_uid(request: &Request<'_>, claimed: &str, there: &str) -> Failure {
    let (kind, namespace, name) = (&request.kind, &request.call.namespace, &request.call.name);
    let key =
        if kind.custom { format!("{}/{}", kind.group, kind.plural) } else { kind.storage.plural.clone() };
    let path = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{key}/{path}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {claimed}, UID in object meta: {there}"
    );
    Failure::conflict(&kind.resource(), name, &why)
}

/// The object with what this request may not change as it was: everything but the status for a write of the
/// status, and the other way around.
fn settled(request: &Request<'_>, old: &Value, mut object: Value) -> Value {
    let kind = &request.kind;
    let part = match request.call.subresource.as_str() {
        STATUS => Some(STATUS),
        FINALIZE => Some("spec"),
        _ => None,
    };
    if let Some(part) = part.filter(|part| *part != STATUS || !has_whole_status(kind)) {
        let written = object::take(&mut object, part);
        let owners = object.get("metadata").and_then(|metadata| metadata.get("managedFields")).cloned();
        let mut settled = old.clone();
        object::put(&mut settled, part, written);
        object::edit_metadata(&mut settled, |metadata| match owners {
            Some(owners) => {
                metadata.insert("managedFields".to_owned(), owners);
            }
            None => {
                metadata.remove("managedFields");
            }
        });
        return settled;
    }
    meta::carry_over(&mut object, old);
    if part.is_some() {
        object::put(&mut object, "spec", old.get("spec").cloned());
        return object;
    }
    if kind.has(STATUS) {
        object::put(&mut object, STATUS, old.get(STATUS).cloned());
    }
    strategy::prepare(kind, &mut object, Some(old));
    let generation = old.pointer("/metadata/generation").and_then(Value::as_i64);
    if let Some(generation) = generation
        && asks_for_more(kind, old, &object)
    {
        object::set_metadata(&mut object, "generation", generation + 1);
    }
    object
}

/// Whether two versions of an object differ in what they ask for, which is what the generation counts.
fn asks_for_more(kind: &Kind, old: &Value, new: &Value) -> bool {
    if !kind.custom {
        return old.get("spec") != new.get("spec");
    }
    let asked = |object: &Value| {
        let mut asked = object.clone();
        object::take(&mut asked, "metadata");
        if kind.has(STATUS) {
            object::take(&mut asked, STATUS);
        }
        asked
    };
    asked(old) != asked(new)
}

/// Whether nothing keeps an object that is to be deleted.
pub(super) fn is_released(kind: &Kind, object: &Value) -> bool {
    let keeps = kind.group.is_empty()
        && kind.plural == "namespaces"
        && !object::texts(object, "/spec/finalizers").is_empty();
    !keeps && object::finalizers(object).is_empty()
}
