//! What a check says of each kind of server.

use std::io::Write as _;
use std::net::TcpListener;

use super::*;
use crate::signer::{Unhealthy, UnhealthyReason};

const HEALTHY: &str = r#"{"initialized":true,"sealed":false,"standby":false,"version":"2.7.2"}"#;
const NO_CSR: &str = r#"{"errors":["\"csr\" is empty"]}"#;

/// Checks against a Vault that answers `sys/health`, the signing path and `lookup-self` so.
async fn check(
    health: (u16, &'static str),
    sign: (u16, &'static str),
    lookup: (u16, &'static str),
) -> Health {
    let server = Scripted::new(move |request, stream| {
        let (status, body) = match request.line() {
            "GET /v1/sys/health" => {
                assert!(!request.head.to_lowercase().contains("x-vault-namespace"), "{}", request.head);
                assert!(!request.head.contains(CANARY), "{}", request.head);
                health
            }
            "POST /v1/pki/sign/web" => {
                assert_eq!(request.body, "{}");
                sign
            }
            "GET /v1/auth/token/lookup-self" => lookup,
            other => panic!("{other}"),
        };
        stream.write_all(&scripted::json(status, body)).unwrap();
    });
    discreet(with_token(&server).check().await)
}

fn problem(health: Health) -> (UnhealthyReason, String) {
    let Unhealthy { reason, message, .. } = health.unwrap_err();
    (reason, message)
}

#[tokio::test]
async fn a_vault_that_misses_the_csr_is_healthy() {
    for health in [(200, HEALTHY), (429, HEALTHY), (472, HEALTHY), (473, HEALTHY)] {
        assert_eq!(check(health, (400, NO_CSR), (200, "{}")).await, Ok(()), "{health:?}");
    }
}

#[tokio::test]
async fn every_ailment_has_its_reason() {
    use UnhealthyReason::{ConfigurationRefused, CredentialsRefused, Unavailable};
    const DENIED: &str = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
    const BAD_TOKEN: &str = r#"{"errors":["permission denied"]}"#;
    let fine = (200, HEALTHY);
    let unused = (500, "");
    let policy = "a policy must have: path \"pki/sign/web\" { capabilities = [\"update\"] }";
    for (health, sign, lookup, reason, piece) in [
        ((503, r#"{"initialized":true,"sealed":true}"#), unused, unused, Unavailable, "Vault is sealed"),
        (
            (501, r#"{"initialized":false,"sealed":true}"#),
            unused,
            unused,
            Unavailable,
            "Vault is not initialised",
        ),
        ((502, "<html>"), unused, unused, Unavailable, "HTTP 502"),
        ((200, "<html>"), unused, unused, ConfigurationRefused, "is the URL that of Vault?"),
        ((404, "<html>"), unused, unused, ConfigurationRefused, "is the URL that of Vault?"),
        (
            fine,
            (400, r#"{"errors":["unknown role: web"]}"#),
            unused,
            ConfigurationRefused,
            "unknown role: web",
        ),
        (fine, (404, r#"{"errors":["no handler for route"]}"#), unused, ConfigurationRefused, "no handler"),
        (
            fine,
            (500, r#"{"errors":["no default issuer currently configured"]}"#),
            unused,
            ConfigurationRefused,
            "no default",
        ),
        (fine, (200, "{}"), unused, ConfigurationRefused, "to a request without a CSR"),
        (fine, (503, r#"{"errors":["Vault is sealed"]}"#), unused, Unavailable, "sealed"),
        (
            fine,
            (403, BAD_TOKEN),
            (403, BAD_TOKEN),
            CredentialsRefused,
            "the token is refused (permission denied)",
        ),
        (fine, (403, DENIED), (200, "{}"), CredentialsRefused, policy),
        (fine, (403, DENIED), (403, DENIED), CredentialsRefused, policy),
        (fine, (403, DENIED), unused, CredentialsRefused, ": permission denied; correct the credential"),
    ] {
        let (found, message) = problem(check(health, sign, lookup).await);
        assert_eq!(found, reason, "{message}");
        assert!(message.contains(piece), "{message}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = PkiUrl::parse(&format!("http://{address}")).unwrap();
    let (reason, message) = problem(signer(&url, "pki/sign/web", VaultAuth::Token).check().await);
    assert_eq!(reason, UnhealthyReason::Unreachable);
    assert_eq!(message, format!("could not check Vault's health at {address}: connection refused"));
}
