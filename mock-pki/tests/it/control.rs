//! The control port, through its Rust client.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step of a test is a failed test")]

use crate::common::{Vault, csr, mock};
use mock_pki::{
    Fault,
    client::{
        ClockChange, Control, ControlError, Difference, Expectation, JournalFilter, LedgerFilter, Network,
        NoAnswer, Transport as _,
    },
    server::Running,
};
use serde_json::{Value, json};

struct Bench {
    running: Running,
    control: Control,
    vault: Vault,
}

impl Bench {
    async fn new() -> Self {
        let (running, control) = mock().await;
        let vault = Vault::new(running.url("vault"), "root");
        Self { running, control, vault }
    }

    async fn sign(&self, name: &str) -> Value {
        let answer = self.vault.write("pki_int/sign/web", json!({ "csr": csr(name).0 })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"].clone()
    }

    async fn get(&self, path: &str) -> Result<http::Response<bytes::Bytes>, NoAnswer> {
        let request = http::Request::get(format!("{}{path}", self.running.control_url));
        Network::new().send(request.body(bytes::Bytes::new()).unwrap()).await
    }
}

#[tokio::test]
async fn certificates_are_found_by_what_the_ledger_knows_of_them() {
    let bench = Bench::new().await;
    let (one, other) = (bench.sign("a.example.com").await, bench.sign("b.example.com").await);
    bench.vault.write("pki_int/revoke", json!({ "serial_number": other["serial_number"] })).await;
    let found = async |filter: LedgerFilter| -> Vec<String> {
        let found = bench.control.find_issued(&filter).await.unwrap();
        found.into_iter().filter_map(|issued| issued.common_name).collect()
    };
    let all = bench.control.ledger().await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let filter = LedgerFilter::default;
    assert_eq!(found(filter()).await, ["a.example.com", "b.example.com"]);
    for filter in [
        LedgerFilter { common_name: some("a.example.com"), ..filter() },
        LedgerFilter { subject_alt_name: some("DNS:a.example.com"), ..filter() },
        LedgerFilter { request_id: Some(all[0].request_id.clone()), ..filter() },
        LedgerFilter { csr_sha256: all[0].csr_sha256.clone(), ..filter() },
        LedgerFilter { spki_sha256: Some(all[0].spki_sha256.clone()), ..filter() },
        LedgerFilter { revoked: Some(false), ..filter() },
    ] {
        assert_eq!(found(filter.clone()).await, ["a.example.com"], "{filter:?}");
    }
    assert_eq!(found(LedgerFilter { revoked: Some(true), ..filter() }).await, ["b.example.com"]);
    assert_eq!(found(LedgerFilter { limit: Some(1), ..filter() }).await, ["b.example.com"]);
    assert_eq!(found(LedgerFilter { issued_by: some("/sign/web"), ..filter() }).await.len(), 2);
    assert!(found(LedgerFilter { idempotency_key: some("none"), ..filter() }).await.is_empty());

    for serial in [all[0].serial.as_str(), one["serial_number"].as_str().unwrap()] {
        let certificate = bench.control.certificate(serial).await.unwrap();
        assert_eq!(certificate.issued, all[0]);
        assert_eq!(certificate.pem.trim(), one["certificate"].as_str().unwrap().trim());
    }
    let absent = bench.control.certificate("00").await.unwrap_err();
    assert!(matches!(absent, ControlError::Refused { status: 404, .. }), "{absent}");
    let typo = bench.get("/ledger?common-name=x").await.unwrap();
    assert_eq!(typo.status(), 400);
    let said: Value = serde_json::from_slice(typo.body()).unwrap();
    assert!(said["error"].as_str().unwrap().contains("unknown field `common-name`"), "{said}");
}

#[tokio::test]
async fn requests_are_found_counted_and_nearly_missed() {
    let bench = Bench::new().await;
    bench.sign("a.example.com").await;
    bench.vault.read("pki_int/roles/web").await;
    bench.control.install(Fault::new("status").on_path("/health").times(1)).await.unwrap().keep();
    bench.vault.read("sys/health").await;
    let some = |text: &str| Some(text.to_owned());
    let filter = JournalFilter::default;
    let ledger = bench.control.ledger().await.unwrap();
    for (wanted, path) in [
        (JournalFilter { method: some("post"), ..filter() }, "/v1/pki_int/sign/web"),
        (
            JournalFilter { request_id: Some(ledger[0].request_id.clone()), ..filter() },
            "/v1/pki_int/sign/web",
        ),
        (JournalFilter { path: some("roles"), face: some("vault"), ..filter() }, "/v1/pki_int/roles/web"),
        (JournalFilter { status: Some(503), ..filter() }, "/v1/sys/health"),
        (JournalFilter { fault: some("status"), ..filter() }, "/v1/sys/health"),
        (JournalFilter { after: Some(2), ..filter() }, "/v1/sys/health"),
        (JournalFilter { limit: Some(1), ..filter() }, "/v1/sys/health"),
    ] {
        let found = bench.control.find_requests(&wanted).await.unwrap();
        assert_eq!(found.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(), [path], "{wanted:?}");
        assert_eq!(bench.control.count_requests(&wanted).await.unwrap(), 1, "{wanted:?}");
    }
    let nobodys = JournalFilter { user_agent: some("no such client"), ..filter() };
    assert_eq!(bench.control.count_requests(&nobodys).await.unwrap(), 0);

    let expected =
        Expectation { method: some("PUT"), path: some("/v1/pki_int/sign/web"), ..Expectation::default() };
    let nearest = bench.control.near_misses(&expected).await.unwrap().remove(0);
    let method = Difference { field: "method".to_owned(), expected: "PUT".to_owned(), found: some("POST") };
    assert_eq!((nearest.distance, nearest.differences), (100, vec![method]));
}

#[tokio::test]
async fn neither_journal_nor_ledger_tells_a_secret() {
    let bench = Bench::new().await;
    let secret = "s.0123456789abcdefghijABCD";
    bench.vault.write("auth/token/create", json!({ "id": secret })).await;
    let own = bench.vault.with_token(Some(secret));
    own.write("pki_int/sign/web", json!({ "csr": csr("a.example.com").0 })).await;
    own.read(&format!("auth/token/lookup?token={secret}")).await;
    own.call("GET", &format!("auth/approle/role/r/secret-id/{secret}"), None).await;
    for path in ["/journal", "/ledger", "/metrics", "/faults", "/approvals"] {
        let text = String::from_utf8(bench.get(path).await.unwrap().into_body().into()).unwrap();
        assert!(!text.contains(secret) && !text.contains("PRIVATE KEY"), "{path}: {text}");
    }
}

#[tokio::test]
async fn the_clock_of_all_faces_is_moved_and_tls_goes_on() {
    let (running, control) =
        crate::common::mock_with(mock_pki::server::Config::default().with_tls("vault")).await;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(running.tls_ca.as_ref().unwrap().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
    let vault = Vault { client, base: running.url("vault").to_owned(), token: Some("root".to_owned()) };
    let issue = async || {
        let body = json!({ "common_name": "a.example.com", "key_type": "ec", "ttl": "1h" });
        crate::common::certificate(&vault.write("pki_int/issue/web", body).await)
    };
    let short = vault.write("auth/token/create", json!({ "policies": ["root"], "ttl": "1h" })).await;
    let short = vault.with_token(short.json()["auth"]["client_token"].as_str());
    assert_eq!(short.read("auth/token/lookup-self").await.status, 200);

    let before = control.clock().await.unwrap();
    assert_eq!((before.ahead_milliseconds, before.stopped), (0, false));
    let later = ClockChange { advance_seconds: Some(7200), stopped: Some(true), set: None };
    let now = control.change_clock(&later).await.unwrap();
    assert!(now.stopped && now.now.duration_since(before.now).as_secs() >= 7200);
    let certificate = issue().await;
    assert_eq!(certificate.not_after().as_second(), now.now.as_second() + 3600);
    assert_eq!(short.read("auth/token/lookup-self").await.status, 403, "its hour is over");
    assert_eq!(control.ledger().await.unwrap()[0].issued_at, now.now);

    let beyond =
        ClockChange { set: Some("-000001-01-01T00:00:00Z".parse().unwrap()), ..ClockChange::default() };
    let refused = control.change_clock(&beyond).await.unwrap_err().to_string();
    assert!(refused.contains("years 1970 to 9999"), "{refused}");
    assert_eq!(control.release_clock().await.unwrap().ahead_milliseconds, 0);
    control.change_clock(&later).await.unwrap();
    control.reset().await.unwrap();
    assert!(!control.clock().await.unwrap().stopped);
}

#[tokio::test]
async fn the_vault_face_is_sealed_and_unsealed() {
    let bench = Bench::new().await;
    bench.control.seal().await.unwrap();
    assert_eq!(bench.vault.read("sys/health").await.status, 503);
    assert_eq!(bench.vault.read("pki_int/roles/web").await.error(), "Vault is sealed");
    bench.control.unseal().await.unwrap();
    assert_eq!(bench.vault.read("pki_int/roles/web").await.status, 200);
}

#[tokio::test]
async fn the_port_tells_of_itself() {
    let bench = Bench::new().await;
    bench.control.health().await.unwrap();
    assert_eq!(bench.control.version().await.unwrap(), env!("CARGO_PKG_VERSION"));
    assert!(bench.control.root_ca().await.unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(bench.control.fault_kinds().await.unwrap().iter().any(|kind| kind.kind == "wrong-key"));
    let index = bench.get("/").await.unwrap();
    assert!(String::from_utf8_lossy(index.body()).contains("POST   /faults "));
    let document = bench.control.openapi().await.unwrap();
    assert!(document["paths"]["/ledger/{serial}"]["get"]["responses"]["404"].is_object());
    let absent = bench.get("/nothing").await.unwrap();
    assert_eq!(absent.status(), 404);
}

#[tokio::test]
async fn prometheus_is_told_of_requests_faults_and_certificates() {
    let bench = Bench::new().await;
    bench.sign("a.example.com").await;
    bench.control.install(Fault::new("status").on_path("/health")).await.unwrap().keep();
    bench.control.install(Fault::new("reset").on_path("/leader").times(1)).await.unwrap().keep();
    bench.vault.read("sys/health").await;
    bench.vault.try_call("GET", "sys/leader", None).await.unwrap_err();
    let text = bench.control.metrics().await.unwrap();
    for line in [
        r#"mock_pki_requests_total{face="vault",method="POST",status="200"} 1"#,
        r#"mock_pki_requests_total{face="vault",method="GET",status="503"} 1"#,
        r#"mock_pki_requests_total{face="vault",method="GET",status="cut"} 1"#,
        r#"mock_pki_request_duration_seconds_count{face="vault"} 3"#,
        r#"mock_pki_faults_applied_total{kind="status"} 1"#,
        "mock_pki_faults_installed 2",
        "mock_pki_ledger_certificates 1",
        "mock_pki_approvals_waiting 0",
        "mock_pki_clock_ahead_seconds 0",
        concat!("mock_pki_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "# EOF",
    ] {
        assert!(text.lines().any(|said| said == line), "{line} is not in\n{text}");
    }
}

/// A page of another site, or one whose name leads here, is neither told anything nor obeyed.
#[tokio::test]
async fn no_web_page_elsewhere_reads_or_drives_the_port() {
    let bench = Bench::new().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = &bench.running.control_url;
    let own = url.trim_start_matches("http://");
    for (host, origin, status) in [
        (own, None, 200),
        (own, Some(url.as_str()), 200),
        ("localhost:8201", Some("http://localhost:8201"), 200),
        ("mock-pki", None, 200),
        ("mock-pki.pki.svc.cluster.local:8201", None, 200),
        (own, Some("http://evil.example.com"), 403),
        (own, Some("null"), 403),
        ("evil.example.com:8201", Some("http://evil.example.com:8201"), 403),
        // A browser sends no origin with what its own page reads.
        ("evil.example.com:8201", None, 403),
    ] {
        let mut request = client.get(format!("{url}/state?secrets=true")).header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{host} {origin:?}");
    }
}

/// What is held against every request of the journal has a bounded size, and so has a fault.
#[tokio::test]
async fn what_is_too_large_is_refused() {
    let bench = Bench::new().await;
    let expected = Expectation { path: Some("/a".repeat(1000)), ..Expectation::default() };
    assert!(matches!(
        bench.control.near_misses(&expected).await,
        Err(ControlError::Refused { status: 400, .. })
    ));
    let fault = Fault::new("status").with("body", "x".repeat(2 * 1024 * 1024));
    assert!(matches!(bench.control.install(fault).await, Err(ControlError::Refused { status: 413, .. })));
}
