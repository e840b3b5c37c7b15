//! What is written into statuses.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Found;
use super::facts::{Facts, History, condition, is_finished, reason, text};
use crate::scenario::{Op, PkiFault};

/// Write-once, and no way back from the end.
pub(super) fn i4(facts: &Facts<'_>, found: &mut Found) {
    for history in facts.requests.values() {
        for change in &history.versions {
            let Some(new) = change.new.as_deref() else { continue };
            let failed = matches!(reason(new), "Failed" | "Denied");
            if failed != new.pointer("/status/failureTime").is_some() {
                found.add(
                    &history.path,
                    change.at,
                    format!("failureTime does not fit the reason {}", reason(new)),
                );
            }
            let Some(old) = change.old.as_deref().filter(|old| is_finished(old)) else { continue };
            if ours(old) != ours(new) {
                let by = facts.evidence.writer(change.revision);
                let by = by.map_or_else(|| "somebody".to_owned(), ToString::to_string);
                found.add(&history.path, change.at, format!("a finished status was changed by {by}"));
            }
        }
    }
}

/// What of a status is the controller's to write.
fn ours(request: &Value) -> [Option<&Value>; 4] {
    [
        condition(request, "Ready"),
        request.pointer("/status/certificate"),
        request.pointer("/status/ca"),
        request.pointer("/status/failureTime"),
    ]
}

/// A resourceVersion in every write.
pub(super) fn i6(facts: &Facts<'_>, found: &mut Found) {
    for call in &facts.evidence.calls {
        if call.subresource() != "status" || call.method == http::Method::GET {
            continue;
        }
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if text(&body, "/metadata/resourceVersion").is_empty() {
            found.add(
                call.uri.path(),
                call.sent,
                format!("a write of a status without a resourceVersion: {call}"),
            );
        }
    }
}

/// A request fails only for what will not pass.
pub(super) fn i10(facts: &Facts<'_>, found: &mut Found) {
    for history in facts.requests.values() {
        let failed = history.versions.iter().find(|change| {
            change.new.as_deref().is_some_and(|new| reason(new) == "Failed")
                && change.old.as_deref().is_none_or(|old| reason(old) != "Failed")
        });
        let Some(failed) = failed else { continue };
        if !may_fail(facts, history, failed.at) {
            let said = failed.new.as_deref().and_then(|new| condition(new, "Ready")).map(ToString::to_string);
            let calls: Vec<String> = facts
                .orders()
                .filter(|(_, csr)| *csr == history.csr)
                .map(|(call, _)| call.to_string())
                .collect();
            let said = said.unwrap_or_default();
            found.add(
                &history.path,
                failed.at,
                format!("failed without a reason: {said}; {}", calls.join("; ")),
            );
        }
    }
}

/// Whether anything was ever said or issued that no waiting mends: a refusal, or a certificate that does not fit.
fn may_fail(facts: &Facts<'_>, history: &History<'_>, at: Timestamp) -> bool {
    let refused = facts.orders().any(|(call, csr)| {
        csr == history.csr
            && call.sent <= at
            && call.answered.is_some()
            && matches!(call.status, Some(400 | 413 | 422))
    });
    let margin = SignedDuration::from_mins(2);
    let misissued = facts.evidence.happened.iter().any(|(from, op)| match op {
        Op::Pki(fault, seconds) => {
            let length = SignedDuration::from_secs(i64::from(*seconds)) + margin;
            let until = from.saturating_add(length).unwrap_or(Timestamp::MAX);
            let ordered = facts.orders().any(|(call, csr)| {
                csr == history.csr && call.arrived.is_some_and(|arrived| *from <= arrived && arrived <= until)
            });
            fault.is_terminal() && !matches!(fault, PkiFault::Mock(crate::scenario::Mock::Refuses)) && ordered
        }
        // With a wrong clock a good certificate is one of the future, or has expired.
        Op::Skew(_, seconds) => *from <= at && *seconds != 0,
        _ => false,
    });
    refused || misissued
}
