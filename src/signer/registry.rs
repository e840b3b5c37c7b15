//! The backends: one line each, from a parsed configuration to a [`Signer`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ca::{Authority, KeyAlgorithm};

use super::Signer;
use super::http::{HttpClient, TlsError, Transport};
use super::mockca::{self, MockCa, MockCaError};
use super::secret::SecretText;
use super::vault::{CredentialError, VaultSigner};
use crate::api::issuer::MockCaSpec;
use crate::clock::SharedClock;
use crate::config::{Backend, Patience, PkiConfig};

/// Makes signers. Remembers the mock CAs it made, so that an issuer keeps its CA when its signer is made anew.
pub struct Registry {
    clock: SharedClock,
    transport: Option<Arc<dyn Transport>>,
    mock_cas: Mutex<HashMap<String, (KeyAlgorithm, Arc<Authority>)>>,
}

/// A signer cannot be made, and what the issuer's condition says about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// The condition's reason.
    pub reason: &'static str,
    /// The condition's message.
    pub message: String,
}

impl Registry {
    /// A registry that knows the time. Its signers call their PKIs over the network, or by `transport`.
    #[must_use]
    pub fn new(clock: SharedClock, transport: Option<Arc<dyn Transport>>) -> Self {
        Self { clock, transport, mock_cas: Mutex::default() }
    }

    /// The signer of a PKI. Nothing is sent to it yet.
    pub fn pki(
        &self,
        config: &PkiConfig,
        credential: SecretText,
        patience: &Patience,
    ) -> Result<Arc<dyn Signer>, BuildError> {
        let timeout = patience.request_timeout;
        match &config.backend {
            Backend::Vault(vault) => {
                let http = match &self.transport {
                    None => HttpClient::new(&vault.url, &config.tls, timeout)?,
                    Some(transport) => HttpClient::in_process(Arc::clone(transport), timeout),
                };
                Ok(Arc::new(VaultSigner::new(http, vault, credential)?))
            }
        }
    }

    /// The signer of a mock CA: the user's (`tls.crt`, `tls.key`), or one that is made for this issuer and kept.
    pub async fn mockca(
        &self,
        issuer_uid: &str,
        issuer_name: &str,
        spec: &MockCaSpec,
        ca: Option<(&[u8], &[u8])>,
    ) -> Result<Arc<dyn Signer>, BuildError> {
        let authority = if let Some((certificates, key)) = ca {
            let read = mockca::read_authority(certificates, key, self.clock.now());
            Arc::new(read.map_err(|error| secret_problem(&error))?)
        } else {
            let algorithm = spec.key_algorithm.unwrap_or_default().into();
            self.own_authority(issuer_uid, issuer_name, algorithm).await?
        };
        let pending_for = spec.pending_for.map_or(Duration::ZERO, |duration| duration.0);
        Ok(Arc::new(MockCa::new(authority, pending_for, Arc::clone(&self.clock))))
    }

    /// Forgets the CA of an issuer that was deleted.
    pub fn forget(&self, issuer_uid: &str) {
        self.mock_cas().remove(issuer_uid);
    }

    async fn own_authority(
        &self,
        uid: &str,
        name: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<Arc<Authority>, BuildError> {
        if let Some((_, authority)) = self.mock_cas().get(uid).filter(|(kept, _)| *kept == algorithm) {
            return Ok(Arc::clone(authority));
        }
        let (name, now) = (name.to_owned(), self.clock.now());
        let making = tokio::task::spawn_blocking(move || mockca::new_authority(&name, algorithm, now));
        let made = making.await.map_err(|error| made_none(&error))?.map_err(|error| made_none(&error))?;
        let mut kept = self.mock_cas();
        // Of two that were made at the same time, the first one stays.
        if let Some((_, first)) = kept.get(uid).filter(|(kept, _)| *kept == algorithm) {
            return Ok(Arc::clone(first));
        }
        let made = Arc::new(made);
        kept.insert(uid.to_owned(), (algorithm, Arc::clone(&made)));
        Ok(made)
    }

    /// A panic while it was held leaves the map whole: each change is one insertion or removal.
    fn mock_cas(&self) -> MutexGuard<'_, HashMap<String, (KeyAlgorithm, Arc<Authority>)>> {
        self.mock_cas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn secret_problem(error: &MockCaError) -> BuildError {
    BuildError { reason: "CaSecretInvalid", message: format!("the Secret of mockca.caSecretRef: {error}") }
}

fn made_none(error: &dyn fmt::Display) -> BuildError {
    BuildError { reason: "MockCaFailed", message: format!("could not make a mock CA: {error}") }
}

impl From<TlsError> for BuildError {
    fn from(error: TlsError) -> Self {
        Self { reason: "ConfigInvalid", message: error.to_string() }
    }
}

impl From<CredentialError> for BuildError {
    fn from(error: CredentialError) -> Self {
        Self { reason: "CredentialInvalid", message: error.to_string() }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("mock_cas", &self.mock_cas().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
