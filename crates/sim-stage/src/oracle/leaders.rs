//! Who may act, and when.

use jiff::{SignedDuration, Timestamp};

use super::Found;
use super::facts::Facts;
use crate::record::{ApiCall, PkiCall, Process};

/// The Lease's duration, as it is by default.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// How long a process may take to end once it is told to.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// An order leaves while the process holds the Lease by its last write of it, and is waited for no longer than that.
pub(super) fn i7(facts: &Facts<'_>, found: &mut Found) {
    if !facts.evidence.elects {
        return;
    }
    for (call, _) in facts.orders() {
        match held_until(facts, call) {
            Some(until) if call.sent <= until => {}
            until => {
                let last = until.map_or_else(|| "never".to_owned(), |until| until.to_string());
                found.add(
                    &call.process,
                    call.sent,
                    format!("ordered without the Lease, which was held until {last}: {call}"),
                );
            }
        }
    }
}

/// Until when the Lease was the process's own, by the last write of it that it sent before this call and that succeeded
/// or may have.
fn held_until(facts: &Facts<'_>, call: &PkiCall) -> Option<Timestamp> {
    let claims = |lease: &&ApiCall| {
        lease.process == call.process
            && lease.plural() == "leases"
            && lease.sent <= call.sent
            && lease.writes()
            && lease.answered.is_some_and(|answered| answered <= call.sent)
    };
    let last = facts.evidence.calls.iter().rev().find(claims)?;
    last.sent.checked_add(LEASE).ok()
}

/// Lists first, nothing new after the word to stop, and an end in time.
pub(super) fn i19(facts: &Facts<'_>, found: &mut Found) {
    for process in &facts.evidence.processes {
        early(facts, process, found);
        let Some(told) = process.told else { continue };
        if let Some((call, _)) =
            facts.orders().find(|(call, _)| call.process == process.name && call.sent > told)
        {
            // An order that had begun may log in anew and be sent again.
            let soon = told.saturating_add(GRACE).unwrap_or(told);
            if call.sent > soon {
                found.add(
                    &process.name,
                    call.sent,
                    format!("told to stop at {told}, and ordered after that: {call}"),
                );
            }
        }
        let limit = told.saturating_add(GRACE).unwrap_or(told);
        match &process.ended {
            Some((ended, _)) if *ended <= limit || facts.evidence.happened.iter().any(is_suspended) => {}
            Some((ended, how)) => {
                found.add(&process.name, *ended, format!("told to stop at {told}, ended late: {how}"));
            }
            None => found.add(&process.name, told, "told to stop, and did not end"),
        }
    }
}

fn is_suspended(happened: &(Timestamp, crate::scenario::Op)) -> bool {
    matches!(happened.1, crate::scenario::Op::Suspend(_))
}

/// Whether a process wrote a status or ordered something before it had listed requests and issuers.
fn early(facts: &Facts<'_>, process: &Process, found: &mut Found) {
    let listed = |plural: &str| {
        let first = facts.evidence.calls.iter().find(|call| {
            call.process == process.name
                && call.plural() == plural
                && call.code == Some(200)
                && call.answered.is_some()
        });
        first.and_then(|call| call.answered)
    };
    let all = ["certificaterequests", "externalissuers", "externalclusterissuers"].map(listed);
    let ready = all.into_iter().try_fold(Timestamp::MIN, |latest, one| one.map(|one| latest.max(one)));
    let is_early = |at: Timestamp| ready.is_none_or(|ready| at < ready);
    let order = facts.orders().find(|(call, _)| call.process == process.name);
    if let Some((call, _)) = order.filter(|(call, _)| is_early(call.sent) || ordered_blindly(facts, call)) {
        found.add(&process.name, call.sent, format!("ordered before everything was listed: {call}"));
    }
    let write =
        facts.evidence.calls.iter().find(|call| {
            call.process == process.name && call.subresource() == "status" && is_early(call.sent)
        });
    if let Some(write) = write {
        found.add(&process.name, write.sent, format!("wrote before everything was listed: {write}"));
    }
}

/// Whether the process had made no call of its own to check the issuer, as every process does before its first order.
fn ordered_blindly(facts: &Facts<'_>, order: &PkiCall) -> bool {
    let before = facts.evidence.pki.iter().take_while(|call| !std::ptr::eq(*call, order));
    !before
        .into_iter()
        .any(|call| call.process == order.process && call.csr.is_none() && call.answered.is_some())
}
