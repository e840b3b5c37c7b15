//! Vault and OpenBao: the PKI secrets engine's `sign/<role>` and `sign-verbatim[/<role>]`.
//!
//! ```text
//! submit:  [login] ─> POST v1/<path> {csr, ttl, names} ─> leaf, chain
//! look up: [login] ─> LIST v1/<mount>/certs ─> GET v1/<mount>/cert/<serial> … ─> those with the CSR's key
//! revoke:  [login] ─> POST v1/<mount>/revoke {serial_number}
//! check:   GET v1/sys/health ─> [login] ─> POST v1/<path> {} ─> 400 "csr" is empty
//! ```
//!
//! - **The check is the real thing.** A signing request without a CSR gets as far as any other: token, policy,
//!   mount, role and CA are all there when Vault complains about the CSR. It issues nothing and needs no more
//!   policy than `update` on the signing path; reading the role or the token's capabilities needs more and says
//!   less. In Vault's audit log it is one failed request per health check.
//! - **Vault never answers "pending"**, so polling is submitting.
//! - **Vault takes no idempotency key.** It is sent as a header all the same, which Vault writes into its audit log if
//!   told to: so two submissions of one request show as such. What can be done without one is `lookup.rs`.
//! - The wire types in here are this backend's own.

mod api;
mod failure;
mod login;
mod lookup;
mod refusal;
mod revoke;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use x509::Certificate;

use self::api::Api;
use self::failure::Failure;
use self::login::Logins;
use self::lookup::{Index, Search};
use self::refusal::{Refusal, RefusalKind};
use super::http::{HttpClient, Reply};
use super::secret::{self, SecretText};
use super::{Handle, Health, Lookup, Offers, Order, Outcome, Revocation, Signer, Unhealthy};
use crate::config::{VaultConfig, VaultPath};

pub use self::login::CredentialError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Signs with one signing path of one Vault.
#[derive(Debug)]
pub struct VaultSigner {
    api: Api,
    path: VaultPath,
    logins: Logins,
    /// If what was issued before is looked for.
    index: Option<Index>,
    /// Whether Vault has let us list certificates: a check asks until it has.
    may_list: AtomicBool,
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
            index: config.lookup.map(Index::new),
            may_list: AtomicBool::new(false),
        })
    }

    async fn sign(&self, order: &Order) -> Result<Outcome, Failure> {
        let request = match wire::SignRequest::new(order, self.path.kind()) {
            Ok(request) => request,
            Err(unfit) => return Ok(Outcome::Permanent { message: unfit.to_string() }),
        };
        let mut headers = HeaderMap::new();
        let key = HeaderValue::from_str(&order.idempotency_key().to_string()).ok();
        headers.extend(key.map(|key| (IDEMPOTENCY_KEY, key)));
        let operation = "have Vault sign the request";
        let reply =
            self.call_with(operation, Method::POST, self.path.as_str(), Some(&request), headers).await?;
        refusal::check(&reply).map_err(|refusal| self.refused(refusal))?;
        Ok(wire::read_answer(&reply))
    }

    async fn call(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&impl serde::Serialize>,
    ) -> Result<Reply, Failure> {
        self.call_with(operation, method, path, body, HeaderMap::new()).await
    }

    /// Calls with a token. One that is refused is replaced, once: it may have been revoked or have ended before its
    /// time.
    async fn call_with(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&impl serde::Serialize>,
        headers: HeaderMap,
    ) -> Result<Reply, Failure> {
        let send = async |token: &_| {
            self.api.send_with(operation, method.clone(), path, Some(token), body, headers.clone()).await
        };
        let token = self.logins.token(&self.api).await.map_err(Failure::without_effect)?;
        let reply = send(&token).await?;
        // A token that a policy stops is a good token: another would be stopped as well.
        let token_is_refused = matches!(
            refusal::check(&reply),
            Err(Refusal { kind: RefusalKind::Forbidden, is_policy: false, .. })
        );
        if !token_is_refused || !self.logins.replace(&token).await {
            return Ok(reply);
        }
        let token = self.logins.token(&self.api).await.map_err(Failure::without_effect)?;
        Ok(send(&token).await?)
    }

    async fn health(&self) -> Result<(), Failure> {
        let reply = self.api.health().await?;
        refusal::check_health(&reply).map_err(|refusal| Failure::refused("sys/health", refusal))?;
        let operation = "check the signing path in Vault";
        let reply = self.call(operation, Method::POST, self.path.as_str(), Some(&wire::Probe {})).await?;
        match refusal::check(&reply) {
            // The complaint about the missing CSR; whatever its words, it comes from the role.
            Err(Refusal { kind: RefusalKind::Request, .. }) => self.lookup_is_allowed().await,
            Err(refusal) if refusal.kind == RefusalKind::Forbidden => Err(self.explain(refusal).await),
            Err(refusal) => Err(self.refused(refusal)),
            Ok(()) => Err(self.refused(Refusal::new(
                RefusalKind::Configuration,
                format!("{} to a request without a CSR: is the URL that of Vault?", reply.summary()),
            ))),
        }
    }

    /// Vault has no pages of lists, so this is asked until it is answered once, and not at every check.
    async fn lookup_is_allowed(&self) -> Result<(), Failure> {
        if self.index.is_some() && !self.may_list.load(Ordering::Relaxed) {
            self.may_list().await?;
            self.may_list.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn find(&self, order: &Order, since: Timestamp) -> Lookup {
        let Some(index) = &self.index else {
            return Lookup::GaveUp { message: "vault.lookup is not set".to_owned() };
        };
        match self.search(index, order, since).await {
            Ok(Search::Found(answers)) => Lookup::Found(answers),
            Ok(Search::TooMany) => Lookup::GaveUp {
                message: format!(
                    "{} keeps more than {} certificates: raise vault.lookup.maxCertificates, or have Vault tidy the mount",
                    self.path.mount(),
                    index.most()
                ),
            },
            Err(failure) => {
                if failure.is_forbidden() {
                    // The next check says so.
                    self.may_list.store(false, Ordering::Relaxed);
                }
                Lookup::NotNow(failure.into_outcome_of_lookup())
            }
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

    fn offers(&self) -> Offers {
        if self.index.is_some() { Offers::Lookup } else { Offers::Nothing }
    }

    fn look_up<'a>(&'a self, order: &'a Order, since: Timestamp) -> BoxFuture<'a, Lookup> {
        Box::pin(async move {
            let lookup = self.find(order, since).await;
            let credentials = self.logins.credentials().await;
            lookup.reworded(|text| secret::struck_out(&credentials, text))
        })
    }

    fn revoke<'a>(&'a self, certificate: &'a Certificate) -> BoxFuture<'a, Revocation> {
        Box::pin(async {
            let revocation = self.revoke_certificate(certificate).await;
            let credentials = self.logins.credentials().await;
            revocation.reworded(|text| secret::struck_out(&credentials, text))
        })
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
