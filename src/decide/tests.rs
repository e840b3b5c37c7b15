//! The twelve promises of the pure core, each a property by its name.

use std::sync::LazyLock;
use std::time::Duration;

use ca::{Authority, CaProfile, KeyAlgorithm, LeafProfile, Sans, Serial, SigningKey, Subject};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use proptest::sample::select;
use x509::{Certificate, Csr, Usages};

use super::conclude::{Conclusion, Next, conclude};
use super::earlier::{Earlier, Precaution};
use super::patch::{Notice, RETRYING, SUBMITTED, StatusPatch, reason, retrying_since};
use super::request::{Action, Ignored, Step, decide, is_finished};
use super::snapshot::{IssuerView, Memory, Pause, RequestSnapshot, Terms};
use crate::api::certificate_request::{APPROVED, DENIED, INVALID_REQUEST, READY};
use crate::api::conditions::{Condition, ConditionStatus};
use crate::api::{CertificateRequest, IssuerReference};
use crate::config::Patience;
use crate::signer::outcome::{Answer, Handle, Origin, Outcome};

/// Requests and answers, made once.
pub(super) static CASES: LazyLock<Cases> = LazyLock::new(Cases::new);

pub(super) struct Cases {
    /// A CSR and a certificate that answers it.
    pub good: (String, Certificate),
    /// The same for another key.
    pub other: (String, Certificate),
    /// For the key of `good`, with another name.
    pub renamed: Certificate,
    /// For the key of `good`, expired.
    pub expired: Certificate,
    pub root: Certificate,
}

/// The time around which everything happens.
pub(super) fn epoch() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

impl Cases {
    fn new() -> Self {
        let hours = SignedDuration::from_hours;
        let profile = CaProfile {
            common_name: "Test Root".to_owned(),
            not_before: epoch() - hours(1000),
            not_after: epoch() + hours(90_000),
            serial: Serial::from_bytes([1; 16]),
            path_len: None,
        };
        let authority =
            Authority::self_signed(SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap(), &profile).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let request = |key: &rcgen::KeyPair, name: &str| {
            rcgen::CertificateParams::new(vec![name.to_owned()])
                .unwrap()
                .serialize_request(key)
                .unwrap()
                .pem()
                .unwrap()
        };
        let issue = |csr: &str, from: Timestamp, to: Timestamp| {
            let leaf = LeafProfile {
                serial: Serial::from_bytes([2; 16]),
                not_before: from,
                not_after: to,
                is_ca: false,
                path_len: None,
                usages: Usages::default_for_leaf(),
                subject: Subject::FromCsr,
                subject_alt_names: Sans::FromCsr,
                crl_distribution_points: Vec::new(),
                ocsp: Vec::new(),
                ca_issuers: Vec::new(),
                basic_constraints_on_leaf: false,
            };
            authority.issue(&Csr::from_pem(csr.as_bytes()).unwrap(), &leaf).unwrap()
        };
        let (from, to) = (epoch() - hours(1), epoch() + hours(90 * 24 - 1));
        let good = request(&key, "web.example");
        let other = request(&rcgen::KeyPair::generate().unwrap(), "web.example");
        Self {
            renamed: issue(&request(&key, "evil.example"), from, to),
            expired: issue(&good, epoch() - hours(900), epoch() - hours(800)),
            good: (good.clone(), issue(&good, from, to)),
            other: (other.clone(), issue(&other, from, to)),
            root: authority.chain()[0].clone(),
        }
    }
}

// --- strategies -------------------------------------------------------------------------------------------

fn time() -> impl Strategy<Value = Timestamp> {
    (-200_000_i64..200_000).prop_map(|seconds| epoch() + SignedDuration::from_secs(seconds))
}

fn word() -> impl Strategy<Value = String> {
    select(vec!["Pending", "Failed", "Issued", "Denied", "Other", ""]).prop_map(str::to_owned)
}

fn condition(types: Vec<&'static str>) -> impl Strategy<Value = Condition> {
    let status = select(vec![ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown]);
    (select(types), status, word(), "[ -~]{0,12}", proptest::option::of(time())).prop_map(
        |(type_, status, reason, message, last_transition_time)| Condition {
            type_: type_.to_owned(),
            status,
            reason: Some(reason),
            message: Some(message),
            last_transition_time: last_transition_time.map(crate::api::conditions::truncated),
            observed_generation: None,
        },
    )
}

/// Conditions with distinct types, approval likely.
fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let some = proptest::collection::vec(
        condition(vec![READY, DENIED, INVALID_REQUEST, RETRYING, SUBMITTED, "Strange"]),
        0..3,
    );
    (proptest::option::weighted(0.8, condition(vec![APPROVED])), some).prop_map(|(approved, some)| {
        let mut list: Vec<Condition> = Vec::new();
        for mut condition in approved.into_iter().chain(some) {
            if condition.type_ == APPROVED || condition.type_ == DENIED {
                condition.status = ConditionStatus::True;
            }
            if list.iter().all(|other| other.type_ != condition.type_) {
                list.push(condition);
            }
        }
        list
    })
}

prop_compose! {
    fn request()(
        group in select(vec!["external-issuer.io", "external-issuer.io", "external-issuer.io", "cert-manager.io", ""]),
        kind in select(vec!["ExternalIssuer", "ExternalClusterIssuer", "", "Issuer"]),
        csr in prop_oneof![
            6 => Just(CASES.good.0.clone().into_bytes()),
            1 => Just(Vec::new()),
            1 => proptest::collection::vec(any::<u8>(), 0..200),
        ],
        duration in prop_oneof![
            3 => Just(None),
            2 => Just(Some("2160h".to_owned())),
            1 => "[0-9hms.-]{0,6}".prop_map(Some),
        ],
        usages in prop_oneof![4 => Just(Vec::new()), 1 => proptest::collection::vec("[a-z ]{0,12}", 1..3)],
        conditions in conditions(),
        certificate in proptest::option::weighted(0.1, proptest::collection::vec(any::<u8>(), 0..4)),
        deleting in proptest::bool::weighted(0.1),
        created in proptest::option::of(time()),
        failure_time in proptest::option::weighted(0.1, time()),
        is_ca in proptest::bool::weighted(0.1),
        named in proptest::bool::weighted(0.95),
    ) -> CertificateRequest {
        let mut request = CertificateRequest::default();
        request.metadata.name = named.then(|| "web-1".to_owned());
        request.metadata.namespace = Some("shop".to_owned());
        request.metadata.uid = Some("uid-1".to_owned());
        request.metadata.resource_version = Some("7".to_owned());
        request.metadata.creation_timestamp = created.map(|time| Time(crate::api::conditions::truncated(time)));
        request.metadata.deletion_timestamp = deleting.then(|| Time(epoch()));
        request.spec.issuer_ref = IssuerReference { name: "corp".into(), kind: kind.into(), group: group.into() };
        request.spec.request = ByteString(csr);
        request.spec.duration = duration;
        request.spec.usages = usages;
        request.spec.is_ca = is_ca;
        let status = request.status.get_or_insert_default();
        status.conditions = conditions;
        status.certificate = certificate.map(ByteString);
        status.failure_time = failure_time.map(crate::api::conditions::truncated);
        request
    }
}

fn issuer() -> impl Strategy<Value = IssuerView> {
    prop_oneof![
        1 => Just(IssuerView::Missing),
        1 => Just(IssuerView::Unchecked),
        1 => "[ -~]{0,40}".prop_map(|message| IssuerView::NotReady { message }),
        4 => (0_i64..3, 0_i64..3).prop_map(|(generation, checked_generation)| {
            IssuerView::Ready { generation, checked_generation, terms: terms() }
        }),
        4 => Just(ready()),
    ]
}

fn terms() -> Terms {
    Terms {
        patience: Patience { max_retry: Duration::from_hours(1), ..Patience::default() },
        ..Terms::default()
    }
}

fn ready() -> IssuerView {
    IssuerView::Ready { generation: 1, checked_generation: 1, terms: terms() }
}

fn memory() -> impl Strategy<Value = Memory> {
    let pause = proptest::option::of((time(), time()).prop_map(|(since, until)| Pause { since, until }));
    let earlier = select(vec![Earlier::None, Earlier::Perhaps, Earlier::Unanswered]);
    (0_u32..40, pause, proptest::option::of(time()), any::<bool>(), earlier).prop_map(
        |(failures, pause, first_seen, approval_reported, earlier)| Memory {
            failures,
            pause,
            first_seen,
            approval_reported,
            earlier,
            duplicate_reported: false,
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let certificates = proptest::collection::vec(
        select(vec![
            CASES.good.1.clone(),
            CASES.good.1.clone(),
            CASES.good.1.clone(),
            CASES.other.1.clone(),
            CASES.renamed.clone(),
            CASES.expired.clone(),
            CASES.root.clone(),
        ]),
        0..3,
    );
    let message = "\\PC{0,40}";
    prop_oneof![
        4 => certificates.prop_map(|certificates| {
            Outcome::Issued(Answer { certificates, authorities: vec![CASES.root.clone()], origin: Origin::Issued })
        }),
        1 => ("[!-~]{1,20}", message).prop_map(|(handle, message)| {
            Outcome::Pending { handle: Handle::new(handle).unwrap(), message }
        }),
        1 => message.prop_map(|message| Outcome::Permanent { message }),
        1 => message.prop_map(|message| Outcome::IssuerAtFault { message }),
        2 => (message, proptest::option::of(0_u64..100_000)).prop_map(|(message, seconds)| {
            Outcome::Retryable {
                message,
                retry_after: seconds.map(Duration::from_secs),
                may_have_issued: seconds.is_none(),
            }
        }),
    ]
}

/// Everything a decision is made on, owned.
#[derive(Clone, Debug)]
struct World {
    now: Timestamp,
    jitter: f64,
    request: CertificateRequest,
    issuer: IssuerView,
    memory: Memory,
}

impl World {
    fn snapshot(&self) -> RequestSnapshot<'_> {
        RequestSnapshot {
            now: self.now,
            jitter: self.jitter,
            request: &self.request,
            issuer: self.issuer.clone(),
            memory: self.memory,
        }
    }

    fn has(&self, type_: &str) -> bool {
        Condition::is_true(self.request.conditions(), type_)
    }
}

prop_compose! {
    fn world()(
        now in time(), jitter in 0.0_f64..1.0, request in request(), issuer in issuer(), memory in memory(),
    ) -> World {
        World { now, jitter, request, issuer, memory }
    }
}

/// A step that asked for what the request of `good` asks.
pub(super) fn step() -> Step {
    let csr = Csr::from_pem(CASES.good.0.as_bytes()).unwrap();
    let order = crate::signer::Order {
        csr,
        duration: Duration::from_hours(2160),
        usages: Usages::default_for_leaf(),
        is_ca: false,
        request: crate::signer::RequestIdentity {
            namespace: "shop".into(),
            name: "web-1".into(),
            uid: "uid-1".into(),
        },
    };
    let since = epoch() - SignedDuration::from_hours(2);
    Step { order, handle: None, precaution: Precaution::None, since, terms: terms() }
}

/// What the API server makes of our patch: our conditions as a whole, the others as they were.
fn applied(request: &CertificateRequest, patch: &StatusPatch) -> CertificateRequest {
    let mut request = request.clone();
    let status = request.status.get_or_insert_default();
    status.conditions.retain(|c| ![READY, INVALID_REQUEST, RETRYING, SUBMITTED].contains(&c.type_.as_str()));
    status.conditions.extend(patch.conditions.iter().cloned());
    status.certificate = patch.certificate.clone().map(|text| ByteString(text.into_bytes()));
    status.ca = patch.ca.clone().map(|text| ByteString(text.into_bytes()));
    status.failure_time = patch.failure_time;
    request
}

/// The patch of a decision, and of a conclusion, if there is one.
fn patches(world: &World, outcome: &Outcome) -> Vec<StatusPatch> {
    let mut patches = Vec::new();
    if let Action::Write { patch, .. } = decide(&world.snapshot()) {
        patches.push(patch);
    }
    patches.extend(conclude(&world.snapshot(), &step(), outcome).write.map(|(patch, _)| patch));
    patches
}

fn notices(world: &World, outcome: &Outcome) -> Vec<Notice> {
    let decided = match decide(&world.snapshot()) {
        Action::Write { notice, .. } => Some(notice),
        Action::Wait { notice, .. } => notice,
        Action::Ignore(_) | Action::Sign(_) => None,
    };
    let concluded = conclude(&world.snapshot(), &step(), outcome).write.map(|(_, notice)| notice);
    decided.into_iter().chain(concluded).collect()
}

fn ours(request: &CertificateRequest) -> bool {
    request.spec.issuer_ref.group == "external-issuer.io" && request.spec.issuer_ref.kind != "Issuer"
}

// --- the promises -----------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn promise_1_total(world in world(), outcome in outcome()) {
        let _ = decide(&world.snapshot());
        let _ = conclude(&world.snapshot(), &step(), &outcome);
    }

    #[test]
    fn promise_2_deterministic(world in world(), outcome in outcome()) {
        let twice = [(); 2].map(|()| format!("{:?}", decide(&world.snapshot())));
        prop_assert_eq!(&twice[0], &twice[1]);
        let twice = [(); 2].map(|()| conclude(&world.snapshot(), &step(), &outcome));
        prop_assert_eq!(&twice[0], &twice[1]);
    }

    #[test]
    fn promise_3_not_ours_not_touched(world in world(), outcome in outcome()) {
        if !ours(&world.request) {
            prop_assert!(matches!(decide(&world.snapshot()), Action::Ignore(Ignored::NotOurs)));
            prop_assert_eq!(conclude(&world.snapshot(), &step(), &outcome).write, None);
        }
    }

    #[test]
    fn promise_4_no_approval_no_signature(world in world()) {
        if matches!(decide(&world.snapshot()), Action::Sign(_)) {
            prop_assert!(world.has(APPROVED) && !world.has(DENIED));
        }
        if ours(&world.request) && world.has(DENIED) {
            let left_alone = matches!(decide(&world.snapshot()), Action::Ignore(_) | Action::Write { .. });
            prop_assert!(left_alone);
        }
    }

    #[test]
    fn promise_4_a_denial_meanwhile_wins_over_a_certificate(mut world in world(), outcome in outcome()) {
        let status = world.request.status.get_or_insert_default();
        status.conditions.retain(|c| c.type_ != DENIED);
        status.conditions.push(Condition {
            type_: DENIED.into(), status: ConditionStatus::True, reason: None, message: None,
            last_transition_time: None, observed_generation: None,
        });
        if let Some((patch, _)) = conclude(&world.snapshot(), &step(), &outcome).write {
            prop_assert_eq!(patch.ready_reason(), reason::DENIED);
        }
    }

    #[test]
    fn promise_5_terminal_is_terminal(world in world(), outcome in outcome()) {
        for patch in patches(&world, &outcome) {
            let after = World { request: applied(&world.request, &patch), ..world.clone() };
            if is_finished(&after.request) {
                prop_assert!(matches!(decide(&after.snapshot()), Action::Ignore(_)));
                prop_assert_eq!(conclude(&after.snapshot(), &step(), &outcome).write, None);
            }
        }
        if is_finished(&world.request) {
            prop_assert_eq!(patches(&world, &outcome), Vec::new());
        }
    }

    #[test]
    fn promise_6_issuer_first(world in world()) {
        if matches!(decide(&world.snapshot()), Action::Sign(_)) {
            let IssuerView::Ready { generation, checked_generation, .. } = world.issuer else {
                return Err(TestCaseError::fail("signed without a ready issuer"));
            };
            prop_assert_eq!(generation, checked_generation);
        }
    }

    #[test]
    fn promise_7_certificate_iff_issued(world in world(), outcome in outcome()) {
        for patch in patches(&world, &outcome) {
            let word = patch.ready_reason();
            prop_assert!([reason::PENDING, reason::FAILED, reason::ISSUED, reason::DENIED].contains(&word));
            prop_assert_eq!(patch.certificate.is_some(), word == reason::ISSUED);
            prop_assert_eq!(patch.failure_time.is_some(), word == reason::FAILED || word == reason::DENIED);
            prop_assert!(patch.ca.is_none() || word == reason::ISSUED);
            prop_assert_eq!(patch.ready().unwrap().status == ConditionStatus::True, word == reason::ISSUED);
            prop_assert!(patch.conditions.iter().all(|c| c.type_ != APPROVED && c.type_ != DENIED));
            if let (Some(failed), Some(created)) = (patch.failure_time, &world.request.metadata.creation_timestamp) {
                prop_assert!(failed >= created.0 + SignedDuration::from_secs(1));
            }
        }
    }

    #[test]
    fn promise_8_idempotent(world in world(), outcome in outcome()) {
        for patch in patches(&world, &outcome) {
            let after = World { request: applied(&world.request, &patch), ..world.clone() };
            prop_assert!(patch.is_already_in(&after.request));
            if let Action::Write { patch: again, .. } = decide(&after.snapshot()) {
                prop_assert_ne!(&again, &patch);
            }
            if let Some((again, _)) = conclude(&after.snapshot(), &step(), &outcome).write {
                prop_assert_ne!(again, patch);
            }
        }
    }

    #[test]
    fn promise_9_transition_time_honest(world in world(), outcome in outcome()) {
        for patch in patches(&world, &outcome) {
            for new in &patch.conditions {
                let old = world.request.condition(&new.type_);
                let kept = old.filter(|old| old.status == new.status).and_then(|old| old.last_transition_time);
                let now = crate::api::conditions::truncated(world.now);
                prop_assert_eq!(new.last_transition_time, Some(kept.unwrap_or(now)));
            }
        }
    }

    #[test]
    fn promise_10_bounded(world in world(), message in "[a-z]{0,9}", asked in proptest::option::of(0_u64..9_000)) {
        let retry_after = asked.map(Duration::from_secs);
        let outcome = Outcome::Retryable { message, retry_after, may_have_issued: false };
        let Conclusion { write, next, .. } = conclude(&world.snapshot(), &step(), &outcome);
        let deadline = retrying_since(&world.request).unwrap_or(world.now) + SignedDuration::from_secs(3600);
        match next {
            Next::Retry(at) => prop_assert!(world.now < deadline && at <= deadline),
            Next::Poll(_) => return Err(TestCaseError::fail("an error is no answer to poll for")),
            Next::Done => {
                let failed = write.is_some_and(|(patch, _)| patch.ready_reason() == reason::FAILED);
                prop_assert!(!failed || world.now >= deadline);
            }
        }
    }

    #[test]
    fn promise_10_a_pending_request_keeps_polling(world in world(), handle in "[a-z]{1,9}") {
        let outcome = Outcome::Pending { handle: Handle::new(&handle).unwrap(), message: String::new() };
        let Conclusion { write, next, .. } = conclude(&world.snapshot(), &step(), &outcome);
        if let Next::Poll(at) = next {
            prop_assert!(at > world.now);
            if let Some((patch, _)) = write {
                let after = applied(&world.request, &patch);
                prop_assert_eq!(super::patch::handle_on(&after).map(|kept| kept.to_string()), Some(handle));
            }
        } else {
            let word = write.map(|(patch, _)| patch.ready_reason().to_owned());
            prop_assert!(word.is_none() || word.as_deref() == Some(reason::DENIED));
        }
    }

    #[test]
    fn promise_11_no_secret_leaves(world in world(), outcome in outcome()) {
        let key_bytes = CASES.good.0.lines().nth(2).unwrap();
        for patch in patches(&world, &outcome) {
            let said: String = patch.conditions.iter().filter_map(|c| c.message.clone()).collect();
            prop_assert!(!said.contains(key_bytes) && !said.contains("-----BEGIN"));
            prop_assert!(said.len() < 4096, "{}", said.len());
            prop_assert!(!said.chars().any(char::is_control));
        }
        for notice in notices(&world, &outcome) {
            prop_assert!(!notice.message.contains(key_bytes) && !notice.message.contains("-----BEGIN"));
            prop_assert!(notice.message.len() <= 1024 && !notice.message.chars().any(char::is_control));
        }
    }

    #[test]
    fn promise_12_matched(world in world(), outcome in outcome()) {
        for patch in patches(&world, &outcome) {
            if let Some(published) = &patch.certificate {
                let chain = x509::bundle::read_certificates(published.as_bytes()).unwrap();
                let csr = Csr::from_pem(CASES.good.0.as_bytes()).unwrap();
                prop_assert!(chain[0].has_key(csr.spki_der()));
                prop_assert_eq!(&chain[0], &CASES.good.1, "the only certificate here that answers the request");
            }
        }
    }

    #[test]
    fn an_answer_for_an_old_request_never_lands_on_a_new_one(mut world in world(), outcome in outcome()) {
        world.request.metadata.uid = Some("uid-2".to_owned());
        prop_assert_eq!(conclude(&world.snapshot(), &step(), &outcome).write, None);
    }
}

/// The strategies reach every kind of action and conclusion; a property over what never happens proves nothing.
#[test]
fn the_properties_see_every_case() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::<&str, u32>::new();
    for _ in 0..3000 {
        let world = world().new_tree(&mut runner).unwrap().current();
        let outcome = outcome().new_tree(&mut runner).unwrap().current();
        let action = match decide(&world.snapshot()) {
            Action::Ignore(Ignored::NotOurs) => "not ours",
            Action::Ignore(Ignored::Deleting) => "deleting",
            Action::Ignore(Ignored::Finished) => "finished",
            Action::Wait { .. } => "wait",
            Action::Write { .. } => "write",
            Action::Sign(step) if step.handle.is_some() => "poll",
            Action::Sign(_) => "submit",
        };
        *seen.entry(action).or_default() += 1;
        let conclusion = conclude(&world.snapshot(), &step(), &outcome);
        let conclusion =
            match (conclusion.write.as_ref().map(|(patch, _)| patch.ready_reason()), conclusion.next) {
                (Some(reason::ISSUED), _) => "issued",
                (Some(reason::FAILED), _) => "failed",
                (Some(reason::DENIED), _) => "denied",
                (_, Next::Retry(_)) => "retry later",
                (_, Next::Poll(_)) => "poll later",
                _ => "done",
            };
        *seen.entry(conclusion).or_default() += 1;
    }
    let kinds = [
        "not ours",
        "deleting",
        "finished",
        "wait",
        "write",
        "poll",
        "submit",
        "issued",
        "failed",
        "denied",
        "retry later",
        "poll later",
        "done",
    ];
    for kind in kinds {
        assert!(seen.get(kind).is_some_and(|count| *count >= 5), "{kind} is too rare: {seen:?}");
    }
}
