//! The metadata that every object has, as a schema: custom resources do not declare it.

use serde_json::{Value, json};

/// `metav1.ObjectMeta`.
pub(super) fn object_meta() -> Value {
    let text = || json!({"type": "string"});
    let time = || json!({"type": "string", "format": "date-time", "nullable": true});
    let int = || json!({"type": "integer", "format": "int64"});
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({
        "type": "object",
        "properties": {
            "name": text(),
            "generateName": text(),
            "namespace": text(),
            "selfLink": text(),
            "uid": text(),
            "resourceVersion": text(),
            "generation": int(),
            "creationTimestamp": time(),
            "deletionTimestamp": time(),
            "deletionGracePeriodSeconds": int(),
            "labels": texts(),
            "annotations": texts(),
            "finalizers": {
                "type": "array",
                "items": text(),
                "x-kubernetes-list-type": "set",
                "x-kubernetes-patch-strategy": "merge",
            },
            "ownerReferences": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "apiVersion": text(),
                        "kind": text(),
                        "name": text(),
                        "uid": text(),
                        "controller": {"type": "boolean"},
                        "blockOwnerDeletion": {"type": "boolean"},
                    },
                    "x-kubernetes-map-type": "atomic",
                },
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["uid"],
                "x-kubernetes-patch-merge-key": "uid",
                "x-kubernetes-patch-strategy": "merge",
            },
            "managedFields": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "apiVersion": text(),
                        "fieldsType": text(),
                        "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        "manager": text(),
                        "operation": text(),
                        "subresource": text(),
                        "time": time(),
                    },
                },
                "x-kubernetes-list-type": "atomic",
            },
        },
    })
}
