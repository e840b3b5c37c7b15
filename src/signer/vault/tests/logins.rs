//! How logins are spent.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;

/// A Vault with AppRole that gives tokens `t1`, `t2`, … and signs for those that `good` likes.
fn app_role_server(good: impl Fn(&str) -> bool + Send + Sync + 'static) -> Scripted {
    let logins = AtomicUsize::new(0);
    let signed = recorded().0;
    Scripted::answering(move |request: &Request| match request.line() {
        "POST /v1/auth/approle/login" => {
            let login = logins.fetch_add(1, SeqCst) + 1;
            let auth =
                json!({"client_token": format!("t{login}"), "lease_duration": 1200, "renewable": true});
            scripted::json(200, &json!({"data": null, "auth": auth}).to_string())
        }
        "POST /v1/pki/sign/web" => {
            let token = request.head.lines().find_map(|line| line.strip_prefix("x-vault-token: ")).unwrap();
            if good(token) {
                scripted::json(200, &signed)
            } else {
                scripted::json(403, r#"{"errors":["permission denied"]}"#)
            }
        }
        other => panic!("{other}"),
    })
}

const LOGIN: &str = "POST /v1/auth/approle/login";
const SIGN: &str = "POST /v1/pki/sign/web";

#[tokio::test]
async fn a_login_serves_many_requests() {
    let server = app_role_server(|_| true);
    let signer = signer(&server.url, "pki/sign/web", app_role());
    let order = order(recorded().1);
    let outcomes = futures::future::join_all((0..20).map(|_| signer.submit(&order))).await;
    assert!(outcomes.iter().all(|outcome| outcome.as_str() == "issued"));
    let lines = server.lines();
    assert_eq!(lines.iter().filter(|line| *line == LOGIN).count(), 1, "{lines:?}");

    let body: Value = serde_json::from_str(&server.requests()[0].body).unwrap();
    assert_eq!(body, json!({"role_id": "the-role", "secret_id": CANARY}));
    discreet(&signer);
}

#[tokio::test]
async fn a_token_that_ended_early_is_replaced_once() {
    let server = app_role_server(|token| token == "t2");
    let signer = signer(&server.url, "pki/sign/web", app_role());
    assert_eq!(signer.submit(&order(recorded().1)).await.as_str(), "issued");
    assert_eq!(signer.submit(&order(recorded().1)).await.as_str(), "issued");
    assert_eq!(server.lines(), [LOGIN, SIGN, LOGIN, SIGN, SIGN]);
}

#[tokio::test]
async fn a_token_that_may_never_sign_is_the_issuers_fault() {
    let server = app_role_server(|_| false);
    let outcome = signer(&server.url, "pki/sign/web", app_role()).submit(&order(recorded().1)).await;
    assert_eq!(discreet(outcome).as_str(), "issuer_at_fault");
    assert_eq!(server.lines(), [LOGIN, SIGN, LOGIN, SIGN]);
}

#[tokio::test]
async fn a_refused_login_is_shared_by_all_who_waited_for_it() {
    let server = Scripted::answering(|_| scripted::json(400, r#"{"errors":["invalid role or secret ID"]}"#));
    let signer = signer(&server.url, "pki/sign/web", app_role());
    let order = order(recorded().1);
    let outcomes = futures::future::join_all((0..20).map(|_| signer.submit(&order))).await;
    let message = "Vault refused auth/approle/login: invalid role or secret ID; correct the credential, or the \
                   policies it has in Vault";
    let expected = Outcome::IssuerAtFault { message: message.into() };
    assert!(outcomes.iter().all(|outcome| *outcome == expected), "{outcomes:?}");
    // Whoever comes soon after shares it too: a fifth refusal would lock the role.
    assert_eq!(signer.submit(&order).await, expected);
    assert_eq!(server.lines(), [LOGIN]);
}

#[tokio::test]
async fn a_login_that_failed_for_now_is_tried_again() {
    let server = Scripted::answering(|_| scripted::json(503, r#"{"errors":["Vault is sealed"]}"#));
    let signer = signer(&server.url, "pki/sign/web", app_role());
    for _ in 0..2 {
        assert_eq!(signer.submit(&order(recorded().1)).await.as_str(), "retryable");
    }
    assert_eq!(server.lines(), [LOGIN, LOGIN]);
}

#[tokio::test]
async fn a_login_page_gives_no_token() {
    let server = Scripted::answering(|_| scripted::answer(200, "content-type: text/html\r\n", "<html>"));
    let health = signer(&server.url, "pki/sign/web", app_role()).submit(&order(recorded().1)).await;
    let Outcome::IssuerAtFault { message } = health else { panic!("{health:?}") };
    assert!(
        message.contains("HTTP 200 with text/html without a token: is the URL that of Vault?"),
        "{message}"
    );
}
