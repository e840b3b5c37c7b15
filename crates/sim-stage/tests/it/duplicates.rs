//! Certificates that the PKI issued and the answer was lost: looked for, published, told of, revoked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kube::api::DeleteParams;
use mock_pki::Fault;
use serde_json::Value;
use sim_kube::GroupResource;
use sim_kube::fault::{Effect, Peer, Rule, Seen};
use sim_stage::{Controller, Stage, apply};

use crate::common::{NAMESPACE, api, certificate, on_stage, pair, until_revision};

/// The replica whose statuses do not arrive.
const PEER: &str = "struck";

/// Whether the PKI is asked what it issued before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    On { most: u32 },
    Off,
}

const ON: Lookup = Lookup::On { most: 100 };

/// Writes the issuer's settings.
async fn issuer(stage: &Stage, lookup: Lookup, revoke_unused: bool) {
    let lookup = match lookup {
        Lookup::On { most } => format!("lookup: {{maxCertificates: {most}}}"),
        Lookup::Off => String::new(),
    };
    let manifest = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: pki-config}}, data: {{pki.yaml: '
            {{type: vault, vault: {{url: \"http://mock-pki:8200\", path: pki_int/sign/web, auth: {{method: token}},
            {lookup}}}}}'}}}}
---
        {{apiVersion: external-issuer.io/v1alpha1, kind: ExternalIssuer, metadata: {{name: company-pki}},
            spec: {{signerType: pki, configRef: {{name: pki-config}}, authSecretRef: {{name: pki-credentials}},
                revokeUnused: {revoke_unused}}}}}"
    );
    apply(&stage.admin(), &manifest, NAMESPACE).await.unwrap();
}

/// A replica, once its issuer has been checked.
async fn controller(stage: &Stage, peer: &str) -> Controller {
    let controller = stage.controller(peer, &[]).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    controller
}

/// Waits until the PKI has issued so many certificates.
async fn until_issued(stage: &Stage, count: usize) {
    let issued = async {
        while stage.pki.ledger().len() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_hours(1), issued).await;
    assert!(waited.is_ok(), "{} of {count} certificates were issued", stage.pki.ledger().len());
}

/// Counts what the PKI was asked for by paths that contain this.
fn calls(stage: &Stage, part: &'static str) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    stage.pki.on_call(move |call| {
        if call.path.contains(part) && !call.is_check {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    count
}

/// Kind of object and note of each event with this reason.
fn events(stage: &Stage, reason: &str) -> Vec<(String, String)> {
    let events = GroupResource::new("", "events");
    stage.server().with(|cluster, _| {
        let of_reason = |event: &Value| {
            let note = event["note"].as_str().or(event["message"].as_str())?;
            let about =
                event["regarding"]["kind"].as_str().or_else(|| event["involvedObject"]["kind"].as_str());
            (event["reason"] == reason).then(|| (about.unwrap_or_default().to_owned(), note.to_owned()))
        };
        cluster.store().list(&events, NAMESPACE).filter_map(|(_, event)| of_reason(event)).collect()
    })
}

/// The serials that the PKI issued, and whether each is revoked.
fn ledger(stage: &Stage) -> Vec<(String, bool)> {
    stage.pki.ledger().into_iter().map(|issued| (issued.serial, issued.revoked_at.is_some())).collect()
}

/// A Certificate whose request is signed by a process that dies before its status is written, and then by another.
async fn crash(stage: &Stage) {
    let is_status = |seen: &Seen<'_>| {
        let of_request =
            |call: &sim_kube::Call| call.plural == "certificaterequests" && call.subresource == "status";
        *seen.peer == Peer(PEER.into()) && seen.call.is_some_and(of_request)
    };
    let rule = Rule::new(Effect::Drop, is_status);
    let _guard = stage.server().with(|cluster, _| cluster.faults().install(rule));
    let killed = controller(stage, PEER).await;
    certificate(stage, "web", "24h", "8h").await;
    until_issued(stage, 1).await;
    killed.kill().await;
    let _successor = controller(stage, "successor").await;
    until_revision(stage, "web", 1).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
}

/// The next signing takes effect, and its answer is lost.
fn lose_the_next_answer(stage: &Stage) {
    stage.pki.install(Fault::new("reset").with("after", true).on_path("/sign/").times(1)).unwrap();
}

#[test]
fn what_a_process_that_died_had_signed_is_found_and_published() {
    on_stage(20, async |stage| {
        issuer(&stage, ON, false).await;
        let _cert_manager = stage.cert_manager();
        crash(&stage).await;
        let published = pair(&stage, "web").await.serial_hex();
        assert_eq!(ledger(&stage), [(published, false)]);
        let told = events(&stage, "Issued");
        assert!(told.len() == 1 && told[0].1.contains("found at the PKI"), "{told:?}");
        assert_eq!(events(&stage, "SubmittedAgain"), []);
        assert_eq!(events(&stage, "CertificateUnused"), []);
    });
}

#[test]
fn without_a_lookup_it_is_signed_again_and_nobody_pretends_to_know() {
    on_stage(20, async |stage| {
        issuer(&stage, Lookup::Off, true).await;
        let _cert_manager = stage.cert_manager();
        crash(&stage).await;
        let published = pair(&stage, "web").await.serial_hex();
        let issued = ledger(&stage);
        assert_eq!(issued.len(), 2);
        assert_eq!(issued[1], (published, false));
        assert_eq!(events(&stage, "SubmittedAgain"), []);
        assert_eq!(events(&stage, "CertificateUnused"), []);
    });
}

#[test]
fn a_lost_answer_is_looked_for_and_published() {
    on_stage(21, async |stage| {
        issuer(&stage, ON, false).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        lose_the_next_answer(&stage);
        certificate(&stage, "web", "24h", "8h").await;
        until_revision(&stage, "web", 1).await;
        let published = pair(&stage, "web").await.serial_hex();
        assert_eq!(ledger(&stage), [(published, false)]);
        assert_eq!(events(&stage, "SubmittedAgain"), []);
    });
}

#[test]
fn without_a_lookup_a_second_submission_is_told_of_once() {
    on_stage(21, async |stage| {
        issuer(&stage, Lookup::Off, true).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        let lost = Fault::new("reset").with("after", true).on_path("/sign/").times(3);
        stage.pki.install(lost).unwrap();
        certificate(&stage, "web", "24h", "8h").await;
        until_revision(&stage, "web", 1).await;
        assert_eq!(ledger(&stage).len(), 4);
        let [(kind, note)] = events(&stage, "SubmittedAgain").try_into().unwrap();
        assert_eq!(kind, "CertificateRequest");
        assert!(note.contains("no answer came to an earlier submission"), "{note}");
        assert!(ledger(&stage).iter().all(|(_, is_revoked)| !is_revoked), "nobody knows their numbers");
    });
}

#[test]
fn an_error_of_the_pki_itself_is_no_reason_to_look() {
    on_stage(22, async |stage| {
        issuer(&stage, ON, false).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        let lists = calls(&stage, "/certs");
        let sealed = stage.pki.install(Fault::new("sealed")).unwrap();
        certificate(&stage, "web", "24h", "8h").await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        stage.pki.uninstall(sealed);
        until_revision(&stage, "web", 1).await;
        assert_eq!((ledger(&stage).len(), lists.load(Ordering::SeqCst)), (1, 0));
    });
}

#[test]
fn while_the_list_is_forbidden_the_request_waits_and_the_issuer_says_why() {
    on_stage(23, async |stage| {
        issuer(&stage, ON, false).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        let forbidden =
            stage.pki.install(Fault::new("status").with("status", 403).on_path("/certs")).unwrap();
        lose_the_next_answer(&stage);
        certificate(&stage, "web", "24h", "8h").await;
        tokio::time::sleep(Duration::from_mins(5)).await;
        let issuer = api(&stage, "external-issuer.io", "v1alpha1", "ExternalIssuer");
        let ready = issuer.get("company-pki").await.unwrap().data["status"]["conditions"][0].clone();
        assert_eq!(ready["reason"], "CredentialsRefused");
        let message = ready["message"].as_str().unwrap();
        assert!(message.contains("path \"pki_int/certs\" { capabilities = [\"list\"] }"), "{message}");
        assert_eq!(ledger(&stage).len(), 1, "nothing is signed in the dark");

        stage.pki.uninstall(forbidden);
        until_revision(&stage, "web", 1).await;
        let published = pair(&stage, "web").await.serial_hex();
        assert_eq!(ledger(&stage), [(published, false)]);
    });
}

#[test]
fn a_lookup_that_would_be_endless_gives_up_and_says_so() {
    on_stage(24, async |stage| {
        issuer(&stage, Lookup::On { most: 2 }, false).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        for name in ["a", "b"] {
            certificate(&stage, name, "24h", "8h").await;
            until_revision(&stage, name, 1).await;
        }
        lose_the_next_answer(&stage);
        certificate(&stage, "web", "24h", "8h").await;
        until_revision(&stage, "web", 1).await;
        assert_eq!(ledger(&stage).len(), 4);
        let [(kind, note)] = events(&stage, "SubmittedAgain").try_into().unwrap();
        assert_eq!(kind, "CertificateRequest");
        assert!(note.contains("pki_int keeps more than 2 certificates"), "{note}");
    });
}

/// The request is deleted while the PKI works on it, and made anew under its name.
async fn delete_in_flight(stage: &Stage) {
    let slow = stage.pki.install(Fault::new("latency").with("milliseconds", 5000).on_path("/sign/")).unwrap();
    certificate(stage, "web", "24h", "8h").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let requests = api(stage, "cert-manager.io", "v1", "CertificateRequest");
    let old = requests.get("web-1").await.unwrap().metadata.uid;
    requests.delete("web-1", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_ne!(requests.get("web-1").await.unwrap().metadata.uid, old, "it is made anew under its name");
    until_issued(stage, 1).await;
    stage.pki.uninstall(slow);
    until_revision(stage, "web", 1).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
}

#[test]
fn an_answer_for_a_request_that_was_made_anew_is_told_of_and_revoked() {
    on_stage(25, async |stage| {
        issuer(&stage, ON, true).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        delete_in_flight(&stage).await;
        let published = pair(&stage, "web").await.serial_hex();
        let first = ledger(&stage).remove(0).0;
        // What was issued for the old one is not the new one's.
        assert_eq!(ledger(&stage), [(first.clone(), true), (published, false)]);
        let [(kind, note)] = events(&stage, "CertificateUnused").try_into().unwrap();
        assert_eq!(kind, "ExternalIssuer");
        for piece in [first.as_str(), "CertificateRequest shop/web-1", "the PKI is asked to revoke it"] {
            assert!(note.contains(piece), "{piece}: {note}");
        }
        let [(kind, note)] = events(&stage, "CertificateRevoked").try_into().unwrap();
        assert!(kind == "ExternalIssuer" && note.contains(&first), "{kind} {note}");
    });
}

#[test]
fn without_revoke_unused_it_is_told_of_and_stays_valid() {
    on_stage(25, async |stage| {
        issuer(&stage, ON, false).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        let revocations = calls(&stage, "/revoke");
        delete_in_flight(&stage).await;
        assert_eq!(revocations.load(Ordering::SeqCst), 0);
        let [(_, note)] = events(&stage, "CertificateUnused").try_into().unwrap();
        let first = ledger(&stage).remove(0).0;
        assert!(note.contains(&first) && note.contains("set revokeUnused on the issuer"), "{note}");
    });
}

#[test]
fn a_revocation_that_fails_is_repeated_a_few_times_and_holds_up_nothing() {
    on_stage(26, async |stage| {
        issuer(&stage, ON, true).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        let tries = calls(&stage, "/revoke");
        let broken = stage.pki.install(Fault::new("status").with("status", 503).on_path("/revoke")).unwrap();
        delete_in_flight(&stage).await;
        let [(kind, note)] = events(&stage, "RevocationFailed").try_into().unwrap();
        let first = ledger(&stage).remove(0).0;
        assert!(
            kind == "ExternalIssuer" && note.contains(&first) && note.contains("service unavailable"),
            "{note}"
        );
        assert_eq!(tries.load(Ordering::SeqCst), 8);
        stage.pki.uninstall(broken);
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(tries.load(Ordering::SeqCst), 8, "it was given up");
    });
}

#[test]
fn a_certificate_with_anothers_key_is_rejected_and_never_revoked() {
    on_stage(27, async |stage| {
        issuer(&stage, ON, true).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        let revocations = calls(&stage, "/revoke");
        stage.pki.install(Fault::new("wrong-key").times(1)).unwrap();
        certificate(&stage, "web", "24h", "8h").await;
        tokio::time::sleep(Duration::from_mins(10)).await;
        let [(kind, note)] = events(&stage, "CertificateUnused").try_into().unwrap();
        assert_eq!(kind, "CertificateRequest");
        assert!(note.contains("it does not answer the request; revoke it at the PKI if"), "{note}");
        assert_eq!(revocations.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn whoever_takes_over_looks_for_what_was_begun_before_and_for_nothing_that_came_after() {
    on_stage(28, async |stage| {
        issuer(&stage, ON, false).await;
        let _cert_manager = stage.cert_manager();
        let is_status = |seen: &Seen<'_>| {
            seen.peer == &Peer(PEER.into())
                && seen
                    .call
                    .is_some_and(|call| call.plural == "certificaterequests" && call.subresource == "status")
        };
        let rule = Rule::new(Effect::Drop, is_status);
        let _guard = stage.server().with(|cluster, _| cluster.faults().install(rule));
        let leader = stage.controller(PEER, &["--leader-elect"]).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let _standby = stage.controller("standby", &["--leader-elect"]).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let lists = calls(&stage, "/certs");
        certificate(&stage, "web", "24h", "8h").await;
        until_issued(&stage, 1).await;
        leader.kill().await;
        until_revision(&stage, "web", 1).await;
        assert_eq!(ledger(&stage).len(), 1);
        let looked = lists.load(Ordering::SeqCst);
        assert!(looked > 0);

        for name in ["a", "b", "c"] {
            certificate(&stage, name, "24h", "8h").await;
            until_revision(&stage, name, 1).await;
        }
        assert_eq!(lists.load(Ordering::SeqCst), looked, "nobody else can have submitted these");
        assert_eq!(ledger(&stage).len(), 4);
    });
}

#[test]
fn a_predecessor_with_the_same_key_is_not_taken_for_the_new_certificate() {
    on_stage(29, async |stage| {
        issuer(&stage, ON, true).await;
        let _cert_manager = stage.cert_manager();
        let _controller = controller(&stage, "one").await;
        let manifest = "{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: web}, spec: {
            secretName: web-tls, dnsNames: [web.example.com], duration: 24h, renewBefore: 8h,
            privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Never},
            issuerRef: {group: external-issuer.io, kind: ExternalIssuer, name: company-pki}}}";
        sim_stage::create(&stage.admin(), manifest, NAMESPACE).await.unwrap();
        until_revision(&stage, "web", 1).await;
        let first = pair(&stage, "web").await;
        // The answer to the renewal is lost.
        let renewal: Timestamp = first.not_after() - jiff::SignedDuration::from_hours(8);
        let until = renewal.duration_since(stage.clock().now()) - jiff::SignedDuration::from_mins(10);
        tokio::time::sleep(Duration::try_from(until).unwrap()).await;
        lose_the_next_answer(&stage);
        until_revision(&stage, "web", 2).await;
        let second = pair(&stage, "web").await;
        assert!(second.has_key(first.spki_der()), "the key is used again");
        assert_eq!(ledger(&stage), [(first.serial_hex(), false), (second.serial_hex(), false)]);
        assert_eq!(events(&stage, "CertificateUnused"), []);
    });
}

/// The process dies at its request number `at` to the API server, which is lost, or whose answer is. Tells whether it
/// made so many.
fn one_certificate_whatever_is_lost(at: u64, is_carried_out: bool) -> bool {
    on_stage(30, async |stage| {
        issuer(&stage, ON, false).await;
        let _cert_manager = stage.cert_manager();
        let effect = if is_carried_out { Effect::DropAnswer } else { Effect::Drop };
        let rule = Rule::new(effect, |seen| *seen.peer == Peer(PEER.into())).after(at).times(1);
        let guard = stage.server().with(|cluster, _| cluster.faults().install(rule));
        let first = stage.controller(PEER, &[]).unwrap();
        certificate(&stage, "web", "24h", "8h").await;
        let mut first = Some(first);
        let mut second = None;
        for _ in 0..20_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if guard.struck() > 0
                && let Some(killed) = first.take()
            {
                killed.kill().await;
                second = Some(stage.controller("successor", &[]).unwrap());
            }
        }
        until_revision(&stage, "web", 1).await;
        let published = pair(&stage, "web").await.serial_hex();
        assert_eq!(ledger(&stage), [(published, false)], "request {at}, carried out: {is_carried_out}");
        second.is_some()
    })
}

#[test]
fn wherever_the_process_dies_it_is_one_certificate() {
    for is_carried_out in [false, true] {
        let made = (0..100).take_while(|at| one_certificate_whatever_is_lost(*at, is_carried_out)).count();
        assert!((10..100).contains(&made), "{made} requests");
    }
}
