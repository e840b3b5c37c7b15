//! What an issuer's `Ready` condition says after a check, and when to check again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::patch::tidy;
use super::recipe::Unready;
use super::retry::{after, delay};
use crate::api::IssuerStatus;
use crate::api::conditions::{Condition, ConditionStatus, truncated};
use crate::config::Patience;
use crate::signer::outcome::{Health, UnhealthyReason};

/// The type of the one condition of an issuer.
pub const READY: &str = "Ready";

/// What a check of an issuer came to.
#[derive(Clone, Debug)]
pub enum Checked {
    /// A signer could not be made.
    Unready(Unready),
    /// A signer was made of the recipe and its PKI was asked.
    Asked {
        /// The configuration's hash.
        config_hash: String,
        /// The PKI's answer.
        health: Health,
    },
}

/// What follows a check.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerConclusion {
    /// The status to write, unless it already says so.
    pub write: Option<IssuerStatus>,
    /// Whether the condition's status, reason or message changed: then an event tells.
    pub changed: bool,
    /// Whether requests may be signed.
    pub ready: bool,
    /// What the condition says.
    pub message: String,
    /// When to check again; `None`: a watch will tell.
    pub check_again: Option<Timestamp>,
}

/// The status's time of the last check is written at most this often while nothing else changes.
const REFRESH: SignedDuration = SignedDuration::from_secs(60);

/// Concludes a check. `old` is the status on the object, `failures` counts failed checks in a row.
#[must_use]
pub fn conclude(
    now: Timestamp,
    jitter: f64,
    generation: i64,
    old: &IssuerStatus,
    patience: &Patience,
    checked: &Checked,
    failures: u32,
) -> IssuerConclusion {
    let (ready, reason, message, config_hash, check_again) = match checked {
        Checked::Unready(Unready { reason, message }) => (false, *reason, message.clone(), None, None),
        Checked::Asked { config_hash, health: Ok(()) } => {
            let again = after(now, spread(patience.health_check_interval, jitter));
            let message = "configuration, credentials and the PKI's health were checked".to_owned();
            (true, "Checked", message, Some(config_hash.clone()), Some(again))
        }
        Checked::Asked { config_hash, health: Err(unhealthy) } => {
            // A PKI that is away is looked for more often than a healthy one, since requests wait for it.
            let wait = delay(failures, jitter, unhealthy.retry_after);
            let wait =
                wait.min(patience.health_check_interval.max(unhealthy.retry_after.unwrap_or_default()));
            let message = tidy(&unhealthy.message);
            (
                false,
                UnhealthyReason::as_str(unhealthy.reason),
                message,
                Some(config_hash.clone()),
                Some(after(now, wait)),
            )
        }
    };
    let asked = config_hash.is_some();
    let condition = Condition {
        type_: READY.to_owned(),
        status: if ready { ConditionStatus::True } else { ConditionStatus::False },
        reason: Some(reason.to_owned()),
        message: Some(message.clone()),
        last_transition_time: None,
        observed_generation: Some(generation),
    };
    let condition = condition.transitioned_from(Condition::find(&old.conditions, READY), now);
    let changed = Condition::find(&old.conditions, READY) != Some(&condition);
    let fresh = old.last_health_check_time.is_some_and(|then| now.duration_since(then) < REFRESH);
    let last = if asked && (changed || !fresh) { Some(truncated(now)) } else { old.last_health_check_time };
    let status = IssuerStatus { conditions: vec![condition], config_hash, last_health_check_time: last };
    IssuerConclusion { write: (status != *old).then_some(status), changed, ready, message, check_again }
}

/// The interval, up to a tenth longer: a hundred issuers of one PKI shall not ask it in the same second.
fn spread(interval: Duration, jitter: f64) -> Duration {
    interval + interval.mul_f64(jitter.clamp(0.0, 1.0) / 10.0)
}
