//! The same objects as a real cert-manager's: `fixtures/cert-manager` holds what one made, and its README says how.
//!
//! Three ways to compare: each request byte for byte; the objects we would write with those that it wrote; and,
//! where it had come to rest, that we have nothing to add.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what is not there fails the test"
)]

use std::{fs, path::PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sim_cert_manager::{
    api::{Certificate, CertificateRequest, CertificateSpec},
    approver,
    backoff::Backoff,
    csr,
    decide::{Act, Decision, Snapshot, decide},
    key::{self, KeyAlgorithm, PrivateKey},
    names, policies, request,
};
use x509::Csr;

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    now: Timestamp,
    certificate: Certificate,
    certificate_requests: Vec<CertificateRequest>,
    secret: Option<Secret>,
    next_private_key_secrets: Vec<Secret>,
    events: Vec<Value>,
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cert-manager").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn recorded(name: &str) -> Recorded {
    read(&format!("{name}.json"))
}

/// What the control plane waited after failures when it was recorded.
const BACKOFF: Backoff =
    Backoff { minimum: std::time::Duration::from_secs(12), maximum: std::time::Duration::from_mins(1) };

impl Recorded {
    fn decide(&self) -> Decision {
        let snapshot = Snapshot {
            certificate: &self.certificate,
            owns_secret: true,
            secret: self.secret.as_ref(),
            next_private_keys: self.next_private_key_secrets.iter().collect(),
            requests: self.certificate_requests.iter().collect(),
        };
        decide(&snapshot, self.now, &BACKOFF)
    }

    fn status(&self) -> Value {
        serde_json::to_value(&self.certificate.status).unwrap()
    }
}

/// Without what the server and the webhook add.
fn as_sent<T: serde::Serialize>(object: &T) -> Value {
    let mut object = serde_json::to_value(object).unwrap();
    for key in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        object["metadata"].as_object_mut().unwrap().remove(key);
    }
    for key in ["username", "uid", "groups", "extra"] {
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove(key);
        }
    }
    object.as_object_mut().unwrap().remove("status");
    object
}

#[test]
fn where_cert_manager_came_to_rest_there_is_nothing_to_do() {
    for name in [
        "first-pending",
        "first-issued",
        "spec-changed",
        "renewed-always-before",
        "renewed-always-after",
        "renewed-never-before",
        "renewed-never-after",
        "failed",
        "failed-then-pending",
        "failed-then-issued",
        "foreign-certificate",
        "no-certificate",
        "invalid-request",
    ] {
        let recorded = recorded(name);
        let decision = recorded.decide();
        assert_eq!(decision.act, None, "{name}");
        let status = recorded.certificate.status.clone().unwrap();
        let again = match status.last_failure_time {
            Some(failure) if recorded.next_private_key_secrets.is_empty() => {
                failure.checked_add(jiff::SignedDuration::from_secs(12)).ok()
            }
            _ => status.renewal_time,
        };
        assert_eq!(decision.again, again, "{name}");
    }
}

/// A read of the object as if the Certificate had only just been made.
fn only_the_certificate(name: &str) -> Recorded {
    let mut recorded = recorded(name);
    recorded.now = recorded.certificate.creation_timestamp().unwrap().0;
    recorded.certificate.status = None;
    recorded.certificate_requests.clear();
    recorded.next_private_key_secrets.clear();
    recorded.secret = None;
    recorded
}

#[test]
fn a_new_certificate_gets_the_status_that_cert_manager_gives_it() {
    let Some(Act::UpdateStatus { status, note, .. }) = only_the_certificate("first-pending").decide().act
    else {
        panic!("no status")
    };
    let mut wanted = recorded("first-pending").status();
    wanted.as_object_mut().unwrap().remove("nextPrivateKeySecretName");
    assert_eq!(sorted(serde_json::to_value(status).unwrap()), sorted(wanted));
    assert_told("first-pending", &note.unwrap());
}

/// Which of two conditions comes first is chance in cert-manager.
fn sorted(mut status: Value) -> Value {
    let conditions = status["conditions"].as_array_mut().unwrap();
    conditions.sort_by_key(|condition| condition["type"].as_str().unwrap().to_owned());
    status
}

fn assert_told(name: &str, note: &sim_cert_manager::decide::Note) {
    let event = json!({
        "object": "Certificate",
        "type": if note.warning { "Warning" } else { "Normal" },
        "reason": note.reason,
        "message": note.message,
        "component": note.component,
    });
    let events = recorded(name).events;
    assert!(events.contains(&event), "{event} is none of {events:#?}");
}

#[test]
fn the_next_private_key_is_kept_in_the_same_secret() {
    let recorded = recorded("first-pending");
    let real = &recorded.next_private_key_secrets[0];
    let pem = String::from_utf8(policies::data(real, names::TLS_KEY).to_vec()).unwrap();
    let mut certificate = recorded.certificate.clone();
    certificate.status.as_mut().unwrap().next_private_key_secret_name = None;
    let mut real = as_sent(real);
    real["metadata"].as_object_mut().unwrap().remove("name");
    real.as_object_mut().unwrap().remove("type");
    assert_eq!(as_sent(&sim_cert_manager::secret::next_private_key(&certificate, pem)), real);
}

#[test]
fn keys_are_written_as_cert_manager_writes_them() {
    for name in ["first-issued", "renewed-always-after", "failed-then-issued"] {
        let recorded = recorded(name);
        let real = recorded.secret.unwrap();
        let real = policies::data(&real, names::TLS_KEY);
        let key = PrivateKey::from_pem(real).unwrap();
        let encoding = sim_cert_manager::key::KeyEncoding::of(&recorded.certificate.spec);
        assert_eq!(key.to_pem(encoding).unwrap().as_bytes(), real, "{name}");
    }
}

#[test]
fn requests_are_the_same_objects() {
    for (name, index) in
        [("first-pending", 0), ("spec-changed", 0), ("renewed-never-after", 0), ("failed-then-pending", 0)]
    {
        let recorded = recorded(name);
        let real = &recorded.certificate_requests[index];
        let revision = request::revision(real).unwrap();
        let secret_name = &real.annotations()[names::PRIVATE_KEY_SECRET_NAME];
        let csr = String::from_utf8(real.spec.request.0.clone()).unwrap();
        let ours = request::new_request(&recorded.certificate, revision, secret_name, csr);
        assert_eq!(as_sent(&ours), as_sent(real), "{name}");
    }
}

#[test]
fn csrs_are_the_same_to_the_byte() {
    #[derive(Deserialize)]
    struct Pair {
        spec: CertificateSpec,
        request: k8s_openapi::ByteString,
    }
    let pairs: Vec<Pair> = read("requests.json");
    assert_eq!(pairs.len(), 18);
    for Pair { spec, request } in pairs {
        let real = Csr::from_pem(&request.0).unwrap();
        let ours = csr::request_info(&spec, real.spki_der()).unwrap();
        let tbs = real.der().get(real.der().len() - real_tail(&real)..).unwrap();
        assert_eq!(&tbs[..ours.len()], ours, "{}", spec.secret_name);
        let key = KeyAlgorithm::of(&spec).unwrap();
        let algorithm = key::signature_algorithm(key, &spec.signature_algorithm).unwrap();
        assert_eq!(
            tbs.get(ours.len()..ours.len() + algorithm.len()),
            Some(&algorithm[..]),
            "{}",
            spec.secret_name
        );
    }
}

/// The length of what the outer SEQUENCE holds.
fn real_tail(csr: &Csr) -> usize {
    match csr.der() {
        [_, short @ ..=0x7f, ..] => usize::from(*short),
        [_, 0x81, length, ..] => usize::from(*length),
        [_, 0x82, high, low, ..] => usize::from(*high) << 8 | usize::from(*low),
        _ => panic!("a request of this length was not recorded"),
    }
}

#[test]
fn an_approval_is_the_same_condition() {
    let recorded = recorded("first-pending");
    let real = &recorded.certificate_requests[0];
    let approved = real.condition(names::APPROVED).unwrap();
    let mut fresh = real.clone();
    fresh.status = None;
    let status = approver::approval(&fresh, approved.last_transition_time.unwrap()).unwrap();
    assert_eq!(status.conditions.iter().collect::<Vec<_>>(), [approved]);
    assert_eq!(approver::approval(real, recorded.now), None);
}

/// As it was when the issuer had answered and nobody had looked.
fn answered(pending: &str, issued: &str) -> Recorded {
    let mut before = recorded(pending);
    let after = recorded(issued);
    before.certificate_requests = after.certificate_requests;
    before.now = after.now;
    before
}

#[test]
fn an_issued_certificate_is_written_into_the_same_secret() {
    for (pending, issued) in
        [("first-pending", "first-issued"), ("failed-then-pending", "failed-then-issued")]
    {
        let Some(Act::Issue { secret, status }) = answered(pending, issued).decide().act else {
            panic!("{pending}: not issued")
        };
        let after = recorded(issued);
        assert_eq!(as_sent(&*secret), as_sent(&after.secret.clone().unwrap()), "{issued}");
        // The rest of the status is for the next steps: the key's Secret goes, readiness looks at the new one.
        let (ours, real) = (serde_json::to_value(&status).unwrap(), after.status());
        for key in ["revision", "failedIssuanceAttempts", "lastFailureTime"] {
            assert_eq!(ours.get(key), real.get(key), "{issued} {key}");
        }
        let mut next = after.clone();
        next.certificate.status = Some(*status);
        next.next_private_key_secrets.clear();
        let Some(Act::UpdateStatus { status, .. }) = next.decide().act else { panic!("{issued}: no status") };
        let mut ours = serde_json::to_value(&status).unwrap();
        ours["conditions"][0]["lastTransitionTime"] = real["conditions"][0]["lastTransitionTime"].clone();
        assert_eq!(ours, real, "{issued}");
    }
}

#[test]
fn failures_have_the_same_status_and_event() {
    for name in ["failed", "foreign-certificate", "no-certificate", "invalid-request"] {
        let after = recorded(name);
        let wanted = after.certificate.status.clone().unwrap();
        let mut before = answered(&format!("{name}-before"), name);
        before.now = wanted.last_failure_time.unwrap();
        let Some(Act::UpdateStatus { status, note, .. }) = before.decide().act else {
            panic!("{name}: no failure")
        };
        let note = note.unwrap();
        assert_told(name, &note);
        // What is left to do is to let the key go.
        let mut next = after.clone();
        next.certificate.status = Some(*status);
        let Some(Act::UpdateStatus { status, .. }) = next.decide().act else { panic!("{name}: no status") };
        assert_eq!(sorted(serde_json::to_value(status).unwrap()), sorted(after.status()), "{name}");
    }
}
