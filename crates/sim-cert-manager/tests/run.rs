//! The runner on a simulated API server, under paused time: hours pass as fast as there is nothing to do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what is not there fails the test")]

mod cluster;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ca::{Authority, CaProfile, KeyAlgorithm, LeafProfile, Sans, Serial, SigningKey, Subject};
use cluster::{Crash, NAMESPACE, START, World};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use sim_cert_manager::{
    api::{CertificateRequest, CertificateRequestStatus, Condition, ConditionStatus, set_condition},
    clock::Clock,
    key::PrivateKey,
    key_source::Seeded,
    names::{self, APPROVED, READY},
    policies,
    run::{Options, run},
};

/// An issuer that answers every approved request at once: with a certificate, or with Failed.
struct Issuer {
    authority: Authority,
    says_no: bool,
}

impl Issuer {
    fn new() -> Self {
        let key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let profile = CaProfile {
            common_name: "Test CA".to_owned(),
            not_before: START,
            not_after: START + SignedDuration::from_hours(24 * 3650),
            serial: Serial::random().unwrap(),
            path_len: None,
        };
        Self { authority: Authority::self_signed(key, &profile).unwrap(), says_no: false }
    }

    #[expect(clippy::disallowed_methods, reason = "the test plays the issuer")]
    async fn answer_all(&self, world: &World) {
        let requests: Api<CertificateRequest> = Api::namespaced(world.admin(), NAMESPACE);
        for object in world.all("certificaterequests") {
            let mut request: CertificateRequest = serde_json::from_value(object).unwrap();
            if request.condition(APPROVED).is_some() && request.condition(READY).is_none() {
                request.status = Some(self.answer(&request, world.now()));
                let name = request.metadata.name.clone().unwrap();
                // What has changed meanwhile is answered when it is seen again.
                let _ = requests.replace_status(&name, &PostParams::default(), &request).await;
            }
        }
    }

    fn answer(&self, request: &CertificateRequest, now: Timestamp) -> CertificateRequestStatus {
        let mut status = request.status.clone().unwrap();
        if self.says_no {
            let failed = Condition::new(READY, ConditionStatus::False, names::FAILED, "no".to_owned());
            set_condition(&mut status.conditions, failed, now);
            status.failure_time = Some(now);
            return status;
        }
        let csr = x509::Csr::from_pem(&request.spec.request.0).unwrap();
        let hours = request.spec.duration.map_or(SignedDuration::from_hours(2160), |duration| duration.0);
        let leaf = LeafProfile {
            serial: Serial::random().unwrap(),
            not_before: now,
            not_after: now + hours,
            is_ca: false,
            path_len: None,
            usages: x509::Usages::default_for_leaf(),
            subject: Subject::FromCsr,
            subject_alt_names: Sans::FromCsr,
            crl_distribution_points: Vec::new(),
            ocsp: Vec::new(),
            ca_issuers: Vec::new(),
            basic_constraints_on_leaf: false,
        };
        let issued = self.authority.issue(&csr, &leaf).unwrap();
        status.certificate = Some(ByteString(issued.to_pem().into_bytes()));
        status.ca = Some(ByteString(self.authority.chain()[0].to_pem().into_bytes()));
        let issued = Condition::new(READY, ConditionStatus::True, names::ISSUED, "done".to_owned());
        set_condition(&mut status.conditions, issued, now);
        status
    }
}

fn certificate(name: &str, policy: &str, duration: &str) -> Value {
    json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name},
        "spec": {
            "secretName": format!("{name}-tls"),
            "dnsNames": [format!("{name}.example.com")],
            "duration": duration,
            "privateKey": {"algorithm": "ECDSA", "rotationPolicy": policy},
            "issuerRef": {"name": "pki", "kind": "ExternalIssuer", "group": "external-issuer.io"},
        },
    })
}

async fn cert_manager(world: &World, steps_at_once: usize) {
    let time = world.clone();
    let clock: Arc<dyn Clock> = Arc::new(move || time.now());
    let options = Options { events: false, keys: Arc::new(Seeded(7)), steps_at_once, ..Options::default() };
    match run(world.client(), clock, options).await {}
}

/// Runs the issuer, and looks at every Secret after every change.
async fn watched(world: &World, issuer: &Issuer) {
    let mut changes = world.changes();
    loop {
        issuer.answer_all(world).await;
        for secret in world.all("secrets") {
            if secret["type"] == "kubernetes.io/tls" {
                is_good(&serde_json::from_value(secret).unwrap(), world.now());
            }
        }
        changes.changed().await.unwrap();
    }
}

fn is_good(secret: &Secret, now: Timestamp) {
    let key = PrivateKey::from_pem(policies::data(secret, names::TLS_KEY)).unwrap();
    let issued = policies::certificate_of(secret).unwrap();
    assert!(x509::key::same_key(issued.spki_der(), key.spki_der()));
    assert!(issued.not_before() <= now && now < issued.not_after());
}

fn status(world: &World, name: &str) -> Value {
    world.one("certificates", name).unwrap()["status"].clone()
}

#[tokio::test(start_paused = true)]
async fn certificates_are_renewed_at_two_thirds_each_time() {
    let (world, issuer) = (World::new().await, Issuer::new());
    for number in 0..10 {
        world.certificate(certificate(&format!("c{number}"), "Always", "216h")).await;
    }
    tokio::select! {
        () = cert_manager(&world, 4) => {}
        () = watched(&world, &issuer) => {}
        () = tokio::time::sleep(Duration::from_hours(24 * 13)) => {}
    }
    for number in 0..10 {
        let status = status(&world, &format!("c{number}"));
        // At day 0, 6 and 12.
        assert_eq!(status["revision"], 3, "{status}");
        assert_eq!(status["conditions"].as_array().unwrap().len(), 1, "{status}");
        assert_eq!(status["conditions"][0]["status"], "True", "{status}");
    }
    assert_eq!(world.all("certificaterequests").len(), 10);
    assert_eq!(world.all("secrets").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_order_of_writes_is_that_of_the_flow() {
    let (world, issuer) = (World::new().await, Issuer::new());
    world.certificate(certificate("web", "Always", "2160h")).await;
    tokio::select! {
        () = cert_manager(&world, 1) => {}
        () = watched(&world, &issuer) => {}
        () = tokio::time::sleep(Duration::from_hours(1)) => {}
    }
    assert_eq!(
        world.writes(),
        [
            "update certificates/status",        // Ready=False, Issuing=True
            "create secrets",                    // the next private key
            "update certificates/status",        // its name
            "create certificaterequests",        // the request
            "update certificaterequests/status", // the approval
            "patch secrets",                     // key and certificate
            "update certificates/status",        // the revision, no longer issuing
            "delete secrets",                    // the next private key
            "update certificates/status",        // its name; Ready=True
        ]
    );
}

/// What is left, but for what depends on when it was made.
fn end(world: &World) -> BTreeMap<String, Value> {
    let mut end = BTreeMap::new();
    for plural in ["certificates", "certificaterequests", "secrets"] {
        for object in world.all(plural) {
            let name = format!("{plural} {}", object["metadata"]["name"].as_str().unwrap());
            let annotations = object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
            let mut annotations: BTreeMap<_, _> = annotations.into_iter().collect();
            annotations.remove(names::PRIVATE_KEY_SECRET_NAME);
            let revision = object["status"]["revision"].clone();
            let conditions: Vec<_> =
                object["status"]["conditions"].as_array().into_iter().flatten().collect();
            let conditions: Vec<_> =
                conditions.iter().map(|condition| (&condition["type"], &condition["reason"])).collect();
            let data: Vec<_> = object["data"].as_object().into_iter().flatten().map(|(key, _)| key).collect();
            end.insert(name, json!({"annotations": annotations, "revision": revision, "conditions": conditions, "data": data}));
        }
    }
    end
}

/// First issue, and then renewal.
async fn two_revisions(policy: &str, crash: Option<Crash>) -> (BTreeMap<String, Value>, usize) {
    let (world, issuer) = (World::new().await, Issuer::new());
    world.certificate(certificate("web", policy, "3h")).await;
    let life = async {
        if let Some(crash) = crash {
            let (_struck, mut died) = world.crash(crash);
            tokio::select! {
                biased;
                _ = died.wait_for(|died| *died) => {}
                () = cert_manager(&world, 4) => {}
            }
        }
        cert_manager(&world, 4).await;
    };
    tokio::select! {
        () = life => {}
        () = watched(&world, &issuer) => {}
        () = tokio::time::sleep(Duration::from_mins(150)) => {}
    }
    (end(&world), world.writes().len())
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_write_ends_in_the_same_objects() {
    for policy in ["Always", "Never"] {
        let (wanted, writes) = two_revisions(policy, None).await;
        assert_eq!(wanted["certificates web"]["revision"], 2);
        assert_eq!(wanted.len(), 3, "{wanted:#?}");
        assert!(writes > 18, "{writes}");
        for at in 1..=writes {
            for after in [false, true] {
                let crash = Crash { at, after };
                let (left, _) = two_revisions(policy, Some(crash)).await;
                assert_eq!(left, wanted, "{policy} {crash:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pki_that_always_says_no_is_asked_after_one_two_four_up_to_thirty_two_hours() {
    let (world, mut issuer) = (World::new().await, Issuer::new());
    issuer.says_no = true;
    world.certificate(certificate("web", "Never", "2160h")).await;
    let mut asked = Vec::new();
    let watch = async {
        let (mut last, mut changes) = (String::new(), world.changes());
        loop {
            if let Some(request) = world.one("certificaterequests", "web-1")
                && request["metadata"]["uid"] != last.as_str()
            {
                last = request["metadata"]["uid"].as_str().unwrap().to_owned();
                asked.push(world.now().duration_since(START).as_hours());
            }
            changes.changed().await.unwrap();
        }
    };
    tokio::select! {
        () = cert_manager(&world, 4) => {}
        () = watched(&world, &issuer) => {}
        () = watch => {}
        () = tokio::time::sleep(Duration::from_hours(140)) => {}
    }
    assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 95, 127]);
    assert_eq!(status(&world, "web")["failedIssuanceAttempts"], 9);
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_is_refused_is_tried_again_and_then_the_flow_goes_on() {
    let (world, issuer) = (World::new().await, Issuer::new());
    let refused = world.refuse("certificaterequests", "status");
    world.certificate(certificate("web", "Always", "2160h")).await;
    let permit = async {
        tokio::time::sleep(Duration::from_secs(36)).await;
        let tries = world.writes().iter().filter(|what| *what == "update certificaterequests/status").count();
        // After 0, 5, 15 and 35 seconds.
        assert_eq!(tries, 4);
        drop(refused);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = cert_manager(&world, 4) => {}
        () = watched(&world, &issuer) => {}
        () = permit => {}
        () = tokio::time::sleep(Duration::from_secs(80)) => {}
    }
    assert_eq!(status(&world, "web")["revision"], 1);
}
