//! The mock CA gives what was asked, judged by the judge that every answer meets and by openssl.

use std::process::Command;
use std::sync::Mutex;

use ca::{GeneralName, general_names};
use proptest::prelude::*;
use x509::{Asked, Chain, SubjectAltName, Tolerance, Usages};

use super::*;
use crate::clock::Clock;
use crate::signer::RequestIdentity;

struct SetClock(Mutex<Timestamp>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl SetClock {
    fn at(time: &str) -> Arc<Self> {
        Arc::new(Self(Mutex::new(time.parse().unwrap())))
    }

    fn advance(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}

fn clock() -> Arc<SetClock> {
    SetClock::at("2026-11-24T12:00:00.7Z")
}

fn mock_ca(algorithm: KeyAlgorithm, clock: &Arc<SetClock>, pending_for: Duration) -> MockCa {
    let authority = new_authority("ns/name", algorithm, clock.now()).unwrap();
    MockCa::new(Arc::new(authority), pending_for, Arc::clone(clock) as SharedClock)
}

fn csr(algorithm: KeyAlgorithm) -> Csr {
    let subject = ca::distinguished_name(&[
        vec![(ca::AttributeType::OrganizationalUnit, "One".into())],
        vec![(ca::AttributeType::OrganizationalUnit, "Two".into())],
        vec![(ca::AttributeType::CommonName, "web.example.com".into())],
    ]);
    let names = general_names(&[
        GeneralName::Dns("web.example.com".into()),
        GeneralName::Ip("fd00::1".parse().unwrap()),
        GeneralName::Uri("spiffe://example.com/a,b".into()),
        GeneralName::Email("a@example.com".into()),
        GeneralName::OtherName { type_id: "1.3.6.1.4.1.311.20.2.3".into(), value: "upn@example.com".into() },
    ]);
    let names = ca::Extra { oid: "2.5.29.17".into(), critical: false, value: names.unwrap() };
    let der = SigningKey::generate(algorithm).unwrap().request(&subject.unwrap(), vec![names]).unwrap();
    Csr::from_der(&der).unwrap()
}

fn order(csr: Csr) -> Order {
    Order {
        csr,
        duration: Duration::from_hours(24),
        usages: Usages::from_cert_manager(&["digital signature".into(), "client auth".into()]).unwrap(),
        is_ca: false,
        request: RequestIdentity::default(),
    }
}

fn issued(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Issued(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn exact() -> Tolerance {
    Tolerance {
        subject: x509::judge::SubjectTolerance::Exact,
        subject_alt_names: x509::judge::SanTolerance::Exact,
        usages: x509::judge::UsageTolerance::Exact,
        validity: x509::judge::ValidityTolerance {
            longer_by: Some(Duration::ZERO),
            clock_skew: Duration::ZERO,
        },
    }
}

fn judged(order: &Order, answer: Answer, now: Timestamp) -> Chain {
    let (duration, is_ca) = (order.duration, order.is_ca);
    let asked = Asked { csr: &order.csr, duration, usages: order.usages.clone(), is_ca, now };
    x509::judge::judge(&asked, &exact(), answer.certificates, answer.authorities).unwrap()
}

#[tokio::test]
async fn every_kind_of_ca_key_signs_every_kind_of_request_key() {
    let csrs: Vec<Csr> = KeyAlgorithm::ALL.into_iter().map(csr).collect();
    let files = tempfile::tempdir().unwrap();
    for algorithm in KeyAlgorithm::ALL {
        let clock = clock();
        let mock = mock_ca(algorithm, &clock, Duration::ZERO);
        let root = files.path().join("root.pem");
        std::fs::write(&root, mock.authority.chain()[0].to_pem()).unwrap();
        let mut leaves = Vec::new();
        for csr in &csrs {
            let order = order(csr.clone());
            let chain = judged(&order, issued(mock.submit(&order).await), clock.now());
            assert_eq!(chain.root.as_ref(), mock.authority.chain().first());
            assert_eq!(chain.leaf.subject_alt_names().len(), 5);
            let leaf = files.path().join(format!("{}.pem", leaves.len()));
            std::fs::write(&leaf, chain.leaf.to_pem()).unwrap();
            leaves.push(leaf);
        }
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-x509_strict", "-attime", "1795521600", "-CAfile"]).arg(&root).args(&leaves);
        let Ok(verdict) = verify.output() else {
            eprintln!("no openssl here: judged by our own judge only");
            continue;
        };
        assert!(verdict.status.success(), "{algorithm:?}: {}", String::from_utf8_lossy(&verdict.stderr));
    }
}

#[tokio::test]
async fn a_ca_is_made_when_asked_for_and_may_sign() {
    let clock = clock();
    let mock = mock_ca(KeyAlgorithm::EcdsaP256, &clock, Duration::ZERO);
    let usages = Usages::from_cert_manager(&["cert sign".into()]).unwrap();
    let order = Order { is_ca: true, usages, ..order(csr(KeyAlgorithm::EcdsaP384)) };
    let chain = judged(&order, issued(mock.submit(&order).await), clock.now());
    assert!(chain.leaf.is_ca());
}

#[tokio::test]
async fn a_certificate_is_valid_from_now_and_never_longer_than_its_ca() {
    let clock = clock();
    let mock = mock_ca(KeyAlgorithm::Ed25519, &clock, Duration::ZERO);
    let order = Order { duration: Duration::from_hours(1_000_000), ..order(csr(KeyAlgorithm::Ed25519)) };
    let leaf = judged(&order, issued(mock.submit(&order).await), clock.now()).leaf;
    assert_eq!(leaf.not_before().to_string(), "2026-11-24T12:00:00Z");
    assert_eq!(leaf.not_after(), mock.authority.chain()[0].not_after());
}

proptest! {
    #[test]
    fn any_duration_is_given_or_cut_at_the_cas_end(seconds in any::<u64>(), nanos in 0..1_000_000_000u32) {
        let clock = clock();
        let mock = mock_ca(KeyAlgorithm::EcdsaP256, &clock, Duration::ZERO);
        let order = Order { duration: Duration::new(seconds, nanos), ..order(csr(KeyAlgorithm::EcdsaP256)) };
        let leaf = issue(&mock.authority, &order.csr, &mock.profile(&order, clock.now()));
        let leaf = leaf.unwrap().certificates.remove(0);
        let lifetime = leaf.not_after().duration_since(leaf.not_before());
        prop_assert!(!lifetime.is_negative());
        prop_assert!(leaf.not_after() <= mock.end);
        let asked = i128::from(seconds);
        prop_assert!(leaf.not_after() == mock.end || (asked..=asked + 1).contains(&i128::from(lifetime.as_secs())));
    }
}

#[tokio::test]
async fn pending_is_answered_until_it_is_due_by_any_instance() {
    let clock = clock();
    let mock = mock_ca(KeyAlgorithm::EcdsaP256, &clock, Duration::from_mins(1));
    let order = order(csr(KeyAlgorithm::EcdsaP256));
    let Outcome::Pending { handle, message } = mock.submit(&order).await else { panic!("not pending") };
    assert_eq!(message, "the mock CA answers at 2026-11-24T12:01:00.7Z");
    assert!(handle.as_str().starts_with("2026-11-24T12:01:00.7Z "), "{handle}");

    clock.advance(SignedDuration::from_secs(59));
    assert_eq!(mock.poll(&order, &handle).await, Outcome::Pending { handle: handle.clone(), message });

    clock.advance(SignedDuration::from_secs(1));
    let another = mock_ca(KeyAlgorithm::EcdsaP256, &clock, Duration::from_mins(1));
    assert_eq!(another.poll(&order, &handle).await.as_str(), "issued");
}

#[tokio::test]
async fn a_handle_of_another_request_or_backend_is_a_new_request() {
    let clock = clock();
    let mock = mock_ca(KeyAlgorithm::EcdsaP256, &clock, Duration::from_mins(1));
    let Outcome::Pending { handle, .. } = mock.submit(&order(csr(KeyAlgorithm::EcdsaP256))).await else {
        panic!("not pending")
    };
    clock.advance(SignedDuration::from_hours(1));
    let other = order(csr(KeyAlgorithm::EcdsaP256));
    for handle in [handle, Handle::new("42").unwrap(), Handle::new("soon 0000000000000000").unwrap()] {
        let Outcome::Pending { handle, .. } = mock.poll(&other, &handle).await else { panic!("not pending") };
        assert!(handle.as_str().starts_with("2026-11-24T13:01:00.7Z "), "{handle}");
    }
}

#[tokio::test]
async fn a_ca_near_its_end_is_unhealthy_and_past_it_signs_nothing() {
    let clock = clock();
    let mock = mock_ca(KeyAlgorithm::EcdsaP256, &clock, Duration::ZERO);
    assert_eq!(mock.check().await, Ok(()));
    clock.advance(CA_LIFETIME - SignedDuration::from_hours(23));
    let unhealthy = mock.check().await.unwrap_err();
    assert_eq!(
        unhealthy.message,
        "the mock CA ends at 2036-11-21T12:00:00Z, within a day: give the issuer a new one"
    );
    clock.advance(SignedDuration::from_hours(23));
    let outcome = mock.submit(&order(csr(KeyAlgorithm::EcdsaP256))).await;
    assert_eq!(outcome.as_str(), "issuer_at_fault");
}

#[test]
fn a_users_ca_is_read_or_refused_exactly() {
    let now = clock().now();
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let key_pem = key.to_pkcs8_pem().unwrap();
    let root = Authority::self_signed(
        key,
        &CaProfile {
            common_name: "Team CA".into(),
            not_before: now - CA_BACKDATED,
            not_after: now + SignedDuration::from_hours(48),
            serial: Serial::random().unwrap(),
            path_len: None,
        },
    )
    .unwrap();
    let crt = root.chain()[0].to_pem();
    let read = |crt: &str, key: &str, now| read_authority(crt.as_bytes(), key.as_bytes(), now);
    assert_eq!(read(&crt, &key_pem, now).unwrap().chain(), root.chain());

    let stranger = SigningKey::generate(KeyAlgorithm::Rsa2048).unwrap().to_pkcs8_pem().unwrap();
    let mock = MockCa::new(Arc::new(root), Duration::ZERO, clock());
    let leaf_key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let leaf_csr = Csr::from_der(&leaf_key.request(&[0x30, 0], Vec::new()).unwrap()).unwrap();
    let profile = mock.profile(&order(leaf_csr.clone()), now);
    let leaf = issue(&mock.authority, &leaf_csr, &profile).unwrap().certificates[0].to_pem();
    let leaf_key = leaf_key.to_pkcs8_pem().unwrap();
    let later = now + SignedDuration::from_hours(49);
    let earlier = now - SignedDuration::from_hours(49);

    for (crt, key, now, expected) in [
        (crt.as_str(), "", now, "tls.key is empty"),
        (" \n", &key_pem, now, "tls.crt is empty"),
        (&crt, &stranger, now, "none of the 1 CA certificates is for the private key"),
        (&leaf, &leaf_key, now, "is not a CA certificate"),
        (&crt, &crt, now, "no usable private key"),
        ("garbage", &key_pem, now, "the CA's certificates: "),
        (&crt, &key_pem, later, "the certificate of CN=Team CA expired at 2026-11-26T12:00:00Z"),
        (&crt, &key_pem, earlier, "the certificate of CN=Team CA is not valid before 2026-11-24"),
    ] {
        let error = read(crt, key, now).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn debug_shows_no_key() {
    let mock = mock_ca(KeyAlgorithm::EcdsaP256, &clock(), Duration::ZERO);
    assert_eq!(
        format!("{mock:?}"),
        r#"MockCa { authority: Authority { subject: Some("CN=Mock CA ns/name"), key: SigningKey { algorithm: EcdsaP256, .. }, .. }, .. }"#
    );
}

#[test]
fn a_long_name_fits_a_common_name() {
    let authority = new_authority(&"ä".repeat(300), KeyAlgorithm::EcdsaP256, clock().now()).unwrap();
    let subject = authority.chain()[0].subject();
    assert_eq!(subject.common_name().unwrap().chars().count(), MAX_COMMON_NAME);
    assert!(!matches!(authority.chain()[0].subject_alt_names().first(), Some(SubjectAltName::Dns(_))));
}

proptest! {
    #[test]
    fn an_order_that_is_submitted_twice_is_one_certificate_by_its_number(
        uid in "[0-9a-f-]{1,36}", other in "[0-9a-f-]{1,36}", minutes in 0_i64..10_000,
    ) {
        static CSRS: std::sync::LazyLock<[Csr; 2]> =
            std::sync::LazyLock::new(|| [csr(KeyAlgorithm::EcdsaP256), csr(KeyAlgorithm::EcdsaP256)]);
        let clock = clock();
        let first = mock_ca(KeyAlgorithm::EcdsaP256, &clock, Duration::ZERO);
        let of = |uid: &str, csr: &Csr| {
            let request = RequestIdentity { uid: uid.to_owned(), ..RequestIdentity::default() };
            Order { request, ..order(csr.clone()) }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let serial = |mock: &MockCa, order: &Order| {
            issued(runtime.block_on(mock.submit(order))).certificates[0].serial_hex()
        };
        let number = serial(&first, &of(&uid, &CSRS[0]));
        // By a process that was started anew, with the same CA, later.
        clock.advance(SignedDuration::from_mins(minutes));
        let second = MockCa::new(Arc::clone(&first.authority), Duration::ZERO, Arc::clone(&clock) as SharedClock);
        prop_assert_eq!(second.offers(), Offers::IdempotencyKey);
        prop_assert_eq!(&serial(&second, &of(&uid, &CSRS[0])), &number);
        prop_assert_ne!(&serial(&second, &of(&uid, &CSRS[1])), &number);
        prop_assert_eq!(serial(&second, &of(&other, &CSRS[0])) == number, uid == other);
    }
}
