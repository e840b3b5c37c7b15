//! Issuers: CA certificates, with their keys where this mount has them.

use std::sync::Arc;

use ca::{Authority, KeyAlgorithm, SigningKey};
use serde_json::{Map, Value, json};
use x509::Certificate;

use crate::{random, vault::pki::output};

/// One issuer. What every answer repeats is encoded once, here.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
    pub(crate) key_id: String,
    /// Its own certificate first, then its issuers as far as this mount knows them.
    pub(crate) chain: Vec<Certificate>,
    /// The chain as PEM, without final newlines.
    pub(crate) chain_pem: Vec<String>,
    /// How its CRLs are signed, as Go names it; empty for what was imported.
    pub(crate) revocation_algorithm: &'static str,
    /// Absent when only the certificate was imported.
    pub(crate) authority: Option<Arc<Authority>>,
}

/// A key that waits for its certificate (`intermediate/generate`).
pub(crate) struct PendingKey {
    pub(crate) id: String,
    pub(crate) key: SigningKey,
}

/// All issuers of a mount.
#[derive(Default)]
pub(crate) struct Issuers {
    pub(super) all: Vec<Arc<Issuer>>,
    pub(super) default: Option<Arc<str>>,
    pub(super) pending: Vec<PendingKey>,
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuers").field("all", &self.all.len()).finish_non_exhaustive()
    }
}

/// The most keys that may wait: a client that only generates must not fill the memory.
const MAX_PENDING: usize = 64;

impl Issuers {
    /// Adds a CA with its key. The first becomes the default.
    pub(crate) fn adopt(&mut self, authority: Arc<Authority>, name: &str, id: Arc<str>) -> Arc<Issuer> {
        let chain = authority.chain().to_vec();
        let algorithm = go_name(authority.key().algorithm());
        self.add(id, chain, Some(authority), name, random::uuid(), algorithm)
    }

    fn add(
        &mut self,
        id: Arc<str>,
        chain: Vec<Certificate>,
        authority: Option<Arc<Authority>>,
        name: &str,
        key_id: String,
        revocation_algorithm: &'static str,
    ) -> Arc<Issuer> {
        let issuer = Arc::new(Issuer {
            id,
            name: name.to_owned(),
            key_id: if authority.is_some() { key_id } else { String::new() },
            chain_pem: chain.iter().map(output::pem).collect(),
            chain,
            revocation_algorithm,
            authority,
        });
        if issuer.authority.is_some() && self.default.is_none() {
            self.default = Some(Arc::clone(&issuer.id));
        }
        self.all.push(Arc::clone(&issuer));
        issuer
    }

    /// Keeps a key until its certificate arrives. Gives the key's id.
    pub(crate) fn wait(&mut self, key: SigningKey) -> String {
        if self.pending.len() >= MAX_PENDING {
            self.pending.remove(0);
        }
        let id = random::uuid();
        self.pending.push(PendingKey { id: id.clone(), key });
        id
    }

    /// Takes in signed certificates: the first that answers a waiting key becomes an issuer with a key, the
    /// others issuers without. Those that are known already are left. Gives pairs of issuer id and key id.
    pub(crate) fn import(
        &mut self,
        certificates: &[Certificate],
    ) -> Result<Vec<(Arc<str>, String)>, ca::CaError> {
        let mut imported = Vec::new();
        for certificate in certificates {
            if self
                .all
                .iter()
                .any(|issuer| issuer.chain.first().is_some_and(|own| own.der() == certificate.der()))
            {
                continue;
            }
            let waiting = self.pending.iter().position(|pending| certificate.has_key(pending.key.spki_der()));
            let chain = self.chain_of(certificate, certificates);
            let own_id = random::uuid().into();
            let issuer = match waiting.map(|at| self.pending.remove(at)) {
                Some(pending) => {
                    let authority = Authority::from_certificates(chain.clone(), pending.key)?;
                    self.add(own_id, chain, Some(Arc::new(authority)), "", pending.id, "")
                }
                None => self.add(own_id, chain, None, "", String::new(), ""),
            };
            imported.push((Arc::clone(&issuer.id), issuer.key_id.clone()));
        }
        Ok(imported)
    }

    fn chain_of(&self, certificate: &Certificate, given: &[Certificate]) -> Vec<Certificate> {
        let known = self.all.iter().filter_map(|issuer| issuer.chain.first());
        let all: Vec<&Certificate> = given.iter().chain(known).collect();
        let mut chain = vec![certificate.clone()];
        while let Some(last) = chain.last().filter(|last| !last.is_self_issued() && chain.len() < 16) {
            let Some(next) = all.iter().find(|issuer| last.is_signed_by(issuer)) else { break };
            let next = Certificate::clone(next);
            chain.push(next);
        }
        chain
    }

    /// Those that can sign.
    pub(crate) fn with_keys(&self) -> Vec<Arc<Issuer>> {
        self.all.iter().filter(|issuer| issuer.authority.is_some()).map(Arc::clone).collect()
    }

    pub(crate) fn default_issuer(&self) -> Option<&Arc<Issuer>> {
        let default = self.default.as_ref()?;
        self.all.iter().find(|issuer| issuer.id == *default)
    }

    /// By id, by name, or `default`.
    pub(crate) fn find(&self, reference: &str) -> Option<Arc<Issuer>> {
        if reference == "default" {
            return self.default_issuer().map(Arc::clone);
        }
        let named = |issuer: &&Arc<Issuer>| &*issuer.id == reference || issuer.name == reference;
        self.all.iter().find(named).map(Arc::clone)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn list(&self) -> Value {
        let mut info = Map::new();
        let mut keys = Vec::new();
        for issuer in &self.all {
            keys.push(issuer.id.to_string());
            let entry = json!({
                "is_default": self.default.as_ref() == Some(&issuer.id),
                "issuer_name": issuer.name,
                "key_id": issuer.key_id,
                "serial_number": issuer.chain.first().map(output::serial),
            });
            info.insert(issuer.id.to_string(), entry);
        }
        keys.sort_unstable();
        json!({ "key_info": info, "keys": keys })
    }
}

pub(super) const fn go_name(algorithm: KeyAlgorithm) -> &'static str {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => "ECDSAWithSHA256",
        KeyAlgorithm::EcdsaP384 => "ECDSAWithSHA384",
        KeyAlgorithm::EcdsaP521 => "ECDSAWithSHA512",
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => "SHA256WithRSA",
        KeyAlgorithm::Ed25519 => "PureEd25519",
    }
}
