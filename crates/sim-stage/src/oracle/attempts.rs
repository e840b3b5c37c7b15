//! How often things are tried.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Found;
use super::facts::{Facts, of_kind};
use crate::record::{ApiCall, PkiCall};
use crate::scenario::Op;

/// Orders of one process for one CSR in an hour: 1 s doubling to 5 min makes twenty, and whatever changes an issuer or
/// a request allows another.
const ORDERS_AN_HOUR: usize = 40;
/// Calls of one process to the API server in a minute, the Lease's, events' and watches' apart: one object's conflict
/// may come back every second.
const CALLS_A_MINUTE: usize = 150;
/// How soon a watch that ended is open again.
const REOPENED: SignedDuration = SignedDuration::from_mins(4);

fn plus(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Back-off and `Retry-After`.
pub(super) fn i11(facts: &Facts<'_>, found: &mut Found) {
    let mut by_order: BTreeMap<(&str, &str), Vec<&PkiCall>> = BTreeMap::new();
    for (call, csr) in facts.orders() {
        by_order.entry((call.process.as_str(), csr)).or_default().push(call);
    }
    for ((process, csr), calls) in &by_order {
        if let Some(at) =
            crowded(calls.iter().map(|call| call.sent), SignedDuration::from_hours(1), ORDERS_AN_HOUR)
        {
            found.add(*process, at, format!("more than {ORDERS_AN_HOUR} orders in an hour for CSR {csr}"));
        }
        for pair in calls.windows(2) {
            let [first, second] = pair else { continue };
            early(facts, first, second, found);
        }
    }
    let mut by_process: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    for call in &facts.evidence.calls {
        let is_watch = call.call.as_ref().is_some_and(|call| call.verb == sim_kube::Verb::Watch);
        if !is_watch && !matches!(call.plural(), "leases" | "events") {
            by_process.entry(&call.process).or_default().push(call.sent);
        }
    }
    for (process, calls) in by_process {
        if let Some(at) = crowded(calls.into_iter(), SignedDuration::from_mins(1), CALLS_A_MINUTE) {
            found.add(process, at, format!("more than {CALLS_A_MINUTE} calls to the API server in a minute"));
        }
    }
}

/// Whether the second order came sooner than the answer to the first allows.
fn early(facts: &Facts<'_>, first: &PkiCall, second: &PkiCall, found: &mut Found) {
    let (Some(seconds), Some(answered)) = (first.retry_after, first.answered) else { return };
    let asked = SignedDuration::from_secs(i64::try_from(seconds.min(3600)).unwrap_or(3600));
    let until = plus(answered, asked);
    // Whatever tells of a change lets requests go at once.
    let changed = facts.evidence.happened.iter().any(|(at, op)| {
        *at >= first.sent
            && *at <= second.sent
            && matches!(
                op,
                Op::EditIssuer
                    | Op::DeleteIssuer
                    | Op::RestoreIssuer
                    | Op::Rotate
                    | Op::DropCredential
                    | Op::Reask(_)
                    | Op::Skew(..)
                    | Op::Suspend(_)
            )
    });
    let ready_changed = ["externalissuers", "externalclusterissuers"].into_iter().any(|plural| {
        of_kind(facts.evidence, "external-issuer.io", plural)
            .any(|change| first.sent <= change.at && change.at <= second.sent)
    });
    let calm = facts.evidence.calm.is_some_and(|calm| first.sent <= calm && calm <= second.sent);
    if second.sent < until && !changed && !ready_changed && !calm {
        let evidence =
            format!("told at {answered} to come back in {seconds} s, came back at {}: {second}", second.sent);
        found.add(&second.process, second.sent, evidence);
    }
}

/// When there were more than `most` within `length`.
fn crowded(times: impl Iterator<Item = Timestamp>, length: SignedDuration, most: usize) -> Option<Timestamp> {
    let mut times: Vec<Timestamp> = times.collect();
    times.sort_unstable();
    times.windows(most + 1).find_map(|window| {
        let (first, last) = (window.first()?, window.last()?);
        (last.duration_since(*first) <= length).then_some(*last)
    })
}

/// A process that lives on asks again for whatever it watched.
pub(super) fn i18(facts: &Facts<'_>, found: &mut Found) {
    let last_chance = facts.end().saturating_sub(REOPENED).unwrap_or(facts.end());
    let blows = facts.evidence.calls.iter().filter_map(|call| match call.blow {
        Some(crate::scenario::Blow::Cut(_)) => Some((call.process.clone(), call.sent)),
        _ => None,
    });
    let ops = facts.evidence.happened.iter().filter_map(|(at, op)| match op {
        Op::Cut(replica, _) => {
            let alive = |process: &&crate::record::Process| {
                process.name.starts_with(&replica.to_string())
                    && process.began <= *at
                    && process.ended.as_ref().is_none_or(|(ended, _)| ended > at)
            };
            facts.evidence.processes.iter().find(alive).map(|process| (process.name.clone(), *at))
        }
        _ => None,
    });
    for (process, at) in blows.chain(ops).filter(|(_, at)| *at < last_chance) {
        let until = plus(at, REOPENED);
        let dead = facts.had_ended(&process, until)
            || facts.was_held(&process, until)
            || facts.was_held(&process, at);
        if dead {
            continue;
        }
        let watched = |call: &&ApiCall| {
            call.process == process
                && call.plural() == "certificaterequests"
                && call.method == http::Method::GET
        };
        let was_open = facts.evidence.calls.iter().filter(watched).any(|call| call.sent < at);
        let again =
            facts.evidence.calls.iter().filter(watched).any(|call| at <= call.sent && call.sent <= until);
        if was_open && !again {
            found.add(process, at, "its watch of requests ended, and it did not ask again");
        }
    }
}

/// Renewals of a Certificate in an hour, besides those that somebody asked for and those that failed.
const RENEWALS_AN_HOUR: usize = 3;

/// No loop of renewals. (How long a certificate lives is judged with I2, by the PKI's clock, which is right.)
pub(super) fn i20(facts: &Facts<'_>, found: &mut Found) {
    if !facts.happened(Timestamp::MAX, |op| matches!(op, Op::Skew(..))) {
        return;
    }
    let asked = facts
        .evidence
        .happened
        .iter()
        .filter(|(_, op)| {
            matches!(
                op,
                Op::Renew
                    | Op::EditCertificate
                    | Op::RemakeCertificate
                    | Op::DeleteSecret
                    | Op::DeleteRequests
            )
        })
        .count();
    let made: Vec<Timestamp> = facts
        .requests
        .values()
        .filter(|history| history.path.contains("/web-"))
        .map(|history| history.created)
        .collect();
    // Each thing that was asked for may be cut short once by another.
    if let Some(at) = crowded(made.into_iter(), SignedDuration::from_hours(1), RENEWALS_AN_HOUR + 2 * asked) {
        found.add("Certificate web", at, "it is renewed again and again");
    }
}
