//! What a real control plane's controllers do, as far as clients rely on it: objects go after their owners, the
//! content of a namespace with the namespace, custom objects with their definition, events after an hour; every
//! namespace has a ServiceAccount; and the kinds of a new definition are served.
//!
//! They look at the history for what there is to do, and do it a little later, as they do in a real cluster.

mod emptied;
mod furnish;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::apply::Scope;
use crate::cluster::Cluster;
use crate::store::Change;
use crate::verbs::{Departure, FOREGROUND, ORPHAN, depart};
use crate::watch::after;
use crate::{GroupResource, Kind, Registry, Store, definition, events, meta, object, rbac};

/// How long an event is kept after its last write.
const EVENT_TTL: SignedDuration = SignedDuration::from_hours(1);

/// What is still to be done, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Controllers {
    /// The last revision that was looked at.
    seen: u64,
    /// When the store is to be swept.
    sweep: Option<Timestamp>,
    /// Events in the order in which they go: when, where, and the write that is to be the last.
    expiring: VecDeque<(Timestamp, String, u64)>,
    /// When the history before a revision is forgotten.
    compactions: VecDeque<(Timestamp, u64)>,
    /// The authority that every namespace is to know, as PEM.
    root_ca: Option<String>,
    /// How many objects say that they depend on the one with this uid.
    dependents: BTreeMap<String, usize>,
    /// How many objects are on their way out.
    leaving: usize,
}

impl Controllers {
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let expiry = self.expiring.front().map(|(at, ..)| *at);
        let compaction = self.compactions.front().map(|(at, _)| *at);
        [self.sweep, expiry, compaction].into_iter().flatten().min()
    }
}

impl Controllers {
    /// Keeps count of who depends on whom, and of who is leaving.
    fn count(&mut self, change: &Change) {
        if let Some(old) = &change.old {
            for owner in object::owners(old) {
                let uid = object::text(owner, "/uid");
                if let Some(count) = self.dependents.get_mut(uid) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.dependents.remove(uid);
                    }
                }
            }
            self.leaving = self.leaving.saturating_sub(usize::from(object::is_deleting(old)));
        }
        if let Some(new) = &change.new {
            for owner in object::owners(new) {
                *self.dependents.entry(object::text(owner, "/uid").to_owned()).or_default() += 1;
            }
            self.leaving += usize::from(object::is_deleting(new));
        }
    }

    /// Whether anything depends on an object.
    fn depends(&self, on: &Value) -> bool {
        self.dependents.contains_key(object::uid(on))
    }
}

/// Whether what an owner reference of an object in `namespace` names is there, and stays.
fn is_solid(store: &Store, registry: &Registry, namespace: &str, reference: &Value) -> bool {
    let text = |key| object::text(reference, key);
    let Some(kind) = registry.of_object(text("/apiVersion"), text("/kind")) else { return false };
    let namespace = if kind.namespaced { namespace } else { "" };
    let owner = store.get(&kind.storage, namespace, text("/name"));
    owner.is_some_and(|owner| object::uid(owner) == text("/uid") && !object::is_deleting(owner))
}

impl Cluster {
    /// Does what is due at `now`.
    pub fn tick(&mut self, now: Timestamp) {
        // What one round does may be another's reason to do something, but not at the same instant: each waits.
        if self.controllers.sweep.is_some_and(|due| due <= now) {
            self.controllers.sweep = None;
            self.sweep(now);
        }
        while let Some((due, _, _)) = self.controllers.expiring.front()
            && *due <= now
        {
            let Some((_, path, revision)) = self.controllers.expiring.pop_front() else { break };
            self.expire(now, &path, revision);
        }
        while let Some((due, revision)) = self.controllers.compactions.front().copied()
            && due <= now
        {
            self.controllers.compactions.pop_front();
            self.store.compact(revision);
        }
        self.observe(now);
    }

    /// When there is something to do even if nobody asks for anything.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.controllers.next_due()
    }

    /// Looks at what was written, and notes what there is to do about it.
    pub(crate) fn observe(&mut self, now: Timestamp) {
        while self.controllers.seen < self.store.revision() {
            let seen = self.controllers.seen;
            self.controllers.seen = self.store.revision();
            let mut definitions = BTreeSet::new();
            let (mut sweep, mut roles) = (false, false);
            for change in self.store.changes_after(seen) {
                let (resource, path) = (&change.resource, &change.path);
                if *resource == definition::resource() {
                    definitions.insert(path.clone());
                }
                if *resource == events::resource() && change.new.is_some() {
                    self.controllers.expiring.push_back((
                        after(change.at, EVENT_TTL),
                        path.clone(),
                        change.revision,
                    ));
                }
                roles |= resource.group == rbac::GROUP && resource.plural == "clusterroles";
                let of_a_namespace = resource.group.is_empty()
                    && (resource.plural == "namespaces"
                        || path.ends_with(furnish::ROOT_CA)
                        || (resource.plural == "serviceaccounts" && change.new.is_none()));
                let controllers = &mut self.controllers;
                controllers.count(change);
                // To look through everything costs the more the more there is: only for a reason.
                sweep |= of_a_namespace
                    || match &change.new {
                        Some(object) => {
                            object::is_deleting(object)
                                || !object::owners(object).all(|owner| {
                                    is_solid(&self.store, &self.registry, object::namespace(object), owner)
                                })
                        }
                        None => {
                            controllers.leaving > 0
                                || change.old.as_ref().is_some_and(|old| controllers.depends(old))
                        }
                    };
            }
            if let Some(keep) = self.options.history {
                self.controllers.compactions.push_back((after(now, keep), seen));
            }
            if sweep && self.controllers.sweep.is_none() {
                self.controllers.sweep = Some(after(now, self.options.controllers_delay));
            }
            for name in definitions {
                self.define(now, &name);
            }
            if roles {
                self.aggregate_roles(now);
            }
        }
    }

    /// Serves what a definition defines, or ceases to.
    fn define(&mut self, now: Timestamp, name: &str) {
        let resource = definition::resource();
        let Some(stored) = self.store.get(&resource, "", name).cloned() else {
            let (plural, group) = name.split_once('.').unwrap_or((name, ""));
            self.registry.replace(&GroupResource::new(group, plural), Vec::new());
            self.schemas.forget(group, plural);
            return;
        };
        let defined = definition::defined(&stored);
        self.registry.replace(&defined, definition::kinds(&stored));
        self.schemas.forget(&defined.group, &defined.plural);
        if !definition::is_established(&stored) && !object::is_deleting(&stored) {
            let mut established = Value::clone(&stored);
            object::put(&mut established, "status", Some(definition::established(&stored, &meta::time(now))));
            let (group, plural) = (&resource.group, &resource.plural);
            let established = self.tracked(group, plural, "status", now, &stored, established);
            self.store.put(now, &resource, "", name, established);
        }
    }

    /// A definition or a namespace with a part that the control plane itself wrote.
    fn tracked(
        &mut self,
        group: &str,
        plural: &str,
        subresource: &str,
        now: Timestamp,
        old: &Value,
        new: Value,
    ) -> Value {
        let Some(kind) = self.registry.find(group, "v1", plural).cloned() else { return new };
        let manager = if group.is_empty() { "kube-controller-manager" } else { "kube-apiserver" };
        let schema = self.schemas.of(&kind);
        let scope = Scope {
            schema: &schema,
            api_version: &kind.api_version(),
            kind: &kind.kind,
            subresource,
            ignored: if subresource == "status" { &["metadata", "spec"] } else { &["metadata", "status"] },
            now,
        };
        scope.track(Some(old), new, manager)
    }

    /// Gives the ClusterRoles that are made of others the rules of these.
    fn aggregate_roles(&mut self, now: Timestamp) {
        let resource = GroupResource::new(rbac::GROUP, "clusterroles");
        let roles: Vec<Arc<Value>> =
            self.store.list(&resource, "").map(|(_, role)| Arc::clone(role)).collect();
        for role in &roles {
            let all = roles.iter().map(AsRef::as_ref);
            let Some(together) = rbac::aggregated_rules(role, all, selects) else { continue };
            // With nothing to give it keeps what it has.
            if together.is_empty() {
                continue;
            }
            let have = role.get("rules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            if have != together {
                let mut aggregated = Value::clone(role);
                object::put(&mut aggregated, "rules", Some(json!(together)));
                self.store.put(now, &resource, "", object::name(role), aggregated);
            }
        }
    }

    /// Deletes an event, if nothing was written to it since.
    fn expire(&mut self, now: Timestamp, path: &str, revision: u64) {
        let (namespace, name) = path.split_once('/').unwrap_or(("", path));
        let resource = events::resource();
        if self.store.get(&resource, namespace, name).is_some_and(|event| object::revision(event) == revision)
        {
            self.store.remove(now, &resource, namespace, name);
        }
    }

    /// Looks through the whole store for what is to go.
    fn sweep(&mut self, now: Timestamp) {
        let before = self.store.revision();
        self.collect_garbage(now);
        self.purge_namespaces(now);
        self.purge_definitions(now);
        self.furnish_namespaces(now);
        if self.store.revision() > before {
            self.controllers.sweep = Some(after(now, self.options.controllers_delay));
        }
    }

    /// Deletes what has owners of which none is left, and lets go owners that wait for their dependents.
    fn collect_garbage(&mut self, now: Timestamp) {
        let everything = self.everything();
        let there: BTreeMap<&str, &Arc<Value>> =
            everything.iter().map(|(_, object)| (object::uid(object), object)).collect();
        let waits = |owner: &Value, finalizer: &str| {
            object::is_deleting(owner) && object::finalizers(owner).contains(&finalizer)
        };
        let mut blocked: BTreeSet<&str> = BTreeSet::new();
        for (kind, object) in &everything {
            let owners: Vec<&Value> = object::owners(object).collect();
            // Events are left to their age.
            if owners.is_empty() || kind.storage == events::resource() {
                continue;
            }
            let owner_of = |reference: &Value| there.get(object::text(reference, "/uid")).copied();
            let orphaned: Vec<&&Value> = owners
                .iter()
                .filter(|reference| owner_of(reference).is_some_and(|owner| waits(owner, ORPHAN)))
                .collect();
            if !orphaned.is_empty() {
                let kept: Vec<&&Value> =
                    owners.iter().filter(|reference| !orphaned.contains(reference)).collect();
                self.set_owners(now, kind, object, &json!(kept));
                continue;
            }
            let solid = owners
                .iter()
                .filter(|reference| owner_of(reference).is_some_and(|owner| !waits(owner, FOREGROUND)))
                .count();
            if solid == 0 {
                let in_front: Vec<&&Value> =
                    owners.iter().filter(|reference| owner_of(reference).is_some()).collect();
                for reference in &in_front {
                    if reference.get("blockOwnerDeletion") == Some(&Value::Bool(true)) {
                        blocked.insert(object::text(reference, "/uid"));
                    }
                }
                if !object::is_deleting(object) {
                    let policy = if in_front.is_empty() { "Background" } else { "Foreground" };
                    depart(&mut self.store, kind, object, policy, now);
                }
            } else if solid < owners.len() {
                let kept: Vec<&&Value> = owners
                    .iter()
                    .filter(|reference| owner_of(reference).is_some_and(|owner| !waits(owner, FOREGROUND)))
                    .collect();
                self.set_owners(now, kind, object, &json!(kept));
            }
        }
        for (kind, object) in &everything {
            let ready = waits(object, ORPHAN)
                || (waits(object, FOREGROUND) && !blocked.contains(object::uid(object)));
            if ready {
                self.release(now, kind, object, &[ORPHAN, FOREGROUND]);
            }
        }
    }

    /// Empties the namespaces that are to go, and lets them go when they are empty.
    fn purge_namespaces(&mut self, now: Timestamp) {
        let namespaces = GroupResource::new("", "namespaces");
        let leaving: Vec<Arc<Value>> = self
            .store
            .list(&namespaces, "")
            .filter(|(_, namespace)| object::is_deleting(namespace))
            .map(|(_, namespace)| Arc::clone(namespace))
            .collect();
        for namespace in leaving {
            let name = object::name(&namespace).to_owned();
            let content: Vec<(Arc<Kind>, Arc<Value>)> = self
                .everything()
                .into_iter()
                .filter(|(_, object)| object::namespace(object) == name)
                .collect();
            let mut left = 0;
            for (kind, object) in content {
                if let Departure::Waiting(_) = depart(&mut self.store, &kind, &object, "Background", now) {
                    left += 1;
                }
            }
            if left == 0 {
                let mut namespace = namespace;
                if namespace.pointer("/status/conditions").is_none() {
                    let emptied = emptied::emptied(&namespace, &meta::time(now));
                    let emptied = self.tracked("", "namespaces", "status", now, &namespace, emptied);
                    namespace = self.store.put(now, &namespaces, "", &name, emptied);
                }
                let ours = object::texts(&namespace, "/spec/finalizers");
                let others: Vec<&str> =
                    ours.iter().copied().filter(|finalizer| *finalizer != "kubernetes").collect();
                if others.is_empty() && object::finalizers(&namespace).is_empty() {
                    self.store.remove(now, &namespaces, "", &name);
                } else if others.len() < ours.len() {
                    let mut finalized = Value::clone(&namespace);
                    let spec = if others.is_empty() { json!({}) } else { json!({"finalizers": others}) };
                    object::put(&mut finalized, "spec", Some(spec));
                    let finalized = self.tracked("", "namespaces", "finalize", now, &namespace, finalized);
                    self.store.put(now, &namespaces, "", &name, finalized);
                }
            }
        }
    }

    /// Deletes the objects of the definitions that are to go, and lets them go when there are none left.
    fn purge_definitions(&mut self, now: Timestamp) {
        let leaving: Vec<Arc<Value>> = self
            .store
            .list(&definition::resource(), "")
            .filter(|(_, definition)| object::is_deleting(definition))
            .map(|(_, definition)| Arc::clone(definition))
            .collect();
        for definition in leaving {
            let resource = definition::defined(&definition);
            let content: Vec<(Arc<Kind>, Arc<Value>)> =
                self.everything().into_iter().filter(|(kind, _)| kind.storage == resource).collect();
            let mut left = 0;
            for (kind, object) in content {
                if let Departure::Waiting(_) = depart(&mut self.store, &kind, &object, "Background", now) {
                    left += 1;
                }
            }
            if left == 0
                && let Some(kind) =
                    self.registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions").cloned()
            {
                self.release(now, &kind, &definition, &[definition::CLEANUP]);
            }
        }
    }

    /// Every object whose kind is known, with its kind.
    fn everything(&self) -> Vec<(Arc<Kind>, Arc<Value>)> {
        let mut everything = Vec::new();
        let mut seen = BTreeSet::new();
        for kind in self.registry.kinds() {
            if !seen.insert(kind.storage.clone()) {
                continue;
            }
            everything.extend(
                self.store.list(&kind.storage, "").map(|(_, object)| (Arc::clone(kind), Arc::clone(object))),
            );
        }
        everything
    }

    fn set_owners(&mut self, now: Timestamp, kind: &Kind, object: &Value, owners: &Value) {
        let mut changed = object.clone();
        object::edit_metadata(&mut changed, |metadata| {
            if owners.as_array().is_some_and(Vec::is_empty) {
                metadata.remove("ownerReferences");
            } else {
                metadata.insert("ownerReferences".to_owned(), owners.clone());
            }
        });
        self.store.put(now, &kind.storage, object::namespace(object), object::name(object), changed);
    }

    /// Takes finalizers from an object that is to go, which goes with the last.
    fn release(&mut self, now: Timestamp, kind: &Kind, object: &Value, finalizers: &[&str]) {
        let (namespace, name) = (object::namespace(object), object::name(object));
        let Some(object) = self.store.get(&kind.storage, namespace, name).cloned() else { return };
        let left: Vec<&str> = object::finalizers(&object)
            .into_iter()
            .filter(|finalizer| !finalizers.contains(finalizer))
            .collect();
        if left.is_empty() {
            self.store.remove(now, &kind.storage, namespace, name);
            return;
        }
        let mut changed = Value::clone(&object);
        object::set_metadata(&mut changed, "finalizers", json!(left));
        self.store.put(now, &kind.storage, namespace, name, changed);
    }
}

/// Whether a label selector in an object selects these labels.
fn selects(selector: &Value, labels: &Map<String, Value>) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    wanted.into_iter().flatten().all(|(key, value)| label(key) == value.as_str())
        && expressions.into_iter().flatten().all(|expression| {
            let (value, values) =
                (label(object::text(expression, "/key")), object::texts(expression, "/values"));
            match object::text(expression, "/operator") {
                "In" => value.is_some_and(|value| values.contains(&value)),
                "NotIn" => value.is_none_or(|value| !values.contains(&value)),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
