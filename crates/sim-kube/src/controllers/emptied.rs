//! What the controller of namespaces says in one that it has emptied.

use serde_json::{Value, json};

use crate::object;

/// A namespace that is to go, with nothing left in it.
pub(super) fn emptied(namespace: &Value, time: &str) -> Value {
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "False", "lastTransitionTime": time, "reason": reason, "message": message});
    let conditions = json!([
        condition(
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered"
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed"
        ),
        condition(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization"
        ),
        condition("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
        condition(
            "NamespaceFinalizersRemaining",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished"
        ),
    ]);
    let mut emptied = namespace.clone();
    object::edit(&mut emptied, "status", |status| {
        status.insert("conditions".to_owned(), conditions);
    });
    emptied
}
