//! The Vault face, as its clients use it.

use std::fmt::Write as _;

use crate::common::{Vault, cert_managers_request, certificate, csr, mock};
use serde_json::{Value, json};

#[tokio::test]
async fn cert_managers_own_vault_issuer_can_issue() {
    let (running, control) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let health = vault.with_token(None).read("sys/health").await;
    assert_eq!((health.status, health.json()["sealed"].clone()), (200, json!(false)));

    let (csr_pem, key) = csr("app.example.com");
    let answer = vault.write("pki_int/sign/web", cert_managers_request("app.example.com", &csr_pem)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let leaf = certificate(&answer);
    assert!(leaf.has_key(key.spki_der()));
    assert_eq!(leaf.subject_alt_names(), [x509::SubjectAltName::Dns("app.example.com".to_owned())]);
    let chain: Vec<String> = serde_json::from_value(answer.json()["data"]["ca_chain"].clone()).unwrap();
    let chain: Vec<_> =
        chain.iter().map(|pem| x509::bundle::read_certificates(pem.as_bytes()).unwrap().remove(0)).collect();
    assert!(leaf.is_signed_by(&chain[0]) && chain[0].is_signed_by(&chain[1]) && chain[1].is_self_signed());
    assert_eq!(chain[1].to_pem(), control.root_ca().await.unwrap());

    let ledger = control.ledger().await.unwrap();
    let [issued] = ledger.as_slice() else { panic!("{ledger:?}") };
    assert_eq!(issued.serial, leaf.serial_hex());
    assert_eq!(issued.request_id, answer.json()["request_id"]);
    assert_eq!(issued.issued_by, "vault pki_int/sign/web");
    assert_eq!(issued.common_name.as_deref(), Some("app.example.com"));
    assert_eq!(issued.subject_alt_names, ["DNS:app.example.com"]);
    let parsed = x509::Csr::from_pem(csr_pem.as_bytes()).unwrap();
    let mut hex = String::new();
    parsed.sha256().iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
    assert_eq!(issued.csr_sha256.as_deref(), Some(hex.as_str()));
    assert_eq!(issued.revoked_at, None);
}

#[tokio::test]
async fn approle_leads_from_role_to_certificate_and_no_further() {
    let (running, _) = mock().await;
    let root = Vault::new(running.url("vault"), "root");
    let policy = r#"path "pki_int/sign/web" { capabilities = ["create", "update"] }"#;
    assert_eq!(root.write("sys/policies/acl/signer", json!({ "policy": policy })).await.status, 204);
    assert_eq!(root.write("sys/auth/approle", json!({ "type": "approle" })).await.status, 204);
    let role = json!({ "token_policies": "signer", "token_ttl": "20m", "secret_id_num_uses": 2 });
    assert_eq!(root.write("auth/approle/role/r1", role).await.status, 204);
    let role_id = root.read("auth/approle/role/r1/role-id").await.json()["data"]["role_id"].clone();
    let secret_id =
        root.write("auth/approle/role/r1/secret-id", json!({})).await.json()["data"]["secret_id"].clone();

    let login = json!({ "role_id": role_id, "secret_id": secret_id });
    let answer = root.with_token(None).write("auth/approle/login", login.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let auth = answer.json()["auth"].clone();
    assert_eq!(auth["policies"], json!(["default", "signer"]));
    assert_eq!(auth["lease_duration"], 1200);
    let own = root.with_token(auth["client_token"].as_str());
    let (csr_pem, _) = csr("app.example.com");
    assert_eq!(own.write("pki_int/sign/web", json!({ "csr": csr_pem })).await.status, 200);
    let denied = own.write("pki_int/issue/web", json!({ "common_name": "x", "key_type": "ec" })).await;
    assert_eq!(
        (denied.status, denied.error()),
        (403, "1 error occurred:\n\t* permission denied\n\n".to_owned())
    );
    let capabilities =
        own.write("sys/capabilities-self", json!({ "paths": ["pki_int/sign/web", "x"] })).await.json();
    assert_eq!(capabilities["data"], json!({ "pki_int/sign/web": ["create", "update"], "x": ["deny"] }));

    assert_eq!(own.write("auth/token/revoke-self", json!({})).await.status, 204);
    let gone = own.write("pki_int/sign/web", json!({ "csr": csr_pem })).await;
    assert_eq!((gone.status, gone.error()), (403, "permission denied".to_owned()));
    assert_eq!(root.write("auth/approle/login", login.clone()).await.status, 200, "the second use");
    let spent = root.write("auth/approle/login", login).await;
    assert_eq!((spent.status, spent.error()), (400, "invalid role or secret ID".to_owned()));
}

#[tokio::test]
async fn verbatim_keeps_the_requests_subject_and_extensions() {
    let (running, _) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let key = ca::SigningKey::generate(ca::KeyAlgorithm::EcdsaP256).unwrap();
    let rdn = |kind, text: &str| vec![(kind, text.to_owned())];
    let subject = ca::distinguished_name(&[
        rdn(ca::AttributeType::OrganizationalUnit, "one"),
        rdn(ca::AttributeType::OrganizationalUnit, "two"),
    ])
    .unwrap();
    let name =
        ca::GeneralName::OtherName { type_id: "1.3.6.1.4.1.311.20.2.3".to_owned(), value: "u@x".to_owned() };
    let sans = ca::general_names(&[name]).unwrap();
    let extensions = vec![
        ca::Extra { oid: "2.5.29.17".to_owned(), critical: false, value: sans.clone() },
        ca::Extra { oid: "1.2.3.4".to_owned(), critical: false, value: vec![5, 0] },
        ca::Extra { oid: "2.5.29.19".to_owned(), critical: true, value: vec![0x30, 3, 1, 1, 0xff] },
    ];
    let csr = x509::pem::encode("CERTIFICATE REQUEST", &key.request(&subject, extensions).unwrap());
    let answer =
        vault.write("pki_int/sign-verbatim", json!({ "csr": csr, "ext_key_usage": "ServerAuth" })).await;
    let leaf = certificate(&answer);
    assert_eq!(leaf.subject_der(), subject);
    assert_eq!(leaf.extension("2.5.29.17"), Some(sans.as_slice()));
    assert_eq!(leaf.extension("1.2.3.4"), Some([5, 0].as_slice()));
    assert!(!leaf.is_ca(), "a request cannot make itself a CA");
}

#[tokio::test]
async fn a_hierarchy_can_be_built_by_hand() {
    let (running, _) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    for mount in ["own", "own_int"] {
        assert_eq!(vault.write(&format!("sys/mounts/{mount}"), json!({ "type": "pki" })).await.status, 204);
    }
    let root =
        vault.write("own/root/generate/internal", json!({ "common_name": "R", "key_type": "ec" })).await;
    assert_eq!(root.status, 200, "{}", root.text());
    let request = json!({ "common_name": "I", "key_type": "ed25519" });
    let generated = vault.write("own_int/intermediate/generate/internal", request).await;
    let request = generated.json()["data"]["csr"].clone();
    let signed =
        vault.write("own/root/sign-intermediate", json!({ "csr": request, "use_csr_values": true })).await;
    assert_eq!(signed.status, 200, "{}", signed.text());
    let certificate_pem = signed.json()["data"]["certificate"].clone();
    let set = vault.write("own_int/intermediate/set-signed", json!({ "certificate": certificate_pem })).await;
    assert_eq!(set.status, 200, "{}", set.text());
    vault.write("own_int/roles/r", json!({ "allow_any_name": true, "key_type": "any" })).await;
    let (csr, _) = csr("app.example.com");
    let answer = vault.write("own_int/sign/r", json!({ "csr": csr, "ttl": "1h" })).await;
    let intermediate = certificate(&signed);
    assert!(certificate(&answer).is_signed_by(&intermediate), "{}", answer.text());
}

#[tokio::test]
async fn hostile_input_gets_an_error_and_nothing_else() {
    let (running, _) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies = [
        "{",
        "[]",
        "{\"csr\": 1e999}",
        "\u{0}",
        &deep,
        "{\"csr\": {\"a\": [1]}}",
        "{\"ttl\": \"-1h\"}",
        "{\"csr\": \"-----BEGIN CERTIFICATE REQUEST-----\\n====\\n-----END CERTIFICATE REQUEST-----\"}",
    ];
    for body in bodies {
        for path in
            ["pki_int/sign/web", "pki_int/roles/x", "auth/token/create", "sys/mounts/y", "pki_int/revoke"]
        {
            let request =
                vault.client.post(format!("{}/v1/{path}", vault.base)).header("x-vault-token", "root");
            let status = request.body(body.to_owned()).send().await.unwrap().status().as_u16();
            assert!(status < 500 || body == "{\"ttl\": \"-1h\"}", "{path} {body:.40}: {status}");
        }
    }
    for path in
        ["", "%00", "..%2f..", "pki_int/cert/%ff%fe", "pki_int//sign//web", "sys/policies/acl/%2f", "a%"]
    {
        let answer = vault.client.get(format!("{}/v1/{path}", vault.base)).header("x-vault-token", "root");
        assert!(answer.send().await.unwrap().status().is_client_error(), "{path}");
    }
    let oversized =
        vault.client.post(format!("{}/v1/pki_int/sign/web", vault.base)).header("x-vault-token", "root");
    // The server may close before it has read everything.
    if let Ok(answer) = oversized.body("x".repeat(33 * 1024 * 1024)).send().await {
        assert_eq!(answer.status().as_u16(), 413);
    }
    assert_eq!(vault.read("sys/health").await.status, 200);
}

#[tokio::test]
async fn post_put_and_form_mean_the_same() {
    let (running, _) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let (csr, _) = csr("app.example.com");
    for method in ["POST", "PUT"] {
        let answer = vault.call(method, "pki_int/sign/web", Some(json!({ "csr": csr }))).await;
        assert_eq!(answer.status, 200, "{method}");
    }
    let bearer = vault.client.request("LIST".parse().unwrap(), format!("{}/v1/pki_int/certs", vault.base));
    let listed: Value = bearer.bearer_auth("root").send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["data"]["keys"].as_array().unwrap().len(), 2);
    let again = vault.read("pki_int/certs?list=true").await.json();
    assert_eq!(again["data"], listed["data"]);
}
