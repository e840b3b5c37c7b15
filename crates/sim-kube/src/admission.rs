//! The hook by which others have a say in a write: what admission plugins and webhooks are to a real server.

use serde_json::Value;

use crate::{Failure, Identity, Kind, Store, Verb};

/// One write that is about to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// `Create`, `Update` (patches too) or `Delete`.
    pub verb: Verb,
    /// What is written.
    pub kind: &'a Kind,
    /// `status`, or nothing.
    pub subresource: &'a str,
    /// The object's namespace, or nothing.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The object before the write; nothing when it is made.
    pub old: Option<&'a Value>,
    /// The object after the write; nothing when it is deleted.
    pub new: Option<&'a Value>,
    /// Who writes.
    pub user: &'a Identity,
    /// What is in the cluster, for questions such as whether the caller may do something else.
    pub store: &'a Store,
}

/// A say in every write.
pub trait Admission: Send {
    /// The object to store instead of `attributes.new`, nothing if it may stay as it is, or why it may not be
    /// stored.
    fn admit(&self, attributes: &Attributes<'_>) -> Result<Option<Value>, Failure>;
}
