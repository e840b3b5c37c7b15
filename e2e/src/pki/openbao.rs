//! A real OpenBao: a root, an intermediate, a role, and logins by token and AppRole, set up through its HTTP API.

use anyhow::{Context as _, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::Result;

/// A running OpenBao, set up.
#[derive(Clone, Debug)]
pub struct OpenBao {
    /// Its address, such as `http://127.0.0.1:8200`.
    pub url: String,
    /// The token of its administrator, which no controller gets to see.
    pub root_token: String,
    http: Client,
}

/// An AppRole's ids.
#[derive(Clone, Debug)]
pub struct AppRole {
    /// Goes into the configuration.
    pub role_id: String,
    /// Goes into the Secret.
    pub secret_id: String,
}

impl OpenBao {
    /// The signing path that [`OpenBao::set_up`] makes.
    pub const PATH: &str = "pki_int/sign/web";
    /// The policy that allows it and nothing else.
    const POLICY: &str = "web-signer";

    /// Sets up a fresh server.
    pub async fn set_up(url: String, root_token: String) -> Result<Self> {
        let bao = Self { url, root_token, http: Client::new() };
        for mount in ["pki", "pki_int"] {
            let engine = json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}});
            bao.post(&format!("sys/mounts/{mount}"), engine).await?;
        }
        let root =
            json!({"common_name": "OpenBao Root", "issuer_name": "root", "ttl": "87600h", "key_type": "ec"});
        bao.post("pki/root/generate/internal", root).await?;
        let asked = json!({"common_name": "OpenBao Intermediate", "key_type": "ec"});
        let csr = bao.post("pki_int/intermediate/generate/internal", asked).await?;
        let signing = json!({"csr": csr["data"]["csr"], "format": "pem_bundle", "ttl": "43800h"});
        let signed = bao.post("pki/root/sign-intermediate", signing).await?;
        let chain = json!({"certificate": signed["data"]["certificate"]});
        bao.post("pki_int/intermediate/set-signed", chain).await?;
        let role = json!({
            "allowed_domains": ["example.com"], "allow_subdomains": true, "key_type": "any",
            "require_cn": false, "max_ttl": "720h", "no_store": true,
        });
        bao.post("pki_int/roles/web", role).await?;
        let rules = format!("path \"{}\" {{ capabilities = [\"create\", \"update\"] }}", Self::PATH);
        bao.post(&format!("sys/policies/acl/{}", Self::POLICY), json!({"policy": rules})).await?;
        bao.post("sys/auth/approle", json!({"type": "approle"})).await?;
        bao.post("auth/approle/role/web", json!({"token_policies": [Self::POLICY], "token_ttl": "1h"}))
            .await?;
        Ok(bao)
    }

    /// A fresh token that may only sign.
    pub async fn token(&self) -> Result<String> {
        let made = self.post("auth/token/create", json!({"policies": [Self::POLICY], "ttl": "1h"})).await?;
        text(&made["auth"]["client_token"])
    }

    /// Revokes a token.
    pub async fn revoke(&self, token: &str) -> Result {
        self.post("auth/token/revoke", json!({"token": token})).await.map(drop)
    }

    /// The AppRole that may only sign, with a fresh secret id.
    pub async fn app_role(&self) -> Result<AppRole> {
        let role = self.call(Method::GET, "auth/approle/role/web/role-id", None).await?;
        let secret = self.post("auth/approle/role/web/secret-id", json!({})).await?;
        Ok(AppRole {
            role_id: text(&role["data"]["role_id"])?,
            secret_id: text(&secret["data"]["secret_id"])?,
        })
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let mut request = self
            .http
            .request(method, format!("{}/v1/{path}", self.url))
            .header("X-Vault-Token", &self.root_token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.context(path.to_owned())?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("OpenBao: {path}: {status} {text}");
        }
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("OpenBao answered {value} instead of a text"))
}
