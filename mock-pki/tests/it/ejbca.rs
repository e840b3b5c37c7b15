//! The face of EJBCA: what its clients see, byte for byte where they look, and what openssl thinks of it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use crate::common::{self, csr, csr_of};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response, header};
use jiff::Timestamp;
use mock_pki::{
    Fault,
    client::Control,
    in_process::MockPki,
    server::{self, Config, EJBCA_CLIENT_ID, EJBCA_TOKEN_PATH},
};
use serde_json::{Value, json};

const BASE: &str = "/ejbca/ejbca-rest-api";
const CA_DN: &str = "CN=Mock PKI Intermediate CA";
const CA_PATH: &str = "CN=Mock%20PKI%20Intermediate%20CA";

/// The face in this process, under a clock that the test turns, with a token for the administrator.
struct Ejbca {
    pki: MockPki,
    control: Control,
    clock: Arc<AtomicI64>,
    token: String,
}

/// An answer: its status, and its body as JSON or else as text.
type Answer = (u16, Value);

impl Ejbca {
    async fn new() -> Self {
        let start: Timestamp = "2030-01-01T12:00:00Z".parse().unwrap();
        let clock = Arc::new(AtomicI64::new(start.as_second()));
        let told = Arc::clone(&clock);
        let now = move || Timestamp::from_second(told.load(Ordering::Relaxed)).unwrap();
        let pki = MockPki::new(&Config::default(), Arc::new(now)).unwrap();
        let mut ejbca = Self { control: Control::in_process(pki.clone()), pki, clock, token: String::new() };
        ejbca.log_in().await;
        ejbca
    }

    async fn log_in(&mut self) {
        let (status, answer) = self.ask_for_token("client_credentials", EJBCA_CLIENT_ID, "root").await;
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().unwrap().clone_into(&mut self.token);
    }

    async fn ask_for_token(&self, grant: &str, id: &str, secret: &str) -> Answer {
        let form = format!("grant_type={grant}&client_id={id}&client_secret={secret}");
        let request = Request::post(EJBCA_TOKEN_PATH).body(Bytes::from(form)).unwrap();
        read(&self.send(request).await)
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.pki.face("ejbca", request).await.unwrap()
    }

    async fn call(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{BASE}{path}"))
            .header(header::HOST, "pki.example.com:8443")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        read(&self.call("GET", path, "").await)
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        read(&self.call("POST", path, body.to_string()).await)
    }

    async fn put(&self, path: &str, body: &str) -> Answer {
        read(&self.call("PUT", path, body.to_owned()).await)
    }

    async fn enrol(&self, body: &Value) -> Answer {
        self.post("/v1/certificate/pkcs10enroll", body).await
    }
}

fn read(answer: &Response<Bytes>) -> Answer {
    let text = || Value::String(String::from_utf8_lossy(answer.body()).into_owned());
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_else(|_| text()))
}

/// What cert-manager's EJBCA issuer sends for a name, which is also the end entity's.
fn enrolment(name: &str) -> Value {
    json!({
        "certificate_request": csr(name).0,
        "certificate_profile_name": "SERVER",
        "end_entity_profile_name": "EMPTY",
        "certificate_authority_name": "ManagementCA",
        "username": name,
        "password": "foo123",
        "include_chain": true,
    })
}

fn with(mut body: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("no object: {changes}") };
    for (name, value) in changes {
        body[name] = value;
    }
    body
}

fn error(status: u16, message: &str) -> Answer {
    (status, json!({ "error_code": status, "error_message": message }))
}

fn decode(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap_or_else(|| panic!("no base64: {value}"))).unwrap()
}

fn certificate(answer: &Answer) -> x509::Certificate {
    assert_eq!(answer.0, 201, "{}", answer.1);
    x509::Certificate::from_der(&decode(&answer.1["certificate"])).unwrap()
}

/// What openssl prints when all is well.
fn openssl(folder: &Path, arguments: &str) -> String {
    common::openssl(folder, &arguments.split(' ').collect::<Vec<_>>()).unwrap()
}

#[tokio::test]
async fn the_status_of_a_resource_needs_no_credentials() {
    let mut ejbca = Ejbca::new().await;
    ejbca.token.clear();
    let told = |version: &str| {
        (200, json!({ "status": "OK", "version": version, "revision": "EJBCA 9.3.7 Community" }))
    };
    for resource in ["v1/certificate", "v1/ca", "v1/ca_management", "v1/endentity"] {
        assert_eq!(ejbca.get(&format!("/{resource}/status")).await, told("1.0"), "{resource}");
    }
    assert_eq!(ejbca.get("/v2/certificate/status").await, told("2.0"));
}

#[tokio::test]
async fn an_enrolment_is_answered_with_the_certificate_and_its_chain_in_ejbcas_field_order() {
    let ejbca = Ejbca::new().await;
    let answer =
        ejbca.call("POST", "/v1/certificate/pkcs10enroll", enrolment("app.example.com").to_string()).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    let issued = certificate(&read(&answer));
    let chain = read(&answer).1["certificate_chain"].clone();
    let serial = issued.serial_hex().to_uppercase();
    let expected = format!(
        "{{\"certificate\":\"{}\",\"serial_number\":\"{serial}\",\"response_format\":\"DER\",\"certificate_chain\":{chain}}}",
        STANDARD.encode(issued.der())
    );
    assert_eq!(text, expected);
    assert_eq!(chain.as_array().unwrap().len(), 2, "the issuer and the root");
    assert_eq!(issued.usages().to_string(), "digital signature, key encipherment, server auth");
    assert_eq!(issued.subject_alt_names(), [x509::SubjectAltName::Dns("app.example.com".to_owned())]);

    let ledger = ejbca.pki.ledger();
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].issued_by, "ejbca pkcs10enroll ManagementCA");
    assert_eq!(ledger[0].common_name.as_deref(), Some("app.example.com"));

    let alone = ejbca.enrol(&with(enrolment("app.example.com"), json!({ "include_chain": false }))).await;
    assert_eq!(
        alone.1.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["certificate", "response_format", "serial_number"]
    );
}

#[tokio::test]
async fn openssl_verifies_what_was_enrolled_and_reads_its_pkcs7() {
    let ejbca = Ejbca::new().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("root.pem", ejbca.control.root_ca().await.unwrap().as_bytes());
    let answer = ejbca.enrol(&enrolment("app.example.com")).await;
    write("leaf.pem", certificate(&answer).to_pem().as_bytes());
    let issuer = x509::Certificate::from_der(&decode(&answer.1["certificate_chain"][0])).unwrap();
    write("issuer.pem", issuer.to_pem().as_bytes());
    let now = ejbca.clock.load(Ordering::Relaxed);
    let verify = format!(
        "verify -x509_strict -attime {now} -purpose sslserver -CAfile root.pem -untrusted issuer.pem leaf.pem"
    );
    openssl(folder.path(), &verify);

    let answer =
        ejbca.enrol(&with(enrolment("app.example.com"), json!({ "response_format": "PKCS7" }))).await;
    assert_eq!((answer.0, &answer.1["response_format"]), (201, &json!("PKCS7")));
    write("leaf.p7", &decode(&answer.1["certificate"]));
    let said = openssl(folder.path(), "pkcs7 -in leaf.p7 -print_certs -noout");
    assert!(said.contains("CN = app.example.com"), "{said}");
    write("chain.p7", &decode(&answer.1["certificate_chain"][1]));
    let said = openssl(folder.path(), "pkcs7 -in chain.p7 -print_certs -noout");
    assert!(said.contains("CN = Mock PKI Root CA"), "{said}");
}

#[tokio::test]
async fn a_request_may_be_bare_base64_and_its_subject_may_be_overwritten() {
    let ejbca = Ejbca::new().await;
    let pem = csr("app.example.com").0;
    let bare: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let wish = json!({ "certificate_request": bare, "subject_dn": "CN=other,O=Example\\, Inc.,C=SE" });
    let issued = certificate(&ejbca.enrol(&with(enrolment("other"), wish)).await);
    assert_eq!(issued.subject().to_string(), "CN=other,O=Example\\, Inc.,C=SE");
}

#[tokio::test]
async fn the_end_of_validity_can_be_chosen_within_the_profile_and_other_forms_are_passed_over() {
    let ejbca = Ejbca::new().await;
    let end = async |text: &str| {
        let answer = ejbca.enrol(&with(enrolment("app"), json!({ "end_time": text }))).await;
        certificate(&answer).not_after().to_string()
    };
    assert_eq!(end("2030-02-01 00:00:00").await, "2030-02-01T00:00:00Z");
    let longest = "2032-01-01T11:50:00Z";
    assert_eq!(end("2039-01-01 00:00:00").await, longest);
    assert_eq!(end("2030-02-01T00:00:00Z").await, longest, "RFC 3339 is not understood");
}

#[tokio::test]
async fn what_is_wrong_with_an_enrolment_is_said_in_ejbcas_words() {
    let ejbca = Ejbca::new().await;
    let refused = async |change: Value| ejbca.enrol(&with(enrolment("app"), change)).await;
    let cases = [
        (json!({ "certificate_authority_name": "Nope" }), "CA with name \"Nope\" doesn't exist"),
        (json!({ "certificate_authority_name": null }), "CA with name \"null\" doesn't exist"),
        (
            json!({ "certificate_profile_name": "Nope" }),
            "Certificate profile with name \"Nope\" doesn't exist",
        ),
        (json!({ "end_entity_profile_name": "Nope" }), "End Entity Profile of name \"Nope\" was not found"),
        (json!({ "certificate_request": "bm90IGEgcmVxdWVzdA==" }), "Invalid certificate request"),
        (json!({ "response_format": "PEM" }), "Invalid input. Response format can only be DER or PKCS7"),
        (json!({ "username": "" }), "Username cannot be empty or null."),
    ];
    for (change, message) in cases {
        assert_eq!(refused(change).await, error(400, message));
    }
    assert_eq!(refused(json!({ "certificate_request": null })).await, error(500, "General failure."));
    let mut other = csr("app").0.into_bytes();
    let at = other.len() - 80;
    other[at] = if other[at] == b'A' { b'B' } else { b'A' };
    let forged = json!({ "certificate_request": String::from_utf8(other).unwrap() });
    assert_eq!(refused(forged).await, error(400, "POPO verification failed."));
    assert!(ejbca.pki.ledger().is_empty());
}

#[tokio::test]
async fn a_key_or_a_name_belongs_to_one_end_entity() {
    let ejbca = Ejbca::new().await;
    let first = enrolment("app");
    certificate(&ejbca.enrol(&first).await);
    let same_key = ejbca.enrol(&with(first.clone(), json!({ "username": "other" }))).await;
    assert_eq!(same_key, error(400, "User 'other' is not allowed to use same key as another user is using."));
    let (status, body) = ejbca.enrol(&with(enrolment("app"), json!({ "username": "other" }))).await;
    let message = body["error_message"].as_str().unwrap();
    assert!(status == 400 && message.contains("same subject DN as the user(s) 'app'"), "{message}");
    certificate(&ejbca.enrol(&first).await);
    let elsewhere = json!({ "username": "other", "certificate_authority_name": "RootCA" });
    certificate(&ejbca.enrol(&with(enrolment("app"), elsewhere)).await);
}

#[tokio::test]
async fn bodies_methods_and_types_that_do_not_fit_are_refused_as_the_application_server_does() {
    let ejbca = Ejbca::new().await;
    let enrol = "/v1/certificate/pkcs10enroll";
    for body in ["{", "[]", "{\"username\": []}", "{\"extension_data\": [{\"name\": {}}]}"] {
        let answer = ejbca.call("POST", enrol, body).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[header::CONTENT_TYPE]),
            (400, &"application/json".parse().unwrap())
        );
        assert_eq!(
            answer.body(),
            "Malformed JSON request, check if format of the values of every parameter is correct and request structure is \
             proper."
        );
    }
    assert_eq!(ejbca.post(enrol, &Value::Null).await, error(500, "General failure."));

    let nowhere = "RESTEASY003210: Could not find resource for full path: \
                   https://pki.example.com:8443/ejbca/ejbca-rest-api/v1/nope";
    assert_eq!(ejbca.get("/v1/nope?x=1").await, error(404, nowhere));
    let outside = ejbca.send(Request::get("/ejbca/adminweb").body(Bytes::new()).unwrap()).await;
    assert_eq!(outside.status(), 404);
    assert_eq!(outside.body(), "<html><head><title>Error</title></head><body>404 - Not Found</body></html>");

    let wrong_method = ejbca.call("GET", enrol, "").await;
    assert_eq!(wrong_method.headers()[header::ALLOW], "POST, OPTIONS");
    let message = "RESTEASY003650: No resource method found for GET, return 405 with Allow header";
    assert_eq!(read(&wrong_method), error(405, message));

    let as_form = Request::post(format!("{BASE}{enrol}")).header(header::CONTENT_TYPE, "text/plain");
    let answer = ejbca.send(as_form.body(Bytes::from("{}")).unwrap()).await;
    assert_eq!(read(&answer), error(415, "RESTEASY003065: Cannot consume content type"));
    let as_html = Request::get(format!("{BASE}/v1/ca")).header(header::ACCEPT, "text/html");
    let answer = ejbca.send(as_html.body(Bytes::new()).unwrap()).await;
    assert_eq!(read(&answer), error(406, "RESTEASY003635: No match for accept header"));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_before_anybody_asks_who_sent_it() {
    let mut ejbca = Ejbca::new().await;
    ejbca.token.clear();
    let enrol = "/v1/certificate/pkcs10enroll";
    assert_eq!(ejbca.call("POST", enrol, "{").await.status(), 400);
    let denied = error(403, "Error no client certificate or OAuth token received for authentication.");
    assert_eq!(ejbca.post(enrol, &json!({})).await, denied);
    assert_eq!(ejbca.get("/v1/ca").await, denied);
}

#[tokio::test]
async fn a_token_is_given_for_the_client_s_secret_and_expires_by_the_shared_clock() {
    let mut ejbca = Ejbca::new().await;
    let (status, token) = ejbca.ask_for_token("client_credentials", EJBCA_CLIENT_ID, "root").await;
    assert_eq!((status, &token["expires_in"], &token["token_type"]), (200, &json!(300), &json!("Bearer")));
    let problem =
        |error: &str, description: &str| json!({ "error": error, "error_description": description });
    let invalid = "Invalid client or Invalid client credentials";
    let wrong = ejbca.ask_for_token("client_credentials", EJBCA_CLIENT_ID, "wrong").await;
    assert_eq!(wrong, (401, problem("unauthorized_client", invalid)));
    let unknown = ejbca.ask_for_token("client_credentials", "nobody", "root").await;
    assert_eq!(unknown, (401, problem("invalid_client", invalid)));
    let other = ejbca.ask_for_token("password", EJBCA_CLIENT_ID, "root").await;
    assert_eq!(other, (400, problem("unsupported_grant_type", "Unsupported grant_type")));
    let basic = Request::post(EJBCA_TOKEN_PATH).header(
        header::AUTHORIZATION,
        format!("Basic {}", STANDARD.encode(format!("{EJBCA_CLIENT_ID}:root"))),
    );
    let answer = ejbca.send(basic.body(Bytes::from("grant_type=client_credentials")).unwrap()).await;
    assert_eq!(answer.status(), 200);

    assert_eq!(ejbca.get("/v1/ca").await.0, 200);
    ejbca.control.reset().await.unwrap();
    assert_eq!(ejbca.get("/v1/ca").await.0, 200, "a token outlives a reset");
    ejbca.pass(300);
    let expired = "Authentication failed using OAuth Bearer Token. JWT token has expired.";
    assert_eq!(ejbca.get("/v1/ca").await, error(403, expired));
    ejbca.token = "nonsense".to_owned();
    assert_eq!(ejbca.get("/v1/ca").await, error(403, "Authentication failed using OAuth Bearer Token"));
}

#[tokio::test]
async fn a_revoked_certificate_is_so_for_searches_the_ledger_and_the_crl() {
    let ejbca = Ejbca::new().await;
    let enrolled = ejbca.enrol(&enrolment("gone")).await;
    let serial = enrolled.1["serial_number"].as_str().unwrap();
    let at = format!("/v1/certificate/{CA_PATH}/{serial}");
    let status = async || ejbca.get(&format!("{at}/revocationstatus")).await;
    let active = json!({
        "issuer_dn": CA_DN, "serial_number": serial, "revocation_reason": "NOT_REVOKED", "revoked": false
    });
    assert_eq!(status().await, (200, active));

    let revoke = async |query: &str| ejbca.put(&format!("{at}/revoke?{query}"), "").await;
    assert_eq!(revoke("").await, error(400, "Invalid revocation reason."));
    assert_eq!(revoke("reason=Nope").await, error(400, "Invalid revocation reason."));
    let future = "reason=SUPERSEDED&date=2031-01-01T00:00:00Z";
    assert_eq!(revoke(future).await, error(400, "Date in the future: '2031-01-01T00:00:00Z'."));
    let odd = "'odd' is not a valid ISO8601 date. Example of a valid date: 2012-06-07T23:55:59+02:00";
    assert_eq!(revoke("reason=SUPERSEDED&date=odd").await, error(400, odd));
    assert_eq!(revoke("reason=SUPERSEDED&date=2029-01-01T00:00:00Z").await.0, 422);

    ejbca.pass(60);
    let revoked = json!({
        "issuer_dn": CA_DN, "serial_number": serial, "revocation_reason": "KEY_COMPROMISE",
        "revocation_date": "2030-01-01T12:01:00Z", "revoked": true
    });
    let done = with(revoked.clone(), json!({ "message": "Successfully revoked" }));
    assert_eq!(revoke("reason=KEY_COMPROMISE").await, (200, done));
    assert_eq!(status().await, (200, revoked));
    let lower = serial.to_lowercase();
    let again = format!(
        "Certificate with issuer: {CA_DN} and serial number: {lower} has previously been revoked. Revocation reason could \
         not be changed or was not allowed."
    );
    assert_eq!(revoke("reason=SUPERSEDED").await, error(409, &again));
    let on_hold = format!(
        "Not allowed to unrevoke a certificate that is not on hold. Issuer {CA_DN}, serialNo {lower}."
    );
    assert_eq!(revoke("reason=REMOVE_FROM_CRL").await, error(409, &on_hold));
    assert!(ejbca.pki.ledger()[0].revoked_at.is_some());

    let folder = tempfile::tempdir().unwrap();
    let (code, crl) = ejbca.get(&format!("/v1/ca/{CA_PATH}/getLatestCrl")).await;
    assert_eq!((code, &crl["response_format"]), (200, &json!("DER")));
    std::fs::write(folder.path().join("crl.der"), decode(&crl["crl"])).unwrap();
    let issuer = x509::Certificate::from_der(&decode(&enrolled.1["certificate_chain"][0])).unwrap();
    std::fs::write(folder.path().join("issuer.pem"), issuer.to_pem()).unwrap();
    let said = openssl(folder.path(), "crl -in crl.der -inform DER -CAfile issuer.pem -noout -text");
    assert!(said.contains("verify OK") && said.contains(serial) && said.contains("Key Compromise"), "{said}");
}

#[tokio::test]
async fn a_hold_ends_and_unknown_certificates_and_cas_are_not_found() {
    let ejbca = Ejbca::new().await;
    let enrolled = ejbca.enrol(&enrolment("held")).await;
    let serial = enrolled.1["serial_number"].as_str().unwrap();
    let revoke = async |reason: &str| {
        let path = format!("/v1/certificate/{CA_PATH}/0x{serial}/revoke?reason={reason}");
        let (status, body) = ejbca.put(&path, "").await;
        (status, body["revoked"].clone(), ejbca.pki.ledger()[0].revoked_at.is_some())
    };
    assert_eq!(revoke("CERTIFICATE_HOLD").await, (200, json!(true), true));
    assert_eq!(revoke("NOT_REVOKED").await, (200, json!(false), false));
    assert_eq!(revoke("CERTIFICATE_HOLD").await, (200, json!(true), true));
    assert_eq!(revoke("SUPERSEDED").await, (200, json!(true), true));
    assert_eq!(revoke("NOT_REVOKED").await.0, 409);

    let missing = format!("Certificate with serial number '1F' and issuer DN '{CA_DN}' was not found");
    assert_eq!(
        ejbca.get(&format!("/v1/certificate/{CA_PATH}/1F/revocationstatus")).await,
        error(404, &missing)
    );
    let missing = format!("Could not find end entity certificate. Issuer {CA_DN}, serialNo 1f.");
    let path = format!("/v1/certificate/{CA_PATH}/1F/revoke?reason=SUPERSEDED");
    assert_eq!(ejbca.put(&path, "").await, error(404, &missing));
    let nobody = ejbca.get("/v1/certificate/CN=Nobody/1F/revocationstatus").await;
    assert_eq!(nobody, error(404, "CA 'CN=Nobody' does not exist."));
    let odd = "Invalid serial number format. Should be HEX encoded (optionally with '0x' prefix) e.g. \
               '0x10782a83eef170d4'";
    assert_eq!(ejbca.get(&format!("/v1/certificate/{CA_PATH}/xyz/revocationstatus")).await, error(400, odd));
}

#[tokio::test]
async fn the_cas_are_listed_and_their_certificates_and_crls_can_be_had() {
    let ejbca = Ejbca::new().await;
    let (status, list) = ejbca.get("/v1/ca").await;
    let cas = list["certificate_authorities"].as_array().unwrap();
    assert_eq!((status, cas.len()), (200, 2));
    let issuing = json!({
        "id": cas[0]["id"], "name": "ManagementCA", "subject_dn": CA_DN, "issuer_dn": "CN=Mock PKI Root CA",
        "expiration_date": cas[0]["expiration_date"], "external": false
    });
    assert_eq!(cas[0], issuing);
    let ends: Timestamp = cas[0]["expiration_date"].as_str().unwrap().parse().unwrap();
    assert!(ends.as_second() > ejbca.clock.load(Ordering::Relaxed));

    let file = ejbca.call("GET", &format!("/v1/ca/{CA_PATH}/certificate/download"), "").await;
    let text = String::from_utf8(file.body().to_vec()).unwrap();
    let begin = format!("Subject: {CA_DN}\nIssuer: CN=Mock PKI Root CA\n-----BEGIN CERTIFICATE-----\n");
    assert!(text.starts_with(&begin), "{text}");
    assert_eq!(x509::bundle::read_certificates(text.as_bytes()).unwrap().len(), 2);
    let disposition = "attachment; filename=\"CN=Mock_PKI_Intermediate_CA.cacert.pem\"";
    assert_eq!(file.headers()[header::CONTENT_DISPOSITION], disposition);
    assert_eq!(
        ejbca.get("/v1/ca/CN=a/certificate/download").await,
        error(404, "CA with id 2072943 does not exist.")
    );

    let created =
        async |query: &str| ejbca.post(&format!("/v1/ca/{CA_PATH}/createcrl{query}"), &json!({})).await;
    let versions = |complete: u64, delta: u64| {
        json!({
            "issuer_dn": CA_DN, "latest_crl_version": complete, "latest_delta_crl_version": delta,
            "latest_partition_crl_versions": null, "latest_partition_delta_crl_versions": null, "all_success": true
        })
    };
    // The first two were made at start.
    assert_eq!(created("").await, (200, versions(3, 4)));
    assert_eq!(created("?deltacrl=true").await, (200, versions(3, 5)));
    let unknown = ejbca.post("/v1/ca/CN=Nobody/createcrl", &json!({})).await;
    assert_eq!(unknown, error(400, "CA with DN: CN=Nobody does not exist."));
    for query in ["", "?deltaCrl=true"] {
        let (status, crl) = ejbca.get(&format!("/v1/ca/{CA_PATH}/getLatestCrl{query}")).await;
        assert!(status == 200 && !decode(&crl["crl"]).is_empty());
    }
}

#[tokio::test]
async fn a_crl_is_made_anew_once_its_time_is_over() {
    let mut ejbca = Ejbca::new().await;
    let path = format!("/v1/ca/{CA_PATH}/getLatestCrl");
    let first = ejbca.get(&path).await;
    ejbca.pass(24 * 3600);
    ejbca.log_in().await;
    assert_ne!(ejbca.get(&path).await.1["crl"], first.1["crl"]);
}

fn criterion(property: &str, operation: &str, value: &str) -> Value {
    json!({ "property": property, "operation": operation, "value": value })
}

#[tokio::test]
async fn searches_find_by_name_serial_number_status_profile_ca_and_time() {
    let ejbca = Ejbca::new().await;
    let one = ejbca.enrol(&with(enrolment("one.example.com"), json!({ "account_binding_id": "acme" }))).await;
    ejbca.pass(100);
    let gone = ejbca.enrol(&with(enrolment("two.example.com"), json!({ "username": "user-two" }))).await;
    let serial = gone.1["serial_number"].as_str().unwrap();
    ejbca.put(&format!("/v1/certificate/{CA_PATH}/{serial}/revoke?reason=SUPERSEDED"), "").await;
    let serials = |answer: &Answer| -> Vec<String> {
        let list = answer.1["certificates"].as_array().unwrap_or_else(|| panic!("{}", answer.1));
        list.iter().map(|found| found["serial_number"].as_str().unwrap().to_owned()).collect()
    };
    let search = async |criteria: Vec<Value>| {
        let body = json!({ "max_number_of_results": 10, "criteria": criteria });
        let found = ejbca.post("/v1/certificate/search", &body).await;
        assert_eq!(found.0, 200, "{}", found.1);
        serials(&found)
    };
    let one_serial = one.1["serial_number"].as_str().unwrap();
    let number = u128::from_str_radix(one_serial, 16).unwrap().to_string();
    let of_the_active = [
        vec![criterion("QUERY", "LIKE", "ONE.EXAMPLE")],
        vec![criterion("QUERY", "EQUAL", "CN=one.example.com")],
        vec![criterion("QUERY", "EQUAL", one_serial)],
        vec![criterion("QUERY", "EQUAL", &number)],
        vec![criterion("SERIAL_NUMBER", "EQUAL", one_serial)],
        vec![criterion("USERNAME", "EQUAL", "one.example.com")],
        vec![criterion("SUBJECT_ALT_NAME", "EQUAL", "dNSName=one.example.com")],
        vec![criterion("EXTERNAL_ACCOUNT_BINDING_ID", "EQUAL", "acme")],
        vec![criterion("STATUS", "EQUAL", "CERT_ACTIVE"), criterion("CA", "EQUAL", "ManagementCA")],
        vec![
            criterion("ISSUED_DATE", "BEFORE", "2030-01-01T12:00:00Z"),
            criterion("STATUS", "EQUAL", "CERT_ACTIVE"),
        ],
    ];
    for criteria in of_the_active {
        assert_eq!(search(criteria.clone()).await, [one_serial], "{criteria:?}");
    }
    let of_the_revoked = [
        vec![criterion("STATUS", "EQUAL", "REVOCATION_REASON_SUPERSEDED")],
        vec![
            criterion("STATUS", "EQUAL", "CERT_REVOKED"),
            criterion("CERTIFICATE_PROFILE", "EQUAL", "SERVER"),
        ],
        vec![criterion("USERNAME", "LIKE", "user-")],
        vec![criterion("REVOCATION_DATE", "AFTER", "2030-01-01T12:00:00Z")],
        vec![criterion("UPDATE_TIME", "AFTER", "2030-01-01T12:01:00Z")],
    ];
    for criteria in of_the_revoked {
        assert_eq!(search(criteria.clone()).await, [serial], "{criteria:?}");
    }
    assert_eq!(search(vec![criterion("CA", "EQUAL", "RootCA")]).await, [""; 0]);
    let both =
        vec![criterion("STATUS", "EQUAL", "CERT_ACTIVE"), criterion("STATUS", "EQUAL", "CERT_REVOKED")];
    assert_eq!(search(both).await.len(), 2);

    let body = json!({ "max_number_of_results": 1, "criteria": [criterion("QUERY", "EQUAL", one_serial)] });
    let (_, found) = ejbca.post("/v1/certificate/search", &body).await;
    let shown = json!({
        "certificates": [{
            // The base64 of base64.
            "certificate": STANDARD.encode(one.1["certificate"].as_str().unwrap()),
            "serial_number": one_serial, "response_format": "DER",
            "certificate_profile": "SERVER", "end_entity_profile": "EMPTY"
        }],
        "more_results": true
    });
    assert_eq!(found, shown);
}

#[tokio::test]
async fn version_two_tells_everything_in_pages_and_counts_without_one() {
    let ejbca = Ejbca::new().await;
    for name in ["a", "c", "b"] {
        certificate(&ejbca.enrol(&enrolment(name)).await);
        ejbca.pass(1);
    }
    let search = async |more: Value| {
        let body = with(json!({ "criteria": [criterion("CA", "EQUAL", "ManagementCA")] }), more);
        ejbca.post("/v2/certificate/search", &body).await
    };
    let (_, counted) = search(json!({})).await;
    assert_eq!(counted, json!({ "certificates": [], "pagination_summary": { "total_certs": 3 } }));
    let sorted = |page: i64, operation: &str| {
        json!({
            "pagination": { "page_size": 2, "current_page": page },
            "sort": { "property": "USERNAME", "operation": operation }
        })
    };
    let names = |body: &Value| -> Vec<String> {
        let list = body["certificates"].as_array().unwrap_or_else(|| panic!("{body}"));
        list.iter().map(|found| found["username"].as_str().unwrap().to_owned()).collect()
    };
    let (_, first) = search(sorted(1, "DESC")).await;
    assert_eq!(
        (names(&first), &first["pagination_summary"]),
        (vec!["c".to_owned(), "b".to_owned()], &json!({ "page_size": 2, "current_page": 1 }))
    );
    let (_, second) = search(sorted(2, "DESC")).await;
    let summary = json!({ "page_size": 2, "current_page": 2, "total_certs": 3 });
    assert_eq!((names(&second), &second["pagination_summary"]), (vec!["a".to_owned()], &summary));

    let found = &second["certificates"][0];
    let der = STANDARD.decode(decode(&found["base64Cert"])).unwrap();
    let own = x509::Certificate::from_der(&der).unwrap();
    let expected = json!({
        "fingerprint": found["fingerprint"], "cAFingerprint": found["cAFingerprint"],
        "certificateProfileId": 9, "endEntityProfileId": 1,
        "expireDate": own.not_after().as_millisecond(), "issuerDN": CA_DN,
        "notBefore": own.not_before().as_millisecond(), "revocationDate": -1, "revocationReason": -1,
        "serialNumber": own.serial_hex().to_uppercase(), "status": 20, "subjectAltName": "dNSName=a",
        "subjectDN": "CN=a", "subjectKeyId": x509::hex(own.subject_key_id().unwrap()), "tag": null, "type": 1,
        "udpateTime": 1_893_499_200_000_i64, "username": "a", "base64Cert": found["base64Cert"],
        "certificateRequest": null, "crlPartitionIndex": 0, "invalidity_date": null,
        "certificateProfile": "SERVER", "endEntityProfile": "EMPTY"
    });
    assert_eq!(*found, expected);
    assert_eq!(found["fingerprint"].as_str().unwrap().len(), 40);

    let page =
        |size: i64, current: i64| json!({ "pagination": { "page_size": size, "current_page": current } });
    assert_eq!(search(page(0, 1)).await, error(400, "Page size must be greater 0."));
    assert_eq!(search(page(1, 0)).await, error(400, "Current page must be greater 0."));
    let odd = with(page(1, 1), json!({ "sort": { "property": "NOPE", "operation": "ASC" } }));
    assert_eq!(search(odd).await, error(400, "Invalid search criteria sort property."));
}

#[tokio::test]
async fn criteria_that_make_no_sense_are_refused_in_ejbcas_words() {
    let ejbca = Ejbca::new().await;
    let search = async |max: Value, criteria: Value| {
        ejbca
            .post("/v1/certificate/search", &json!({ "max_number_of_results": max, "criteria": criteria }))
            .await
    };
    let query = || json!([criterion("QUERY", "EQUAL", "x")]);
    let subject = "Invalid maximum number of results";
    assert_eq!(search(json!(null), query()).await, error(400, &format!("{subject}, can not be null.")));
    assert_eq!(
        search(json!(0), query()).await,
        error(400, &format!("{subject}, can not be less or equal to zero."))
    );
    assert_eq!(
        search(json!(401), query()).await,
        error(400, &format!("{subject}, can not be more than 400."))
    );
    let cases = [
        (json!(null), "Invalid criteria value, can not be null."),
        (json!([]), "Invalid criteria value, can not be empty."),
        (json!([null]), "Invalid search criteria content, can not be null."),
        (json!([{}]), "Invalid search criteria content, property can not be null or empty."),
        (
            json!([{ "property": "QUERY" }]),
            "Invalid search criteria content, value can not be null or empty.",
        ),
        (
            json!([criterion("QUERY", "", "x")]),
            "Invalid search criteria content, operation can not be null or empty.",
        ),
        (json!([criterion("NOPE", "EQUAL", "x")]), "Invalid search criteria's property, unrecognized."),
        (json!([criterion("QUERY", "NOPE", "x")]), "Invalid search criteria's operation, unrecognized."),
        (
            json!([criterion("QUERY", "AFTER", "x")]),
            "Invalid search criteria's operation, should be EQUAL or LIKE.",
        ),
        (json!([criterion("CA", "LIKE", "x")]), "Invalid search criteria's operation, should be EQUAL."),
        (
            json!([criterion("ISSUED_DATE", "EQUAL", "2030-01-01T00:00:00Z")]),
            "Invalid search criteria's operation, should be AFTER or BEFORE.",
        ),
        (
            json!([criterion("ISSUED_DATE", "AFTER", "yesterday")]),
            "Invalid search criteria content, value does not contain proper date.",
        ),
        (
            json!([criterion("STATUS", "EQUAL", "x")]),
            "Invalid search criteria content, value does not contain certificate status.",
        ),
        (
            json!([criterion("SERIAL_NUMBER", "EQUAL", "x")]),
            "Invalid search criteria content, value does not represent a valid serial number.",
        ),
        (json!([criterion("CA", "EQUAL", "x")]), "Invalid search criteria content, unknown CA."),
        (
            json!([criterion("CERTIFICATE_PROFILE", "EQUAL", "x")]),
            "Invalid search criteria content, unknown certificate profile.",
        ),
        (
            json!([criterion("END_ENTITY_PROFILE", "EQUAL", "x")]),
            "Invalid search criteria content, unknown end entity profile.",
        ),
        (
            json!([criterion("QUERY", "EQUAL", "x"), criterion("QUERY", "EQUAL", "y")]),
            "Invalid criteria value, multiple 'QUERY' properties are not allowed.",
        ),
        (
            json!([
                criterion("ISSUED_DATE", "AFTER", "2030-01-01T00:00:00Z"),
                criterion("ISSUED_DATE", "AFTER", "2030-01-01T00:00:00Z")
            ]),
            "Invalid criteria value, overlapping properties 'ISSUED_DATE' with 'AFTER' operation.",
        ),
    ];
    for (criteria, message) in cases {
        assert_eq!(search(json!(1), criteria.clone()).await, error(400, message), "{criteria}");
    }
}

#[tokio::test]
async fn certificates_that_end_soon_are_listed_in_pages() {
    let ejbca = Ejbca::new().await;
    for (name, end) in
        [("soon", "2030-01-03 00:00:00"), ("sooner", "2030-01-02 00:00:00"), ("late", "2031-01-01 00:00:00")]
    {
        certificate(&ejbca.enrol(&with(enrolment(name), json!({ "end_time": end }))).await);
    }
    let (status, answer) = ejbca.get("/v1/certificate/expire?days=7&offset=0&maxNumberOfResults=1").await;
    let page = json!({ "more_results": true, "next_offset": 1, "number_of_results": 1 });
    assert_eq!((status, &answer["pagination_rest_response_component"]), (200, &page));
    let list = answer["certificates_rest_response"]["certificates"].as_array().unwrap();
    let first = x509::Certificate::from_der(&decode(&list[0]["certificate"])).unwrap();
    assert_eq!((list.len(), first.subject().common_name()), (1, Some("sooner")));
    let (status, answer) = ejbca.get("/v1/certificate/expire?days=x").await;
    assert!(
        status == 404 && answer["error_message"].as_str().unwrap().starts_with("RESTEASY003870: "),
        "{answer}"
    );
}

fn finalizing(password: &str, format: &str) -> Value {
    json!({ "password": password, "response_format": format })
}

#[tokio::test]
async fn a_profile_that_needs_approval_holds_a_request_until_somebody_decides() {
    let ejbca = Ejbca::new().await;
    let enrol = async |name: &str| {
        ejbca.enrol(&with(enrolment(name), json!({ "certificate_profile_name": "ApprovalRequired" }))).await
    };
    let held = enrol("app").await;
    let waiting = |id: u64, message: &str| {
        let link = format!("https://pki.example.com:8443{BASE}/{id}/finalize");
        (202, json!({ "status_code": 202, "info_message": message, "request_id": id, "link": link }))
    };
    let added = "Add Entity request has been added for approval by authorized administrators.";
    assert_eq!(held, waiting(1, added));
    let finalize =
        async |id: &str, body: Value| ejbca.post(&format!("/v1/certificate/{id}/finalize"), &body).await;
    let still = "Request with Id '1' is still waiting for approval";
    assert_eq!(finalize("1", finalizing("foo123", "DER")).await, waiting(1, still));
    assert_eq!(
        finalize("1", finalizing("foo123", "GIF")).await,
        error(400, "Invalid parameter: response_format")
    );
    let unknown = "Could not find request with Id '77'";
    assert_eq!(finalize("77", finalizing("foo123", "DER")).await, error(400, unknown));
    assert_eq!(finalize("x", finalizing("foo123", "DER")).await.0, 404);
    let pending = ejbca.control.approvals().await.unwrap();
    assert_eq!(
        (pending.len(), pending[0].face.as_str(), pending[0].common_name.as_deref()),
        (1, "ejbca", Some("app"))
    );

    ejbca.control.approve(1).await.unwrap();
    let wrong = "Got request for user with invalid password: app.";
    assert_eq!(finalize("1", finalizing("wrong", "DER")).await, error(403, wrong));
    let no_keys =
        "Invalid response format. Cannot create keystore for certificate request  with user generated keys";
    assert_eq!(finalize("1", finalizing("foo123", "P12")).await, error(400, no_keys));
    assert!(ejbca.pki.ledger().is_empty());
    let done = finalize("1", finalizing("foo123", "DER")).await;
    assert_eq!(certificate(&done).subject().common_name(), Some("app"));
    assert_eq!(ejbca.pki.ledger()[0].request_id, "1");
    let again = "Enrollment with Id '1' has already been finalized";
    assert_eq!(finalize("1", finalizing("foo123", "DER")).await, error(400, again));

    enrol("pem").await;
    ejbca.control.approve(2).await.unwrap();
    let (status, pem) = finalize("2", finalizing("foo123", "PEM")).await;
    let text = String::from_utf8(decode(&pem["certificate"])).unwrap();
    assert!(status == 201 && text.starts_with("Subject: CN=pem\nIssuer: CN="), "{text}");

    enrol("no").await;
    ejbca.control.reject(3).await.unwrap();
    let rejected = "Request with Id '3' has been rejected";
    assert_eq!(finalize("3", finalizing("foo123", "DER")).await, error(400, rejected));
}

#[tokio::test]
async fn a_request_that_nobody_approves_expires() {
    let mut ejbca = Ejbca::new().await;
    ejbca.enrol(&with(enrolment("app"), json!({ "certificate_profile_name": "ApprovalRequired" }))).await;
    ejbca.pass(8 * 3600);
    ejbca.log_in().await;
    let answer = ejbca.post("/v1/certificate/1/finalize", &finalizing("foo123", "DER")).await;
    assert_eq!(answer, error(400, "Request with Id '1' has expired"));
}

#[tokio::test]
async fn faults_hold_refuse_and_spoil_what_is_enrolled() {
    let ejbca = Ejbca::new().await;
    let install = async |fault: Fault| ejbca.control.install(fault.on_face("ejbca")).await.unwrap();
    let pending = install(Fault::new("pending").with("polls", 2).for_common_name("app")).await;
    assert_eq!(ejbca.enrol(&enrolment("app")).await.0, 202);
    let finalize = async || ejbca.post("/v1/certificate/1/finalize", &finalizing("foo123", "DER")).await.0;
    assert_eq!((finalize().await, finalize().await), (202, 201));
    pending.uninstall().await.unwrap();

    let refusal = install(Fault::new("refusal").with("message", "no such names here")).await;
    assert_eq!(ejbca.enrol(&enrolment("app")).await, error(400, "no such names here"));
    refusal.uninstall().await.unwrap();

    let wrong_key = install(Fault::new("wrong-key")).await;
    let body = enrolment("app");
    let asked = x509::Csr::from_pem(body["certificate_request"].as_str().unwrap().as_bytes()).unwrap();
    assert_ne!(certificate(&ejbca.enrol(&body).await).spki_der(), asked.spki_der());
    wrong_key.uninstall().await.unwrap();

    let no_chain = install(Fault::new("missing-chain")).await;
    assert!(ejbca.enrol(&enrolment("app")).await.1.get("certificate_chain").is_none());
    no_chain.uninstall().await.unwrap();

    for kind in ["sealed", "ca-offline"] {
        let away = install(Fault::new(kind)).await;
        assert_eq!(ejbca.enrol(&enrolment("app")).await, error(503, "Device was unavailable."), "{kind}");
        away.uninstall().await.unwrap();
    }

    let down = install(Fault::new("status").with("status", 503).on_path("pkcs10enroll")).await;
    let (status, body) = ejbca.enrol(&enrolment("app")).await;
    assert_eq!((status, &body["error_code"]), (503, &json!(503)));
    down.uninstall().await.unwrap();
    certificate(&ejbca.enrol(&enrolment("app")).await);
}

fn end_entity(name: &str) -> Value {
    json!({
        "username": name, "password": "foo123", "subject_dn": format!("O=Example,CN={name}"),
        "subject_alt_name": "dNSName=web.example.com, iPAddress=10.0.0.1", "email": "a@example.com",
        "ca_name": "ManagementCA", "certificate_profile_name": "SERVER", "end_entity_profile_name": "EMPTY",
        "token": "USERGENERATED", "extension_data": [{ "name": "1.2.3.4", "value": "x" }]
    })
}

#[tokio::test]
async fn an_end_entity_fetches_one_certificate_with_its_password() {
    let ejbca = Ejbca::new().await;
    let added = ejbca.call("POST", "/v1/endentity", end_entity("web").to_string()).await;
    assert_eq!((added.status().as_u16(), added.body().len()), (200, 0));
    let again = ejbca.post("/v1/endentity/", &end_entity("web")).await;
    assert_eq!(again, error(400, "User web already exists."));
    let request = async |change: Value| {
        let key = ca::SigningKey::generate(ca::KeyAlgorithm::EcdsaP256).unwrap();
        let body = json!({
            "certificate_request": csr_of(&key, &[], &[]), "username": "web", "password": "foo123",
            "include_chain": true, "certificate_authority_name": "ManagementCA"
        });
        ejbca.post("/v1/certificate/certificaterequest", &with(body, change)).await
    };
    assert_eq!(request(json!({ "username": "nobody" })).await, error(400, "Wrong username or password"));
    let wrong = error(400, "Got request for user with invalid password: web.");
    assert_eq!(request(json!({ "password": "wrong" })).await, wrong);
    let issued = certificate(&request(json!({})).await);
    assert_eq!(issued.subject().to_string(), "CN=web,O=Example");
    let names: Vec<String> = issued.subject_alt_names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["DNS:web.example.com", "IP:10.0.0.1"]);
    let used = "Got request with status GENERATED (40). Status NEW, FAILED or INPROCESS required: web.";
    assert_eq!(request(json!({})).await, error(400, used));
    let anew = json!({ "status": "NEW", "token": "usergenerated", "password": "bar" });
    assert_eq!(ejbca.post("/v1/endentity/web/setstatus", &anew).await.0, 200);
    certificate(&request(json!({ "password": "bar" })).await);
    ejbca.post("/v1/endentity/web/setstatus", &json!({ "status": "NEW", "token": "P12" })).await;
    let keys = "Error: Wrong Token Type of user, must be 'USERGENERATED' for PKCS10/SPKAC/CRMF/CVC requests";
    assert_eq!(request(json!({ "password": "bar" })).await, error(400, keys));
}

#[tokio::test]
async fn end_entities_are_found_revoked_and_deleted() {
    let ejbca = Ejbca::new().await;
    ejbca.post("/v1/endentity", &end_entity("web")).await;
    certificate(&ejbca.enrol(&enrolment("app")).await);
    let search = async |criteria: Value| {
        ejbca.post("/v1/endentity/search", &json!({ "max_number_of_results": 5, "criteria": criteria })).await
    };
    let web = json!({
        "end_entities": [{
            "username": "web", "dn": "CN=web,O=Example",
            "subject_alt_name": "dNSName=web.example.com, iPAddress=10.0.0.1", "email": "a@example.com",
            "status": "NEW", "token": "USERGENERATED", "extension_data": [{ "name": "1.2.3.4", "value": "x" }]
        }],
        "more_results": false
    });
    assert_eq!(search(json!([criterion("QUERY", "LIKE", "WEB")])).await, (200, web.clone()));
    assert_eq!(search(json!([criterion("STATUS", "EQUAL", "NEW")])).await, (200, web));
    let both = json!([criterion("STATUS", "EQUAL", "NEW"), criterion("STATUS", "EQUAL", "GENERATED")]);
    assert_eq!(search(both).await.1["end_entities"].as_array().unwrap().len(), 2);
    let odd = search(json!([criterion("NOPE", "EQUAL", "x")])).await;
    assert_eq!(odd, error(400, "Invalid search criteria's property, unrecognized."));

    let revoke =
        async |name: &str, body: &str| ejbca.put(&format!("/v1/endentity/{name}/revoke"), body).await;
    let reason = "Invalid EndEntityRevocationRestRequest property, unrecognized reason, must be one of RFC5280 section \
                  5.3.1..";
    assert_eq!(revoke("app", "{\"reason_code\": 7}").await, error(400, reason));
    assert_eq!(revoke("nobody", "{}").await, error(404, "Entity does not exist: nobody"));
    assert_eq!(revoke("app", "{\"reason_code\": 4}").await.0, 200);
    assert!(ejbca.pki.ledger()[0].revoked_at.is_some());
    let body = json!({ "max_number_of_results": 5, "criteria": [criterion("STATUS", "EQUAL", "REVOCATION_REASON_SUPERSEDED")] });
    assert_eq!(
        ejbca.post("/v1/certificate/search", &body).await.1["certificates"].as_array().unwrap().len(),
        1
    );

    let delete = async || read(&ejbca.call("DELETE", "/v1/endentity/app", "").await);
    assert_eq!(delete().await.0, 200);
    assert_eq!(delete().await, error(404, "Wrong username or password"));
    let gone = "Could not find  End Entity for the username='app'";
    let status = json!({ "status": "NEW", "token": "P12" });
    assert_eq!(ejbca.post("/v1/endentity/app/setstatus", &status).await, error(404, gone));
}

#[tokio::test]
async fn an_end_entity_without_what_it_needs_is_refused_in_ejbcas_words() {
    let ejbca = Ejbca::new().await;
    let content = "Invalid AddEndEntityRestRequest content";
    let cases = [
        (json!({ "username": "" }), format!("{content}, username can not be null or empty.")),
        (json!({ "subject_dn": null }), format!("{content}, subjectDn can not be null or empty.")),
        (json!({ "subject_dn": "nope" }), format!("{content}, subjectDn is malformed")),
        (json!({ "ca_name": "" }), format!("{content}, caName can not be null or empty.")),
        (json!({ "token": "" }), format!("{content}, token can not be null or empty.")),
        (json!({ "token": "x" }), "Invalid AddEndEntityRestRequest property, unrecognized token.".to_owned()),
        (
            json!({ "end_time": "x" }),
            "Invalid AddEndEntityRestRequest property, invalid date format.".to_owned(),
        ),
        (
            json!({ "status": "x" }),
            "Invalid AddEndEntityRestRequest property, unrecognized status.".to_owned(),
        ),
        (
            json!({ "end_entity_profile_name": "x" }),
            "Invalid request, unknown end entity profile.".to_owned(),
        ),
        (
            json!({ "certificate_profile_name": "x" }),
            "Invalid request, unknown certificate profile.".to_owned(),
        ),
        (json!({ "ca_name": "x" }), "Invalid request, unknown CA.".to_owned()),
    ];
    for (change, message) in cases {
        let answer = ejbca.post("/v1/endentity", &with(end_entity("web"), change)).await;
        assert_eq!(answer, error(400, &message));
    }
}

#[tokio::test]
async fn a_certificate_of_the_hierarchy_opens_the_door_if_it_is_the_administrators() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let running = server::start(Config::default()).await.unwrap();
    let url = running.url("ejbca").to_owned();
    assert!(url.starts_with("https://"), "{url}");
    let ca = reqwest::Certificate::from_pem(running.tls_ca.as_ref().unwrap().as_bytes()).unwrap();
    let client = |pem: Option<String>| {
        let builder = reqwest::Client::builder().no_proxy().tls_certs_only([ca.clone()]);
        let identity = pem.map(|pem| reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        identity.into_iter().fold(builder, reqwest::ClientBuilder::identity).build().unwrap()
    };
    let cas = format!("{url}{BASE}/v1/ca");
    let administrator = running.ejbca_client.as_ref().unwrap();
    let administrator = client(Some(format!("{}{}", administrator.certificate, administrator.key)));
    assert_eq!(administrator.get(&cas).send().await.unwrap().status(), 200);

    // One of the same CA that belongs to somebody else.
    let (request, key) = csr("somebody");
    let body = with(
        enrolment("somebody"),
        json!({ "certificate_request": request, "certificate_profile_name": "ENDUSER" }),
    );
    let enrol = administrator.post(format!("{url}{BASE}/v1/certificate/pkcs10enroll"));
    let answer: Value = enrol.json(&body).send().await.unwrap().json().await.unwrap();
    let own = x509::Certificate::from_der(&decode(&answer["certificate"])).unwrap();
    let somebody = client(Some(format!("{}{}", own.to_pem(), key.to_pkcs8_pem().unwrap())));
    let told = async |client: &reqwest::Client| {
        let answer = client.get(&cas).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let unauthorized = "Administrator is not authorized to resource /administrator. Msg: .";
    assert_eq!(told(&somebody).await, error(403, unauthorized));

    // Revoked, it is nobody's.
    let serial = answer["serial_number"].as_str().unwrap();
    let path = format!("{url}{BASE}/v1/certificate/{CA_PATH}/{serial}/revoke?reason=SUPERSEDED");
    assert_eq!(administrator.put(path).send().await.unwrap().status(), 200);
    let number = u128::from_str_radix(serial, 16).unwrap();
    let failed = format!(
        "Authentication failed. Further information: No admin authenticated for certificate with serialNumber {number} and \
         issuerDN '{CA_DN}'."
    );
    assert_eq!(told(&somebody).await, error(403, &failed));
    let nobody = client(None);
    let none = "Error no client certificate or OAuth token received for authentication.";
    assert_eq!(told(&nobody).await, error(403, none));
    running.shutdown().await;
}

#[tokio::test]
async fn both_faces_know_what_either_issued() {
    let ejbca = Ejbca::new().await;
    let request = Request::put("/v1/pki_int/sign/web")
        .header("x-vault-token", "root")
        .body(Bytes::from(json!({ "csr": csr("vault").0, "common_name": "vault" }).to_string()));
    let answer = ejbca.pki.vault(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = json!({ "max_number_of_results": 5, "criteria": [criterion("QUERY", "EQUAL", "CN=vault")] });
    let (_, found) = ejbca.post("/v1/certificate/search", &body).await;
    let serial = found["certificates"][0]["serial_number"].as_str().unwrap().to_owned();
    assert!(found["certificates"][0].get("certificate_profile").is_none());
    ejbca.put(&format!("/v1/certificate/{CA_PATH}/{serial}/revoke?reason=UNSPECIFIED"), "").await;
    let colons: Vec<String> = serial
        .to_lowercase()
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8(pair.to_vec()).unwrap())
        .collect();
    let request = Request::get(format!("/v1/pki_int/cert/{}", colons.join(":"))).body(Bytes::new()).unwrap();
    let (_, read_back) = read(&ejbca.pki.vault(request).await.unwrap());
    assert_eq!(read_back["data"]["revocation_time"], json!(ejbca.clock.load(Ordering::Relaxed)));
}

/// A CA of the same name with a key of another kind, and a leaf without key ids: names are all that speaks for it.
#[tokio::test]
async fn a_namesake_of_the_ca_makes_nobody_an_administrator() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let running = server::start(Config::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| openssl(folder.path(), arguments);
    std::fs::write(
        folder.path().join("ca.conf"),
        "[req]\nstring_mask=pkix\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=Mock PKI Intermediate CA\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("leaf.ext"), "basicConstraints=CA:FALSE\n").unwrap();
    openssl("req -x509 -newkey rsa:2048 -nodes -config ca.conf -keyout ca.key -out ca.pem");
    openssl("req -new -newkey rsa:2048 -nodes -subj /CN=SuperAdmin -keyout leaf.key -out leaf.csr");
    openssl("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 1 -extfile leaf.ext -out leaf.pem");
    let written = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let call = async |certificate: &str, key: &str| {
        let trusted = reqwest::Certificate::from_pem(running.tls_ca.as_ref().unwrap().as_bytes()).unwrap();
        let own = reqwest::Identity::from_pem(format!("{certificate}\n{key}").as_bytes()).unwrap();
        let client =
            reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).identity(own).build().unwrap();
        client.get(format!("{}{BASE}/v1/ca", running.url("ejbca"))).send().await.unwrap().status().as_u16()
    };
    let real = running.ejbca_client.as_ref().unwrap();
    assert_eq!(call(&real.certificate, &real.key).await, 200);
    let certificates = |pem: &str| x509::bundle::read_certificates(pem.as_bytes()).unwrap();
    let ca = certificates(&real.certificate).remove(1);
    let forged = certificates(&written("leaf.pem")).remove(0);
    assert!(forged.is_signed_by(&ca), "the forgery is worth a test only if names are all that is looked at");
    assert_eq!(call(&written("leaf.pem"), &written("leaf.key")).await, 403);
}
