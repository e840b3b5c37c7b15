//! The check of an issuer, carried out: references read, signer made, PKI asked, status written, requests woken.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::events::Events;
use super::issuers::{Issuer, Issuers, Standing};
use super::queue::Queue;
use super::references::References;
use super::status::{StatusWriter, WriteError};
use super::store::{RequestKey, Requests};
use crate::api::IssuerKey;
use crate::clock::SharedClock;
use crate::config::Patience;
use crate::decide::issuer::{self, Checked, IssuerConclusion};
use crate::decide::recipe::{self, Content, Ingredients, Recipe, Unready};
use crate::decide::{Notice, Terms};
use crate::metrics::Metrics;
use crate::random::Chance;
use crate::signer::registry::Registry;
use crate::signer::secret::SecretText;
use crate::signer::{Offers, Signer, Unhealthy, UnhealthyReason};

/// Checks issuers. Cheap to clone.
#[derive(Clone)]
pub struct IssuerReconciler {
    /// The issuers.
    pub issuers: Arc<Issuers>,
    /// The requests that wait for them.
    pub requests: Arc<Requests>,
    /// The objects they refer to.
    pub references: References,
    /// Makes signers.
    pub registry: Arc<Registry>,
    /// Writes status.
    pub status: StatusWriter,
    /// Makes events.
    pub events: Events,
    /// Where issuers come back.
    pub queue: Queue<IssuerKey>,
    /// Where requests are woken.
    pub request_queue: Queue<RequestKey>,
    /// The time.
    pub clock: SharedClock,
    /// What spreads checks.
    pub chance: Chance,
    /// The cluster resource namespace.
    pub cluster_namespace: Arc<str>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The uids of issuers whose signers hold something, by key; to forget when they are gone.
    pub uids: Arc<std::sync::Mutex<std::collections::HashMap<IssuerKey, String>>>,
}

/// After a status that could not be written.
const API_RETRY: Duration = Duration::from_secs(5);
/// After one that met a newer state of the object: the watch brings it within this.
const AFTER_CONFLICT: Duration = Duration::from_secs(1);
/// A check makes a few calls, a login among them.
const CALLS_PER_CHECK: u32 = 4;

impl IssuerReconciler {
    /// Checks an issuer.
    pub async fn reconcile(self, key: IssuerKey) {
        let Some((issuer, standing)) = self.issuers.entry(&key) else { return self.forget(&key) };
        self.note_uid(&issuer);
        let patience = Patience::of(&issuer.spec);
        let old = standing.as_deref();
        let (checked, recipe, signer) = match self.prepare(&issuer, &patience, old).await {
            Prepared::Loading => return,
            Prepared::Unready(unready) => (Checked::Unready(unready), None, None),
            Prepared::Signer(recipe, signer) => {
                let health = self.ask(&issuer.key, signer.as_ref(), &patience).await;
                let config_hash = recipe.config_hash.clone();
                (Checked::Asked { config_hash, health }, Some(recipe), Some(signer))
            }
        };
        let failures = old.map_or(0, |standing| standing.failures);
        let now = self.clock.now();
        let conclusion = issuer::conclude(
            now,
            (self.chance)(),
            issuer.generation,
            &issuer.status,
            &patience,
            &checked,
            failures,
        );
        let terms = Terms {
            patience,
            tolerance: tolerance(recipe.as_ref()),
            offers: signer.as_ref().map_or(Offers::Nothing, |signer| signer.offers()),
            revoke_unused: issuer.spec.revoke_unused.unwrap_or_default(),
        };
        let new = Standing {
            generation: issuer.generation,
            ready: conclusion.ready,
            message: conclusion.message.clone(),
            terms,
            recipe,
            signer,
            failures: if conclusion.ready { 0 } else { failures.saturating_add(1) },
        };
        let wake = old.is_none_or(|old| {
            old.ready != new.ready || old.recipe != new.recipe || old.generation != new.generation
        });
        self.metrics.issuer_ready(&key, conclusion.ready);
        self.issuers.checked(&key, &issuer.uid, new);
        let write_again = self.write(&issuer, &conclusion).await;
        if wake {
            for request in self.requests.release(&key) {
                self.request_queue.now(request);
            }
        }
        let check_again =
            conclusion.check_again.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        // A key has one time to come back, and a later one replaces an earlier one.
        if let Some(wait) = write_again.into_iter().chain(check_again).min() {
            self.queue.after(key, wait);
        }
    }

    async fn prepare(&self, issuer: &Issuer, patience: &Patience, old: Option<&Standing>) -> Prepared {
        let references = match recipe::references(&issuer.key, &issuer.spec, &self.cluster_namespace) {
            Ok(references) => references,
            Err(unready) => {
                self.references.set(&issuer.key, &[]);
                return Prepared::Unready(unready);
            }
        };
        self.references.set(&issuer.key, &references);
        if references.iter().any(|reference| self.references.content(reference) == Content::Loading) {
            // The watch that was just begun will wake us.
            return Prepared::Loading;
        }
        let content = |reference: &recipe::Reference| self.references.content(reference);
        let recipe = match recipe::plan(&issuer.key, &issuer.spec, &self.cluster_namespace, content) {
            Ok(recipe) => recipe,
            Err(unready) => return Prepared::Unready(unready),
        };
        if let Some(Standing { recipe: Some(known), signer: Some(signer), terms, .. }) = old
            && *known == recipe
            && terms.patience == *patience
        {
            // The same signer keeps its connections and its login.
            return Prepared::Signer(recipe, Arc::clone(signer));
        }
        match self.build(issuer, &recipe, patience).await {
            Ok(signer) => Prepared::Signer(recipe, signer),
            Err(unready) => Prepared::Unready(unready),
        }
    }

    async fn build(
        &self,
        issuer: &Issuer,
        recipe: &Recipe,
        patience: &Patience,
    ) -> Result<Arc<dyn Signer>, Unready> {
        let built = match &recipe.ingredients {
            Ingredients::Pki { config, credential } => {
                let credential = SecretText::from_bytes(credential).map_err(|problem| Unready {
                    reason: "CredentialUnusable",
                    message: format!("the credential in the Secret of spec.authSecretRef {problem}"),
                })?;
                self.registry.pki(config, credential, patience)
            }
            Ingredients::MockCa { spec, ca } => {
                let ca = ca.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice()));
                self.registry.mockca(&issuer.uid, &issuer.key.to_string(), spec, ca).await
            }
        };
        built.map_err(|error| Unready { reason: error.reason, message: error.message })
    }

    async fn ask(&self, key: &IssuerKey, signer: &dyn Signer, patience: &Patience) -> crate::signer::Health {
        let began = Instant::now();
        let limit = patience.request_timeout.saturating_mul(CALLS_PER_CHECK);
        let health = tokio::time::timeout(limit, signer.check()).await.unwrap_or_else(|_| {
            Err(Unhealthy {
                reason: UnhealthyReason::Unreachable,
                message: format!("the PKI did not answer within {} seconds", limit.as_secs()),
                retry_after: None,
            })
        });
        let result = health.as_ref().map_or_else(|unhealthy| unhealthy.reason.as_str(), |()| "healthy");
        self.metrics.pki_call(key, "check", result, began.elapsed());
        health
    }

    /// Writes what the check came to. Returns when to check again if that did not succeed.
    async fn write(&self, issuer: &Issuer, conclusion: &IssuerConclusion) -> Option<Duration> {
        let status = conclusion.write.as_ref()?;
        match self.status.issuer(issuer, status).await {
            Ok(written) => {
                self.issuers.written(written);
                if conclusion.changed {
                    self.tell(issuer, conclusion, status);
                }
                None
            }
            // The watch brings what changed; if it was not the spec, the check is repeated soon.
            Err(WriteError::Conflict) => Some(AFTER_CONFLICT),
            Err(WriteError::Gone) => None,
            Err(WriteError::Refused(error) | WriteError::Failed(error)) => {
                tracing::warn!(issuer = %issuer.key, %error, "the issuer's status could not be written; trying again");
                Some(API_RETRY)
            }
        }
    }

    fn tell(&self, issuer: &Issuer, conclusion: &IssuerConclusion, status: &crate::api::IssuerStatus) {
        let reason = status.conditions.first().and_then(|c| c.reason.clone()).unwrap_or_default();
        tracing::info!(
            issuer = %issuer.key,
            ready = conclusion.ready,
            reason,
            note = conclusion.message,
            "the issuer's status moved"
        );
        let notice = Notice {
            warning: !conclusion.ready,
            reason: if conclusion.ready { "Ready" } else { "NotReady" },
            message: format!("{reason}: {}", conclusion.message),
        };
        self.events.issuer(issuer, "Check", &notice);
    }

    fn uids(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<IssuerKey, String>> {
        self.uids.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn note_uid(&self, issuer: &Issuer) {
        let before = self.uids().insert(issuer.key.clone(), issuer.uid.clone());
        if let Some(before) = before.filter(|before| *before != issuer.uid) {
            self.registry.forget(&before);
        }
    }

    fn forget(&self, key: &IssuerKey) {
        self.references.set(key, &[]);
        self.metrics.forget_issuer(key);
        if let Some(uid) = self.uids().remove(key) {
            self.registry.forget(&uid);
        }
    }
}

enum Prepared {
    /// A referred object is still being read.
    Loading,
    /// No signer can be made.
    Unready(Unready),
    /// A signer, and what it was made of.
    Signer(Recipe, Arc<dyn Signer>),
}

fn tolerance(recipe: Option<&Recipe>) -> x509::Tolerance {
    match recipe.map(|recipe| &recipe.ingredients) {
        Some(Ingredients::Pki { config, .. }) => config.tolerance.clone(),
        Some(Ingredients::MockCa { .. }) | None => x509::Tolerance::default(),
    }
}
