//! A server that speaks Vault's API, as its administrator and as an issuer see it.

use std::sync::Arc;
use std::time::Duration;

use external_issuer::clock::SystemClock;
use external_issuer::config::{Patience, PkiUrl, TlsConfig};
use external_issuer::signer::Signer;
use external_issuer::signer::http::{Call, HttpClient};
use external_issuer::signer::registry::Registry;
use external_issuer::signer::secret::SecretText;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

/// The server, with a token that may do everything; with a control port if it is the mock.
pub(crate) struct Server {
    url: PkiUrl,
    root: String,
    http: HttpClient,
    control: Option<PkiUrl>,
}

impl Server {
    pub(crate) fn new(url: &str, root: &str, control: Option<&str>) -> Self {
        let url = PkiUrl::parse(url).unwrap();
        let http = HttpClient::new(&url, &TlsConfig::default(), Duration::from_secs(30)).unwrap();
        let control = control.map(|url| PkiUrl::parse(url).unwrap());
        Self { url, root: root.to_owned(), http, control }
    }

    /// Writes as the administrator. Panics when it is refused.
    pub(crate) async fn write(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {answer}");
        answer
    }

    pub(crate) async fn read(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {answer}");
        answer
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-token", HeaderValue::from_str(&self.root).unwrap());
        let body = body.map(|body| body.to_string().into_bytes());
        let url = self.url.join(&format!("v1/{path}"));
        let reply = self
            .http
            .send(Call { operation: "prepare the server", method, url, headers, body })
            .await
            .unwrap();
        (reply.status.as_u16(), reply.json().unwrap_or_default())
    }

    /// A token with these policies and no others.
    pub(crate) async fn token(&self, policies: &[&str]) -> String {
        let body = json!({"policies": policies, "no_default_policy": true, "ttl": "1h"});
        self.write("auth/token/create", body).await["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// Revokes every token but the root's.
    pub(crate) async fn revoke_all_tokens(&self) {
        let list = Method::from_bytes(b"LIST").unwrap();
        let (_, accessors) = self.call(list, "auth/token/accessors", None).await;
        let own = self.read("auth/token/lookup-self").await["data"]["accessor"].clone();
        for accessor in
            accessors["data"]["keys"].as_array().unwrap().iter().filter(|accessor| **accessor != own)
        {
            self.write("auth/token/revoke-accessor", json!({"accessor": accessor})).await;
        }
    }

    /// Seals it, for good.
    pub(crate) async fn seal(&self) {
        let Some(control) = &self.control else {
            self.write("sys/seal", json!({})).await;
            return;
        };
        let (url, body) = (control.join("faults"), Some(br#"{"kind":"sealed"}"#.to_vec()));
        let headers = HeaderMap::new();
        let call = Call { operation: "seal the mock", method: Method::POST, url, headers, body };
        let reply = self.http.send(call).await.unwrap();
        assert!(reply.status.is_success(), "{reply:?}");
    }

    /// Whether it is the product, and not the mock.
    pub(crate) fn is_real(&self) -> bool {
        self.control.is_none()
    }

    pub(crate) fn root_token(&self) -> &str {
        &self.root
    }

    /// An issuer's signer with a token.
    pub(crate) fn signer(&self, path: &str, token: &str) -> Arc<dyn Signer> {
        self.signer_with(path, &json!({"method": "token"}), None, token)
    }

    /// An issuer's signer with any login.
    pub(crate) fn signer_with(
        &self,
        path: &str,
        auth: &Value,
        namespace: Option<&str>,
        credential: &str,
    ) -> Arc<dyn Signer> {
        let mut more = json!({});
        if let Some(namespace) = namespace {
            more["namespace"] = namespace.into();
        }
        self.build(path, auth, &more, credential)
    }

    /// An issuer's signer that looks for what was issued before, among so many certificates.
    pub(crate) fn looking(&self, path: &str, token: &str, most: u32) -> Arc<dyn Signer> {
        let lookup = json!({"lookup": {"maxCertificates": most}});
        self.build(path, &json!({"method": "token"}), &lookup, token)
    }

    fn build(&self, path: &str, auth: &Value, more: &Value, credential: &str) -> Arc<dyn Signer> {
        let mut vault = json!({"url": self.url.to_string(), "path": path, "auth": auth});
        vault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let document = json!({"type": "vault", "vault": vault}).to_string();
        let config = external_issuer::config::parse(&document).unwrap();
        let credential = SecretText::from_bytes(credential.as_bytes()).unwrap();
        Registry::new(Arc::new(SystemClock), None).pki(&config, credential, &Patience::default()).unwrap()
    }
}
