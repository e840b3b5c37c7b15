//! Objects, and their history by revision.
//!
//! One counter numbers every write of the whole cluster, and an object's resourceVersion is the number of the
//! write that left it. The history holds what every write replaced, so what the store held at any revision since
//! the last compaction can be told. An object in the store always carries its resourceVersion.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::GroupResource;

/// Where an object is: `namespace/name`, or the name of one that is in no namespace. Lists are in the order of
/// this text.
fn path(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

/// One write.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its number.
    pub revision: u64,
    /// When it was done.
    pub at: Timestamp,
    /// What was written.
    pub resource: GroupResource,
    /// `namespace/name`, or the name.
    pub path: String,
    /// What was there before.
    pub old: Option<Arc<Value>>,
    /// What is there since; nothing if it was deleted.
    pub new: Option<Arc<Value>>,
}

/// The objects of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Store {
    objects: BTreeMap<GroupResource, BTreeMap<String, Arc<Value>>>,
    history: VecDeque<Change>,
    revision: u64,
    compacted: u64,
}

impl Store {
    /// An empty store. Its first revision is 1, as nothing is written at the revision that means "any".
    #[must_use]
    pub fn new() -> Self {
        Self { revision: 1, ..Self::default() }
    }

    /// The number of the last write.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The last revision that is compacted away: what was before it can no longer be told.
    #[must_use]
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// An object; `namespace` is empty for one that is in none.
    #[must_use]
    pub fn get(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.objects.get(resource)?.get(&path(namespace, name))
    }

    /// The objects of a resource with their paths, in the order of these: of one namespace, or of all if
    /// `namespace` is empty.
    pub fn list<'a>(
        &'a self,
        resource: &GroupResource,
        namespace: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Arc<Value>)> + use<'a> {
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        self.objects.get(resource).into_iter().flat_map(move |objects| {
            objects.range(prefix.clone()..).take_while({
                let prefix = prefix.clone();
                move |(path, _)| path.starts_with(&prefix)
            })
        })
    }

    /// Every resource of which there are objects.
    pub fn resources(&self) -> impl Iterator<Item = &GroupResource> {
        self.objects.iter().filter(|(_, objects)| !objects.is_empty()).map(|(resource, _)| resource)
    }

    /// The objects of a resource as they were at `revision`, which must not be compacted away.
    #[must_use]
    pub fn list_at(
        &self,
        resource: &GroupResource,
        namespace: &str,
        revision: u64,
    ) -> BTreeMap<String, Arc<Value>> {
        let mut objects: BTreeMap<String, Arc<Value>> =
            self.list(resource, namespace).map(|(path, object)| (path.clone(), Arc::clone(object))).collect();
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        for change in self.history.iter().rev().take_while(|change| change.revision > revision) {
            if change.resource != *resource || !change.path.starts_with(&prefix) {
                continue;
            }
            match &change.old {
                Some(old) => objects.insert(change.path.clone(), Arc::clone(old)),
                None => objects.remove(&change.path),
            };
        }
        objects
    }

    /// An object as it was at `revision`, which must not be compacted away.
    #[must_use]
    pub fn at(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        revision: u64,
    ) -> Option<Arc<Value>> {
        let path = path(namespace, name);
        let next =
            self.changes_after(revision).find(|change| change.resource == *resource && change.path == path);
        match next {
            Some(change) => change.old.clone(),
            None => self.get(resource, namespace, name).cloned(),
        }
    }

    /// The writes after `revision`, oldest first.
    pub fn changes_after(&self, revision: u64) -> impl Iterator<Item = &Change> {
        let from = self.history.partition_point(|change| change.revision <= revision);
        self.history.range(from..)
    }

    /// Writes an object, and returns it with its new resourceVersion.
    pub(crate) fn put(
        &mut self,
        now: Timestamp,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        mut object: Value,
    ) -> Arc<Value> {
        self.revision += 1;
        set_revision(&mut object, self.revision);
        let object = Arc::new(object);
        let path = path(namespace, name);
        let old = self.objects.entry(resource.clone()).or_default().insert(path.clone(), Arc::clone(&object));
        self.history.push_back(Change {
            revision: self.revision,
            at: now,
            resource: resource.clone(),
            path,
            old,
            new: Some(Arc::clone(&object)),
        });
        object
    }

    /// Deletes an object, and returns what was there.
    pub(crate) fn remove(
        &mut self,
        now: Timestamp,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Value>> {
        let path = path(namespace, name);
        let old = self.objects.get_mut(resource)?.remove(&path)?;
        self.revision += 1;
        self.history.push_back(Change {
            revision: self.revision,
            at: now,
            resource: resource.clone(),
            path,
            old: Some(Arc::clone(&old)),
            new: None,
        });
        Some(old)
    }

    /// Forgets what was before `revision`: lists and watches from before it are told that they come too late.
    pub(crate) fn compact(&mut self, revision: u64) {
        let revision = revision.min(self.revision);
        self.compacted = self.compacted.max(revision);
        while self.history.front().is_some_and(|change| change.revision <= revision) {
            self.history.pop_front();
        }
    }
}

/// Sets an object's resourceVersion.
pub(crate) fn set_revision(object: &mut Value, revision: u64) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), json!(revision.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &mut Store, namespace: &str, name: &str, value: &str) -> u64 {
        let resource = GroupResource::new("", "things");
        let object = json!({"metadata": {"name": name, "namespace": namespace}, "value": value});
        store.put(Timestamp::UNIX_EPOCH, &resource, namespace, name, object);
        store.revision()
    }

    #[test]
    fn what_was_there_at_a_revision_can_be_told() {
        let resource = GroupResource::new("", "things");
        let mut store = Store::new();
        put(&mut store, "a", "x", "1");
        let first = put(&mut store, "a", "y", "1");
        put(&mut store, "a", "x", "2");
        store.remove(Timestamp::UNIX_EPOCH, &resource, "a", "y");
        put(&mut store, "b", "z", "1");

        let then = store.list_at(&resource, "", first);
        assert_eq!(then.keys().collect::<Vec<_>>(), ["a/x", "a/y"]);
        assert_eq!(then.get("a/x").unwrap().get("value"), Some(&json!("1")));
        let now: Vec<&String> = store.list(&resource, "").map(|(path, _)| path).collect();
        assert_eq!(now, ["a/x", "b/z"]);
        assert_eq!(store.changes_after(first).count(), 3);
    }

    #[test]
    fn a_namespace_whose_name_begins_like_another_is_another() {
        let resource = GroupResource::new("", "things");
        let mut store = Store::new();
        put(&mut store, "team", "x", "1");
        put(&mut store, "team-b", "y", "1");
        let paths: Vec<&String> = store.list(&resource, "team").map(|(path, _)| path).collect();
        assert_eq!(paths, ["team/x"]);
    }
}
