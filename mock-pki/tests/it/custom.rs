//! The custom face: JSON, forms, bodies of old.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step of a test is a failed test")]

use crate::common::{csr, csr_of, mock, openssl};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mock_pki::Fault;
use reqwest::Client;
use serde_json::{Value, json};

struct Pki {
    client: Client,
    base: String,
}

impl Pki {
    async fn post(&self, path: &str, content_type: &str, body: impl Into<String>) -> (u16, String) {
        let request = self.client.post(format!("{}{path}", self.base)).header("content-type", content_type);
        let response = request.body(body.into()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn json(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.post(path, "application/json", body.to_string()).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn form(&self, path: &str, body: impl Into<String>) -> (u16, String) {
        self.post(path, "application/x-www-form-urlencoded", body).await
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

fn pki(running: &mock_pki::server::Running) -> Pki {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::builder().no_proxy().build().unwrap();
    Pki { client, base: running.url("custom").to_owned() }
}

fn read(pem: &str) -> Vec<x509::Certificate> {
    x509::bundle::read_certificates(pem.as_bytes()).unwrap_or_else(|error| panic!("{error}: {pem}"))
}

fn openssl_verifies(chain: &[x509::Certificate]) {
    let folder = tempfile::tempdir().unwrap();
    for (number, certificate) in chain.iter().enumerate() {
        std::fs::write(folder.path().join(number.to_string()), certificate.to_pem()).unwrap();
    }
    let verify = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "2", "-untrusted", "1", "0"];
    openssl(folder.path(), &verify).unwrap();
}

#[tokio::test]
async fn a_csr_in_json_becomes_a_certificate_in_json() {
    let (running, control) = mock().await;
    let pki = pki(&running);
    let (csr_pem, key) = csr("app.example.com");
    for path in ["/sign", "/api/v1/sign", "/api/v1/certificate/sign"] {
        let (status, answer) = pki.json(path, &json!({ "csr": csr_pem, "validity_days": 30 })).await;
        assert_eq!(status, 200, "{answer}");
        let chain = read(answer["certificate_chain"].as_str().unwrap());
        assert_eq!(chain.len(), 3);
        openssl_verifies(&chain);
        assert!(chain[0].has_key(key.spki_der()));
        assert_eq!(answer["certificate"], chain[0].to_pem());
        assert_eq!(answer["ca"], control.root_ca().await.unwrap());
        assert_eq!(
            answer["serial_number"],
            u128::from_str_radix(&chain[0].serial_hex(), 16).unwrap().to_string()
        );
        assert_eq!(answer["not_after"], chain[0].not_after().to_string());
        assert_eq!(answer["subject"], "CN=app.example.com");
        assert_eq!(chain[0].not_after().duration_since(chain[0].not_before()).as_hours(), 30 * 24);
    }
    let ledger = control.ledger().await.unwrap();
    assert_eq!(ledger.len(), 3);
    assert_eq!(
        (ledger[0].issued_by.as_str(), ledger[1].issued_by.as_str()),
        ("custom /sign", "custom /api/v1/sign")
    );
    let (status, health) = pki.get("/healthz").await;
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(
        (status, &health["status"], &health["certificates_signed"]),
        (200, &json!("healthy"), &json!(3))
    );
    assert_eq!(pki.get("/ca").await, (200, control.root_ca().await.unwrap()));
}

#[tokio::test]
async fn forms_bodies_of_old_queries_and_bare_csrs_say_the_same() {
    let (running, _) = mock().await;
    let pki = pki(&running);
    let (csr_pem, key) = csr("app.example.com");
    let der: String = csr_pem.lines().filter(|line| !line.contains("-----")).collect();
    let escaped: String = form_urlencoded::byte_serialize(csr_pem.as_bytes()).collect();
    let form = pki.form("/sign", format!("csr={escaped}&format=pem")).await;
    let semicolons = pki.form("/sign", format!("csr={der};format=pem")).await;
    let bare = pki.post("/sign?format=pem", "application/x-pem-file", csr_pem.clone()).await;
    let query = pki.get(&format!("/sign?format=pem&csr={escaped}")).await;
    for (status, pem) in [form, semicolons, bare, query] {
        assert_eq!(status, 200, "{pem}");
        let chain = read(&pem);
        assert!(chain.len() == 3 && chain[0].has_key(key.spki_der()));
    }
    let (_, encoded) = pki.form("/sign", format!("csr={escaped}&format=base64")).await;
    let pem = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
    assert_eq!(read(&pem).len(), 3);
}

#[tokio::test]
async fn the_cgi_of_old_makes_keys_and_remembers_by_name() {
    let (running, control) = mock().await;
    let pki = pki(&running);
    let subject = "/C=US/ST=California/L=San Francisco/O=Example Corp/CN=old.example.com";
    let new = format!("new=1;subject={subject};DNS2=alt.example.com;DNS3=www.example.com");
    let (status, pem) = pki.form("/cgi/pki.cgi", new.clone()).await;
    assert_eq!(status, 200, "{pem}");
    let chain = read(&pem);
    openssl_verifies(&chain);
    let leaf = &chain[0];
    assert_eq!(
        leaf.subject().to_string(),
        "CN=old.example.com,O=Example Corp,L=San Francisco,ST=California,C=US"
    );
    let names = ["old.example.com", "alt.example.com", "www.example.com"];
    let names = names.map(|name| x509::SubjectAltName::Dns(name.to_owned()));
    assert_eq!(leaf.subject_alt_names(), names);

    assert_eq!(pki.form("/cgi/pki.cgi", new).await.1, pem, "new=1 gives what is there");
    let get = |what: &str| pki.form("/cgi/pki.cgi", format!("{what};subject={subject}"));
    assert_eq!(get("getCERT").await, (200, leaf.to_pem()));
    let key = ca::SigningKey::from_pem(get("getKEY").await.1.as_bytes()).unwrap();
    assert!(leaf.has_key(key.spki_der()));
    assert_eq!(get("getCSR").await, (404, "CSR not found\n".to_owned()));
    let (_, renewed) =
        pki.form("/cgi/pki.cgi", format!("renew=1&subject={}", subject.replace('/', "%2F"))).await;
    assert_ne!(read(&renewed)[0].serial(), leaf.serial());
    assert_eq!(control.ledger().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_cgi_takes_a_csr_too() {
    let (running, _) = mock().await;
    let pki = pki(&running);
    let key = ca::SigningKey::generate(ca::KeyAlgorithm::EcdsaP256).unwrap();
    let name = vec![vec![(ca::AttributeType::CommonName, "app.example.com".to_owned())]];
    let csr_pem = csr_of(&key, &name, &[ca::GeneralName::Dns("other.example.com".to_owned())]);
    let der: String = csr_pem.lines().filter(|line| !line.contains("-----")).collect();
    let (status, pem) = pki.form("/cgi/pki.cgi", format!("new=1;csr={der}")).await;
    assert_eq!(status, 200, "{pem}");
    assert!(read(&pem)[0].has_key(key.spki_der()));
    assert_eq!(
        read(&pem)[0].subject_alt_names(),
        [x509::SubjectAltName::Dns("other.example.com".to_owned())]
    );
    // Somebody else's key does not get that certificate.
    let (other, other_key) = csr("app.example.com");
    let other: String = other.lines().filter(|line| !line.contains("-----")).collect();
    let (_, pem) = pki.form("/cgi/pki.cgi", format!("new=1;csr={other}")).await;
    assert!(read(&pem)[0].has_key(other_key.spki_der()));
    let (_, kept) = pki.form("/cgi/pki.cgi", "getCSR;subject=/CN=app.example.com").await;
    assert!(x509::Csr::from_pem(kept.as_bytes()).is_ok());
}

#[tokio::test]
async fn what_is_wrong_is_told_in_each_ones_way() {
    let (running, control) = mock().await;
    let pki = pki(&running);
    let cases = [
        (json!({}), "MISSING_CSR"),
        (json!({ "csr": "nonsense" }), "INVALID_CSR"),
        (json!({ "csr": csr("a").0, "validity_days": 0 }), "INVALID_VALIDITY"),
        (json!({ "csr": csr("a").0, "subject": "/X=y" }), "INVALID_SUBJECT"),
        (json!({ "csr": csr("a").0, "format": "xml" }), "INVALID_FORMAT"),
    ];
    for (body, code) in cases {
        let (status, answer) = pki.json("/sign", &body).await;
        assert_eq!((status, &answer["code"]), (400, &json!(code)), "{answer}");
    }
    assert_eq!(pki.post("/sign", "application/json", "{").await.0, 400);
    assert_eq!(pki.get("/sign").await.0, 405);
    assert_eq!(pki.get("/nothing").await.0, 404);
    assert_eq!(pki.form("/cgi/pki.cgi", "new=1").await, (400, "subject parameter is required\n".to_owned()));
    assert_eq!(
        pki.form("/cgi/pki.cgi", "new=1;subject=/O=x").await,
        (400, "subject must contain CN\n".to_owned())
    );
    assert_eq!(pki.form("/cgi/pki.cgi", "getCERT;subject=/CN=x").await.0, 404);

    let fault = control.install(Fault::new("refusal").with("message", "Not on Sundays.")).await.unwrap();
    let (status, answer) = pki.json("/sign", &json!({ "csr": csr("a").0 })).await;
    assert_eq!((status, answer), (403, json!({ "code": "POLICY_VIOLATION", "error": "Not on Sundays." })));
    assert_eq!(pki.form("/cgi/pki.cgi", "new=1;subject=/CN=a").await, (403, "Not on Sundays.\n".to_owned()));
    fault.uninstall().await.unwrap();
}

#[tokio::test]
async fn faults_of_certificates_reach_this_face() {
    let (running, control) = mock().await;
    let pki = pki(&running);
    let (csr_pem, key) = csr("app.example.com");
    for (kind, path) in [("wrong-key", "/sign"), ("missing-chain", "/sign")] {
        let fault = control.install(Fault::new(kind).for_common_name("app.example.com")).await.unwrap();
        let (_, answer) = pki.json(path, &json!({ "csr": csr_pem })).await;
        let chain = read(answer["certificate_chain"].as_str().unwrap());
        match kind {
            "wrong-key" => assert!(!chain[0].has_key(key.spki_der())),
            _ => assert_eq!((chain.len(), &answer["ca"]), (1, &json!(""))),
        }
        fault.uninstall().await.unwrap();
    }
    let status = Fault::new("status").with("status", 503).on_path("/sign");
    let fault = control.install(status).await.unwrap();
    let (status, answer) = pki.json("/sign", &json!({ "csr": csr_pem })).await;
    assert_eq!((status, &answer["code"]), (503, &json!("503")));
    fault.uninstall().await.unwrap();
}
