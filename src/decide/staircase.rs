//! One example for each step of the staircase, in its order.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::patch::reason;
use super::request::{Action, Ignored, decide};
use super::snapshot::{IssuerView, Memory, Pause, RequestSnapshot, Terms};
use crate::api::CertificateRequest;
use crate::api::conditions::Condition;

const NOW: &str = "2026-03-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A request that is approved and can be signed, changed by `change`.
fn request(change: impl FnOnce(&mut Value)) -> CertificateRequest {
    use base64::Engine as _;
    let csr = base64::engine::general_purpose::STANDARD.encode(&super::tests::CASES.good.0);
    let mut object = json!({
        "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
        "metadata": {"namespace": "shop", "name": "web-1", "uid": "u1", "resourceVersion": "7",
                     "creationTimestamp": "2026-03-01T11:59:00Z"},
        "spec": {"issuerRef": {"name": "corp", "kind": "ExternalIssuer", "group": "external-issuer.io"},
                 "request": csr},
        "status": {"conditions": [{"type": "Approved", "status": "True", "reason": "test",
                                   "lastTransitionTime": "2026-03-01T11:59:01Z"}]},
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

fn ready() -> IssuerView {
    IssuerView::Ready { generation: 3, checked_generation: 3, terms: Terms::default() }
}

fn decided(request: &CertificateRequest, issuer: IssuerView) -> Action {
    decide(&RequestSnapshot { now: now(), jitter: 0.5, request, issuer, memory: Memory::default() })
}

/// The `Ready` condition that would be written.
fn written(action: Action) -> Condition {
    match action {
        Action::Write { patch, .. } => patch.ready().unwrap().clone(),
        other => panic!("nothing is written: {other:?}"),
    }
}

#[test]
fn another_group_is_not_ours() {
    let request = request(|object| object["spec"]["issuerRef"]["group"] = json!("cert-manager.io"));
    assert!(matches!(decided(&request, ready()), Action::Ignore(Ignored::NotOurs)));
}

#[test]
fn an_empty_kind_is_the_namespaced_kind() {
    let request = request(|object| object["spec"]["issuerRef"]["kind"] = json!(""));
    assert!(matches!(decided(&request, ready()), Action::Sign(_)));
}

#[test]
fn an_unknown_kind_of_our_group_is_not_ours() {
    let request = request(|object| object["spec"]["issuerRef"]["kind"] = json!("Issuer"));
    assert!(matches!(decided(&request, ready()), Action::Ignore(Ignored::NotOurs)));
}

#[test]
fn a_request_being_deleted_is_left_alone() {
    let request = request(|object| object["metadata"]["deletionTimestamp"] = json!(NOW));
    assert!(matches!(decided(&request, ready()), Action::Ignore(Ignored::Deleting)));
}

#[test]
fn a_request_with_a_certificate_is_finished() {
    let request = request(|object| object["status"]["certificate"] = json!("eA=="));
    assert!(matches!(decided(&request, ready()), Action::Ignore(Ignored::Finished)));
}

#[test]
fn a_terminal_reason_is_finished() {
    for word in [reason::FAILED, reason::DENIED, reason::ISSUED] {
        let request = request(|object| {
            object["status"]["conditions"] = json!([{"type": "Ready", "status": "False", "reason": word}]);
        });
        assert!(matches!(decided(&request, ready()), Action::Ignore(Ignored::Finished)), "{word}");
    }
}

#[test]
fn a_denied_request_is_told_so_even_without_an_issuer() {
    let request = request(|object| object["status"]["conditions"][0]["type"] = json!("Denied"));
    let Action::Write { patch, notice } = decided(&request, IssuerView::Missing) else { panic!() };
    assert_eq!((patch.ready_reason(), patch.failure_time), (reason::DENIED, Some(now())));
    assert!(notice.warning);
}

#[test]
fn without_approval_it_waits_and_after_a_while_says_what_to_do() {
    let unapproved = request(|object| object["status"] = json!({}));
    let after = |seconds, approval_reported| {
        let first_seen = Some(now() - SignedDuration::from_secs(seconds));
        let memory = Memory { first_seen, approval_reported, ..Memory::default() };
        decide(&RequestSnapshot { now: now(), jitter: 0.5, request: &unapproved, issuer: ready(), memory })
    };
    let Action::Wait { until: Some(until), notice: None } = after(10, false) else { panic!() };
    assert_eq!(until, now() + SignedDuration::from_secs(10));

    let Action::Wait { until: None, notice: Some(notice) } = after(60, false) else { panic!() };
    assert_eq!(notice.reason, "WaitingForApproval");
    assert!(notice.message.contains("externalissuers.external-issuer.io/shop.corp"), "{}", notice.message);

    assert!(matches!(after(60, true), Action::Wait { until: None, notice: None }), "once is enough");
}

#[test]
fn while_its_issuer_is_first_checked_nothing_is_written() {
    let action = decided(&request(|_| ()), IssuerView::Unchecked);
    assert!(matches!(action, Action::Wait { until: None, notice: None }));
}

#[test]
fn without_an_issuer_it_is_pending() {
    let condition = written(decided(&request(|_| ()), IssuerView::Missing));
    assert_eq!(condition.reason.as_deref(), Some(reason::PENDING));
    assert_eq!(
        condition.message.as_deref(),
        Some("ExternalIssuer shop/corp does not exist; waiting for it to be created")
    );
}

#[test]
fn with_an_issuer_that_is_not_ready_it_is_pending() {
    let issuer = IssuerView::NotReady { message: "Vault is sealed".to_owned() };
    let condition = written(decided(&request(|_| ()), issuer));
    assert_eq!(condition.reason.as_deref(), Some(reason::PENDING));
    assert!(condition.message.unwrap().ends_with("is not ready: Vault is sealed"));
}

#[test]
fn with_an_issuer_checked_at_an_older_generation_it_is_pending() {
    let issuer = IssuerView::Ready { generation: 4, checked_generation: 3, terms: Terms::default() };
    assert_eq!(written(decided(&request(|_| ()), issuer)).reason.as_deref(), Some(reason::PENDING));
}

#[test]
fn what_can_never_be_signed_fails_once_and_for_all() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 5] = [
        ("spec.request", |object| object["spec"]["request"] = json!("bm90IGEgQ1NS")),
        ("spec.request", |object| {
            let unreadable_names = include_bytes!("../../fixtures/x509/csr/odd-san-not-ascii.pem");
            object["spec"]["request"] = json!(ByteString(unreadable_names.to_vec()));
        }),
        ("spec.duration", |object| object["spec"]["duration"] = json!("soon")),
        ("spec.duration", |object| object["spec"]["duration"] = json!("0s")),
        ("spec.usages", |object| object["spec"]["usages"] = json!(["world domination"])),
    ];
    for (field, change) in cases {
        let Action::Write { patch, .. } = decided(&request(change), ready()) else { panic!("{field}") };
        assert_eq!(patch.ready_reason(), reason::FAILED, "{field}");
        assert_eq!(patch.failure_time, Some(now()), "{field}");
        assert!(patch.ready().unwrap().message.as_ref().unwrap().contains(field), "{patch:?}");
        assert!(patch.conditions.iter().any(|c| c.type_ == "InvalidRequest"), "{field}");
    }
}

#[test]
fn a_failure_is_never_earlier_than_a_second_after_creation() {
    let request = request(|object| {
        object["metadata"]["creationTimestamp"] = json!("2026-03-01T12:01:30Z");
        object["spec"]["duration"] = json!("soon");
    });
    let Action::Write { patch, .. } = decided(&request, ready()) else { panic!() };
    assert_eq!(patch.failure_time, Some("2026-03-01T12:01:31Z".parse().unwrap()));
}

#[test]
fn before_its_time_it_waits() {
    let request = request(|_| ());
    let later = now() + SignedDuration::from_secs(30);
    let memory = Memory {
        failures: 2,
        pause: Some(Pause { since: now() - SignedDuration::from_secs(30), until: later }),
        ..Memory::default()
    };
    let snapshot = RequestSnapshot { now: now(), jitter: 0.5, request: &request, issuer: ready(), memory };
    assert!(matches!(decide(&snapshot), Action::Wait { until: Some(until), .. } if until == later));
}

#[test]
fn a_pause_that_a_clock_planned_which_was_set_back_since_does_not_hold() {
    let request = request(|_| ());
    let ahead = now() + SignedDuration::from_mins(30);
    let pause = Pause { since: ahead, until: ahead + SignedDuration::from_secs(30) };
    let memory = Memory { failures: 2, pause: Some(pause), ..Memory::default() };
    let snapshot = RequestSnapshot { now: now(), jitter: 0.5, request: &request, issuer: ready(), memory };
    assert!(matches!(decide(&snapshot), Action::Sign(_)));
}

#[test]
fn approved_with_a_ready_issuer_it_is_submitted() {
    let Action::Sign(step) = decided(&request(|_| ()), ready()) else { panic!() };
    assert_eq!(step.handle, None);
    assert_eq!(step.order.request.uid, "u1");
    assert_eq!(step.order.duration.as_secs(), 90 * 24 * 3600);
}

#[test]
fn known_to_the_pki_it_is_polled_with_its_handle() {
    let request = request(|object| {
        object["status"]["conditions"].as_array_mut().unwrap().push(json!({
            "type": "external-issuer.io/Submitted", "status": "True", "reason": "PendingAtPKI", "message": "order-17",
        }));
    });
    let Action::Sign(step) = decided(&request, ready()) else { panic!() };
    assert_eq!(step.handle.unwrap().as_str(), "order-17");
}
