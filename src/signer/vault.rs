//! Vault and OpenBao: the PKI secrets engine's `sign/<role>` and `sign-verbatim[/<role>]`.
//!
//! ```text
//! submit: [login] ─> POST v1/<path> {csr, ttl, names} ─> leaf, chain
//! check:  GET v1/sys/health ─> [login] ─> POST v1/<path> {} ─> 400 "csr" is empty
//! ```
//!
//! - **The check is the real thing.** A signing request without a CSR gets as far as any other: token, policy,
//!   mount, role and CA are all there when Vault complains about the CSR. It issues nothing and needs no more
//!   policy than `update` on the signing path; reading the role or the token's capabilities needs more and says
//!   less. In Vault's audit log it is one failed request per health check.
//! - **Vault never answers "pending"**, so polling is submitting.
//! - The wire types in here are this backend's own.

mod api;
mod failure;
mod login;
mod refusal;
mod wire;

use futures::future::BoxFuture;
use reqwest::Method;

use self::api::Api;
use self::failure::Failure;
use self::login::Logins;
use self::refusal::{Refusal, RefusalKind};
use super::http::HttpClient;
use super::secret::{self, SecretText};
use super::{Handle, Health, Order, Outcome, Signer, Unhealthy};
use crate::config::{VaultConfig, VaultPath};

pub use self::login::CredentialError;

/// Signs with one signing path of one Vault.
#[derive(Debug)]
pub struct VaultSigner {
    api: Api,
    path: VaultPath,
    logins: Logins,
}

impl VaultSigner {
    /// A signer that uses `credential` (a token, or the AppRole's secret id) to log in. Nothing is sent yet.
    pub fn new(
        http: HttpClient,
        config: &VaultConfig,
        credential: SecretText,
    ) -> Result<Self, CredentialError> {
        Ok(Self {
            api: Api::new(http, config),
            path: config.path.clone(),
            logins: Logins::new(&config.auth, credential)?,
        })
    }

    async fn sign(&self, order: &Order) -> Result<Outcome, Failure> {
        let request = match wire::SignRequest::new(order, self.path.kind()) {
            Ok(request) => request,
            Err(unfit) => return Ok(Outcome::Permanent { message: unfit.to_string() }),
        };
        let reply = self.post("have Vault sign the request", &request).await?;
        refusal::check(&reply).map_err(|refusal| self.refused(refusal))?;
        Ok(wire::read_answer(&reply))
    }

    /// Posts to the signing path. A token that is refused is replaced, once: it may have been revoked or have
    /// ended before its time.
    async fn post(
        &self,
        operation: &'static str,
        body: &impl serde::Serialize,
    ) -> Result<super::http::Reply, Failure> {
        let token = self.logins.token(&self.api).await?;
        let reply =
            self.api.send(operation, Method::POST, self.path.as_str(), Some(&token), Some(body)).await?;
        // A token that a policy stops is a good token: another would be stopped as well.
        let token_is_refused = matches!(
            refusal::check(&reply),
            Err(Refusal { kind: RefusalKind::Forbidden, is_policy: false, .. })
        );
        if !token_is_refused || !self.logins.replace(&token).await {
            return Ok(reply);
        }
        let token = self.logins.token(&self.api).await?;
        Ok(self.api.send(operation, Method::POST, self.path.as_str(), Some(&token), Some(body)).await?)
    }

    async fn health(&self) -> Result<(), Failure> {
        let reply = self.api.health().await?;
        refusal::check_health(&reply).map_err(|refusal| Failure::refused("sys/health", refusal))?;
        let reply = self.post("check the signing path in Vault", &wire::Probe {}).await?;
        match refusal::check(&reply) {
            // The complaint about the missing CSR; whatever its words, it comes from the role.
            Err(Refusal { kind: RefusalKind::Request, .. }) => Ok(()),
            Err(refusal) if refusal.kind == RefusalKind::Forbidden => Err(self.explain(refusal).await),
            Err(refusal) => Err(self.refused(refusal)),
            Ok(()) => Err(self.refused(Refusal::new(
                RefusalKind::Configuration,
                format!("{} to a request without a CSR: is the URL that of Vault?", reply.summary()),
            ))),
        }
    }

    /// Whether it is the token or its policies: a token that may look at itself is a good one.
    async fn explain(&self, refusal: Refusal) -> Failure {
        let Ok(token) = self.logins.token(&self.api).await else { return self.refused(refusal) };
        let known = match self.api.lookup_self(&token).await {
            Ok(reply) => refusal::check(&reply),
            Err(_) => return self.refused(refusal),
        };
        let policy = format!("a policy must have: path \"{}\" {{ capabilities = [\"update\"] }}", self.path);
        let text = match known {
            Ok(()) => format!("the token is good, but its policies do not allow this; {policy}"),
            Err(again) if again.is_policy => format!("the token's policies do not allow this; {policy}"),
            Err(again) if again.kind == RefusalKind::Forbidden => {
                format!("the token is refused ({})", again.text)
            }
            Err(_) => return self.refused(refusal),
        };
        self.refused(Refusal { text, ..refusal })
    }

    fn refused(&self, refusal: Refusal) -> Failure {
        Failure::refused(self.path.as_str(), refusal)
    }
}

impl Signer for VaultSigner {
    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            let outcome = self.sign(order).await.unwrap_or_else(Failure::into_outcome);
            let credentials = self.logins.credentials().await;
            outcome.reworded(|text| secret::struck_out(&credentials, text))
        })
    }

    /// A handle can only come from another backend that the issuer had before: ask this one afresh.
    fn poll<'a>(&'a self, order: &'a Order, _handle: &'a Handle) -> BoxFuture<'a, Outcome> {
        self.submit(order)
    }

    fn check(&self) -> BoxFuture<'_, Health> {
        Box::pin(async {
            let Err(failure) = self.health().await else { return Ok(()) };
            let unhealthy = failure.into_unhealthy();
            let credentials = self.logins.credentials().await;
            Err(Unhealthy { message: secret::struck_out(&credentials, &unhealthy.message), ..unhealthy })
        })
    }
}

#[cfg(test)]
mod tests;
