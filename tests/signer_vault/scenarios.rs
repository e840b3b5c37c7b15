//! What the signer does with a server that speaks Vault's API.

mod lookup;

use std::time::Duration;

use ca::{AttributeType, Extra, GeneralName, KeyAlgorithm, SigningKey, distinguished_name, general_names};
use external_issuer::clock::{Clock as _, SystemClock};
use external_issuer::signer::{Answer, Health, Order, Outcome, RequestIdentity, Signer, UnhealthyReason};
use serde_json::json;
use x509::judge::{self, UsageTolerance};
use x509::{Asked, Chain, Csr, Mismatch, Tolerance, Usages};

use super::server::Server;

/// Everything on a prepared server, one after the other: its state is shared, and in the end it is sealed.
pub(crate) async fn all(server: &Server) {
    every_kind_of_key_and_name_is_signed(server).await;
    an_other_name_in_the_csr_is_signed_once(server).await;
    a_role_that_does_not_trust_the_csr_gets_the_names_beside_it(server).await;
    sign_verbatim_gives_the_usages_asked_for(server).await;
    a_role_that_clips_gives_less(server).await;
    what_a_role_forbids_is_permanent(server).await;
    what_is_not_there_is_the_issuers_fault(server).await;
    a_bad_token_is_told_from_a_poor_one(server).await;
    update_on_the_signing_path_is_enough(server).await;
    an_app_role_logs_in_and_again(server).await;
    a_wrong_secret_id_is_refused(server).await;
    lookup::all(server).await;
    a_sealed_server_may_be_unsealed(server).await;
}

/// Mounts, a CA, roles and a policy.
pub(crate) async fn prepare(server: &Server) {
    server.write("sys/mounts/team", json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}})).await;
    server.write("sys/mounts/empty", json!({"type": "pki"})).await;
    let root = json!({"common_name": "Root", "ttl": "87600h", "key_type": "ec"});
    server.write("team/root/generate/internal", root).await;
    let open = json!({
        "allow_any_name": true, "enforce_hostnames": false, "allow_ip_sans": true, "allowed_uri_sans": ["*"],
        "allowed_other_sans": ["*"], "key_type": "any", "require_cn": false, "max_ttl": "720h",
    });
    server.write("team/roles/open", open.clone()).await;
    server.write("empty/roles/open", open.clone()).await;
    let mut beside = open;
    beside["use_csr_sans"] = false.into();
    beside["use_csr_common_name"] = false.into();
    server.write("team/roles/beside", beside).await;
    let strict = json!({
        "allowed_domains": ["example.com"], "allow_subdomains": true, "allow_ip_sans": false, "key_type": "ec",
    });
    server.write("team/roles/strict", strict).await;
    let policy = r#"path "team/sign/open" { capabilities = ["update"] }"#;
    server.write("sys/policies/acl/signer", json!({"policy": policy})).await;
    lookup::prepare(server).await;
}

fn csr(algorithm: KeyAlgorithm, common_name: &str, names: &[GeneralName]) -> Csr {
    let common_name =
        (!common_name.is_empty()).then(|| vec![(AttributeType::CommonName, common_name.to_owned())]);
    let subject = distinguished_name(common_name.as_slice()).unwrap();
    let value = general_names(names).unwrap();
    let names = Extra { oid: "2.5.29.17".into(), critical: false, value };
    Csr::from_der(&SigningKey::generate(algorithm).unwrap().request(&subject, vec![names]).unwrap()).unwrap()
}

fn plain_names() -> Vec<GeneralName> {
    vec![
        GeneralName::Dns("web.example.com".into()),
        GeneralName::Dns("www.example.com".into()),
        GeneralName::Ip("10.0.0.1".parse().unwrap()),
        GeneralName::Ip("fd00::1".parse().unwrap()),
        GeneralName::Uri("spiffe://example.com/ns/a".into()),
        GeneralName::Email("a@example.com".into()),
    ]
}

fn other_name() -> GeneralName {
    GeneralName::OtherName { type_id: "1.3.6.1.4.1.311.20.2.3".into(), value: "upn@example.com".into() }
}

fn order(csr: Csr) -> Order {
    Order {
        csr,
        duration: Duration::from_hours(24),
        usages: Usages::default_for_leaf(),
        is_ca: false,
        request: RequestIdentity::default(),
    }
}

fn web() -> Order {
    order(csr(KeyAlgorithm::EcdsaP256, "web.example.com", &plain_names()))
}

fn judged(order: &Order, tolerance: &Tolerance, answer: Answer) -> Result<Chain, Mismatch> {
    let asked = Asked {
        csr: &order.csr,
        duration: order.duration,
        usages: order.usages.clone(),
        is_ca: order.is_ca,
        now: SystemClock.now(),
    };
    judge::judge(&asked, tolerance, answer.certificates, answer.authorities)
}

async fn signed(signer: &dyn Signer, order: &Order) -> Answer {
    match signer.submit(order).await {
        Outcome::Issued(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// A refusal: the outcome's word and its message.
async fn refused(signer: &dyn Signer, order: &Order) -> (&'static str, String) {
    let outcome = signer.submit(order).await;
    let word = outcome.as_str();
    match outcome {
        Outcome::Permanent { message }
        | Outcome::IssuerAtFault { message }
        | Outcome::Retryable { message, .. } => (word, message),
        Outcome::Issued(_) | Outcome::Pending { .. } => panic!("{outcome:?}"),
    }
}

fn unhealthy(health: Health) -> (UnhealthyReason, String) {
    let unhealthy = health.unwrap_err();
    (unhealthy.reason, unhealthy.message)
}

async fn every_kind_of_key_and_name_is_signed(server: &Server) {
    let signer = server.signer("team/sign/open", server.root_token());
    assert_eq!(signer.check().await, Ok(()));
    for algorithm in KeyAlgorithm::ALL {
        let order = order(csr(algorithm, "web.example.com", &plain_names()));
        let chain = judged(&order, &Tolerance::default(), signed(&*signer, &order).await).unwrap();
        assert_eq!(chain.leaf.subject_alt_names().len(), plain_names().len(), "{algorithm:?}");
        assert_eq!(chain.root.unwrap().subject().to_string(), "CN=Root");
    }
}

/// Which is why it is not sent beside the CSR: then it would be there twice.
async fn an_other_name_in_the_csr_is_signed_once(server: &Server) {
    let signer = server.signer("team/sign/open", server.root_token());
    let names = [plain_names(), vec![other_name()]].concat();
    let order = order(csr(KeyAlgorithm::EcdsaP256, "web.example.com", &names));
    let chain = judged(&order, &Tolerance::default(), signed(&*signer, &order).await).unwrap();
    assert_eq!(chain.leaf.subject_alt_names().len(), names.len());
}

async fn a_role_that_does_not_trust_the_csr_gets_the_names_beside_it(server: &Server) {
    let signer = server.signer("team/sign/beside", server.root_token());
    let names = [plain_names(), vec![GeneralName::Uri("spiffe://example.com/a,b".into())]].concat();
    let plain = order(csr(KeyAlgorithm::EcdsaP256, "web.example.com", &names));
    let chain = judged(&plain, &Tolerance::default(), signed(&*signer, &plain).await).unwrap();
    assert_eq!(chain.leaf.subject_alt_names().len(), names.len());

    // An otherName does not come through such a role, and the judge says so.
    let lost =
        order(csr(KeyAlgorithm::EcdsaP256, "web.example.com", &[plain_names(), vec![other_name()]].concat()));
    let mismatch = judged(&lost, &Tolerance::default(), signed(&*signer, &lost).await).unwrap_err();
    assert!(mismatch.to_string().contains("otherName:1.3.6.1.4.1.311.20.2.3"), "{mismatch}");

    let nameless = order(csr(KeyAlgorithm::EcdsaP256, "", &[GeneralName::Dns("web.example.com".into())]));
    judged(&nameless, &Tolerance::default(), signed(&*signer, &nameless).await).unwrap();
}

async fn sign_verbatim_gives_the_usages_asked_for(server: &Server) {
    let signer = server.signer("team/sign-verbatim", server.root_token());
    assert_eq!(signer.check().await, Ok(()));
    let exact = Tolerance { usages: UsageTolerance::Exact, ..Tolerance::default() };
    for words in [
        &["digital signature"][..],
        &["content commitment", "client auth", "microsoft sgc"],
        &["server auth"],
    ] {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let order = Order { usages: Usages::from_cert_manager(&words).unwrap(), ..web() };
        judged(&order, &exact, signed(&*signer, &order).await).unwrap();
    }
}

async fn a_role_that_clips_gives_less(server: &Server) {
    let order = Order { duration: Duration::from_hours(24 * 365), ..web() };
    let answer = signed(&*server.signer("team/sign/open", server.root_token()), &order).await;
    let leaf = judged(&order, &Tolerance::default(), answer).unwrap().leaf;
    assert_eq!(leaf.not_after().duration_since(leaf.not_before()).as_hours(), 720);
}

async fn what_a_role_forbids_is_permanent(server: &Server) {
    let signer = server.signer("team/sign/strict", server.root_token());
    let dns = |name: &str| vec![GeneralName::Dns(name.into())];
    let ip = [dns("web.example.com"), vec![GeneralName::Ip("10.0.0.1".parse().unwrap())]].concat();
    for (csr, expected) in [
        (
            csr(KeyAlgorithm::EcdsaP256, "evil.org", &dns("evil.org")),
            "common name evil.org not allowed by this role",
        ),
        (
            csr(KeyAlgorithm::EcdsaP256, "web.example.com", &dns("evil.org")),
            "subject alternate name evil.org not allowed by this role",
        ),
        (
            csr(KeyAlgorithm::EcdsaP256, "web.example.com", &ip),
            "IP Subject Alternative Names are not allowed",
        ),
        (
            csr(KeyAlgorithm::Rsa2048, "web.example.com", &dns("web.example.com")),
            "role requires keys of type ec",
        ),
    ] {
        let (word, message) = refused(&*signer, &order(csr)).await;
        assert_eq!(word, "permanent", "{message}");
        assert!(
            message.starts_with("Vault refused team/sign/strict: ") && message.contains(expected),
            "{message}"
        );
    }
}

async fn what_is_not_there_is_the_issuers_fault(server: &Server) {
    let token = json!({"method": "token"});
    for (path, namespace, expected) in [
        ("team/sign/nope", None, "unknown role: nope"),
        ("nopki/sign/open", None, "no handler for route"),
        ("empty/sign/open", None, "no default issuer currently configured"),
        ("team/issuer/nope/sign/open", None, "unable to find PKI issuer for reference: nope"),
        ("team/sign-verbatim/nope", None, "unknown role: nope"),
        ("team/sign/open", Some("nope"), "namespace not found"),
    ] {
        let signer = server.signer_with(path, &token, namespace, server.root_token());
        let (word, message) = refused(&*signer, &web()).await;
        assert_eq!(word, "issuer_at_fault", "{path}: {message}");
        assert!(message.contains(expected), "{path}: {message}");
        let (reason, message) = unhealthy(signer.check().await);
        assert_eq!(reason, UnhealthyReason::ConfigurationRefused, "{path}: {message}");
        assert!(message.contains(expected), "{path}: {message}");
    }
}

async fn a_bad_token_is_told_from_a_poor_one(server: &Server) {
    let poor = server.token(&["default"]).await;
    let poorest = server.token(&["nothing"]).await;
    for (token, expected) in [
        ("s.nonsense", "the token is refused (permission denied)"),
        (&poor, "a policy must have: path \"team/sign/open\" { capabilities = [\"update\"] }"),
        (&poorest, "a policy must have: path \"team/sign/open\" { capabilities = [\"update\"] }"),
    ] {
        let signer = server.signer("team/sign/open", token);
        let (word, message) = refused(&*signer, &web()).await;
        assert_eq!(word, "issuer_at_fault", "{message}");
        assert!(message.contains("permission denied") && !message.contains(token), "{message}");
        let (reason, message) = unhealthy(signer.check().await);
        assert_eq!(reason, UnhealthyReason::CredentialsRefused, "{message}");
        assert!(message.contains(expected) && !message.contains(token), "{message}");
    }
}

async fn update_on_the_signing_path_is_enough(server: &Server) {
    let signer = server.signer("team/sign/open", &server.token(&["signer"]).await);
    assert_eq!(signer.check().await, Ok(()));
    signed(&*signer, &web()).await;
}

async fn an_app_role_logs_in_and_again(server: &Server) {
    server.write("sys/auth/approle", json!({"type": "approle"})).await;
    server.write("auth/approle/role/r", json!({"token_policies": ["signer"], "token_ttl": "1h"})).await;
    let role_id = server.read("auth/approle/role/r/role-id").await["data"]["role_id"].clone();
    let secret = server.write("auth/approle/role/r/secret-id", json!({})).await;
    let auth = json!({"method": "appRole", "roleId": role_id});
    let secret_id = secret["data"]["secret_id"].as_str().unwrap();
    let signer = server.signer_with("team/sign/open", &auth, None, secret_id);
    assert_eq!(signer.check().await, Ok(()));
    signed(&*signer, &web()).await;

    // Its token ends before its time; the next request gets another.
    server.revoke_all_tokens().await;
    signed(&*signer, &web()).await;
    server.revoke_all_tokens().await;
    assert_eq!(signer.check().await, Ok(()));
}

async fn a_wrong_secret_id_is_refused(server: &Server) {
    let role_id = server.read("auth/approle/role/r/role-id").await["data"]["role_id"].clone();
    let auth = json!({"method": "appRole", "roleId": role_id});
    let signer = server.signer_with("team/sign/open", &auth, None, "canary");
    let (word, message) = refused(&*signer, &web()).await;
    assert_eq!(word, "issuer_at_fault", "{message}");
    // Ten checks more do not lock the role.
    for _ in 0..10 {
        assert_eq!(unhealthy(signer.check().await).0, UnhealthyReason::CredentialsRefused);
    }
    let right = server.write("auth/approle/role/r/secret-id", json!({})).await["data"]["secret_id"].clone();
    let corrected = server.signer_with("team/sign/open", &auth, None, right.as_str().unwrap());
    assert_eq!(corrected.check().await, Ok(()));
    let (reason, message) = unhealthy(signer.check().await);
    assert_eq!(reason, UnhealthyReason::CredentialsRefused);
    assert!(
        message.contains("auth/approle/login: invalid role or secret ID") && !message.contains("canary"),
        "{message}"
    );

    let auth = json!({"method": "appRole", "roleId": "x", "mountPath": "nope"});
    let (reason, message) =
        unhealthy(server.signer_with("team/sign/open", &auth, None, "canary").check().await);
    assert_eq!(reason, UnhealthyReason::CredentialsRefused);
    assert!(message.contains("no AppRole method is mounted there"), "{message}");
}

async fn a_sealed_server_may_be_unsealed(server: &Server) {
    server.seal().await;
    let signer = server.signer("team/sign/open", server.root_token());
    let (word, message) = refused(&*signer, &web()).await;
    assert_eq!((word, message.as_str()), ("retryable", "Vault refused team/sign/open: Vault is sealed"));
    let (reason, message) = unhealthy(signer.check().await);
    assert_eq!(
        (reason, message.as_str()),
        (UnhealthyReason::Unavailable, "Vault refused sys/health: Vault is sealed")
    );
}
