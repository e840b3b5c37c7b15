//! Deleting objects: at once, or when their finalizers let them go.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::options::unknown_dry_run;
use super::update::is_released;
use super::{Reply, Request};
use crate::call::number;
use crate::cluster::Cluster;
use crate::store::set_revision;
use crate::{Cause, Details, Failure, Kind, Store, Verb, body, definition, meta, object, shape};

/// The finalizer of an object that waits for its dependents.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an object whose dependents are to be let go first.
pub(crate) const ORPHAN: &str = "orphan";
/// The namespaces without which there is no cluster.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// How an object left.
#[derive(Clone, Debug)]
pub(crate) enum Departure {
    /// It is gone; this is what it was.
    Gone(Arc<Value>),
    /// It stays until its finalizers let it go.
    Waiting(Arc<Value>),
}

/// The options of a deletion, from the query and from the body.
#[derive(Clone, Debug, Default)]
struct Options {
    policy: String,
    uid: String,
    revision: String,
    dry_run: bool,
    /// Whether `orphanDependents` was said to be false.
    cascades: bool,
}

impl Options {
    fn read(request: &Request<'_>) -> Result<Self, Failure> {
        let params = &request.call.params;
        let mut causes = Vec::new();
        let mut options =
            Self { policy: params.propagation_policy.clone(), dry_run: params.dry_run, ..Self::default() };
        if request.body.is_empty() {
            number::<i64>(&params.grace_period)?;
        }
        let mut dry_run = params.dry_run_values.clone();
        if !request.body.is_empty() {
            let body = body::options(request.headers, request.body)?;
            dry_run = object::texts(&body, "/dryRun").into_iter().map(str::to_owned).collect();
            let text = |pointer: &str| object::text(&body, pointer).to_owned();
            options = Self {
                policy: text("/propagationPolicy"),
                uid: text("/preconditions/uid"),
                revision: text("/preconditions/resourceVersion"),
                cascades: body.get("orphanDependents") == Some(&Value::Bool(false)),
                dry_run: dry_run.iter().any(|value| value == "All"),
            };
            let orphans = body.get("orphanDependents").and_then(Value::as_bool);
            if orphans.is_some() && !options.policy.is_empty() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                causes.push(Cause::invalid("propagationPolicy", &json!(options.policy), why));
            } else if let Some(orphans) = orphans {
                let policy = if orphans { "Orphan" } else { "Background" };
                policy.clone_into(&mut options.policy);
            }
        }
        let known = ["Foreground", "Background", "Orphan", "nil"];
        if !options.policy.is_empty()
            && !known.get(..3).unwrap_or_default().contains(&options.policy.as_str())
        {
            causes.push(Cause::not_supported("propagationPolicy", &json!(options.policy), &known));
        }
        causes.extend(unknown_dry_run(&dry_run));
        if causes.is_empty() {
            Ok(options)
        } else {
            Err(Failure::invalid("meta.k8s.io", "DeleteOptions", "", causes))
        }
    }

    /// Whether the object is the one that the caller means.
    fn check(&self, kind: &Kind, object: &Value) -> Result<(), Failure> {
        let (uid, revision) = (object::uid(object), object::text(object, "/metadata/resourceVersion"));
        let why = if !self.uid.is_empty() && self.uid != uid {
            format!(
                "the UID in the precondition ({}) does not match the UID in record ({uid}). The object might have been \
                 deleted and then recreated",
                self.uid
            )
        } else if !self.revision.is_empty() && self.revision != revision {
            format!(
                "the ResourceVersion in the precondition ({}) does not match the ResourceVersion in record ({revision}). \
                 The object might have been modified",
                self.revision
            )
        } else {
            return Ok(());
        };
        let name = object::name(object).to_owned();
        // The real server says the kind here, where it otherwise says the plural.
        let what =
            if kind.group.is_empty() { kind.kind.clone() } else { format!("{}.{}", kind.kind, kind.group) };
        let message = format!("Operation cannot be fulfilled on {what} \"{name}\": {why}");
        let details =
            Details { name, group: kind.group.clone(), kind: kind.kind.clone(), ..Details::default() };
        Err(Failure::new(StatusCode::CONFLICT, "Conflict", message).with_details(details))
    }
}

impl Cluster {
    /// DELETE of one object.
    pub(crate) fn delete(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let (kind, name) = (&request.kind, &request.call.name);
        let options = Options::read(request)?;
        let resource = kind.resource();
        if resource.group.is_empty() && resource.plural == "namespaces" && IMMORTAL.contains(&name.as_str()) {
            return Err(Failure::forbidden(&resource, name, "this namespace may not be deleted"));
        }
        let Some(object) = self.store.get(&kind.storage, &request.call.namespace, name).cloned() else {
            return Err(Failure::not_found(&resource, name));
        };
        options.check(kind, &object)?;
        let old = shape::from_stored(kind, &object);
        self.admit(request, Verb::Delete, Some(&old), None)?;
        let departure = if options.dry_run {
            match leaving(kind, &object, &options.policy, request.now) {
                Some(leaving) => Departure::Waiting(Arc::new(leaving)),
                None => Departure::Gone(object),
            }
        } else {
            depart(&mut self.store, kind, &object, &options.policy, request.now)
        };
        // Who asks in the old way that dependents go too is told that it is not done yet.
        let accepted = options.cascades && matches!(departure, Departure::Waiting(_));
        let code = if accepted { StatusCode::ACCEPTED } else { StatusCode::OK };
        let value = match departure {
            Departure::Waiting(object) => shape::from_stored(kind, &object),
            Departure::Gone(object) if returns_the_object(kind) => {
                let mut object = shape::from_stored(kind, &object);
                if !options.dry_run {
                    // The revision is that of the deletion.
                    set_revision(&mut object, self.store.revision());
                }
                object
            }
            Departure::Gone(object) => success(kind, &object),
        };
        Ok(Reply { code, value })
    }

    /// DELETE of a collection. The answer lists what was there.
    pub(crate) fn delete_collection(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let options = Options::read(request)?;
        let kind = &request.kind;
        let found = self.selected(request)?;
        let mut items = Vec::new();
        for object in found {
            options.check(kind, &object)?;
            let old = shape::from_stored(kind, &object);
            self.admit(request, Verb::Delete, Some(&old), None)?;
            if !options.dry_run {
                depart(&mut self.store, kind, &object, &options.policy, request.now);
            }
            items.push(old);
        }
        let mut metadata = json!({"resourceVersion": self.store.revision().to_string()});
        if kind.custom {
            object::put(&mut metadata, "continue", Some(json!("")));
        }
        Ok(Reply::ok(shape::list(kind, &metadata, items)))
    }
}

/// Deletes a stored object, or marks it as one that is to go.
pub(crate) fn depart(
    store: &mut Store,
    kind: &Kind,
    object: &Arc<Value>,
    policy: &str,
    now: Timestamp,
) -> Departure {
    let (namespace, name) = (object::namespace(object).to_owned(), object::name(object).to_owned());
    let Some(leaving) = leaving(kind, object, policy, now) else {
        store.remove(now, &kind.storage, &namespace, &name);
        return Departure::Gone(Arc::clone(object));
    };
    if leaving == **object {
        return Departure::Waiting(Arc::clone(object));
    }
    Departure::Waiting(store.put(now, &kind.storage, &namespace, &name, leaving))
}

/// An object that is to go and stays for now; nothing if nothing keeps it.
fn leaving(kind: &Kind, object: &Value, policy: &str, now: Timestamp) -> Option<Value> {
    let mut leaving = object.clone();
    set_finalizers(&mut leaving, kind, policy);
    if is_released(kind, &leaving) {
        return None;
    }
    if !object::is_deleting(object) {
        object::set_metadata(&mut leaving, "deletionTimestamp", meta::time(now));
        match (kind.group.as_str(), kind.plural.as_str()) {
            ("", "namespaces") => object::put(&mut leaving, "status", Some(json!({"phase": "Terminating"}))),
            ("apiextensions.k8s.io", "customresourcedefinitions") => {
                definition::terminate(&mut leaving, &meta::time(now));
            }
            _ => {
                object::set_metadata(&mut leaving, "deletionGracePeriodSeconds", 0);
                if let Some(generation) = object.pointer("/metadata/generation").and_then(Value::as_i64) {
                    object::set_metadata(&mut leaving, "generation", generation + 1);
                }
            }
        }
    }
    Some(leaving)
}

/// The finalizers that the policy asks for: one that is said replaces what an earlier deletion asked for.
fn set_finalizers(object: &mut Value, kind: &Kind, policy: &str) {
    let mut finalizers: Vec<String> = object::finalizers(object).into_iter().map(str::to_owned).collect();
    let own = match policy {
        "Foreground" => Some(FOREGROUND),
        "Orphan" => Some(ORPHAN),
        _ => None,
    };
    if !policy.is_empty() {
        finalizers.retain(|finalizer| finalizer != FOREGROUND && finalizer != ORPHAN);
        finalizers.extend(own.map(str::to_owned));
    }
    if kind.storage == definition::resource() && !object::is_deleting(object) {
        finalizers.push(definition::CLEANUP.to_owned());
    }
    object::edit_metadata(object, |metadata| {
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        } else {
            metadata.insert("finalizers".to_owned(), json!(finalizers));
        }
    });
}

/// The kinds of which a deletion answers with the object itself.
fn returns_the_object(kind: &Kind) -> bool {
    kind.group.is_empty() && matches!(kind.plural.as_str(), "serviceaccounts" | "pods" | "services")
}

fn success(kind: &Kind, object: &Value) -> Value {
    let mut details = json!({"name": object::name(object), "kind": kind.plural, "uid": object::uid(object)});
    if !kind.group.is_empty() {
        object::put(&mut details, "group", Some(json!(kind.group)));
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
