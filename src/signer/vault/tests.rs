//! The backend against a scripted server: what is sent, what each answer means, how logins are spent.

mod checks;
mod logins;
mod lookups;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use x509::{Csr, KeyType, Usages};

use super::*;
use crate::config::{PkiUrl, TlsConfig, VaultAuth};
use crate::signer::RequestIdentity;
use crate::signer::http::scripted::{self, Request, Scripted};

const CANARY: &str = "hvs.canary";

/// The answer to a signing request that OpenBao 2.7.2 gave, and the request's own CSR.
fn recorded() -> (String, Csr) {
    let capture: Value =
        serde_json::from_str(include_str!("../../../fixtures/vault/pki_sign_ok_ec.json")).unwrap();
    let csr = capture["request"]["body"]["csr"].as_str().unwrap();
    (capture["response"]["body"].to_string(), Csr::from_pem(csr.as_bytes()).unwrap())
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

fn app_role() -> VaultAuth {
    VaultAuth::AppRole { role_id: "the-role".into(), mount_path: "approle".into() }
}

fn signer(url: &PkiUrl, path: &str, auth: VaultAuth) -> VaultSigner {
    let http = HttpClient::new(url, &TlsConfig::default(), Duration::from_secs(20)).unwrap();
    let path = VaultPath::parse(path).unwrap();
    let config = VaultConfig { url: url.clone(), path, namespace: Some("team/a".into()), auth, lookup: None };
    VaultSigner::new(http, &config, SecretText::from_bytes(CANARY.as_bytes()).unwrap()).unwrap()
}

fn with_token(server: &Scripted) -> VaultSigner {
    signer(&server.url, "pki/sign/web", VaultAuth::Token)
}

/// An outcome or health, once it is certain that it shows no secret.
fn discreet<T: std::fmt::Debug>(shown: T) -> T {
    assert!(!format!("{shown:?}").contains(CANARY), "{shown:?}");
    shown
}

async fn outcome(status: u16, body: &'static str) -> Outcome {
    let server = Scripted::answering(move |_| scripted::json(status, body));
    discreet(with_token(&server).submit(&order(recorded().1)).await)
}

#[tokio::test]
async fn a_vault_that_sends_the_token_back_does_not_bring_it_into_a_message() {
    let echo = json!({"errors": [format!("bad token {CANARY}")]}).to_string();
    for status in [400, 403, 500] {
        let body = echo.clone();
        let server = Scripted::answering(move |_| scripted::json(status, &body));
        let signer = with_token(&server);
        let outcome = discreet(signer.submit(&order(recorded().1)).await);
        assert!(format!("{outcome:?}").contains("bad token [credential]"), "{outcome:?}");
        let unhealthy = format!("{:?}", signer.check().await);
        assert!(!unhealthy.contains(CANARY), "{unhealthy}");
    }
}

#[tokio::test]
async fn sign_sends_what_cert_manager_sends_and_reads_leaf_and_chain() {
    let (answer, csr) = recorded();
    let server = Scripted::answering(move |_| scripted::json(200, &answer));
    let signer = with_token(&server);
    let Outcome::Issued(answer) = signer.submit(&order(csr.clone())).await else { panic!("not issued") };

    let subjects = |certificates: &[x509::Certificate]| -> Vec<String> {
        certificates.iter().map(|certificate| certificate.subject().to_string()).collect()
    };
    assert_eq!(subjects(&answer.certificates), ["CN=app.example.com", "CN=Intermediate CA", "CN=Root CA"]);
    assert_eq!(subjects(&answer.authorities), ["CN=Intermediate CA"]);
    assert!(answer.certificates[0].has_key(csr.spki_der()));

    let [request] = server.requests().try_into().unwrap();
    assert_eq!(request.line(), "POST /v1/pki/sign/web");
    for header in ["x-vault-token: hvs.canary", "x-vault-request: true", "x-vault-namespace: team/a"] {
        assert!(request.head.to_lowercase().contains(header), "{header} is not in {}", request.head);
    }
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let expected = json!({
        "csr": csr.to_pem(),
        "ttl": "24h0m0s",
        "common_name": "app.example.com",
        "alt_names": "app.example.com,www.app.example.com",
        "exclude_cn_from_sans": "true",
    });
    assert_eq!(body, expected);
    assert_eq!(csr.key_type(), KeyType::EcP256);
}

#[tokio::test]
async fn sign_verbatim_sends_usages_instead_of_names() {
    let (answer, csr) = recorded();
    let server = Scripted::answering(move |_| scripted::json(200, &answer));
    let signer = signer(&server.url, "pki/sign-verbatim/web", VaultAuth::Token);
    let usages = Usages::from_cert_manager(&["crl sign".into(), "client auth".into()]).unwrap();
    let outcome = signer.submit(&Order { usages, ..order(csr.clone()) }).await;
    assert_eq!(outcome.as_str(), "issued");

    let body: Value = serde_json::from_str(&server.requests()[0].body).unwrap();
    let expected = json!({
        "csr": csr.to_pem(),
        "ttl": "24h0m0s",
        "key_usage": ["CRLSign"],
        "ext_key_usage_oids": ["1.3.6.1.5.5.7.3.2"],
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_vault_would_quietly_change_is_not_sent() {
    let server = Scripted::answering(|_| scripted::json(200, "{}"));
    let outcome = with_token(&server).submit(&Order { is_ca: true, ..order(recorded().1) }).await;
    let Outcome::Permanent { message } = outcome else { panic!("{outcome:?}") };
    assert!(message.starts_with("isCA: Vault's sign and sign-verbatim never make a CA"), "{message}");

    let extension = ca::Extra {
        oid: "2.5.29.17".into(),
        critical: false,
        value: ca::general_names(&[ca::GeneralName::Dns("a.example.com,admin.example.com".into())]).unwrap(),
    };
    let key = ca::SigningKey::generate(ca::KeyAlgorithm::EcdsaP256).unwrap();
    let csr = Csr::from_der(&key.request(&[0x30, 0], vec![extension]).unwrap()).unwrap();
    let outcome = with_token(&server).submit(&order(csr)).await;
    let message =
        "DNS:a.example.com,admin.example.com has a comma, with which Vault would make two names of it";
    assert_eq!(outcome, Outcome::Permanent { message: message.into() });
    assert_eq!(server.lines(), [""; 0]);
}

/// Status, body, the outcome's word, and a piece of its message. Bodies are OpenBao 2.7.2's where they are JSON.
const ANSWERS: &[(u16, &str, &str, &str)] = &[
    (
        400,
        r#"{"errors":["common name evil.org not allowed by this role"]}"#,
        "permanent",
        "evil.org not allowed",
    ),
    (400, r#"{"errors":["role requires keys of type rsa"]}"#, "permanent", "keys of type rsa"),
    (
        400,
        r#"{"errors":["unknown role: nope"]}"#,
        "issuer_at_fault",
        "unknown role: nope; correct the issuer's",
    ),
    (400, r#"{"errors":["missing client token"]}"#, "issuer_at_fault", "missing client token"),
    (
        400,
        "Client sent an HTTP request to an HTTPS server.\n",
        "issuer_at_fault",
        "is the URL that of Vault?",
    ),
    (401, "<html>", "issuer_at_fault", "is the URL that of Vault?"),
    (
        403,
        r#"{"errors":["permission denied"]}"#,
        "issuer_at_fault",
        "permission denied; correct the credential",
    ),
    (
        403,
        r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#,
        "issuer_at_fault",
        ": permission denied;",
    ),
    (
        404,
        r#"{"errors":["no handler for route \"x\". route entry not found."]}"#,
        "issuer_at_fault",
        "no handler",
    ),
    (404, r#"{"errors":["namespace not found"]}"#, "issuer_at_fault", "namespace not found"),
    (404, r#"{"errors":[]}"#, "issuer_at_fault", "HTTP 404 with application/json"),
    (
        405,
        r#"{"errors":["1 error occurred:\n\t* unsupported operation\n\n"]}"#,
        "issuer_at_fault",
        "unsupported",
    ),
    (412, r#"{"errors":["required index state not present"]}"#, "retryable", "index state"),
    (413, "<html>", "permanent", "HTTP 413"),
    (429, r#"{"errors":["request path \"x\": rate limit quota exceeded"]}"#, "retryable", "rate limit"),
    (472, "{}", "retryable", "HTTP 472"),
    (473, "{}", "retryable", "HTTP 473"),
    (
        500,
        r#"{"errors":["1 error occurred:\n\t* unable to find PKI issuer for reference: nope\n\n"]}"#,
        "issuer_at_fault",
        "unable to find PKI issuer",
    ),
    (
        500,
        r#"{"errors":["could not fetch the CA certificate (was one set?): no default issuer"]}"#,
        "issuer_at_fault",
        "could not fetch the CA certificate",
    ),
    (500, r#"{"errors":["internal error"]}"#, "retryable", "internal error"),
    (502, "<html>", "retryable", "HTTP 502 with application/json, not from Vault"),
    (503, r#"{"errors":["Vault is sealed"]}"#, "retryable", "Vault is sealed"),
    (200, "<html>Please log in</html>", "issuer_at_fault", "is the URL that of Vault?"),
    (200, "{}", "issuer_at_fault", "without Vault's data.certificate"),
    (200, r#"{"data":null,"auth":{}}"#, "issuer_at_fault", "without Vault's data.certificate"),
    (200, r#"{"data":{"certificate":""}}"#, "permanent", "data.certificate: empty"),
    (200, r#"{"data":{"certificate":"garbage"}}"#, "permanent", "data.certificate: "),
    (200, "", "retryable", "empty"),
    (204, "", "retryable", "empty"),
];

#[tokio::test]
async fn every_answer_has_its_outcome() {
    for (status, body, word, piece) in ANSWERS {
        let outcome = outcome(*status, body).await;
        assert_eq!(outcome.as_str(), *word, "{status} {body}: {outcome:?}");
        let message = format!("{outcome:?}");
        assert!(message.contains(piece), "{status} {body}: {outcome:?}");
        assert!(!message.contains("\\n") && !message.contains("\\t"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_busy_vaults_wish_to_wait_is_passed_on() {
    let server =
        Scripted::answering(|_| scripted::answer(429, "Retry-After: 90\r\n", r#"{"errors":["slow"]}"#));
    let outcome = with_token(&server).submit(&order(recorded().1)).await;
    let retry_after = Some(Duration::from_secs(90));
    assert_eq!(
        outcome,
        Outcome::Retryable {
            message: "Vault refused pki/sign/web: slow".into(),
            retry_after,
            may_have_issued: false,
        }
    );
}

#[tokio::test]
async fn the_users_own_token_is_not_tried_twice() {
    let server = Scripted::answering(|_| scripted::json(403, r#"{"errors":["permission denied"]}"#));
    let outcome = with_token(&server).submit(&order(recorded().1)).await;
    assert_eq!(outcome.as_str(), "issuer_at_fault");
    assert_eq!(server.lines(), ["POST /v1/pki/sign/web"]);
}

#[tokio::test]
async fn a_handle_of_another_backend_is_a_new_request() {
    let (answer, csr) = recorded();
    let server = Scripted::answering(move |_| scripted::json(200, &answer));
    let handle = Handle::new("42").unwrap();
    assert_eq!(with_token(&server).poll(&order(csr), &handle).await.as_str(), "issued");
}

#[test]
fn a_token_that_cannot_be_one_is_refused_without_being_shown() {
    let url = PkiUrl::parse("http://127.0.0.1:1").unwrap();
    let http = HttpClient::new(&url, &TlsConfig::default(), Duration::from_secs(1)).unwrap();
    let path = VaultPath::parse("pki/sign/web").unwrap();
    let config = VaultConfig { url, path, namespace: None, auth: VaultAuth::Token, lookup: None };
    let error = VaultSigner::new(http, &config, SecretText::from_bytes("hvs.canäry".as_bytes()).unwrap())
        .unwrap_err();
    assert!(!error.to_string().contains("hvs"), "{error}");
}

#[test]
fn signers_are_shared_between_tasks() {
    fn shared<T: Send + Sync>(_: &Arc<T>) {}
    let url = PkiUrl::parse("http://127.0.0.1:1").unwrap();
    shared(&Arc::new(signer(&url, "pki/sign/web", app_role())));
}
