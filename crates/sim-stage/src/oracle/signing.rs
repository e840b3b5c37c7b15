//! What is asked of the PKI, and what becomes of its certificates.

use jiff::{SignedDuration, Timestamp};
use mock_pki::ledger::Issued;
use serde_json::Value;

use super::Found;
use super::facts::{Facts, History, certificates, csr, fingerprint, is_finished, is_true, reason, text};
use crate::record::PkiCall;
use crate::scenario::{Op, PkiFault};

/// How much longer a certificate may live than was asked: it is valid from a little before it is made.
const BACKDATE: SignedDuration = SignedDuration::from_secs(60);

/// At most one published, and orphans are explained.
pub(super) fn i1(facts: &Facts<'_>, found: &mut Found) {
    for history in facts.requests.values() {
        let published = history.published();
        if let [(_, first), .., (at, last)] = published.as_slice() {
            let evidence = format!("first {}, then {}", first.serial_hex(), last.serial_hex());
            found.add(&history.path, *at, format!("more than one certificate was published: {evidence}"));
        }
    }
    let published: Vec<String> =
        facts.requests.values().flat_map(History::published).map(|(_, leaf)| fingerprint(&leaf)).collect();
    for (issued, call) in &facts.issued {
        if published.contains(&issued.certificate_sha256) {
            continue;
        }
        let Some(call) = call else {
            found.add(issued.serial.as_str(), issued.issued_at, "nobody asked for it");
            continue;
        };
        if !is_explained(facts, issued, call) {
            let sent = call.sent;
            found.add(
                issued.serial.as_str(),
                issued.issued_at,
                format!("an orphan without a reason: {call}, {sent}"),
            );
        }
    }
}

/// Why a certificate that was issued may be of no use to anybody.
fn is_explained(facts: &Facts<'_>, issued: &Issued, call: &PkiCall) -> bool {
    let (process, csr) = (&call.process, call.csr.as_deref().unwrap_or_default());
    let Some(answered) = call.answered else {
        // The answer was lost on the way, or nobody was there any more to have it.
        return true;
    };
    if facts.had_ended(process, facts.end())
        && !told_to_stop_only(facts, process)
        && wrote_nothing(facts, call)
    {
        return true;
    }
    if unlucky_pki(facts, issued.issued_at) {
        return true;
    }
    let by = answered.saturating_add(SignedDuration::from_secs(1)).unwrap_or(answered);
    let is_skew = |op: &Op| matches!(op, Op::Skew(..));
    if facts.happened(by, is_skew) {
        // Whoever's clock is wrong may find that a good certificate is not valid now.
        return true;
    }
    facts.with_csr(csr).any(|history| {
        // Deleted, denied or finished while the PKI was at work, or unseen for a watch that stood still.
        let gone = history.deleted.is_some_and(|deleted| {
            deleted <= facts.end() && (deleted >= call.sent || facts.was_held(process, call.sent))
        });
        let denied = history.last().is_some_and(|last| reason(last) == "Denied" || is_true(last, "Denied"));
        gone || denied
    })
}

/// Whether the process ended by being told to, when nothing was in flight.
fn told_to_stop_only(facts: &Facts<'_>, process: &str) -> bool {
    let process = facts.evidence.process(process);
    process.and_then(|process| process.ended.as_ref()).is_some_and(|(_, how)| how == "well")
}

/// Whether the process that had the certificate wrote no status with one for this CSR afterwards.
fn wrote_nothing(facts: &Facts<'_>, call: &PkiCall) -> bool {
    let csr = call.csr.as_deref().unwrap_or_default();
    let names: Vec<&str> = facts.with_csr(csr).map(|history| history.path.as_str()).collect();
    let wrote = facts.evidence.calls.iter().any(|write| {
        let ours = write.call.as_ref().is_some_and(|what| {
            let path = format!("{}/{}", what.namespace, what.name);
            names.contains(&path.as_str())
        });
        write.process == call.process && write.writes() && ours && Some(write.number) >= call.answer_number
    });
    !wrote
}

/// Whether what the PKI issued at this time may have been no good.
fn unlucky_pki(facts: &Facts<'_>, at: Timestamp) -> bool {
    facts.evidence.happened.iter().any(|(from, op)| match op {
        Op::Pki(fault, seconds) => {
            let length = SignedDuration::from_secs(i64::from(*seconds));
            let until = from.saturating_add(length).unwrap_or(Timestamp::MAX);
            spoils(*fault) && *from <= at && at <= until
        }
        _ => false,
    })
}

/// Whether the process cannot use what it is given.
fn spoils(fault: PkiFault) -> bool {
    use crate::scenario::Mock;
    fault.is_terminal()
        || matches!(
            fault,
            PkiFault::Mock(Mock::Page | Mock::Floods | Mock::Redirects | Mock::Drips | Mock::GatewayTimeout)
        )
}

/// Key, names, life and chain of what is published.
pub(super) fn i2(facts: &Facts<'_>, found: &mut Found) {
    for history in facts.requests.values() {
        for change in &history.versions {
            let Some(object) = change.new.as_deref() else { continue };
            if object.pointer("/status/certificate").is_none() {
                continue;
            }
            if let Some(problem) = problem(object) {
                found.add(&history.path, change.at, problem);
                break;
            }
        }
    }
}

fn problem(request: &Value) -> Option<String> {
    let Some(chain) = certificates(request, "/status/certificate") else {
        return Some("status.certificate cannot be read".to_owned());
    };
    let Some(csr) = csr(request) else {
        return Some("a certificate for a CSR that cannot be read".to_owned());
    };
    let [leaf, above @ ..] = chain.as_slice() else { return Some("status.certificate is empty".to_owned()) };
    if !leaf.has_key(csr.spki_der()) {
        return Some("the certificate is for another key than the CSR's".to_owned());
    }
    let sorted = |mut names: Vec<x509::SubjectAltName>| {
        names.sort_by_key(|name| format!("{name:?}"));
        names
    };
    let (has, asked) =
        (sorted(leaf.subject_alt_names()), sorted(csr.subject_alt_names().unwrap_or_default()));
    if has != asked {
        return Some(format!("the certificate is for {has:?}, the CSR asks for {asked:?}"));
    }
    if leaf.is_ca() {
        return Some("the certificate is a CA's, and nobody asked for one".to_owned());
    }
    let asked = text(request, "/spec/duration").parse::<external_issuer::api::GoDuration>().ok()?.0;
    let asked = SignedDuration::try_from(asked).ok()?;
    let lives = leaf.not_after().duration_since(leaf.not_before());
    if lives > asked + BACKDATE {
        return Some(format!("the certificate lives for {lives}, the request asks for {asked}"));
    }
    let mut below = leaf;
    for certificate in above {
        if !below.is_signed_by(certificate) {
            return Some("a certificate of the chain is not signed by the next".to_owned());
        }
        below = certificate;
    }
    let ca = certificates(request, "/status/ca").unwrap_or_default();
    let ends = |ca: &x509::Certificate| below.der() == ca.der() || below.is_signed_by(ca);
    match ca.as_slice() {
        [] => None,
        cas if cas.iter().any(ends) => None,
        _ => Some("the chain does not end in status.ca".to_owned()),
    }
}

/// Approved and not denied, by the time at which the order leaves.
pub(super) fn i3(facts: &Facts<'_>, found: &mut Found) {
    for (call, csr) in facts.orders() {
        // Whoever was shown old news may order for a request as it was; approval does not go away, denial may come.
        let held = facts.was_held(&call.process, call.sent);
        let allowed = facts.with_csr(csr).any(|history| {
            let fits = |request: &Value| is_true(request, "Approved") && !is_true(request, "Denied");
            let now = history.at(call.sent);
            let before = || {
                history
                    .versions
                    .iter()
                    .filter(|change| change.at <= call.sent)
                    .any(|change| change.new.as_deref().is_some_and(fits))
            };
            // The order may have left before a write of the same instant.
            let just_now = || {
                history
                    .versions
                    .iter()
                    .any(|change| change.at == call.sent && change.old.as_deref().is_some_and(fits))
            };
            now.is_some_and(fits) || just_now() || (history.at(call.sent).is_none() || held) && before()
        });
        if !allowed {
            let paths: Vec<&str> = facts.with_csr(csr).map(|history| history.path.as_str()).collect();
            found.add(
                paths.join(" "),
                call.sent,
                format!("ordered without approval, or in spite of a denial: {call}"),
            );
        }
    }
}

/// No order for what is finished, and no certificate on two requests or on one made later.
pub(super) fn i5(facts: &Facts<'_>, found: &mut Found) {
    for (call, csr) in facts.orders() {
        let all: Vec<&History<'_>> =
            facts.with_csr(csr).filter(|history| history.created <= call.sent).collect();
        let over = |history: &&History<'_>| {
            let finished = history
                .versions
                .iter()
                .any(|change| change.at < call.sent && change.new.as_deref().is_some_and(is_finished));
            let gone = history.deleted.is_some_and(|deleted| deleted < call.sent);
            finished || (gone && !facts.was_held(&call.process, call.sent))
        };
        if !all.is_empty() && all.iter().all(over) {
            let paths: Vec<&str> = all.iter().map(|history| history.path.as_str()).collect();
            found.add(paths.join(" "), call.sent, format!("ordered again after the end: {call}"));
        }
    }
    let mut seen: Vec<(String, &str, &str)> = Vec::new();
    for history in facts.requests.values() {
        for (at, leaf) in history.published() {
            let leaf = fingerprint(&leaf);
            if let Some((_, path, uid)) = seen.iter().find(|(other, ..)| *other == leaf) {
                let evidence = format!("the certificate of {path} ({uid}) is on {} as well", history.uid);
                found.add(&history.path, at, evidence);
            }
            let call = facts.issued.iter().find(|(issued, _)| issued.certificate_sha256 == leaf);
            if let Some((_, Some(call))) = call
                && call.sent < history.created
            {
                found.add(
                    &history.path,
                    at,
                    format!("the certificate was ordered before the request was made: {call}"),
                );
            }
            seen.push((leaf, &history.path, &history.uid));
        }
    }
}
