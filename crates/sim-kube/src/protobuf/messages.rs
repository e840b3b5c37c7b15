//! The messages: which field of which kind has which number, from the `generated.proto` files of Kubernetes.
//!
//! What protobuf does not say and the Go types do: an optional value (a pointer there) is sent when it is set, even
//! to zero; any other is sent always, and zero is as good as nothing.

use Shape::{
    Bytes, BytesMap, Fields, Integer, MicroTime, OptionalBool, OptionalInteger, OptionalPart, OptionalText,
    Part, Parts, Text, TextMap, Texts, TextsMap, Time,
};

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    OptionalText,
    Integer,
    OptionalInteger,
    OptionalBool,
    Bytes,
    Time,
    MicroTime,
    /// `FieldsV1`, which is JSON in a message.
    Fields,
    Part(&'static [Field]),
    OptionalPart(&'static [Field]),
    Texts,
    Parts(&'static [Field]),
    TextMap,
    BytesMap,
    TextsMap,
}

/// The message of a kind; nothing for kinds that are not understood.
pub(super) fn of(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    let message = match (api_version, kind) {
        // Every version of every group has it.
        (_, "DeleteOptions") => DELETE_OPTIONS,
        ("v1", "Namespace") => NAMESPACE,
        ("v1", "Secret") => SECRET,
        ("v1", "ConfigMap") => CONFIG_MAP,
        ("v1", "ServiceAccount") => SERVICE_ACCOUNT,
        ("v1", "Event") => CORE_EVENT,
        ("events.k8s.io/v1", "Event") => EVENT,
        ("coordination.k8s.io/v1", "Lease") => LEASE,
        (
            "authorization.k8s.io/v1",
            "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview",
        ) => ACCESS_REVIEW,
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => RULES_REVIEW,
        ("authentication.k8s.io/v1", "TokenReview") => TOKEN_REVIEW,
        ("authentication.k8s.io/v1", "SelfSubjectReview") => SELF_REVIEW,
        ("authentication.k8s.io/v1", "TokenRequest") => TOKEN_REQUEST,
        ("rbac.authorization.k8s.io/v1", "Role" | "ClusterRole") => ROLE,
        ("rbac.authorization.k8s.io/v1", "RoleBinding" | "ClusterRoleBinding") => ROLE_BINDING,
        _ => return None,
    };
    Some(message)
}

const fn field(number: u64, name: &'static str, shape: Shape) -> Field {
    Field { number, name, shape }
}

/// What a `runtime.Unknown` says that it holds.
pub(super) const TYPE_META: &[Field] = &[field(1, "apiVersion", Text), field(2, "kind", Text)];

/// `Time` and `MicroTime`.
pub(super) const TIMESTAMP: &[Field] = &[field(1, "seconds", Integer), field(2, "nanos", Integer)];

/// An entry of a map of texts.
pub(super) const TEXT_ENTRY: &[Field] = &[field(1, "key", Text), field(2, "value", OptionalText)];

/// An entry of a map of bytes.
pub(super) const BYTES_ENTRY: &[Field] = &[field(1, "key", Text), field(2, "value", Bytes)];

/// An entry of a map of lists of texts.
pub(super) const TEXTS_ENTRY: &[Field] = &[field(1, "key", Text), field(2, "value", Part(TEXTS))];

const TEXTS: &[Field] = &[field(1, "items", Texts)];

const OBJECT_META: &[Field] = &[
    field(1, "name", Text),
    field(2, "generateName", Text),
    field(3, "namespace", Text),
    field(4, "selfLink", Text),
    field(5, "uid", Text),
    field(6, "resourceVersion", Text),
    field(7, "generation", Integer),
    field(8, "creationTimestamp", Time),
    field(9, "deletionTimestamp", Time),
    field(10, "deletionGracePeriodSeconds", OptionalInteger),
    field(11, "labels", TextMap),
    field(12, "annotations", TextMap),
    field(13, "ownerReferences", Parts(OWNER_REFERENCE)),
    field(14, "finalizers", Texts),
    field(17, "managedFields", Parts(MANAGED_FIELDS)),
];

const OWNER_REFERENCE: &[Field] = &[
    field(1, "kind", Text),
    field(3, "name", Text),
    field(4, "uid", Text),
    field(5, "apiVersion", Text),
    field(6, "controller", OptionalBool),
    field(7, "blockOwnerDeletion", OptionalBool),
];

const MANAGED_FIELDS: &[Field] = &[
    field(1, "manager", Text),
    field(2, "operation", Text),
    field(3, "apiVersion", Text),
    field(4, "time", Time),
    field(6, "fieldsType", Text),
    field(7, "fieldsV1", Fields),
    field(8, "subresource", Text),
];

const DELETE_OPTIONS: &[Field] = &[
    field(1, "gracePeriodSeconds", OptionalInteger),
    field(2, "preconditions", OptionalPart(PRECONDITIONS)),
    field(3, "orphanDependents", OptionalBool),
    field(4, "propagationPolicy", OptionalText),
    field(5, "dryRun", Texts),
];

const PRECONDITIONS: &[Field] = &[field(1, "uid", OptionalText), field(2, "resourceVersion", OptionalText)];

const REQUIREMENT: &[Field] = &[field(1, "key", Text), field(2, "operator", Text), field(3, "values", Texts)];

const LABEL_SELECTOR: &[Field] =
    &[field(1, "matchLabels", TextMap), field(2, "matchExpressions", Parts(REQUIREMENT))];

const NAMESPACE: &[Field] = &[
    field(1, "metadata", Part(OBJECT_META)),
    field(2, "spec", Part(NAMESPACE_SPEC)),
    field(3, "status", Part(NAMESPACE_STATUS)),
];

const NAMESPACE_SPEC: &[Field] = &[field(1, "finalizers", Texts)];

const NAMESPACE_STATUS: &[Field] =
    &[field(1, "phase", Text), field(2, "conditions", Parts(NAMESPACE_CONDITION))];

const NAMESPACE_CONDITION: &[Field] = &[
    field(1, "type", Text),
    field(2, "status", Text),
    field(4, "lastTransitionTime", Time),
    field(5, "reason", Text),
    field(6, "message", Text),
];

const SECRET: &[Field] = &[
    field(1, "metadata", Part(OBJECT_META)),
    field(2, "data", BytesMap),
    field(3, "type", Text),
    field(4, "stringData", TextMap),
    field(5, "immutable", OptionalBool),
];

const CONFIG_MAP: &[Field] = &[
    field(1, "metadata", Part(OBJECT_META)),
    field(2, "data", TextMap),
    field(3, "binaryData", BytesMap),
    field(4, "immutable", OptionalBool),
];

const SERVICE_ACCOUNT: &[Field] = &[
    field(1, "metadata", Part(OBJECT_META)),
    field(2, "secrets", Parts(OBJECT_REFERENCE)),
    field(3, "imagePullSecrets", Parts(LOCAL_OBJECT_REFERENCE)),
    field(4, "automountServiceAccountToken", OptionalBool),
];

const OBJECT_REFERENCE: &[Field] = &[
    field(1, "kind", Text),
    field(2, "namespace", Text),
    field(3, "name", Text),
    field(4, "uid", Text),
    field(5, "apiVersion", Text),
    field(6, "resourceVersion", Text),
    field(7, "fieldPath", Text),
];

const LOCAL_OBJECT_REFERENCE: &[Field] = &[field(1, "name", Text)];

const CORE_EVENT: &[Field] = &[
    field(1, "metadata", Part(OBJECT_META)),
    field(2, "involvedObject", Part(OBJECT_REFERENCE)),
    field(3, "reason", Text),
    field(4, "message", Text),
    field(5, "source", Part(EVENT_SOURCE)),
    field(6, "firstTimestamp", Time),
    field(7, "lastTimestamp", Time),
    field(8, "count", Integer),
    field(9, "type", Text),
    field(10, "eventTime", MicroTime),
    field(11, "series", OptionalPart(EVENT_SERIES)),
    field(12, "action", Text),
    field(13, "related", OptionalPart(OBJECT_REFERENCE)),
    field(14, "reportingComponent", Text),
    field(15, "reportingInstance", Text),
];

const EVENT_SOURCE: &[Field] = &[field(1, "component", Text), field(2, "host", Text)];

const EVENT_SERIES: &[Field] = &[field(1, "count", Integer), field(2, "lastObservedTime", MicroTime)];

const EVENT: &[Field] = &[
    field(1, "metadata", Part(OBJECT_META)),
    field(2, "eventTime", MicroTime),
    field(3, "series", OptionalPart(EVENT_SERIES)),
    field(4, "reportingController", Text),
    field(5, "reportingInstance", Text),
    field(6, "action", Text),
    field(7, "reason", Text),
    field(8, "regarding", Part(OBJECT_REFERENCE)),
    field(9, "related", OptionalPart(OBJECT_REFERENCE)),
    field(10, "note", Text),
    field(11, "type", Text),
    field(12, "deprecatedSource", Part(EVENT_SOURCE)),
    field(13, "deprecatedFirstTimestamp", Time),
    field(14, "deprecatedLastTimestamp", Time),
    field(15, "deprecatedCount", Integer),
];

const LEASE: &[Field] = &[field(1, "metadata", Part(OBJECT_META)), field(2, "spec", Part(LEASE_SPEC))];

const LEASE_SPEC: &[Field] = &[
    field(1, "holderIdentity", OptionalText),
    field(2, "leaseDurationSeconds", OptionalInteger),
    field(3, "acquireTime", MicroTime),
    field(4, "renewTime", MicroTime),
    field(5, "leaseTransitions", OptionalInteger),
    field(6, "strategy", OptionalText),
    field(7, "preferredHolder", OptionalText),
];

const ACCESS_REVIEW: &[Field] =
    &[field(1, "metadata", Part(OBJECT_META)), field(2, "spec", Part(ACCESS_REVIEW_SPEC))];

/// What one asks about oneself is the beginning of what one asks about others.
const ACCESS_REVIEW_SPEC: &[Field] = &[
    field(1, "resourceAttributes", OptionalPart(RESOURCE_ATTRIBUTES)),
    field(2, "nonResourceAttributes", OptionalPart(NON_RESOURCE_ATTRIBUTES)),
    field(3, "user", Text),
    field(4, "groups", Texts),
    field(5, "extra", TextsMap),
    field(6, "uid", Text),
];

const RESOURCE_ATTRIBUTES: &[Field] = &[
    field(1, "namespace", Text),
    field(2, "verb", Text),
    field(3, "group", Text),
    field(4, "version", Text),
    field(5, "resource", Text),
    field(6, "subresource", Text),
    field(7, "name", Text),
    field(8, "fieldSelector", OptionalPart(SELECTOR_ATTRIBUTES)),
    field(9, "labelSelector", OptionalPart(SELECTOR_ATTRIBUTES)),
];

const NON_RESOURCE_ATTRIBUTES: &[Field] = &[field(1, "path", Text), field(2, "verb", Text)];

const SELECTOR_ATTRIBUTES: &[Field] =
    &[field(1, "rawSelector", Text), field(2, "requirements", Parts(REQUIREMENT))];

const RULES_REVIEW: &[Field] =
    &[field(1, "metadata", Part(OBJECT_META)), field(2, "spec", Part(RULES_REVIEW_SPEC))];

const RULES_REVIEW_SPEC: &[Field] = &[field(1, "namespace", Text)];

const TOKEN_REVIEW: &[Field] =
    &[field(1, "metadata", Part(OBJECT_META)), field(2, "spec", Part(TOKEN_REVIEW_SPEC))];

const TOKEN_REVIEW_SPEC: &[Field] = &[field(1, "token", Text), field(2, "audiences", Texts)];

const SELF_REVIEW: &[Field] = &[field(1, "metadata", Part(OBJECT_META))];

const TOKEN_REQUEST: &[Field] =
    &[field(1, "metadata", Part(OBJECT_META)), field(2, "spec", Part(TOKEN_REQUEST_SPEC))];

const TOKEN_REQUEST_SPEC: &[Field] = &[
    field(1, "audiences", Texts),
    field(3, "boundObjectRef", OptionalPart(BOUND_OBJECT_REFERENCE)),
    field(4, "expirationSeconds", OptionalInteger),
];

const BOUND_OBJECT_REFERENCE: &[Field] =
    &[field(1, "kind", Text), field(2, "apiVersion", Text), field(3, "name", Text), field(4, "uid", Text)];

/// A Role is the beginning of a ClusterRole.
const ROLE: &[Field] = &[
    field(1, "metadata", Part(OBJECT_META)),
    field(2, "rules", Parts(POLICY_RULE)),
    field(3, "aggregationRule", OptionalPart(AGGREGATION_RULE)),
];

const AGGREGATION_RULE: &[Field] = &[field(1, "clusterRoleSelectors", Parts(LABEL_SELECTOR))];

const POLICY_RULE: &[Field] = &[
    field(1, "verbs", Texts),
    field(2, "apiGroups", Texts),
    field(3, "resources", Texts),
    field(4, "resourceNames", Texts),
    field(5, "nonResourceURLs", Texts),
];

const ROLE_BINDING: &[Field] = &[
    field(1, "metadata", Part(OBJECT_META)),
    field(2, "subjects", Parts(SUBJECT)),
    field(3, "roleRef", Part(ROLE_REF)),
];

const ROLE_REF: &[Field] = &[field(1, "apiGroup", Text), field(2, "kind", Text), field(3, "name", Text)];

const SUBJECT: &[Field] = &[
    field(1, "kind", Text),
    field(2, "apiGroup", Text),
    field(3, "name", Text),
    field(4, "namespace", Text),
];
