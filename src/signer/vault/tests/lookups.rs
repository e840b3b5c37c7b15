//! Looking for what was issued, at servers that are not as OpenBao is, and what a failure says about the order.

use super::*;
use crate::config::VaultLookup;
use crate::signer::Revocation;

const UNSUPPORTED: &str = r#"{"errors":["1 error occurred:\n\t* unsupported path\n\n"]}"#;

fn looking(server: &Scripted, most: usize) -> VaultSigner {
    let http = HttpClient::new(&server.url, &TlsConfig::default(), Duration::from_secs(20)).unwrap();
    let config = VaultConfig {
        url: server.url.clone(),
        path: VaultPath::parse("pki/sign/web").unwrap(),
        namespace: None,
        auth: VaultAuth::Token,
        lookup: Some(VaultLookup { max_certificates: most }),
    };
    VaultSigner::new(http, &config, SecretText::from_bytes(CANARY.as_bytes()).unwrap()).unwrap()
}

fn leaf() -> String {
    let answer: Value = serde_json::from_str(&recorded().0).unwrap();
    answer["data"]["certificate"].as_str().unwrap().to_owned()
}

/// Vault: no list with details, and no pages. `read` answers the read of a serial number.
fn vault(keys: Vec<String>, read: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Scripted {
    Scripted::answering(move |request| {
        let path = request.line().split('?').next().unwrap_or_default();
        match path {
            "GET /v1/pki/certs/detailed" => scripted::json(404, UNSUPPORTED),
            "GET /v1/pki/certs" => scripted::json(200, &json!({"data": {"keys": keys}}).to_string()),
            "GET /v1/pki/issuer/default/json" => {
                scripted::json(200, &json!({"data": {"ca_chain": [leaf()]}}).to_string())
            }
            other => read(other.strip_prefix("GET /v1/pki/cert/").unwrap_or("nothing else is read")),
        }
    })
}

fn kept() -> Vec<u8> {
    scripted::json(200, &json!({"data": {"certificate": leaf(), "revocation_time": 0}}).to_string())
}

async fn found(signer: &VaultSigner) -> usize {
    match signer.look_up(&order(recorded().1), Timestamp::UNIX_EPOCH).await {
        Lookup::Found(answers) => answers.len(),
        other => panic!("{other:?}"),
    }
}

/// How many requests had a line that contains this.
fn asked(server: &Scripted, part: &str) -> usize {
    server.lines().iter().filter(|line| line.contains(part)).count()
}

#[tokio::test]
async fn a_vault_without_details_and_pages_is_read_once() {
    let server = vault(vec!["0a:01".to_owned(), "0a:02".to_owned()], |serial| match serial {
        "0a-01" => kept(),
        _ => scripted::json(404, r#"{"errors":[]}"#),
    });
    let signer = looking(&server, 10);
    assert_eq!(found(&signer).await, 1);
    assert_eq!((asked(&server, "/certs/detailed"), asked(&server, "/certs?")), (1, 1));
    assert_eq!((asked(&server, "cert/0a-01"), asked(&server, "cert/0a-02")), (2, 1));
    assert_eq!(found(&signer).await, 1);
    assert_eq!((asked(&server, "/certs/detailed"), asked(&server, "/certs?")), (1, 2));
    // Whether it was revoked meanwhile must be seen.
    assert_eq!((asked(&server, "cert/0a-01"), asked(&server, "cert/0a-02")), (3, 1));
}

#[tokio::test]
async fn a_full_page_that_comes_again_is_the_end_of_a_list() {
    let keys: Vec<String> = (0..200).map(|number| format!("{number:02x}")).collect();
    let server = vault(keys, |_| scripted::json(404, r#"{"errors":[]}"#));
    assert_eq!(found(&looking(&server, 1000)).await, 0);
    assert_eq!(asked(&server, "/certs?"), 2);
    assert_eq!(asked(&server, "after=c7"), 1);
}

#[tokio::test]
async fn a_list_leads_nowhere_but_to_certificates() {
    let names = ["../../sys/seal", "0a/../../revoke", "0a?x=y", "0A", "", "0a:01"];
    let server = vault(names.map(str::to_owned).into(), |_| kept());
    assert_eq!(found(&looking(&server, 10)).await, 1);
    let mut lines = server.lines();
    lines.retain(|line| !line.contains("/certs"));
    let read = "GET /v1/pki/cert/0a-01";
    assert_eq!(lines, [read, read, "GET /v1/pki/issuer/default/json"]);
}

#[tokio::test]
async fn a_list_longer_than_any_answer_is_too_many() {
    let server = Scripted::answering(|request| {
        if request.line().contains("detailed") {
            return scripted::json(404, UNSUPPORTED);
        }
        scripted::json(200, &" ".repeat(super::super::super::http::MAX_BODY + 1))
    });
    let lookup = looking(&server, 10).look_up(&order(recorded().1), Timestamp::UNIX_EPOCH).await;
    assert!(matches!(lookup, Lookup::GaveUp { .. }), "{lookup:?}");
}

#[tokio::test]
async fn a_lookup_that_fails_says_nothing_about_the_order() {
    for (status, body, word) in [
        (400, r#"{"errors":["no"]}"#, "issuer_at_fault"),
        (502, "<html>", "retryable"),
        (200, "<html>", "issuer_at_fault"),
    ] {
        let server = vault(vec!["0a:01".to_owned()], move |_| scripted::json(status, body));
        let lookup = looking(&server, 10).look_up(&order(recorded().1), Timestamp::UNIX_EPOCH).await;
        if status == 200 {
            // Not a certificate, so not ours.
            assert_eq!(lookup, Lookup::Found(Vec::new()));
            continue;
        }
        assert_eq!(lookup.as_str(), word, "{lookup:?}");
        let Lookup::NotNow(outcome) = discreet(lookup) else { panic!() };
        assert!(!may_have_issued(&outcome), "{outcome:?}");
    }
}

fn may_have_issued(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retryable { may_have_issued: true, .. })
}

#[tokio::test]
async fn only_an_order_without_an_answer_of_vaults_may_have_been_carried_out() {
    for (status, body, expected) in [
        (500, r#"{"errors":["internal error"]}"#, false),
        (503, r#"{"errors":["Vault is sealed"]}"#, false),
        (429, r#"{"errors":["slow"]}"#, false),
        (429, "<html>", false),
        (502, "<html>", true),
        (504, "upstream timed out", true),
        (200, "", true),
    ] {
        let outcome = outcome(status, body).await;
        assert_eq!(may_have_issued(&outcome), expected, "{status} {body}: {outcome:?}");
    }
    let silent = Scripted::answering(|_| Vec::new());
    assert!(may_have_issued(&with_token(&silent).submit(&order(recorded().1)).await));
    let nobody = PkiUrl::parse("http://127.0.0.1:1").unwrap();
    let refused = signer(&nobody, "pki/sign/web", VaultAuth::Token).submit(&order(recorded().1)).await;
    assert_eq!(refused.as_str(), "retryable");
    assert!(!may_have_issued(&refused), "{refused:?}");
}

#[tokio::test]
async fn a_login_without_an_answer_comes_before_the_order() {
    for answer in [Vec::new(), scripted::answer(502, "", "<html>"), scripted::json(200, "")] {
        let server = Scripted::answering(move |_| answer.clone());
        let outcome = signer(&server.url, "pki/sign/web", app_role()).submit(&order(recorded().1)).await;
        assert!(!may_have_issued(&outcome), "{outcome:?}");
        assert_eq!(asked(&server, "sign"), 0);
    }
}

#[tokio::test]
async fn every_submission_of_a_request_carries_its_key() {
    let (answer, csr) = recorded();
    let server = Scripted::answering(move |_| scripted::json(200, &answer));
    let request = RequestIdentity { uid: "u-1".into(), ..RequestIdentity::default() };
    let order = Order { request, ..order(csr) };
    for _ in 0..2 {
        with_token(&server).submit(&order).await;
    }
    let header = format!("idempotency-key: {}", order.idempotency_key());
    assert!(
        server.requests().iter().all(|request| request.head.contains(&header)),
        "{:?}",
        server.requests()
    );
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn what_a_revocation_came_to_is_told_from_what_may_pass() {
    let certificate = x509::bundle::read_certificates(leaf().as_bytes()).unwrap().remove(0);
    for (status, body, word) in [
        (200, r#"{"data":{"state":"revoked"}}"#, "revoked"),
        (400, r#"{"errors":["certificate with serial 00 not found."]}"#, "refused"),
        (403, r#"{"errors":["permission denied"]}"#, "refused"),
        (404, r#"{"errors":["no handler for route"]}"#, "refused"),
        (503, r#"{"errors":["Vault is sealed"]}"#, "retryable"),
        (502, "<html>", "retryable"),
    ] {
        let server = Scripted::answering(move |_| scripted::json(status, body));
        let revocation: Revocation = discreet(with_token(&server).revoke(&certificate).await);
        assert_eq!(revocation.as_str(), word, "{status} {body}: {revocation:?}");
        let requests = server.requests();
        let request = requests.first().unwrap();
        assert_eq!(request.line(), "POST /v1/pki/revoke");
        assert_eq!(requests.len(), if status == 400 { 2 } else { 1 });
        let sent: Value = serde_json::from_str(&request.body).unwrap();
        let serial = sent["serial_number"].as_str().unwrap();
        assert_eq!(serial.replace(':', ""), certificate.serial_hex());
        assert_eq!(serial.split(':').next().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn what_the_mount_does_not_keep_is_revoked_by_the_certificate_itself() {
    let server = Scripted::answering(|request| {
        if request.body.contains("serial_number") {
            return scripted::json(400, r#"{"errors":["certificate with serial 00 not found."]}"#);
        }
        scripted::json(200, r#"{"data":{"state":"revoked"}}"#)
    });
    let certificate = x509::bundle::read_certificates(leaf().as_bytes()).unwrap().remove(0);
    assert_eq!(with_token(&server).revoke(&certificate).await, Revocation::Revoked);
    let sent: Value = serde_json::from_str(&server.requests()[1].body).unwrap();
    assert_eq!(sent, json!({"certificate": certificate.to_pem()}));
}
