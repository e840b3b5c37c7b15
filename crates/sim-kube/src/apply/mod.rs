//! Field ownership: server-side apply, and the tracking of every other write.
//!
//! ```text
//! apply:  live + applied ──merge──> merged ──prune what the manager dropped──> new
//!         live vs new ──compare──> what changed ∩ what others own = conflicts, unless forced
//! update: old vs new ──compare──> what changed becomes the writer's, and is lost to its owners
//! ```
//!
//! Who owns what is a [`FieldSet`] per manager, in `metadata.managedFields`. A manager is a name, an operation
//! and a subresource: what one applied to `status` and what it applied to the rest are two things. Time moves
//! only for a manager whose write changed the object.

mod compare;
mod conflict;
mod equal;
mod fields;
mod managers;
mod merge;
mod path;
mod remove;
mod shape;
mod typed;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value};

pub use fields::FieldSet;
pub use path::PathElement;

use crate::go_print;
use crate::schema::Schema;
use crate::status::Failure;
use compare::Comparison;
use managers::{Entry, Managers, Writer};
use shape::Shape;

/// kubectl's record of what its client side applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Where a write lands: the kind, and the part of its objects.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The kind's schema.
    pub schema: &'a Schema,
    /// The group and version of the request: `v1`, `cert-manager.io/v1`.
    pub api_version: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The subresource, or nothing.
    pub subresource: &'a str,
    /// Fields at the top that such a write cannot change: `status`, or for a write to it `metadata` and `spec`.
    pub ignored: &'a [&'a str],
    /// The time that the write is given.
    pub now: Timestamp,
}

impl Scope<'_> {
    /// Applies a configuration to the live object, or to nothing: the object as it is then, its
    /// `managedFields` included.
    pub fn apply(
        &self,
        live: Option<&Value>,
        applied: &Value,
        manager: &str,
        force: bool,
    ) -> Result<Value, Failure> {
        self.check_kind(applied)?;
        let empty = Value::Object(Map::new());
        let live_object = live.unwrap_or(&empty);
        let mut managers = Managers::decode(live_object)
            .map_err(|e| internal(format!("failed to decode managed fields: {e}")))?;
        let bare = without_managed_fields(live_object);
        if managers.is_empty() && live.is_some() {
            let writer = self.writer("before-first-apply", false);
            self.take(&mut managers, &empty, &bare, writer);
        }
        let attempt = |force| self.merge_and_own(&bare, applied, managers.clone(), manager, force);
        let outcome = match attempt(force) {
            Err(Refused::Conflicts(conflicts)) if manager == "kubectl" => {
                match self.allowed_conflicts(&bare, conflicts.clone()) {
                    Some(left) if left.is_empty() => attempt(true),
                    Some(left) => Err(Refused::Conflicts(left)),
                    None => Err(Refused::Conflicts(conflicts)),
                }
            }
            outcome => outcome,
        };
        let (mut object, managers) = outcome.map_err(|refused| match refused {
            Refused::Failure(failure) => failure,
            Refused::Conflicts(conflicts) => conflict::failure(&conflicts),
        })?;
        if manager == "kubectl" {
            record_last_applied(&mut object, applied);
        }
        managers.encode_into(&mut object);
        keep_times(live_object, &mut object);
        Ok(object)
    }

    /// Tracks a write that is no apply: `new` comes back with the `managedFields` that it is to be stored with.
    #[must_use]
    pub fn track(&self, old: Option<&Value>, mut new: Value, manager: &str) -> Value {
        let empty = Value::Object(Map::new());
        let old_object = old.unwrap_or(&empty);
        let mut managers = self.managers_of_update(old_object, &new);
        new = without_managed_fields(&new);
        // An object that nobody tracks stays so, until somebody applies.
        let untracked = managers.is_empty() && old.is_some_and(|old| old.pointer("/metadata/uid").is_some());
        if !untracked {
            let writer = self.writer(manager, false);
            self.take(&mut managers, &without_managed_fields(old_object), &new, writer);
            managers.cap();
        }
        managers.encode_into(&mut new);
        keep_times(old_object, &mut new);
        new
    }

    /// Whether the fields of an object can be told at all: each value is of the type of its field.
    pub(crate) fn fits(&self, object: &Value) -> bool {
        let shape = Shape::of(self.schema);
        typed::check(shape, object).err().is_none_or(|misfits| !misfits.is_of_another_type())
    }

    /// A writer may hand back the managed fields, change them, or reset them; a write to a subresource may not.
    fn managers_of_update(&self, old: &Value, new: &Value) -> Managers {
        let of_old = || Managers::decode(old).unwrap_or_default();
        if !self.subresource.is_empty() {
            return of_old();
        }
        match new.pointer("/metadata/managedFields") {
            Some(Value::Array(entries)) if managers::resets(entries) => Managers::default(),
            _ => Managers::decode(new).ok().filter(|managers| !managers.is_empty()).unwrap_or_else(of_old),
        }
    }

    /// Gives to a writer what changed from old to new, and takes it from everybody else.
    fn take(&self, managers: &mut Managers, old: &Value, new: &Value, writer: Writer) {
        let changed = self.compare(old, new);
        managers.lose(None, &changed);
        let own = strip(&changed.modified.union(&changed.added));
        if own.is_empty() {
            return;
        }
        let (set, time) = match managers.remove(&writer) {
            Some(entry) => (own.union(&entry.set), Some(self.now)),
            None => (own, Some(self.now)),
        };
        managers.insert(writer, Entry { set, api_version: self.api_version.to_owned(), time });
    }

    fn merge_and_own(
        &self,
        live: &Value,
        applied: &Value,
        mut managers: Managers,
        manager: &str,
        force: bool,
    ) -> Result<(Value, Managers), Refused> {
        if applied.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Failure::bad_request("metadata.managedFields must be nil").into());
        }
        let shape = Shape::of(self.schema);
        if let Err(errors) = typed::check(shape, applied) {
            let what = describe(applied);
            return Err(internal(format!("failed to create typed patch object ({what}): {errors}")).into());
        }
        let writer = self.writer(manager, true);
        let merged = merge::merge(shape, live, applied);
        let last = managers.remove(&writer);
        let time = last.as_ref().and_then(|entry| entry.time);
        let set = self.without_ignored(&typed::field_set(shape, applied));
        let everybody = managers.union().union(&set);
        let new = match &last {
            Some(last) if !last.set.is_empty() => prune(shape, &merged, &last.set, &everybody),
            _ => merged,
        };
        let changed = self.compare(live, &new);
        let conflicts = managers.conflicts(&changed);
        if !force && !conflicts.is_empty() {
            return Err(Refused::Conflicts(conflicts));
        }
        managers.lose(None, &changed);
        let moved = !equal::equal(live, &new);
        let set = strip(&set);
        if !set.is_empty() {
            let time = if moved { Some(self.now) } else { time };
            managers.insert(writer, Entry { set, api_version: self.api_version.to_owned(), time });
        }
        Ok((if moved { new } else { live.clone() }, managers))
    }

    /// Of kubectl's conflicts, those that its client side did not cause: what the annotation says was applied,
    /// and what is still so, is kubectl's own. Nothing if there is no such annotation.
    fn allowed_conflicts(
        &self,
        live: &Value,
        conflicts: Vec<conflict::Conflict>,
    ) -> Option<Vec<conflict::Conflict>> {
        let annotation = live.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
        let last: Value = serde_json::from_str(annotation).ok()?;
        let shape = Shape::of(self.schema);
        if last.get("apiVersion").and_then(Value::as_str) != Some(self.api_version)
            || typed::check(shape, &last).is_err()
        {
            return None;
        }
        let changed = compare::compare(shape, &last, live);
        let own = typed::field_set(shape, &last)
            .difference(&changed.modified)
            .difference(&changed.added)
            .difference(&changed.removed);
        Some(conflicts.into_iter().filter(|conflict| !own.has(&conflict.path)).collect())
    }

    fn compare(&self, old: &Value, new: &Value) -> Comparison {
        let Comparison { removed, modified, added } = compare::compare(Shape::of(self.schema), old, new);
        Comparison {
            removed: self.without_ignored(&removed),
            modified: self.without_ignored(&modified),
            added: self.without_ignored(&added),
        }
    }

    fn without_ignored(&self, set: &FieldSet) -> FieldSet {
        self.ignored.iter().fold(set.clone(), |set, name| set.without(&PathElement::field(name)))
    }

    fn writer(&self, manager: &str, applies: bool) -> Writer {
        Writer {
            manager: if manager.is_empty() { "unknown" } else { manager }.to_owned(),
            applies,
            api_version: if applies { String::new() } else { self.api_version.to_owned() },
            subresource: self.subresource.to_owned(),
        }
    }

    fn check_kind(&self, applied: &Value) -> Result<(), Failure> {
        let text = |key: &str| applied.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("apiVersion") == self.api_version && text("kind") == self.kind {
            return Ok(());
        }
        Err(Failure::bad_request(format!("invalid object type: {}", group_version_kind(applied))))
    }
}

/// Why an apply is refused; conflicts are kept apart, since kubectl is forgiven some.
enum Refused {
    Failure(Failure),
    Conflicts(Vec<conflict::Conflict>),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Removes what a manager applied last and does not apply now, unless anybody owns it; but never what it did not
/// own itself.
fn prune(shape: Shape<'_>, merged: &Value, last: &FieldSet, everybody: &FieldSet) -> Value {
    let named = |set: &FieldSet| shape::name_fields(set, shape);
    let removed_from = |object: &Value, items: &FieldSet| remove::remove(shape, object, items);
    let all = named(&typed::field_set(shape, merged));
    let pruned = removed_from(merged, &named(last));
    let kept = named(&typed::field_set(shape, &pruned)).union(&named(everybody));
    let pruned = removed_from(merged, &all.difference(&kept));
    let kept = named(&typed::field_set(shape, &pruned));
    removed_from(merged, &all.difference(&kept).intersection(&named(last)))
}

/// Keeps the times of the managed fields where nothing but they would change: a write that changes nothing is
/// none. For whoever stores an object, after everything else that touches it.
pub fn keep_times(old: &Value, new: &mut Value) {
    let Some(fields) = old.pointer("/metadata/managedFields") else { return };
    if !is_same_but_for_times(Some(old), Some(new)) {
        return;
    }
    if let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("managedFields".to_owned(), fields.clone());
    }
}

/// Whether two objects differ in the times of their managed fields at most.
fn is_same_but_for_times(old: Option<&Value>, new: Option<&Value>) -> bool {
    let entry = |old: Option<&Value>, new: Option<&Value>| is_same(old, new, "time", |_, _| true);
    let entries = |old: Option<&Value>, new: Option<&Value>| match (old, new) {
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| entry(Some(old), Some(new)))
        }
        _ => old == new,
    };
    let metadata = |old: Option<&Value>, new: Option<&Value>| is_same(old, new, "managedFields", entries);
    is_same(old, new, "metadata", metadata)
}

/// Whether two maps are the same, where `part` judges what is at `key`.
fn is_same(
    old: Option<&Value>,
    new: Option<&Value>,
    key: &str,
    part: impl Fn(Option<&Value>, Option<&Value>) -> bool,
) -> bool {
    let (Some(Value::Object(old)), Some(Value::Object(new))) = (old, new) else { return old == new };
    let rest = |map: &Map<String, Value>| map.len() - usize::from(map.contains_key(key));
    let mut others = old.iter().filter(|(name, _)| *name != key);
    rest(old) == rest(new)
        && others.all(|(name, old)| new.get(name).is_some_and(|new| equal::equal(old, new)))
        && part(old.get(key), new.get(key))
}

fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

fn record_last_applied(object: &mut Value, applied: &Value) {
    let mut applied = applied.clone();
    if let Some(metadata) = applied.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
    }
    let annotation =
        object.pointer_mut("/metadata/annotations").and_then(|value| value.get_mut(LAST_APPLIED));
    if let Some(annotation) = annotation.filter(|text| text.as_str().is_some_and(|text| !text.is_empty())) {
        *annotation = Value::from(format!("{}\n", go_print::json(&applied)));
    }
}

/// Nobody owns what identifies an object, or what the server alone writes.
fn strip(set: &FieldSet) -> FieldSet {
    const OF_NOBODY: [&[&str]; 12] = [
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ];
    static NOBODY: LazyLock<FieldSet> = LazyLock::new(|| {
        let mut nobody = FieldSet::default();
        for path in OF_NOBODY {
            nobody.insert(&path.iter().map(|name| PathElement::field(name)).collect::<Vec<_>>());
        }
        nobody
    });
    set.difference(&NOBODY)
}

fn describe(object: &Value) -> String {
    let text = |key: &str| object.pointer(key).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    format!("{namespace}/{name}; {}", group_version_kind(object))
}

/// Go's print of a group, version and kind.
fn group_version_kind(object: &Value) -> String {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let version = text("apiVersion");
    let slash = if version.contains('/') { "" } else { "/" };
    format!("{slash}{version}, Kind={}", text("kind"))
}

/// What the server reports as its own fault, though the client could have known better.
fn internal(message: String) -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
}
