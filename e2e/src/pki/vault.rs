//! A Vault as its administrator sees it: real or mock, it is set up through the same HTTP API.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use http::{Method, Request, StatusCode, header};
use mock_pki::client::Transport;
use serde_json::{Value, json};

use super::{Login, Vault};
use crate::Result;

/// A running Vault or OpenBao.
#[derive(Clone)]
pub struct VaultServer {
    /// Its address, such as `http://127.0.0.1:8200`.
    pub url: String,
    /// The token of its administrator, which no controller gets to see.
    pub root_token: String,
    way: Arc<dyn Transport>,
}

/// The token is not shown.
impl fmt::Debug for VaultServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultServer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl VaultServer {
    /// The policy that allows to sign and nothing else.
    const POLICY: &str = "web-signer";

    /// A server at this address, and the way to it.
    #[must_use]
    pub fn new(url: String, root_token: String, way: Arc<dyn Transport>) -> Self {
        Self { url, root_token, way }
    }

    /// Makes a root in `pki` and an intermediate below it in `pki_int`, in a server that has nothing.
    pub async fn make_authorities(&self) -> Result {
        for mount in ["pki", "pki_int"] {
            let engine = json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}});
            self.post(&format!("sys/mounts/{mount}"), engine).await?;
        }
        let root =
            json!({"common_name": "OpenBao Root", "issuer_name": "root", "ttl": "87600h", "key_type": "ec"});
        self.post("pki/root/generate/internal", root).await?;
        let asked = json!({"common_name": "OpenBao Intermediate", "key_type": "ec"});
        let csr = self.post("pki_int/intermediate/generate/internal", asked).await?;
        let signing = json!({"csr": text(&csr, "/data/csr")?, "format": "pem_bundle", "ttl": "43800h"});
        let signed = self.post("pki/root/sign-intermediate", signing).await?;
        let chain = json!({"certificate": text(&signed, "/data/certificate")?});
        self.post("pki_int/intermediate/set-signed", chain).await?;
        Ok(())
    }

    /// Makes the role `web`, and the policy and the AppRole that may sign with it and do nothing else.
    pub async fn make_role(&self) -> Result {
        self.role("web", &["example.com"]).await?;
        let rules = "path \"pki_int/sign/*\" { capabilities = [\"create\", \"update\"] }";
        self.post(&format!("sys/policies/acl/{}", Self::POLICY), json!({"policy": rules})).await?;
        self.post("sys/auth/approle", json!({"type": "approle"})).await?;
        self.post("auth/approle/role/web", json!({"token_policies": [Self::POLICY], "token_ttl": "1h"}))
            .await?;
        Ok(())
    }

    /// A fresh token that may only sign.
    pub async fn token(&self) -> Result<String> {
        let made = self.post("auth/token/create", json!({"policies": [Self::POLICY], "ttl": "1h"})).await?;
        text(&made, "/auth/client_token")
    }

    /// A role that signs names of these domains: `pki_int/sign/<name>`.
    pub async fn role(&self, name: &str, domains: &[&str]) -> Result {
        let role = json!({
            "allowed_domains": domains, "allow_subdomains": true, "key_type": "any",
            "require_cn": false, "max_ttl": "720h", "no_store": true,
        });
        self.post(&format!("pki_int/roles/{name}"), role).await.map(drop)
    }

    /// The role `kept`, whose certificates are kept, and access to it with a fresh token that may also list and revoke
    /// them: by it an issuer looks for what was issued before.
    pub async fn kept(&self) -> Result<Vault> {
        let role = json!({
            "allowed_domains": ["example.com"], "allow_subdomains": true, "key_type": "any",
            "require_cn": false, "max_ttl": "720h",
        });
        self.post("pki_int/roles/kept", role).await?;
        let may =
            |path: &str, can: &str| format!("path \"pki_int/{path}\" {{ capabilities = [\"{can}\"] }}\n");
        let rules = [
            may("sign/kept", "update"),
            may("certs", "list"),
            may("certs/detailed", "list"),
            may("revoke", "update"),
        ];
        self.post("sys/policies/acl/keeper", json!({"policy": rules.concat()})).await?;
        let made = self.post("auth/token/create", json!({"policies": ["keeper"], "ttl": "1h"})).await?;
        let login = Login::Token(text(&made, "/auth/client_token")?);
        Ok(Vault { looks_for_issued: true, ..self.access("kept", login) })
    }

    /// The serial numbers that `pki_int` keeps: in hex, without colons.
    pub async fn serials(&self) -> Result<BTreeSet<String>> {
        self.listed("pki_int/certs").await
    }

    /// Those of them that are revoked.
    pub async fn revoked_serials(&self) -> Result<BTreeSet<String>> {
        self.listed("pki_int/certs/revoked").await
    }

    async fn listed(&self, path: &str) -> Result<BTreeSet<String>> {
        let (status, text) = self.answer(Method::GET, &format!("{path}?list=true"), None).await?;
        // An empty list is not there.
        if status == StatusCode::NOT_FOUND {
            return Ok(BTreeSet::new());
        }
        let answer: Value = serde_json::from_str(&text)?;
        let keys = answer.pointer("/data/keys").and_then(Value::as_array).context("no keys")?;
        Ok(keys.iter().filter_map(Value::as_str).map(|serial| serial.replace(':', "")).collect())
    }

    /// Access to the role `web` with a fresh token.
    pub async fn by_token(&self) -> Result<Vault> {
        Ok(self.access("web", Login::Token(self.token().await?)))
    }

    /// Access to the role `web` by AppRole, with a fresh secret id.
    pub async fn by_app_role(&self) -> Result<Vault> {
        let role = self.call(Method::GET, "auth/approle/role/web/role-id", None).await?;
        let secret = self.post("auth/approle/role/web/secret-id", json!({})).await?;
        let (role_id, secret_id) = (text(&role, "/data/role_id")?, text(&secret, "/data/secret_id")?);
        Ok(self.access("web", Login::AppRole { role_id, secret_id }))
    }

    /// Access to a role with this login.
    #[must_use]
    pub fn access(&self, role: &str, login: Login) -> Vault {
        Vault { url: self.url.clone(), path: format!("pki_int/sign/{role}"), login, looks_for_issued: false }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let (status, text) = self.answer(method, path, body).await?;
        if !status.is_success() {
            bail!("{path}: {status} {text}");
        }
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    async fn answer(&self, method: Method, path: &str, body: Option<Value>) -> Result<(StatusCode, String)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.url))
            .header("X-Vault-Token", &self.root_token);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.map(|body| body.to_string()).unwrap_or_default().into())?;
        let answer = self.way.send(request).await.with_context(|| path.to_owned())?;
        Ok((answer.status(), String::from_utf8_lossy(answer.body()).into_owned()))
    }
}

fn text(answer: &Value, path: &str) -> Result<String> {
    let value = answer.pointer(path).and_then(Value::as_str);
    value.map(str::to_owned).with_context(|| format!("Vault's answer has no text at {path}: {answer}"))
}
