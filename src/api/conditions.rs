//! Conditions, the shape that both cert-manager and our issuers use for status.
//!
//! `lastTransitionTime` moves when `status` moves and only then (cert-manager
//! `pkg/api/util/conditions.go` `SetCertificateRequestCondition`).

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// The statement of the condition's type holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows.
    Unknown,
}

/// One condition of a status, as Kubernetes writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about, such as `Ready`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// A word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When `status` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    #[schemars(schema_with = "date_time")]
    pub last_transition_time: Option<Timestamp>,
    /// The `metadata.generation` that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The schema of `metav1.Time`.
pub(super) fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

impl Condition {
    /// The condition of this type, if the list has one.
    #[must_use]
    pub fn find<'a>(conditions: &'a [Self], type_: &str) -> Option<&'a Self> {
        conditions.iter().find(|c| c.type_ == type_)
    }

    /// Whether the list has this type with status `True`.
    #[must_use]
    pub fn is_true(conditions: &[Self], type_: &str) -> bool {
        Self::find(conditions, type_).is_some_and(|c| c.status == ConditionStatus::True)
    }

    /// This condition with its transition time set: the old one's if the status did not move, else `now`.
    #[must_use]
    pub fn transitioned_from(mut self, old: Option<&Self>, now: Timestamp) -> Self {
        self.last_transition_time = old
            .filter(|old| old.status == self.status)
            .and_then(|old| old.last_transition_time)
            .or(Some(truncated(now)));
        self
    }
}

/// `time` without its fraction of a second, which `metav1.Time` cannot carry.
#[must_use]
pub fn truncated(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// `metav1.Time`: RFC 3339 in UTC, whole seconds.
pub mod seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the time in whole seconds.
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(&super::truncated(*time)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads any RFC 3339 time; `null` is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<Timestamp>::deserialize(deserializer)
    }
}
