//! Each fault, as a client meets it.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::common::{Answer, Vault, certificate, csr, mock};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mock_pki::{
    Fault,
    client::Control,
    in_process::MockPki,
    server::{Config, Running},
};
use serde_json::{Value, json};

struct Bench {
    _running: Running,
    control: Control,
    vault: Vault,
    csr: String,
    key: ca::SigningKey,
}

impl Bench {
    async fn new() -> Self {
        let (running, control) = mock().await;
        let vault = Vault::new(running.url("vault"), "root");
        let (csr, key) = csr("app.example.com");
        Self { _running: running, control, vault, csr, key }
    }

    async fn sign(&self) -> Result<Answer, reqwest::Error> {
        self.vault.try_call("POST", "pki_int/sign/web", Some(json!({ "csr": self.csr }))).await
    }

    async fn issued(&self) -> usize {
        self.control.ledger().await.unwrap().len()
    }
}

#[tokio::test]
async fn a_fault_applies_while_its_guard_lives_and_only_where_it_matches() {
    let bench = Bench::new().await;
    let fault = Fault::new("status").with("status", 429).with("retry_after", 7).on_path("/sign/");
    let guard = bench.control.install(fault).await.unwrap();
    let answer = bench.sign().await.unwrap();
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(bench.vault.read("sys/health").await.status, 200);
    assert_eq!(bench.control.faults().await.unwrap()[0].applied, 1);
    assert_eq!(bench.issued().await, 0, "the request did not reach the product");
    guard.uninstall().await.unwrap();
    assert_eq!(bench.sign().await.unwrap().status, 200);

    drop(bench.control.install(Fault::new("sealed")).await.unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    while !bench.control.faults().await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "a dropped guard does not remove its fault");
        tokio::task::yield_now().await;
    }
    let journal = bench.control.journal().await.unwrap();
    let sign: Vec<_> = journal.iter().filter(|entry| entry.path == "/v1/pki_int/sign/web").collect();
    assert_eq!(sign.iter().map(|entry| entry.status).collect::<Vec<_>>(), [Some(429), Some(200)]);
    assert_eq!(sign[0].fault.as_deref(), Some("status"));
}

#[tokio::test]
async fn a_fault_ends_after_its_times_and_spares_other_names() {
    let bench = Bench::new().await;
    let fault = Fault::new("status").for_common_name("app.example.com").times(2);
    bench.control.install(fault).await.unwrap().keep();
    bench.control.install(Fault::new("status").for_common_name("other")).await.unwrap().keep();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(bench.sign().await.unwrap().status);
    }
    assert_eq!(statuses, [503, 503, 200]);
    bench.control.clear_faults().await.unwrap();
    assert!(bench.control.faults().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_is_said_in_the_products_words_and_nothing_is_issued() {
    let bench = Bench::new().await;
    let fault = Fault::new("refusal").with("message", "not on a Friday").for_common_name("app.example.com");
    bench.control.install(fault.times(1)).await.unwrap().keep();
    // Vault knows no approval: this one does nothing, and is not used up.
    bench.control.install(Fault::new("pending").times(1)).await.unwrap().keep();
    let refused = bench.sign().await.unwrap();
    assert_eq!((refused.status, refused.error()), (400, "not on a Friday".to_owned()));
    assert_eq!(bench.issued().await, 0);
    assert_eq!(bench.sign().await.unwrap().status, 200);
    let applied: Vec<u64> = bench.control.faults().await.unwrap().iter().map(|fault| fault.applied).collect();
    assert_eq!(applied, [1, 0]);
    assert!(bench.control.approvals().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_answer_leaves_its_certificate_in_the_ledger() {
    let bench = Bench::new().await;
    for (kind, after, issued) in
        [("reset", false, 0), ("reset", true, 1), ("empty-answer", false, 1), ("empty-answer", true, 2)]
    {
        let guard =
            bench.control.install(Fault::new(kind).with("after", after).on_path("/sign/")).await.unwrap();
        let error = bench.sign().await.unwrap_err();
        assert!(error.is_request(), "{kind}: {error:?}");
        let chain = format!("{error:?}");
        assert_eq!(chain.contains("ConnectionReset"), kind == "reset", "{kind}: {chain}");
        assert_eq!(bench.issued().await, issued, "{kind} after={after}");
        guard.uninstall().await.unwrap();
    }
}

#[tokio::test]
async fn latency_and_drip_take_their_time() {
    let bench = Bench::new().await;
    let guard = bench.control.install(Fault::new("latency").with("milliseconds", 120)).await.unwrap();
    let start = Instant::now();
    assert_eq!(bench.sign().await.unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(120));
    guard.uninstall().await.unwrap();

    let drip = Fault::new("slow-drip").with("bytes", 6).with("milliseconds", 20);
    let guard = bench.control.install(drip).await.unwrap();
    let start = Instant::now();
    assert_eq!(bench.sign().await.unwrap().text(), "      ");
    assert!(start.elapsed() >= Duration::from_millis(120));
    guard.uninstall().await.unwrap();
}

#[tokio::test]
async fn bodies_can_be_anything() {
    let bench = Bench::new().await;
    let guard = bench.control.install(Fault::new("oversized-body").with("bytes", 3_000_000)).await.unwrap();
    assert_eq!(bench.sign().await.unwrap().bytes.len(), 3_000_000);
    guard.uninstall().await.unwrap();

    let declared = Fault::new("oversized-body").with("bytes", 1000).with("declare", true);
    let guard = bench.control.install(declared).await.unwrap();
    assert_eq!(bench.sign().await.unwrap().headers["content-length"], "1000");
    guard.uninstall().await.unwrap();

    let guard = bench.control.install(Fault::new("gzip-bomb").with("mebibytes", 64)).await.unwrap();
    let answer = bench.sign().await.unwrap();
    assert_eq!(answer.headers["content-encoding"], "gzip");
    assert!(answer.bytes.len() < 100_000, "{} bytes on the wire", answer.bytes.len());
    guard.uninstall().await.unwrap();

    let guard = bench.control.install(Fault::new("wrong-content-type")).await.unwrap();
    let answer = bench.sign().await.unwrap();
    assert_eq!(
        (answer.status, answer.headers["content-type"].to_str().unwrap()),
        (200, "text/html; charset=utf-8")
    );
    assert!(answer.text().starts_with("<!DOCTYPE html>"));
    guard.uninstall().await.unwrap();

    let guard =
        bench.control.install(Fault::new("redirect").with("to", "http://elsewhere.invalid/")).await.unwrap();
    let answer = bench.sign().await.unwrap();
    assert_eq!(answer.status, 307);
    assert_eq!(answer.headers["location"], "http://elsewhere.invalid/v1/pki_int/sign/web");
    guard.uninstall().await.unwrap();

    let guard = bench.control.install(Fault::new("sealed")).await.unwrap();
    let answer = bench.sign().await.unwrap();
    assert_eq!((answer.status, answer.error()), (503, "Vault is sealed".to_owned()));
    assert_eq!(bench.vault.read("sys/health").await.status, 503);
    guard.uninstall().await.unwrap();
}

#[tokio::test]
async fn certificates_can_be_wrong_in_every_way() {
    let bench = Bench::new().await;
    let now = bench.control.ledger().await.map(|_| jiff::Zoned::now().timestamp()).unwrap();
    let with = async |fault: Fault| -> (x509::Certificate, Value) {
        let guard = bench.control.install(fault).await.unwrap();
        let answer = bench.sign().await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        guard.uninstall().await.unwrap();
        (certificate(&answer), answer.json()["data"].clone())
    };
    let (good, data) = with(Fault::new("latency").with("milliseconds", 0)).await;
    let chain = data["ca_chain"].as_array().unwrap().clone();
    assert!(good.has_key(bench.key.spki_der()));

    let (leaf, _) = with(Fault::new("wrong-key")).await;
    assert!(!leaf.has_key(bench.key.spki_der()));
    let (leaf, _) = with(Fault::new("extra-san").with("dns", "more.example.com")).await;
    let names: Vec<_> = leaf.subject_alt_names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["DNS:app.example.com", "DNS:more.example.com"]);
    let (leaf, _) = with(Fault::new("missing-san").with("all", true)).await;
    assert!(leaf.subject_alt_names().is_empty());
    for same_name in [false, true] {
        let (leaf, data) = with(Fault::new("wrong-issuer").with("same_name", same_name)).await;
        let issuer =
            x509::bundle::read_certificates(data["issuing_ca"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(leaf.issuer_der() == issuer[0].subject_der(), same_name);
        assert!(leaf.has_key(bench.key.spki_der()) && !leaf.is_signed_by(&issuer[0]));
    }
    let last = bench.control.ledger().await.unwrap().pop().unwrap().serial;
    let (leaf, _) = with(Fault::new("serial-reuse")).await;
    assert_eq!(leaf.serial_hex(), last);
    let (leaf, _) = with(Fault::new("clock-skew").with("seconds", -86_400)).await;
    let off = leaf.not_before().duration_since(now).as_secs();
    assert!((-86_500..-86_300).contains(&off), "valid from {off} seconds after now");
    let (leaf, _) = with(Fault::new("expired-leaf")).await;
    assert!(leaf.not_after() < now);
    let (leaf, _) = with(Fault::new("future-leaf")).await;
    assert!(leaf.not_before() > now);
    let (_, data) = with(Fault::new("missing-chain")).await;
    assert!(data.get("ca_chain").is_none() && data.get("issuing_ca").is_none());
    let (_, data) = with(Fault::new("missing-chain").with("keep_issuing_ca", true)).await;
    assert_eq!((data.get("ca_chain"), &data["issuing_ca"]), (None, &chain[0]));
    let (_, data) = with(Fault::new("shuffled-chain")).await;
    assert_eq!((&data["ca_chain"], &data["issuing_ca"]), (&json!([chain[1], chain[0]]), &chain[0]));
    let (_, data) = with(Fault::new("unrelated-certificate")).await;
    assert_eq!(data["ca_chain"].as_array().unwrap()[..2], chain[..]);
    assert_eq!(data["ca_chain"].as_array().unwrap().len(), 3);
    let (_, data) = with(Fault::new("unrelated-certificate").with("first", true)).await;
    assert_eq!((&data["ca_chain"][1], &data["issuing_ca"]), (&chain[0], &chain[0]));
    for (why, expected) in [("expired", "has passed"), ("not-ca", "not a CA"), ("ending", "renewal")] {
        let (_, data) = with(Fault::new("unfit-intermediate").with("why", why)).await;
        let said = judged(&bench.csr, &data);
        assert!(said.contains("issuer CN=Unfit Intermediate CA: ") && said.contains(expected), "{said}");
    }

    // Counted by certificates, not by requests.
    bench.control.install(Fault::new("wrong-key").times(1)).await.unwrap().keep();
    bench.vault.read("sys/health").await;
    assert!(!certificate(&bench.sign().await.unwrap()).has_key(bench.key.spki_der()));
    assert!(certificate(&bench.sign().await.unwrap()).has_key(bench.key.spki_der()));
}

#[tokio::test]
async fn one_of_several_names_can_be_missing_or_der_stand_in_for_pem() {
    let bench = Bench::new().await;
    let body = json!({ "common_name": "app.example.com", "alt_names": "b.example.com", "key_type": "ec" });
    let issue = async || bench.vault.write("pki_int/issue/web", body.clone()).await;
    let guard = bench.control.install(Fault::new("missing-san")).await.unwrap();
    let names = certificate(&issue().await).subject_alt_names();
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["DNS:app.example.com"]);
    guard.uninstall().await.unwrap();

    let guard = bench.control.install(Fault::new("der-for-pem")).await.unwrap();
    let data = issue().await.json()["data"].clone();
    let der = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    assert!(x509::Certificate::from_der(&der(&data["certificate"])).is_ok());
    assert!(x509::Certificate::from_der(&der(&data["ca_chain"][0])).is_ok());
    assert!(data["private_key"].as_str().unwrap().starts_with("-----BEGIN"), "a key is no certificate");
    let ca = bench.vault.read("pki/ca/pem").await;
    assert!(x509::Certificate::from_der(&ca.bytes).is_ok());
    guard.uninstall().await.unwrap();
}

#[tokio::test]
async fn an_answer_can_break_off_or_be_no_json() {
    let bench = Bench::new().await;
    let whole = bench.vault.read("pki/cert/ca").await;
    for (parameters, length) in [(None, whole.bytes.len() / 2), (Some(10), 10), (Some(0), 0)] {
        let mut fault = Fault::new("truncated-body");
        if let Some(bytes) = parameters {
            fault = fault.with("bytes", bytes);
        }
        let guard = bench.control.install(fault).await.unwrap();
        let request = bench.vault.client.get(format!("{}/v1/pki/cert/ca", bench.vault.base));
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-length"], whole.bytes.len().to_string().as_str());
        let mut received = Vec::new();
        let error = loop {
            match answer.chunk().await {
                Ok(chunk) => received.extend(chunk.expect("the end comes as an error")),
                Err(error) => break error,
            }
        };
        assert!(error.is_decode() || error.is_body(), "{error:?}");
        assert_eq!(received.len(), length);
        guard.uninstall().await.unwrap();
    }
    let guard = bench.control.install(Fault::new("malformed-json")).await.unwrap();
    let answer = bench.vault.read("sys/health").await;
    assert_eq!((answer.status, answer.headers["content-type"].to_str().unwrap()), (200, "application/json"));
    assert!(serde_json::from_slice::<Value>(&answer.bytes).unwrap_err().is_eof());
    guard.uninstall().await.unwrap();
    let guard = bench.control.install(Fault::new("malformed-json").with("body", "{'a': 1}")).await.unwrap();
    assert_eq!(bench.vault.read("sys/health").await.text(), "{'a': 1}");
    guard.uninstall().await.unwrap();
}

#[tokio::test]
async fn a_fault_knows_methods_and_the_ids_that_clients_give() {
    let bench = Bench::new().await;
    bench.control.install(Fault::new("status").with_method("post")).await.unwrap().keep();
    assert_eq!((bench.sign().await.unwrap().status, bench.vault.read("sys/health").await.status), (503, 200));
    bench.control.clear_faults().await.unwrap();
    bench.control.install(Fault::new("status").for_request_id("r-1")).await.unwrap().keep();
    for (name, id, status) in
        [("x-request-id", "r-1", 503), ("idempotency-key", "r-1", 503), ("x-request-id", "r-2", 200)]
    {
        let request = bench.vault.client.get(format!("{}/v1/sys/health", bench.vault.base));
        assert_eq!(request.header(name, id).send().await.unwrap().status(), status, "{name}: {id}");
    }
}

#[tokio::test]
async fn a_token_can_be_revoked_in_mid_flight_and_a_role_deleted() {
    let bench = Bench::new().await;
    for (after, first, issued) in [(false, 403, 0), (true, 200, 1)] {
        let made = bench.vault.write("auth/token/create", json!({ "policies": ["root"] })).await;
        let own = bench.vault.with_token(made.json()["auth"]["client_token"].as_str());
        let fault = Fault::new("revoked-token").with("after", after).on_path("/sign/").times(1);
        bench.control.install(fault).await.unwrap().keep();
        let sign = async || own.write("pki_int/sign/web", json!({ "csr": bench.csr })).await.status;
        assert_eq!((sign().await, sign().await), (first, 403), "after={after}");
        assert_eq!(bench.issued().await, issued);
    }
    bench.control.install(Fault::new("deleted-role").on_path("/sign/").times(1)).await.unwrap().keep();
    let answers = [bench.sign().await.unwrap(), bench.sign().await.unwrap()];
    let expected = (400, "unknown role: web".to_owned());
    assert_eq!(answers.map(|answer| (answer.status, answer.error())), [expected.clone(), expected]);
    assert_eq!(bench.vault.read("pki_int/roles/web").await.status, 404);
    bench.control.reset().await.unwrap();
    assert_eq!(bench.sign().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_ca_can_be_offline_and_the_clock_wrong() {
    let bench = Bench::new().await;
    bench.control.install(Fault::new("ca-offline").times(1)).await.unwrap().keep();
    let answer = bench.sign().await.unwrap();
    assert_eq!(answer.status, 500);
    assert!(answer.error().contains("reach the CA's key"), "{}", answer.text());
    assert_eq!((bench.issued().await, bench.sign().await.unwrap().status), (0, 200));
    let journal = bench.control.journal().await.unwrap();
    assert_eq!(journal[0].fault.as_deref(), Some("ca-offline"));

    let before = jiff::Zoned::now().timestamp();
    bench.control.install(Fault::new("clock-skew").with("seconds", 3600).times(1)).await.unwrap().keep();
    let wrong = bench.vault.read("sys/health").await;
    let says = wrong.json()["server_time_utc"].as_i64().unwrap() - before.as_second();
    assert!((3600..3660).contains(&says), "{says}");
    let date = wrong.headers["date"].to_str().unwrap();
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).unwrap();
    assert!(date.duration_since(before).as_secs() >= 3599, "{date}");
}

#[tokio::test]
async fn tls_can_fail_in_the_handshake_or_show_a_certificate_nobody_should_trust() {
    let (running, control) = crate::common::mock_with(Config::default().with_tls("vault")).await;
    let ca = reqwest::Certificate::from_pem(running.tls_ca.as_ref().unwrap().as_bytes()).unwrap();
    let call = async || {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca.clone()]).build().unwrap();
        client.get(format!("{}/v1/sys/health", running.url("vault"))).send().await
    };
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    assert_eq!(call().await.unwrap().status(), 200);
    for (why, said) in [
        ("handshake", "handshake"),
        ("expired", "Expired"),
        ("unknown-ca", "UnknownIssuer"),
        ("wrong-name", "NotValidForName"),
    ] {
        control.install(Fault::new("tls-failure").with("why", why).times(1)).await.unwrap().keep();
        let error = format!("{:?}", call().await.unwrap_err());
        assert!(error.contains(said), "{why}: {error}");
        assert_eq!(call().await.unwrap().status(), 200, "after {why}");
    }
    let refused = control.install(Fault::new("tls-failure").on_path("/sign/")).await.unwrap_err().to_string();
    assert!(refused.contains("only `face` can be given"), "{refused}");
}

#[tokio::test]
async fn chance_follows_from_the_seed_and_so_does_everything_else() {
    let run = async |seed: Option<u64>| {
        let config = Config {
            seed,
            ca_key_algorithm: ca::KeyAlgorithm::Ed25519,
            faults: vec![Fault::new("unreliable").probability(0.3).on_path("/issue/")],
            ..Config::default()
        };
        let clock = Arc::new(|| "2030-01-01T00:00:00Z".parse().unwrap());
        let pki = MockPki::new(&config, clock).unwrap();
        let mut said = Vec::new();
        for n in 0..20 {
            let body = json!({ "common_name": format!("app-{n}.example.com"), "key_type": "ed25519" });
            let request = http::Request::post("/v1/pki_int/issue/web").header("x-vault-token", "root");
            let request = request.body(serde_json::to_vec(&body).unwrap().into()).unwrap();
            said.push(match pki.vault(request).await {
                Ok(answer) => format!("{} {}", answer.status(), String::from_utf8_lossy(answer.body())),
                Err(cut) => format!("{cut:?}"),
            });
        }
        (running_ca(&pki).await, said)
    };
    let first = run(Some(7)).await;
    let failed = first.1.iter().filter(|said| !said.starts_with("200")).count();
    assert!((2..=12).contains(&failed), "{failed} of 20 failed");
    assert_eq!(run(Some(7)).await, first, "CA, keys, certificates, ids and failures repeat");
    assert_ne!(run(Some(8)).await, first);
    assert_ne!(run(None).await, run(None).await);
}

async fn running_ca(pki: &MockPki) -> String {
    Control::in_process(pki.clone()).root_ca().await.unwrap()
}

#[tokio::test]
async fn faults_of_the_start_come_back_with_a_reset_and_the_dice_with_them() {
    let faults = vec![Fault::new("status").probability(0.5)];
    let (running, control) =
        crate::common::mock_with(Config { seed: Some(3), faults, ..Config::default() }).await;
    let vault = Vault::new(running.url("vault"), "root");
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut statuses = Vec::new();
        for _ in 0..12 {
            statuses.push(vault.read("sys/health").await.status);
        }
        assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
        assert_eq!(control.faults().await.unwrap()[0].matched, 12);
        runs.push(statuses);
        control.clear_faults().await.unwrap();
        control.reset().await.unwrap();
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn an_unreliable_product_fails_in_every_way_that_is_worth_another_try() {
    let bench = Bench::new().await;
    bench.control.install(Fault::new("unreliable").on_path("/sign/")).await.unwrap().keep();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        seen.insert(match bench.sign().await {
            Ok(answer) => {
                let waits = answer.headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
                format!("{} {waits:?}", answer.status)
            }
            Err(error) if format!("{error:?}").contains("ConnectionReset") => "reset".to_owned(),
            Err(_) => "nothing".to_owned(),
        });
    }
    let seen: Vec<_> = seen.iter().map(String::as_str).collect();
    assert_eq!(seen, [r#"429 Some("1")"#, "500 None", r#"503 Some("1")"#, "nothing", "reset"]);
    assert_eq!(bench.issued().await, 0);
}

/// What the judge says of an answer.
fn judged(csr: &str, data: &Value) -> String {
    let csr = x509::Csr::from_pem(csr.as_bytes()).unwrap();
    let chain = data["ca_chain"].as_array().unwrap().iter().map(|pem| pem.as_str().unwrap());
    let pem = std::iter::once(data["certificate"].as_str().unwrap()).chain(chain).collect::<Vec<_>>();
    let answer = x509::bundle::read_certificates(pem.join("\n").as_bytes()).unwrap();
    let asked = x509::Asked {
        csr: &csr,
        duration: Duration::from_hours(10_000),
        usages: x509::Usages::unrestricted(),
        is_ca: false,
        now: jiff::Zoned::now().timestamp(),
    };
    x509::judge::judge(&asked, &x509::Tolerance::default(), answer, Vec::new()).unwrap_err().to_string()
}

#[tokio::test]
async fn the_control_port_says_what_is_wrong() {
    let bench = Bench::new().await;
    let error = bench.control.install(Fault::new("no-such")).await.unwrap_err().to_string();
    assert!(error.contains("unknown kind of fault") && error.contains("wrong-key"), "{error}");
    let error = bench.control.install(Fault::new("status").with("status", 7)).await.unwrap_err().to_string();
    assert!(error.contains("7 is no status"), "{error}");
    let error = bench.control.install(Fault::new("status").probability(1.5)).await.unwrap_err().to_string();
    assert!(error.contains("from 0 to 1, not 1.5"), "{error}");
    bench.sign().await.unwrap();
    bench.control.reset().await.unwrap();
    assert_eq!(bench.issued().await, 0);
    assert!(bench.control.journal().await.unwrap().is_empty());
    assert_eq!(bench.sign().await.unwrap().status, 200, "the CA and the root token outlive a reset");
}
