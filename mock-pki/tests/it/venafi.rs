//! The Venafi face, as vcert and curl use it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step of a test is a failed test")]

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use crate::common::{Answer, csr, csr_of, mock};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mock_pki::{
    Fault,
    client::Control,
    server::{Running, VENAFI_PASSWORD, VENAFI_USER},
};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// The folder that allows everything.
const OPEN: &str = r"\VED\Policy\Certificates";

struct Tpp {
    client: Client,
    base: String,
    token: Option<String>,
}

impl Tpp {
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (Answer, String) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}/{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
        let reason = reason.map(|reason| String::from_utf8(reason.as_bytes().to_vec()).unwrap());
        let reason = reason.unwrap_or_else(|| status.canonical_reason().unwrap().to_owned());
        (Answer { status: status.as_u16(), headers, bytes: response.bytes().await.unwrap().to_vec() }, reason)
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await.0
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await.0
    }

    async fn log_in(&self, user: &str, scope: &str) -> Answer {
        let body = json!({ "client_id": "vcert-sdk", "username": user, "password": VENAFI_PASSWORD, "scope": scope });
        self.post("vedauth/authorize/oauth", body).await
    }

    /// With a token of the administrator.
    async fn with_scope(mut self, scope: &str) -> Self {
        let answer = self.log_in(VENAFI_USER, scope).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.token = Some(answer.json()["access_token"].as_str().unwrap().to_owned());
        self
    }

    async fn request(&self, csr: &str) -> String {
        let answer =
            self.post("vedsdk/certificates/request", json!({ "PolicyDN": OPEN, "PKCS10": csr })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["CertificateDN"].as_str().unwrap().to_owned()
    }

    async fn retrieve(&self, dn: &str, more: Value) -> Answer {
        let mut body = json!({ "CertificateDN": dn, "Format": "base64" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("vedsdk/certificates/retrieve", body).await
    }
}

fn tpp(running: &Running) -> Tpp {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(running.tls_ca.as_ref().unwrap().as_bytes()).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
    Tpp { client, base: running.url("venafi").to_owned(), token: None }
}

async fn ready() -> (Running, Control, Tpp) {
    let (running, control) = mock().await;
    let tpp = tpp(&running).with_scope("certificate:manage,revoke;configuration:manage").await;
    (running, control, tpp)
}

fn data(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    STANDARD.decode(answer.json()["CertificateData"].as_str().unwrap()).unwrap()
}

fn certificates(answer: &Answer) -> Vec<x509::Certificate> {
    x509::bundle::read_certificates(&data(answer)).unwrap()
}

/// What openssl says of these bytes.
fn openssl(arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let (mut said, mut errors) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success(), "openssl {arguments:?}: {errors}");
    said
}

#[tokio::test]
async fn tokens_are_given_told_of_refreshed_once_and_revoked() {
    let (running, _) = mock().await;
    let mut tpp = tpp(&running);
    let (probe, reason) = tpp.call("GET", "VEDauth/Authorize/IsAuthServer", None).await;
    assert_eq!((probe.status, reason.as_str()), (202, "Venafi Authentication Server"));
    assert_eq!(tpp.get("vedsdk/").await.status, 200);

    let wrong = json!({ "client_id": "c", "username": VENAFI_USER, "password": "x", "scope": "certificate" });
    let (answer, reason) = tpp.call("POST", "vedauth/authorize/oauth", Some(wrong)).await;
    assert_eq!((answer.status, reason.as_str()), (400, "Username/password combination not valid"));
    assert_eq!(answer.json()["error"], "invalid_grant");
    assert_eq!(tpp.log_in(VENAFI_USER, "nonsense").await.json()["error"], "invalid_scope");
    assert_eq!(tpp.log_in("requester", "certificate:manage,revoke").await.status, 403);

    let login = tpp.log_in(VENAFI_USER, "certificate:revoke,manage").await.json();
    assert_eq!(
        (&login["token_type"], &login["scope"]),
        (&json!("Bearer"), &json!("certificate:manage,revoke"))
    );
    assert_eq!(login["expires_in"], 90 * 24 * 3600);
    tpp.token = login["access_token"].as_str().map(str::to_owned);
    let verified = tpp.get("vedauth/authorize/verify").await.json();
    assert_eq!((&verified["application"], &verified["identity"]), (&json!("vcert-sdk"), &login["identity"]));
    let own = tpp.get("vedsdk/Identity/Self").await.json();
    assert_eq!(own["Identities"][0]["PrefixedUniversal"], login["identity"]);

    let refresh = json!({ "client_id": "vcert-sdk", "refresh_token": login["refresh_token"] });
    let again = tpp.post("vedauth/authorize/token", refresh.clone()).await.json();
    assert_ne!(again["access_token"], login["access_token"]);
    let (spent, reason) = tpp.call("POST", "vedauth/authorize/token", Some(refresh)).await;
    let text = "Grant has been revoked, has expired, or the refresh token is invalid";
    assert_eq!((spent.status, reason.as_str(), &spent.json()["error"]), (400, text, &json!("invalid_grant")));

    assert_eq!(tpp.get("vedauth/revoke/token").await.status, 200);
    let gone = tpp.get("vedsdk/identity/self").await;
    assert_eq!((gone.status, &gone.json()["error"]), (401, &json!("invalid_token")));
    tpp.token = Some("short".to_owned());
    assert_eq!(tpp.get("vedsdk/identity/self").await.json()["error"], "session_error");
}

#[tokio::test]
async fn the_api_key_of_old_opens_everything() {
    let (running, _) = mock().await;
    let tpp = tpp(&running);
    let login = json!({ "Username": VENAFI_USER, "Password": VENAFI_PASSWORD });
    let answer = tpp.post("vedsdk/authorize/", login).await;
    let key = answer.json()["APIKey"].as_str().unwrap().to_owned();
    let url = format!("{}/VEDSDK/SystemStatus/Version", tpp.base);
    let version = tpp.client.get(url).header("X-Venafi-Api-Key", key).send().await.unwrap();
    assert_eq!(version.status(), 200);
    assert_eq!(tpp.get("vedsdk/systemstatus/version").await.status, 401);
    let refused = tpp.post("vedsdk/authorize/", json!({ "Username": "x", "Password": "y" })).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn a_client_certificate_of_a_user_is_a_login() {
    let (running, _, tpp) = ready().await;
    let (csr_pem, key) = csr(VENAFI_USER);
    let dn = tpp.request(&csr_pem).await;
    let own = certificates(&tpp.retrieve(&dn, json!({})).await).remove(0);
    let pem = format!("{}{}", own.to_pem(), key.to_pkcs8_pem().unwrap());
    let ca = reqwest::Certificate::from_pem(running.tls_ca.as_ref().unwrap().as_bytes()).unwrap();
    let identity = reqwest::Identity::from_pem(pem.as_bytes()).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([ca]).identity(identity).build().unwrap();
    let with = Tpp { client, base: tpp.base.clone(), token: None };
    let body = json!({ "client_id": "c", "scope": "certificate" });
    assert_eq!(with.post("vedauth/authorize/certificate", body.clone()).await.status, 200);
    assert_eq!(
        tpp.post("vedauth/authorize/certificate", body.clone()).await.json()["error"],
        "invalid_grant"
    );
    tpp.post("vedsdk/certificates/revoke", json!({ "CertificateDN": dn })).await;
    assert_eq!(with.post("vedauth/authorize/certificate", body).await.status, 400, "revoked");
}

#[tokio::test]
async fn a_scope_is_asked_of_every_call() {
    let (running, _) = mock().await;
    let tpp = tpp(&running).with_scope("certificate").await;
    assert_eq!(tpp.get("vedsdk/certificates/").await.status, 200);
    let refused = tpp.post("vedsdk/certificates/revoke", json!({ "Thumbprint": "00" })).await;
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("insufficient_scope")));
    assert!(refused.text().contains("Grant rejected scope 'certificate:revoke'."), "{}", refused.text());
    assert_eq!(tpp.post("vedsdk/config/create", json!({})).await.status, 403);
    assert_eq!(tpp.get("vedsdk/nothing").await.status, 404);
    assert_eq!(tpp.get("vedsdk/certificates/request/x").await.status, 404);
    for method in ["DELETE", "PUT", "GET"] {
        let body = (method == "PUT").then(|| json!({}));
        assert_eq!(tpp.call(method, "vedsdk/certificates/revoke", body).await.0.status, 405, "{method}");
    }
}

#[tokio::test]
async fn a_request_becomes_a_certificate_that_openssl_verifies() {
    let (running, control, tpp) = ready().await;
    let (csr_pem, key) = csr("app.example.com");
    let body = json!({ "PolicyDN": OPEN, "PKCS10": csr_pem, "ObjectName": "my app" });
    let answer = tpp.post("VEDSDK/Certificates/Request", body).await;
    let dn = answer.json()["CertificateDN"].as_str().unwrap().to_owned();
    assert_eq!(dn, r"\VED\Policy\Certificates\my app");

    let retrieved = tpp.retrieve(&dn, json!({ "IncludeChain": "true", "RootFirstOrder": "false" })).await;
    let found = retrieved.json();
    assert_eq!((&found["Filename"], &found["Format"]), (&json!("my app.cer"), &json!("base64")));
    assert!(String::from_utf8(data(&retrieved)).unwrap().contains("-----BEGIN CERTIFICATE-----\r\n"));
    let chain = certificates(&retrieved);
    assert_eq!(chain.len(), 3);
    assert!(
        chain[0].has_key(key.spki_der())
            && chain[0].is_signed_by(&chain[1])
            && chain[1].is_signed_by(&chain[2])
    );
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, certificate: &x509::Certificate| {
        let path = folder.path().join(name);
        std::fs::write(&path, certificate.to_pem()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (leaf, issuer, root) = (file("leaf", &chain[0]), file("issuer", &chain[1]), file("root", &chain[2]));
    let purpose = ["-purpose", "sslserver", "-verify_hostname", "app.example.com"];
    let verify = ["verify", "-x509_strict", "-CAfile", &root, "-untrusted", &issuer];
    openssl(&[&verify[..], &purpose[..], &[&leaf]].concat(), b"");

    let turned =
        certificates(&tpp.retrieve(&dn, json!({ "IncludeChain": true, "RootFirstOrder": true })).await);
    assert_eq!(turned.iter().map(x509::Certificate::to_pem).collect::<Vec<_>>(), {
        chain.iter().rev().map(x509::Certificate::to_pem).collect::<Vec<_>>()
    });
    assert_eq!(certificates(&tpp.retrieve(&dn, json!({})).await).len(), 1);
    let der = data(&tpp.retrieve(&dn, json!({ "Format": "DER" })).await);
    assert_eq!(der, chain[0].der());
    let bundle = data(&tpp.retrieve(&dn, json!({ "Format": "PKCS #7", "IncludeChain": true })).await);
    let said = openssl(&["pkcs7", "-print_certs"], &bundle);
    assert_eq!(said.matches("-----BEGIN CERTIFICATE-----").count(), 3);
    let jks = tpp.retrieve(&dn, json!({ "Format": "JKS" })).await;
    assert_eq!(jks.json()["Error"], "The certificate format [JKS] is not supported.");

    let ledger = control.ledger().await.unwrap();
    assert_eq!(ledger.len(), 1, "{ledger:?}");
    assert_eq!(ledger[0].issued_by, r"venafi \VED\Policy\Certificates");
    assert_eq!(ledger[0].request_id, answer.json()["Guid"]);
    assert_eq!(ledger[0].serial, chain[0].serial_hex());
    let vault = crate::common::Vault::new(running.url("vault"), "root");
    let pairs: Vec<&str> =
        ledger[0].serial.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();
    let kept = vault.read(&format!("pki_int/cert/{}", pairs.join(":"))).await;
    assert_eq!(kept.status, 200, "one CA for all faces: {}", kept.text());
}

#[tokio::test]
async fn a_key_made_by_the_service_comes_under_a_password() {
    let (_running, _, tpp) = ready().await;
    let body = json!({
        "PolicyDN": OPEN,
        "Subject": "made.example.com",
        "Organization": "Example",
        "Country": "US",
        "SubjectAltNames": [
            { "Type": 2, "Name": "made.example.com" }, { "Type": 7, "Name": "10.0.0.1" },
            { "Type": 1, "Name": "a@example.com" }, { "Type": 6, "Name": "spiffe://x/y" },
            { "Type": 0, "Name": "u@example.com" },
        ],
        "KeyAlgorithm": "ECC",
        "EllipticCurve": "P384",
        "CASpecificAttributes": [{ "Name": "Validity Period", "Value": "30" }],
        "WorkToDoTimeout": "30",
    });
    let answer = tpp.post("vedsdk/certificates/request", body).await;
    assert_eq!(answer.json()["Format"], "Base64", "those who wait get it at once: {}", answer.text());
    let leaf = certificates(&answer).remove(0);
    assert_eq!(leaf.key_type(), x509::KeyType::EcP384);
    assert_eq!(leaf.subject().to_string(), "C=US,O=Example,CN=made.example.com");
    assert_eq!(leaf.subject_alt_names().len(), 5);
    assert_eq!(leaf.not_after().duration_since(leaf.not_before()).as_hours(), 30 * 24);

    let dn = answer.json()["CertificateDN"].as_str().unwrap().to_owned();
    let with_key =
        json!({ "Format": "Base64 (PKCS #8)", "IncludePrivateKey": true, "Password": "Passw0rd-of-12" });
    let bundle = data(&tpp.retrieve(&dn, with_key).await);
    let public = openssl(&["pkey", "-passin", "pass:Passw0rd-of-12", "-pubout"], &bundle);
    assert_eq!(public, openssl(&["x509", "-noout", "-pubkey"], &bundle));
    let weak = json!({ "Format": "Base64 (PKCS #8)", "IncludePrivateKey": true, "Password": "weak" });
    assert_eq!(tpp.retrieve(&dn, weak).await.status, 400);
    let (csr_pem, _) = csr("own.example.com");
    let own = tpp.request(&csr_pem).await;
    let strong = json!({ "Format": "base64", "IncludePrivateKey": true, "Password": "Passw0rd-of-12" });
    let mut body = json!({ "CertificateDN": own });
    body.as_object_mut().unwrap().extend(strong.as_object().unwrap().clone());
    let (answer, reason) = tpp.call("POST", "vedsdk/certificates/retrieve", Some(body)).await;
    let text = "Failed to lookup private key, error: Failed to lookup private key vault id";
    assert_eq!((answer.status, reason.as_str()), (400, text));
}

#[tokio::test]
async fn a_policy_is_shown_and_kept_to() {
    let (_running, control, tpp) = ready().await;
    let folder = r"\VED\Policy\Restricted";
    let answer = tpp.post("vedsdk/certificates/checkpolicy", json!({ "PolicyDN": folder })).await.json();
    let policy = &answer["Policy"];
    assert_eq!(policy["Subject"]["Organization"], json!({ "Locked": true, "Value": "Example Inc" }));
    assert_eq!(policy["Subject"]["OrganizationalUnit"], json!({ "Locked": true, "Values": ["Engineering"] }));
    assert_eq!(policy["KeyPair"]["KeySize"], json!({ "Locked": true, "Value": 2048 }));
    assert_eq!(policy["WhitelistedDomains"], json!(["example.com"]));
    assert_eq!(
        (&policy["WildcardsAllowed"], &policy["SubjAltNameIpAllowed"]),
        (&json!(false), &json!(false))
    );
    let absent = tpp.post("vedsdk/certificates/checkpolicy", json!({ "PolicyDN": r"\VED\Policy\x" })).await;
    assert_eq!(
        (absent.status, absent.json()["Error"].as_str()),
        (400, Some(r"PolicyDN: \VED\Policy\x does not exist"))
    );

    let key = ca::SigningKey::generate(ca::KeyAlgorithm::Rsa2048).unwrap();
    let subject = |unit: &str, name: &str| -> Vec<ca::Rdn> {
        vec![
            vec![(ca::AttributeType::Organization, "Example Inc".to_owned())],
            vec![(ca::AttributeType::OrganizationalUnit, unit.to_owned())],
            vec![(ca::AttributeType::CommonName, name.to_owned())],
        ]
    };
    let good = csr_of(&key, &subject("Engineering", "a.example.com"), &[]);
    let bad = csr_of(&key, &subject("Sales", "a.example.com"), &[]);
    let (elsewhere, _) = csr("a.example.org");
    let ask =
        |pem: String| tpp.post("vedsdk/certificates/request", json!({ "PolicyDN": folder, "PKCS10": pem }));
    assert_eq!(ask(good.clone()).await.status, 200);
    let text = "Organizational Unit value violates policy and cannot be used.\r\n";
    assert_eq!(ask(bad.clone()).await.json()["Error"], text);
    let all = ask(elsewhere).await.json()["Error"].as_str().unwrap().to_owned();
    for what in
        ["Organization", "Organizational Unit", "Common Name", "Subject Alternative Name", "Key Algorithm"]
    {
        assert!(all.contains(&format!("{what} value violates policy")), "{all}");
    }
    let check = json!({ "PolicyDN": folder, "PKCS10": bad });
    let csr = tpp.post("vedsdk/certificates/checkpolicy", check).await.json()["CSR"].clone();
    assert_eq!(
        (&csr["Enrollable"], &csr["Details"]["OrganizationalUnit"]["Compliant"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(csr["Details"]["Organization"], json!({ "Compliant": true, "Value": "Example Inc" }));

    let answer =
        tpp.post("vedsdk/certificates/request", json!({ "PolicyDN": r"\VED\Policy", "PKCS10": good })).await;
    assert_eq!(answer.json()["Error"], "Need a certificate authority (CADN).\r\n");
    assert_eq!(control.ledger().await.unwrap().len(), 1, "only what was allowed");
}

#[tokio::test]
async fn folders_are_made_and_their_attributes_written_as_vcert_does_it() {
    let (_running, _, tpp) = ready().await;
    let folder = r"\VED\Policy\Certificates\team";
    let valid = |dn: &'static str| tpp.post("vedsdk/Config/IsValid", json!({ "ObjectDN": dn }));
    assert_eq!(valid(folder).await.json()["Result"], 400);
    let create = json!({ "Class": "Policy", "ObjectDN": folder });
    assert_eq!(tpp.post("vedsdk/Config/Create", create.clone()).await.json()["Object"]["DN"], folder);
    assert_eq!(tpp.post("vedsdk/Config/Create", create).await.json()["Result"], 401);
    assert_eq!(valid(folder).await.json()["Object"]["TypeName"], "Policy");
    let attribute = json!({
        "ObjectDN": folder, "Class": "X509 Certificate", "AttributeName": "City", "Values": ["Utrecht"], "Locked": true,
    });
    assert_eq!(tpp.post("vedsdk/Config/WritePolicy", attribute.clone()).await.json(), json!({ "Result": 1 }));
    let read = tpp.post("vedsdk/Config/ReadPolicy", attribute.clone()).await.json();
    assert_eq!(read, json!({ "Locked": true, "Result": 1, "Values": ["Utrecht"] }));
    let check = || tpp.post("vedsdk/certificates/checkpolicy", json!({ "PolicyDN": folder }));
    assert_eq!(check().await.json()["Policy"]["Subject"]["City"]["Value"], "Utrecht");
    let found =
        json!({ "ObjectDN": folder, "Class": "X509 Certificate", "AttributeName": "Certificate Authority" });
    assert_eq!(tpp.post("vedsdk/config/findpolicy", found).await.json()["PolicyDN"], OPEN);
    tpp.post("vedsdk/config/clearpolicyattribute", attribute).await;
    assert_eq!(check().await.json()["Policy"]["Subject"]["City"], json!({ "Locked": false, "Value": "" }));
    let below = json!({ "Class": "Policy", "ObjectDN": r"\VED\Policy" });
    let objects = tpp.post("vedsdk/config/findobjectsofclass", below).await.json()["Objects"].clone();
    let names: Vec<&str> =
        objects.as_array().unwrap().iter().map(|own| own["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["CAs", "Certificates", "Restricted"]);
}

#[tokio::test]
async fn a_held_request_waits_until_it_is_approved() {
    let (_running, control, tpp) = ready().await;
    let fault = control.install(Fault::new("pending").for_common_name("slow.example.com")).await.unwrap();
    let (csr_pem, _) = csr("slow.example.com");
    let dn = tpp.request(&csr_pem).await;
    let body = json!({ "CertificateDN": dn, "Format": "base64" });
    let (answer, reason) = tpp.call("POST", "vedsdk/certificates/retrieve", Some(body)).await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "Stage": 500, "Status": "Post CSR" })));
    assert_eq!(reason, format!("Certificate {dn} being processed, Status: Post CSR, Stage: 500."));
    let waiting = control.approvals().await.unwrap();
    assert_eq!((waiting.len(), waiting[0].face.as_str(), waiting[0].polls), (1, "venafi", 1));
    assert!(control.ledger().await.unwrap().is_empty());
    control.approve(waiting[0].id).await.unwrap();
    assert_eq!(certificates(&tpp.retrieve(&dn, json!({})).await).len(), 1);
    tpp.retrieve(&dn, json!({})).await;
    assert_eq!(control.ledger().await.unwrap().len(), 1, "made once");

    // Who waits at the request hears that it takes longer, in a 202.
    let body = json!({ "PolicyDN": OPEN, "PKCS10": csr("slow.example.com").0, "ObjectName": "x", "WorkToDoTimeout": 5 });
    let answer = tpp.post("vedsdk/certificates/request", body).await;
    assert_eq!(answer.status, 202);
    assert!(answer.json()["Error"].as_str().unwrap().starts_with("Certificate processing took longer"));
    fault.uninstall().await.unwrap();
}

#[tokio::test]
async fn a_rejected_request_is_in_error_until_it_is_reset() {
    let (_running, control, tpp) = ready().await;
    let fault = control.install(Fault::new("pending").times(1)).await.unwrap();
    let (csr_pem, key) = csr("no.example.com");
    let dn = tpp.request(&csr_pem).await;
    control.reject(control.approvals().await.unwrap()[0].id).await.unwrap();
    let body = json!({ "CertificateDN": dn, "Format": "base64" });
    let (answer, reason) = tpp.call("POST", "vedsdk/certificates/retrieve", Some(body)).await;
    assert_eq!((answer.status, &answer.json()["Stage"]), (500, &json!(500)));
    assert!(
        reason.contains("has encountered an error while processing, Status: Post CSR failed"),
        "{reason}"
    );
    let renewal = tpp.post("vedsdk/certificates/renew", json!({ "CertificateDN": dn })).await;
    assert_eq!((renewal.status, &renewal.json()["Success"]), (400, &json!(false)));

    assert_eq!(tpp.request(&csr_pem).await, dn, "asking again changes nothing");
    let stuck = tpp.retrieve(&dn, json!({})).await;
    assert!(stuck.text().contains("Fix any errors, and then click Retry."), "{}", stuck.text());
    let reset = || tpp.post("vedsdk/certificates/reset", json!({ "CertificateDN": dn }));
    assert_eq!(reset().await.json(), json!({ "ProcessingResetCompleted": true }));
    let needless = reset().await;
    let text = "Reset is not completed. No reset is required for the certificate.";
    assert_eq!((needless.status, &needless.json()["Error"]), (400, &json!(text)));
    assert_eq!(tpp.retrieve(&dn, json!({})).await.status, 400);
    let nowhere = json!({ "CertificateDN": r"\VED\Policy\x" });
    let nowhere = tpp.post("vedsdk/certificates/reset", nowhere).await.json()["Error"].clone();
    assert!(
        nowhere
            .as_str()
            .unwrap()
            .ends_with("does not exist or you do not have sufficient rights to the object.")
    );
    tpp.request(&csr_pem).await;
    assert!(certificates(&tpp.retrieve(&dn, json!({})).await)[0].has_key(key.spki_der()));
    fault.uninstall().await.unwrap();
}

#[tokio::test]
async fn a_reset_with_restart_goes_on_with_what_was_asked() {
    let (_running, control, tpp) = ready().await;
    let fault = control.install(Fault::new("pending").times(1)).await.unwrap();
    let dn = tpp.request(&csr("again.example.com").0).await;
    let body = json!({ "CertificateDN": dn, "Restart": true });
    let answer = tpp.post("vedsdk/certificates/reset", body).await.json();
    assert_eq!(answer, json!({ "ProcessingResetCompleted": true, "RestartCompleted": true }));
    assert_eq!(tpp.retrieve(&dn, json!({})).await.status, 200);
    fault.uninstall().await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_told_as_the_policy_tells_it() {
    let (_running, control, tpp) = ready().await;
    let fault = control.install(Fault::new("refusal").with("message", "Not on Sundays.")).await.unwrap();
    let body = json!({ "PolicyDN": OPEN, "PKCS10": csr("a.example.com").0 });
    let (answer, reason) = tpp.call("POST", "vedsdk/certificates/request", Some(body)).await;
    assert_eq!((answer.status, answer.json()), (400, json!({ "Error": "Not on Sundays.\r\n" })));
    assert_eq!(reason, "Bad Request, check Error in response for details.");
    fault.uninstall().await.unwrap();
    assert!(control.ledger().await.unwrap().is_empty());
    let object = json!({ "ObjectDN": format!("{OPEN}\\a.example.com") });
    assert_eq!(
        tpp.post("vedsdk/config/isvalid", object).await.json()["Result"],
        400,
        "nothing is left of it"
    );
}

#[tokio::test]
async fn renewals_search_details_and_revocation_go_together() {
    let (running, control, tpp) = ready().await;
    let (csr_pem, key) = csr("app.example.com");
    let dn = tpp.request(&csr_pem).await;
    let first = certificates(&tpp.retrieve(&dn, json!({})).await).remove(0);
    assert_eq!(
        tpp.post("vedsdk/certificates/renew", json!({ "CertificateDN": dn })).await.json(),
        json!({ "Success": true })
    );
    let second = certificates(&tpp.retrieve(&dn, json!({})).await).remove(0);
    assert!(second.has_key(key.spki_der()) && second.serial() != first.serial());
    let (other, other_key) = csr("app.example.com");
    tpp.post("vedsdk/certificates/renew", json!({ "CertificateDN": dn, "PKCS10": other })).await;
    let third = certificates(&tpp.retrieve(&dn, json!({})).await).remove(0);
    assert!(third.has_key(other_key.spki_der()));

    let guid = tpp.post("vedsdk/Config/DnToGuid", json!({ "ObjectDN": dn })).await.json()["GUID"].clone();
    let back = tpp.post("vedsdk/Config/GuidToDn", json!({ "ObjectGUID": guid })).await.json();
    assert_eq!(back["ObjectDN"], dn.as_str());
    let details = tpp.get(&format!("vedsdk/certificates/{}", guid.as_str().unwrap())).await.json();
    let thumbprint = details["CertificateDetails"]["Thumbprint"].as_str().unwrap().to_owned();
    let said = openssl(&["x509", "-noout", "-fingerprint", "-sha1"], third.to_pem().as_bytes());
    assert!(said.trim().replace(':', "").ends_with(&thumbprint), "{said} {thumbprint}");
    let count = |query: String| {
        let tpp = &tpp;
        async move { tpp.get(&format!("vedsdk/certificates/?{query}")).await.json()["TotalCount"].clone() }
    };
    for (query, expected) in [
        (format!("Thumbprint={thumbprint}"), 1),
        ("CN=APP.example.com&SAN-DNS=app.example.com".to_owned(), 1),
        ("ParentDNRecursive=%5CVED%5CPolicy&limit=500&offset=0".to_owned(), 1),
        ("ParentDN=%5CVED%5CPolicy".to_owned(), 0),
        ("ValidToGreater=2020-01-01T00%3A00%3A00Z".to_owned(), 1),
        ("ValidToLess=2020-01-01".to_owned(), 0),
    ] {
        assert_eq!(count(query.clone()).await, expected, "{query}");
    }
    assert_eq!(tpp.get("vedsdk/certificates/?Nonsense=1").await.status, 400);
    let head = tpp.call("HEAD", "vedsdk/certificates/", None).await.0;
    assert_eq!(head.headers["x-record-count"], "1");

    let revoke = |body: Value| tpp.post("vedsdk/certificates/revoke", body);
    let done = json!({ "Requested": true, "Success": true });
    assert_eq!(revoke(json!({ "CertificateDN": dn, "Reason": 4, "Disable": true })).await.json(), done);
    let again = revoke(json!({ "Thumbprint": thumbprint })).await.json();
    assert_eq!((&again["Requested"], &again["Success"]), (&json!(false), &json!(true)));
    assert_eq!(revoke(json!({ "CertificateDN": r"\VED\Policy\x" })).await.status, 400);
    assert_eq!(revoke(json!({ "CertificateDN": dn, "Reason": 9 })).await.status, 400);
    let crl = crate::common::Vault::new(running.url("vault"), "root").read("pki_int/crl/pem").await;
    let listed = openssl(&["crl", "-noout", "-text"], &crl.bytes).to_lowercase();
    assert!(listed.contains(&third.serial_hex()) && listed.contains("superseded"), "{listed}");
    assert!(!listed.contains(&second.serial_hex()));
    let revoked = control.ledger().await.unwrap().iter().filter(|entry| entry.revoked_at.is_some()).count();
    assert_eq!(revoked, 1);
    let disabled =
        tpp.post("vedsdk/certificates/request", json!({ "PolicyDN": OPEN, "PKCS10": csr_pem })).await;
    assert_eq!(disabled.status, 400, "disabled by the revocation");
    let reenabled = json!({ "PolicyDN": OPEN, "PKCS10": csr_pem, "Reenable": true });
    assert_eq!(tpp.post("vedsdk/certificates/request", reenabled).await.status, 200);
}

#[tokio::test]
async fn custom_fields_are_set_by_a_request_and_by_metadata() {
    let (_running, _, tpp) = ready().await;
    let ask = |field: Value| {
        let body = json!({ "PolicyDN": OPEN, "PKCS10": csr("a.example.com").0, "CustomFields": [field] });
        tpp.post("vedsdk/certificates/request", body)
    };
    assert_eq!(ask(json!({ "Name": "Nothing", "Values": ["1"] })).await.status, 400);
    assert_eq!(ask(json!({ "Name": "Environment", "Values": ["Moon"] })).await.status, 400);
    let dn = ask(json!({ "Name": "Environment", "Values": ["Test"] })).await.json()["CertificateDN"].clone();
    let get = || tpp.post("vedsdk/metadata/get", json!({ "DN": dn }));
    let data = get().await.json()["Data"].clone();
    assert_eq!((&data[0]["Key"]["Label"], &data[0]["Value"]), (&json!("Environment"), &json!(["Test"])));
    let items = tpp.post("vedsdk/metadata/getitems", json!({ "DN": dn })).await.json()["Items"].clone();
    assert_eq!(items[0]["Label"], "Cost Center");
    let set = |guid: &Value, value: &str| {
        let data = json!([{ "ItemGuid": guid, "List": [value] }]);
        tpp.post("vedsdk/metadata/set", json!({ "DN": dn, "GuidData": data, "KeepExisting": true }))
    };
    assert_eq!(set(&items[0]["Guid"], "42").await.json()["Result"], 0);
    assert_eq!(set(&items[1]["Guid"], "Moon").await.json()["Result"], 17);
    assert_eq!(get().await.json()["Data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn bad_input_is_told_and_breaks_nothing() {
    let (_running, _, tpp) = ready().await;
    let paths = [
        "certificates/request",
        "certificates/renew",
        "certificates/retrieve",
        "certificates/revoke",
        "certificates/reset",
        "certificates/checkpolicy",
        "config/create",
        "config/writepolicy",
        "config/dntoguid",
        "config/guidtodn",
        "config/findobjectsofclass",
        "metadata/get",
        "metadata/set",
        "identity/validate",
    ];
    let bodies = [
        json!({}),
        json!([]),
        json!("x"),
        json!({ "PolicyDN": 1, "CertificateDN": [], "DN": {} }),
        json!({ "PolicyDN": OPEN, "PKCS10": "AAAA", "CertificateDN": "\\", "Format": "" }),
        json!({ "PolicyDN": OPEN, "Subject": "a\\b", "ObjectDN": "\\VED\\x", "Class": "Policy", "AttributeName": "x" }),
        json!({ "PolicyDN": OPEN, "Subject": "x", "KeyAlgorithm": "RSA", "KeyBitSize": 1 }),
    ];
    for path in paths {
        for body in &bodies {
            let answer = tpp.post(&format!("vedsdk/{path}"), body.clone()).await;
            assert!(answer.status < 500, "{path} {body}: {} {}", answer.status, answer.text());
        }
    }
    for path in ["vedauth/authorize/oauth", "vedauth/authorize/token", "vedauth/authorize/certificate"] {
        for body in &bodies {
            assert_eq!(tpp.post(path, body.clone()).await.status, 400, "{path} {body}");
        }
    }
}
