//! Calls to Vault: URL, headers, JSON.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use super::super::http::{Call, HttpClient, HttpError, Reply};
use super::login::Token;
use crate::config::{PkiUrl, VaultConfig};

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// A listener may demand it, as no browser can be tricked into sending it.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

#[derive(Debug)]
pub(super) struct Api {
    http: HttpClient,
    url: PkiUrl,
    namespace: Option<HeaderValue>,
}

impl Api {
    pub(super) fn new(http: HttpClient, config: &VaultConfig) -> Self {
        // The configuration lets only letters, digits and . _ - / through, so it is a header value.
        let namespace = config.namespace.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
        Self { http, url: config.url.clone(), namespace }
    }

    /// The bound on one call.
    pub(super) fn timeout(&self) -> std::time::Duration {
        self.http.timeout()
    }

    /// `path` is below `v1/` and may have a query.
    pub(super) async fn send(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        token: Option<&Token>,
        body: Option<&impl Serialize>,
    ) -> Result<Reply, HttpError> {
        self.send_with(operation, method, path, token, body, HeaderMap::new()).await
    }

    /// The same, with further headers.
    pub(super) async fn send_with(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        token: Option<&Token>,
        body: Option<&impl Serialize>,
        mut headers: HeaderMap,
    ) -> Result<Reply, HttpError> {
        headers.insert(REQUEST, HeaderValue::from_static("true"));
        headers.extend(self.namespace.clone().map(|namespace| (NAMESPACE, namespace)));
        headers.extend(token.map(|token| (TOKEN, token.header())));
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.url.join(&format!("v1/{path}"));
        url.set_query(query);
        // The bodies are our own structs of strings, which always serialise.
        let body = body.and_then(|body| serde_json::to_vec(body).ok());
        self.http.send(Call { operation, method, url, headers, body }).await
    }

    /// `sys/health` is of the whole server: with a namespace it is refused.
    pub(super) async fn health(&self) -> Result<Reply, HttpError> {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST, HeaderValue::from_static("true"));
        let url = self.url.join("v1/sys/health");
        self.http
            .send(Call { operation: "check Vault's health", method: Method::GET, url, headers, body: None })
            .await
    }

    pub(super) async fn lookup_self(&self, token: &Token) -> Result<Reply, HttpError> {
        self.send("look up the Vault token", Method::GET, "auth/token/lookup-self", Some(token), None::<&()>)
            .await
    }
}
