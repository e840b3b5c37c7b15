//! Earlier submissions: when they are looked for, what is taken of what is found, and what may be revoked.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use proptest::sample::select;
use x509::{Certificate, Csr};

use super::conclude::conclude;
use super::earlier::{Earlier, Precaution, Unused, adopt, is_published_in, waste};
use super::patch::reason;
use super::request::{Action, Step, decide};
use super::snapshot::{IssuerView, Memory, RequestSnapshot, Terms};
use super::tests::{CASES, epoch, step};
use crate::api::CertificateRequest;
use crate::api::certificate_request::APPROVED;
use crate::api::conditions::{Condition, ConditionStatus};
use crate::signer::outcome::{Answer, Origin, Outcome};
use crate::signer::submission::{Offers, Revocation};

fn request(handle: Option<&str>) -> CertificateRequest {
    let condition = |type_: &str, message: &str| Condition {
        type_: type_.to_owned(),
        status: ConditionStatus::True,
        reason: Some("x".to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: None,
        observed_generation: None,
    };
    let mut request = CertificateRequest::default();
    request.metadata.name = Some("web-1".to_owned());
    request.metadata.namespace = Some("shop".to_owned());
    request.metadata.uid = Some("uid-1".to_owned());
    request.metadata.creation_timestamp = Some(Time(epoch() - SignedDuration::from_secs(3)));
    request.spec.issuer_ref.name = "corp".to_owned();
    request.spec.issuer_ref.group = crate::api::GROUP.to_owned();
    request.spec.request.0 = CASES.good.0.clone().into_bytes();
    let conditions = &mut request.status.get_or_insert_default().conditions;
    conditions.push(condition(APPROVED, ""));
    conditions.extend(handle.map(|handle| condition(super::patch::SUBMITTED, handle)));
    request
}

fn decided(offers: Offers, earlier: Earlier, handle: Option<&str>) -> Step {
    let terms = Terms { offers, ..Terms::default() };
    let snapshot = RequestSnapshot {
        now: epoch(),
        jitter: 0.5,
        request: &request(handle),
        issuer: IssuerView::Ready { generation: 1, checked_generation: 1, terms },
        memory: Memory { earlier, ..Memory::default() },
    };
    match decide(&snapshot) {
        Action::Sign(step) => *step,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_may_be_a_second_submission_is_looked_up_where_it_can_be_and_told_where_it_cannot() {
    for (offers, earlier, handle, precaution) in [
        (Offers::Lookup, Earlier::None, None, Precaution::None),
        (Offers::Lookup, Earlier::Perhaps, None, Precaution::LookUp),
        (Offers::Lookup, Earlier::Unanswered, None, Precaution::LookUp),
        // A PKI that said "pending" is asked by its handle; one that was left by it may be another.
        (Offers::Lookup, Earlier::Perhaps, Some("42"), Precaution::None),
        (Offers::Lookup, Earlier::Unanswered, Some("42"), Precaution::LookUp),
        (Offers::Nothing, Earlier::None, None, Precaution::None),
        // A process that died tells nobody what it had sent.
        (Offers::Nothing, Earlier::Perhaps, None, Precaution::None),
        (Offers::Nothing, Earlier::Unanswered, None, Precaution::Tell),
        (Offers::IdempotencyKey, Earlier::Perhaps, None, Precaution::None),
        (Offers::IdempotencyKey, Earlier::Unanswered, None, Precaution::None),
    ] {
        assert_eq!(
            decided(offers, earlier, handle).precaution,
            precaution,
            "{offers:?} {earlier:?} {handle:?}"
        );
    }
}

#[test]
fn a_certificate_of_this_request_begins_no_earlier_than_clocks_and_backdating_explain() {
    // Made 3 s ago; Vault backdates by 30 s; clocks may differ by 5 min.
    let since = decided(Offers::Lookup, Earlier::Perhaps, None).since;
    assert_eq!(since, epoch() - SignedDuration::from_secs(3 + 30 + 300));
}

fn answer(certificates: &[&Certificate], origin: Origin) -> Answer {
    let certificates = certificates.iter().map(|certificate| (*certificate).clone()).collect();
    Answer { certificates, authorities: vec![CASES.root.clone()], origin }
}

#[test]
fn of_what_is_found_the_youngest_that_answers_is_taken() {
    let found = |certificate| answer(&[certificate], Origin::Found);
    let adoption = adopt(epoch(), &step(), vec![found(&CASES.expired), found(&CASES.good.1)]);
    assert_eq!(adoption.answer, Some(found(&CASES.good.1)));
    assert_eq!(adoption.left.as_slice(), std::slice::from_ref(&CASES.expired));

    let adoption = adopt(epoch(), &step(), vec![found(&CASES.renamed)]);
    assert_eq!((adoption.answer, adoption.left), (None, vec![CASES.renamed.clone()]));

    let twice = adopt(epoch(), &step(), vec![found(&CASES.good.1), found(&CASES.good.1)]);
    assert_eq!((twice.answer.is_some(), twice.left.len()), (true, 1));
}

#[test]
fn what_was_found_is_published_and_the_status_says_so() {
    let snapshot = RequestSnapshot {
        now: epoch(),
        jitter: 0.5,
        request: &request(None),
        issuer: IssuerView::Unchecked,
        memory: Memory::default(),
    };
    let outcome = Outcome::Issued(answer(&[&CASES.good.1], Origin::Found));
    let (patch, notice) = conclude(&snapshot, &step(), &outcome).write.unwrap();
    assert_eq!(patch.ready_reason(), reason::ISSUED);
    assert!(notice.message.ends_with("; an earlier submission's, found at the PKI"), "{}", notice.message);

    let mut published = request(None);
    published.status.get_or_insert_default().certificate =
        patch.certificate.map(|pem| k8s_openapi::ByteString(pem.into_bytes()));
    assert!(is_published_in(&CASES.good.1, &published));
    assert!(!is_published_in(&CASES.renamed, &published) && !is_published_in(&CASES.good.1, &request(None)));
}

/// Whether somebody may have it.
fn spared(answer: &Answer, why: Unused, was_unanswered: bool) -> bool {
    !waste(&step(), answer, why, was_unanswered).unwrap().nobody_has_it
}

#[test]
fn only_what_is_certainly_nobodys_is_revoked() {
    let own = answer(&[&CASES.root, &CASES.good.1], Origin::Issued);
    let wasted = waste(&step(), &own, Unused::Gone, false).unwrap();
    assert_eq!(wasted.certificate, &CASES.good.1, "the order of an answer tells nothing");
    assert!(wasted.nobody_has_it);
    assert!(!spared(&own, Unused::Denied, false) && !spared(&own, Unused::Rejected, true));

    assert!(spared(&own, Unused::Gone, true), "a write that was not answered may have published it");
    assert!(spared(&answer(&[&CASES.good.1], Origin::Found), Unused::Gone, false), "another may have it");
    let anothers = answer(&[&CASES.other.1, &CASES.root], Origin::Issued);
    assert!(spared(&anothers, Unused::Rejected, false), "it has another's key");
    assert!(spared(&answer(&[&CASES.root], Origin::Issued), Unused::Rejected, false), "a CA is no answer");
    let old = answer(&[&CASES.expired], Origin::Issued);
    assert!(spared(&old, Unused::Rejected, false), "it is older than the request");
    assert!(waste(&step(), &answer(&[], Origin::Issued), Unused::Gone, false).is_none());
}

#[test]
fn what_is_told_has_the_serial_number_and_what_to_do() {
    let own = answer(&[&CASES.good.1], Origin::Issued);
    let serial = CASES.good.1.serial_hex();
    for (why, revoked_next, piece) in [
        (Unused::Gone, true, "finished without it; the PKI is asked to revoke it"),
        (Unused::Gone, false, "set revokeUnused on the issuer"),
        (Unused::Denied, false, "denied meanwhile"),
        (Unused::Rejected, false, "does not answer the request"),
    ] {
        let wasted = waste(&step(), &own, why, false).unwrap();
        let notice = why.notice(&wasted, "CertificateRequest shop/web-1", revoked_next);
        assert!(notice.warning && notice.reason == "CertificateUnused");
        for piece in [serial.as_str(), "CertificateRequest shop/web-1", piece] {
            assert!(notice.message.contains(piece), "{piece}: {}", notice.message);
        }
    }
    let of = "CertificateRequest shop/web-1";
    let done = super::earlier::revocation(&serial, of, &Revocation::Revoked);
    assert_eq!((done.warning, done.reason), (false, "CertificateRevoked"));
    let refused = Revocation::Refused { message: "no".to_owned() };
    let failed = super::earlier::revocation(&serial, of, &refused);
    assert_eq!((failed.warning, failed.reason), (true, "RevocationFailed"));
}

proptest! {
    /// Whatever is found, at most one certificate is taken, it answers the CSR, and none is forgotten.
    #[test]
    fn adoption_is_total_and_matched(
        found in proptest::collection::vec(
            select(vec![
                CASES.good.1.clone(), CASES.other.1.clone(), CASES.renamed.clone(), CASES.expired.clone(),
                CASES.root.clone(),
            ]),
            0..6,
        ),
        hours in -2000_i64..4000,
    ) {
        let now: Timestamp = epoch() + SignedDuration::from_hours(hours);
        let count = found.len();
        let answers = found.into_iter().map(|certificate| answer(&[&certificate], Origin::Found)).collect();
        let adoption = adopt(now, &step(), answers);
        prop_assert_eq!(usize::from(adoption.answer.is_some()) + adoption.left.len(), count);
        if let Some(taken) = adoption.answer {
            let csr = Csr::from_pem(CASES.good.0.as_bytes()).unwrap();
            prop_assert!(taken.certificates[0].has_key(csr.spki_der()) && taken.certificates[0].not_after() > now);
        }
    }
}
