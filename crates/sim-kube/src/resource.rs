//! The registry of kinds: what is served, under which names, by which rules.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::Verb;

/// A resource regardless of its version: what storage and permissions are about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural name.
    pub plural: String,
}

impl GroupResource {
    /// A resource of a group.
    #[must_use]
    pub fn new(group: impl Into<String>, plural: impl Into<String>) -> Self {
        Self { group: group.into(), plural: plural.into() }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.plural)
        } else {
            write!(f, "{}.{}", self.plural, self.group)
        }
    }
}

/// One column of the table that `kubectl get` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// The OpenAPI type: `string`, `date`, …
    pub kind: String,
    /// The OpenAPI format, or nothing.
    pub format: String,
    /// What the column says.
    pub description: String,
    /// 0 is always shown; more only in the wide output.
    pub priority: i64,
    /// Where the value is.
    pub json_path: String,
}

/// A kind in one version, and how it is served.
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
#[derive(Clone, Debug)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version of the group.
    pub version: String,
    /// The kind's name: `Secret`.
    pub kind: String,
    /// The kind of a list of it: `SecretList`.
    pub list_kind: String,
    /// The plural: `secrets`.
    pub plural: String,
    /// The singular: `secret`.
    pub singular: String,
    /// What it is called for short.
    pub short_names: Vec<String>,
    /// The categories that it is in: `cert-manager`.
    pub categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<Verb>,
    /// Its subresources: `status`.
    pub subresources: Vec<String>,
    /// Whether it comes from a CustomResourceDefinition.
    pub custom: bool,
    /// Where its objects are stored: its own resource, or another that is the same thing under another name.
    pub storage: GroupResource,
    /// The version whose objects are stored.
    pub storage_version: bool,
    /// What every use of this version is warned of, or nothing.
    pub deprecation: String,
    /// The schema as published: a CRD's `openAPIV3Schema`, or the OpenAPI component with its references resolved.
    pub schema: Option<Arc<Value>>,
    /// The columns of its table.
    pub columns: Vec<Column>,
    /// The fields that a field selector may name beside the two of `metadata`: `type`, `involvedObject.name`.
    pub selectable_fields: Vec<String>,
    /// Whether a PUT to a name that is not there makes the object.
    pub create_on_update: bool,
    /// Whether a PUT without a resourceVersion overwrites whatever is there.
    pub unconditional_update: bool,
}

impl Kind {
    /// The resource without its version.
    #[must_use]
    pub fn resource(&self) -> GroupResource {
        GroupResource::new(&self.group, &self.plural)
    }

    /// What objects say in `apiVersion`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether `subresource` is served.
    #[must_use]
    pub fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|own| own == subresource)
    }
}

/// Every kind that is served.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    kinds: Vec<Arc<Kind>>,
}

impl Registry {
    /// The kinds that a cluster has before anybody defines one.
    #[must_use]
    pub fn built_in() -> Self {
        Self { kinds: crate::builtin::kinds().to_vec() }
    }

    /// The kind that is served under these names.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.kinds.iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
    }

    /// The kind of objects with this `apiVersion` and `kind`.
    #[must_use]
    pub fn of_object(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        self.kinds.iter().find(|own| own.kind == kind && own.api_version() == api_version)
    }

    /// Every kind, in the order in which they came.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.iter()
    }

    /// Serves exactly `kinds` for `resource` from now on: all the versions of a custom resource, or none.
    pub(crate) fn replace(&mut self, resource: &GroupResource, kinds: Vec<Kind>) {
        self.kinds.retain(|kind| kind.resource() != *resource);
        self.kinds.extend(kinds.into_iter().map(Arc::new));
    }
}
