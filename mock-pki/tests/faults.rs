//! Each fault, as a client meets it.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use std::time::{Duration, Instant};

use common::{Answer, Vault, certificate, csr, mock};
use mock_pki::{Fault, client::Control, server::Running};
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
    bench.sign().await.unwrap();
    bench.control.reset().await.unwrap();
    assert_eq!(bench.issued().await, 0);
    assert!(bench.control.journal().await.unwrap().is_empty());
    assert_eq!(bench.sign().await.unwrap().status, 200, "the CA and the root token outlive a reset");
}
