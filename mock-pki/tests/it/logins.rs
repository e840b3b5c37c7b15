//! Logins by certificate, by a ServiceAccount's token and by password, beyond what the captures hold.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step of a test is a failed test")]

use crate::common::{Real, Vault, bao, csr, mock};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mock_pki::server::{self, Config};
use reqwest::{Certificate, Identity};
use serde_json::{Value, json};

/// A client of the mock over TLS, with a certificate of this name from the mock's own CA.
async fn client_called(running: &server::Running, name: &str) -> Vault {
    let trusted = Certificate::from_pem(running.tls_ca.as_ref().unwrap().as_bytes()).unwrap();
    let builder = || reqwest::Client::builder().no_proxy().tls_certs_only([trusted.clone()]);
    let base = running.url("vault").replace("127.0.0.1", "localhost");
    let admin = Vault { client: builder().build().unwrap(), base, token: Some("root".to_owned()) };
    let (csr, key) = csr(name);
    let signed = admin.write("pki_int/sign/web", json!({ "csr": csr, "ttl": "1h" })).await.json();
    let pem = format!("{}\n{}", signed["data"]["certificate"].as_str().unwrap(), key.to_pkcs8_pem().unwrap());
    let client = builder().identity(Identity::from_pem(pem.as_bytes()).unwrap()).build().unwrap();
    Vault { client, ..admin }
}

#[tokio::test]
async fn a_client_logs_in_with_its_certificate_and_another_does_not() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let running = server::start(Config::default().with_tls("vault")).await.unwrap();
    let admin = client_called(&running, "admin").await;
    let issuer = admin.read("pki_int/cert/ca").await.json()["data"]["certificate"].clone();
    assert_eq!(admin.write("sys/auth/cert", json!({ "type": "cert" })).await.status, 204);
    let role = json!({
        "certificate": issuer, "allowed_common_names": "client*", "token_policies": "signer", "display_name": "web",
    });
    assert_eq!(admin.write("auth/cert/certs/web", role).await.status, 204);

    let client = client_called(&running, "client-1").await.with_token(None);
    for body in [json!({ "name": "web" }), json!({})] {
        let answer = client.write("auth/cert/login", body).await;
        let auth = &answer.json()["auth"];
        assert_eq!(
            (answer.status, &auth["policies"]),
            (200, &json!(["default", "signer"])),
            "{}",
            answer.text()
        );
        let meta = auth["metadata"].as_object().unwrap();
        assert_eq!((&meta["cert_name"], &meta["common_name"]), (&json!("web"), &json!("client-1")));
        assert!(
            meta["serial_number"].as_str().unwrap().bytes().all(|byte| byte.is_ascii_digit()),
            "{meta:?}"
        );
        let token = auth["client_token"].as_str().unwrap();
        assert_eq!(client.with_token(Some(token)).read("auth/token/lookup-self").await.status, 200);
    }
    let stranger = client_called(&running, "stranger").await.with_token(None);
    let refused = stranger.write("auth/cert/login", json!({ "name": "web" })).await;
    let no_chain = "no chain matching all constraints could be found for this login certificate";
    assert_eq!((refused.status, refused.error()), (400, no_chain.to_owned()));
    let refused = client.write("auth/cert/login", json!({ "name": "nope" })).await;
    let not_known = "invalid certificate or no client certificate supplied";
    assert_eq!((refused.status, refused.error()), (400, not_known.to_owned()));
    running.shutdown().await;
}

#[tokio::test]
async fn a_service_account_logs_in_with_a_token_that_is_its_own_for_this_audience_and_not_over() {
    let (running, _) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    vault.write("sys/auth/kubernetes", json!({ "type": "kubernetes" })).await;
    vault.write("auth/kubernetes/config", json!({ "kubernetes_host": "https://127.0.0.1:1" })).await;
    let role = json!({
        "bound_service_account_names": "web", "bound_service_account_namespaces": "team-*", "audience": "vault",
        "token_policies": "signer", "token_ttl": "20m",
    });
    assert_eq!(vault.write("auth/kubernetes/role/app", role).await.status, 204);
    // In the year 2286.
    let never = 9_999_999_999;
    let log_in = async |sub: &str, aud: Value, exp: i64| {
        let claims = json!({ "sub": sub, "aud": aud, "exp": exp }).to_string();
        let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        vault.with_token(None).write("auth/kubernetes/login", json!({ "role": "app", "jwt": jwt })).await
    };
    let own = "system:serviceaccount:team-a:web";
    let answer = log_in(own, json!(["vault"]), never).await;
    let auth = &answer.json()["auth"];
    assert_eq!((answer.status, &auth["lease_duration"]), (200, &json!(1200)), "{}", answer.text());
    assert_eq!(auth["metadata"]["service_account_namespace"], "team-a");
    for (sub, aud, exp, said) in [
        ("system:serviceaccount:team-a:other", json!("vault"), never, "service account name not authorized"),
        ("system:serviceaccount:kube-system:web", json!("vault"), never, "namespace not authorized"),
        (own, json!("somebody"), never, "permission denied"),
        (own, json!("vault"), 1, "permission denied"),
        ("system:node:one", json!("vault"), never, "permission denied"),
    ] {
        let refused = log_in(sub, aud, exp).await;
        assert_eq!((refused.status, refused.error()), (403, said.to_owned()), "{sub}");
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_roles_are_written_and_read_as_in_the_real_product() {
    let Some(binary) = bao() else { return };
    let real = Real::start(&binary).await;
    let (running, _) = mock().await;
    let mut seen = Vec::new();
    for side in [Vault::new(&real.address, "root"), Vault::new(running.url("vault"), "root")] {
        let ca = side.write("sys/mounts/c", json!({ "type": "pki" })).await;
        assert_eq!(ca.status, 204);
        let root =
            side.write("c/root/generate/internal", json!({ "common_name": "C", "key_type": "ec" })).await;
        let certificate = root.json()["data"]["certificate"].clone();
        let mut told = Vec::new();
        for (method, path, body) in [
            ("POST", "sys/auth/userpass", json!({ "type": "userpass" })),
            ("POST", "auth/userpass/users/Joe", json!({ "token_policies": "a" })),
            (
                "POST",
                "auth/userpass/users/Joe",
                json!({ "password": "p", "token_policies": "a,B", "token_ttl": "1h" }),
            ),
            ("POST", "auth/userpass/users/joe", json!({ "token_max_ttl": "30m" })),
            ("GET", "auth/userpass/users/joe", Value::Null),
            ("GET", "auth/userpass/users/nobody", Value::Null),
            ("LIST", "auth/userpass/users", Value::Null),
            ("POST", "auth/userpass/login/JOE", json!({ "password": "p" })),
            ("POST", "auth/userpass/login/joe", json!({ "password": "q" })),
            ("POST", "auth/userpass/login/joe", json!({})),
            ("POST", "auth/userpass/login/nobody", json!({ "password": "p" })),
            ("GET", "auth/userpass/login/joe", Value::Null),
            ("DELETE", "auth/userpass/users/joe", Value::Null),
            ("POST", "auth/userpass/login/joe", json!({ "password": "p" })),
            ("POST", "sys/auth/kubernetes", json!({ "type": "kubernetes" })),
            ("POST", "auth/kubernetes/config", json!({})),
            ("POST", "auth/kubernetes/role/app", json!({ "bound_service_account_names": "x" })),
            ("POST", "auth/kubernetes/role/app", json!({ "bound_service_account_namespaces": "x" })),
            ("POST", "auth/kubernetes/login", json!({})),
            ("POST", "auth/kubernetes/login", json!({ "role": "app" })),
            ("POST", "auth/kubernetes/login", json!({ "role": "app", "jwt": "x" })),
            ("LIST", "auth/kubernetes/role", Value::Null),
            ("POST", "sys/auth/cert", json!({ "type": "cert" })),
            ("POST", "auth/cert/certs/web", json!({ "certificate": "junk" })),
            ("POST", "auth/cert/certs/web", json!({ "certificate": certificate, "token_policies": "p" })),
            ("LIST", "auth/cert/certs", Value::Null),
            ("GET", "auth/cert/certs/nope", Value::Null),
            ("POST", "auth/cert/login", json!({})),
        ] {
            let answer = side.call(method, path, Some(body.clone()).filter(|body| !body.is_null())).await;
            let said = if answer.bytes.is_empty() { Value::Null } else { answer.json() };
            told.push(json!({
                "asked": format!("{method} {path} {}", if path.contains("certs/") { Value::Null } else { body }),
                "status": answer.status,
                "errors": said["errors"],
                "warnings": said["warnings"],
                "data": said["data"],
                "auth": [
                    said["auth"]["policies"].clone(), said["auth"]["metadata"].clone(),
                    said["auth"]["lease_duration"].clone(), said["auth"]["renewable"].clone(),
                    said["auth"]["orphan"].clone(),
                ],
            }));
        }
        seen.push(told);
    }
    let differ = seen[0].iter().zip(&seen[1]).filter(|(real, mock)| real != mock);
    let differ: Vec<String> = differ.map(|(real, mock)| format!("real: {real}\nmock: {mock}")).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
