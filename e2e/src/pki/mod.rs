//! The PKIs that a scenario may ask for.

mod mock;
mod openbao;
mod vault;

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;

use crate::Result;

pub use mock::{Fault, Guard, MockPki};
pub use openbao::{OpenBao, Seal};
pub use vault::VaultServer;

/// Brings PKIs.
pub trait Pkis: Send + Sync {
    /// An OpenBao that scenarios may share.
    fn openbao(&self) -> BoxFuture<'_, Result<VaultServer>>;
    /// A fresh OpenBao, which is the scenario's own.
    fn own_openbao(&self) -> BoxFuture<'_, Result<OpenBao>>;
    /// A fresh mock-pki, which is the scenario's own.
    fn mock(&self) -> BoxFuture<'_, Result<MockPki>>;
    /// A line to a Vault whose answers come `by` later.
    fn line(&self, to: &VaultServer, by: Duration) -> BoxFuture<'_, Result<Box<dyn Line>>>;
    /// Every root token so far: none may be seen anywhere.
    fn root_tokens(&self) -> Vec<String>;
}

/// A line to a Vault: slow, or cut. It ends when this is dropped.
///
/// A slow line holds back the answer, not the request: the PKI behind signs at once, and its answer is on its way.
pub trait Line: Send + Sync {
    /// The address by which the Vault is reached over it.
    fn url(&self) -> String;
    /// From now on connections are refused; those that stand are broken.
    fn cut(&mut self) -> BoxFuture<'_, ()>;
    /// It carries again, at the same address.
    fn mend(&mut self) -> BoxFuture<'_, Result>;
}

/// All that an issuer needs to know of a Vault.
#[derive(Clone, Debug)]
pub struct Vault {
    /// Its address.
    pub url: String,
    /// What signs there.
    pub path: String,
    /// How to log in.
    pub login: Login,
    /// Whether the issuer looks for what was issued before, before it submits a request again.
    pub looks_for_issued: bool,
}

/// A login to Vault.
#[derive(Clone, Debug)]
pub enum Login {
    /// With a token.
    Token(String),
    /// With an AppRole.
    AppRole {
        /// Goes into the configuration.
        role_id: String,
        /// Goes into the Secret.
        secret_id: String,
    },
}

impl Vault {
    /// The same at the other end of a line.
    #[must_use]
    pub fn behind(mut self, line: &dyn Line) -> Self {
        self.url = line.url();
        self
    }

    /// The document for the ConfigMap.
    #[must_use]
    pub fn config(&self) -> String {
        let auth = match &self.login {
            Login::Token(_) => json!({"method": "token"}),
            Login::AppRole { role_id, .. } => json!({"method": "appRole", "roleId": role_id}),
        };
        let mut vault = json!({"url": self.url, "path": self.path, "auth": auth});
        if let Some(fields) = vault.as_object_mut().filter(|_| self.looks_for_issued) {
            fields.insert("lookup".to_owned(), json!({}));
        }
        json!({"type": "vault", "vault": vault}).to_string()
    }

    /// The Secret's key and value.
    #[must_use]
    pub fn credential(&self) -> (&'static str, &str) {
        match &self.login {
            Login::Token(token) => ("token", token),
            Login::AppRole { secret_id, .. } => ("secretId", secret_id),
        }
    }
}
