//! Conditions, set as cert-manager sets them (`pkg/api/util/conditions.go`): `lastTransitionTime` moves when
//! `status` does and only then.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time::{seconds, truncated};

/// The value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows.
    Unknown,
}

/// One condition of a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// When `status` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub last_transition_time: Option<Timestamp>,
    /// A word for programs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The generation that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl Condition {
    /// A condition that nobody has judged yet: no time, no generation.
    #[must_use]
    pub fn new(type_: &str, status: ConditionStatus, reason: &str, message: String) -> Self {
        Self {
            type_: type_.to_owned(),
            status,
            last_transition_time: None,
            reason: reason.to_owned(),
            message,
            observed_generation: None,
        }
    }
}

/// The condition of this type.
#[must_use]
pub fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether there is such a condition, and it is `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    condition(conditions, type_).is_some_and(|condition| condition.status == ConditionStatus::True)
}

/// Puts the condition in the place of the one of its type, or at the end.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition, now: Timestamp) {
    let old = conditions.iter_mut().find(|condition| condition.type_ == new.type_);
    new.last_transition_time = match &old {
        Some(old) if old.status == new.status => old.last_transition_time,
        _ => Some(truncated(now)),
    };
    match old {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

/// Takes the condition of this type away.
pub fn remove_condition(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}
