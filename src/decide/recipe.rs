//! What an issuer refers to, and whether a signer can be made of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::patch::tidy;
use crate::api::issuer::MockCaSpec;
use crate::api::{IssuerKey, IssuerSpec, SignerType};
use crate::config::{Backend, PkiConfig, VaultAuth};

/// A ConfigMap or a Secret that an issuer refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Which of the two.
    pub kind: ReferenceKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What an issuer may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ReferenceKind::ConfigMap => "ConfigMap",
            ReferenceKind::Secret => "Secret",
        };
        write!(f, "{kind} {}/{}", self.namespace, self.name)
    }
}

/// What is known of a referred object.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Not read yet.
    Loading,
    /// It does not exist.
    Absent,
    /// It cannot be read, and why.
    Unreadable(String),
    /// Its data.
    Present(Arc<BTreeMap<String, Vec<u8>>>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loading => f.write_str("Loading"),
            Self::Absent => f.write_str("Absent"),
            Self::Unreadable(why) => f.debug_tuple("Unreadable").field(why).finish(),
            // A Secret's data has no place in a log.
            Self::Present(data) => f.debug_tuple("Present").field(&data.keys().collect::<Vec<_>>()).finish(),
        }
    }
}

/// An issuer cannot be served, and what its condition says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// The condition's reason.
    pub reason: &'static str,
    /// The condition's message.
    pub message: String,
}

fn unready(reason: &'static str, message: impl Into<String>) -> Unready {
    Unready { reason, message: message.into() }
}

/// Everything a signer is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Which signer.
    pub ingredients: Ingredients,
    /// SHA-256 (hex) of the configuration: of the ConfigMap's text, or of the mock CA's options.
    pub config_hash: String,
}

/// What a signer is made of.
#[derive(Clone, PartialEq, Eq)]
pub enum Ingredients {
    /// A PKI, and the credential's bytes.
    Pki {
        /// The parsed document.
        config: Box<PkiConfig>,
        /// The Secret's value.
        credential: Vec<u8>,
    },
    /// A mock CA, and the user's CA certificate and key if given.
    MockCa {
        /// Its options.
        spec: MockCaSpec,
        /// `tls.crt` and `tls.key`.
        ca: Option<(Vec<u8>, Vec<u8>)>,
    },
}

impl fmt::Debug for Ingredients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pki { config, .. } => f.debug_struct("Pki").field("config", config).finish_non_exhaustive(),
            Self::MockCa { spec, .. } => f.debug_struct("MockCa").field("spec", spec).finish_non_exhaustive(),
        }
    }
}

/// The objects that an issuer refers to. `cluster_namespace` is the cluster resource namespace.
///
/// The boundary is here: a namespaced issuer refers to its own namespace alone, a cluster issuer to the cluster
/// resource namespace alone; anything else is an error and is never read.
pub fn references(
    key: &IssuerKey,
    spec: &IssuerSpec,
    cluster_namespace: &str,
) -> Result<Vec<Reference>, Unready> {
    let own = key.namespace.as_deref().unwrap_or(cluster_namespace);
    let refer = |field: &str, kind, name: &str, namespace: Option<&str>| {
        if let Some(other) = namespace.filter(|namespace| *namespace != own) {
            let rule = match key.namespace {
                Some(_) => "an ExternalIssuer reads its own namespace only".to_owned(),
                None => format!("an ExternalClusterIssuer reads the cluster resource namespace {own} only"),
            };
            return Err(unready(
                "NamespaceNotAllowed",
                format!("spec.{field} names namespace {other}: {rule}"),
            ));
        }
        Ok(Reference { kind, namespace: own.to_owned(), name: name.to_owned() })
    };
    let mut found = Vec::new();
    if let Some(config) = spec.config_ref.as_ref().filter(|_| spec.signer_type == SignerType::Pki) {
        found.push(refer("configRef", ReferenceKind::ConfigMap, &config.name, config.namespace.as_deref())?);
    }
    if let Some(secret) = spec.auth_secret_ref.as_ref().filter(|_| spec.signer_type == SignerType::Pki) {
        found.push(refer("authSecretRef", ReferenceKind::Secret, &secret.name, secret.namespace.as_deref())?);
    }
    let ca_secret = spec.mockca.as_ref().and_then(|mockca| mockca.ca_secret_ref.as_ref());
    if let Some(secret) = ca_secret.filter(|_| spec.signer_type == SignerType::MockCa) {
        let field = "mockca.caSecretRef";
        found.push(refer(field, ReferenceKind::Secret, &secret.name, secret.namespace.as_deref())?);
    }
    Ok(found)
}

/// Reads the referred objects into a recipe for a signer. `content` gives what is known of each.
pub fn plan(
    key: &IssuerKey,
    spec: &IssuerSpec,
    cluster_namespace: &str,
    content: impl Fn(&Reference) -> Content,
) -> Result<Recipe, Unready> {
    let references = references(key, spec, cluster_namespace)?;
    let of_kind = |kind| references.iter().find(|reference| reference.kind == kind);
    match spec.signer_type {
        SignerType::MockCa => plan_mockca(spec, of_kind(ReferenceKind::Secret), content),
        SignerType::Pki => {
            let (Some(config_ref), Some(reference)) = (&spec.config_ref, of_kind(ReferenceKind::ConfigMap))
            else {
                return Err(unready("ConfigRefMissing", "signerType pki needs spec.configRef"));
            };
            let text = entry(reference, &config_ref.key, &content(reference))?;
            let text = String::from_utf8(text).map_err(|_| {
                unready("ConfigInvalid", format!("{reference}, key {}: is not UTF-8 text", config_ref.key))
            })?;
            let config = crate::config::parse(&text).map_err(|error| {
                unready("ConfigInvalid", tidy(&format!("{reference}, key {}: {error}", config_ref.key)))
            })?;
            let credential = credential(spec, &config, of_kind(ReferenceKind::Secret), content)?;
            let config_hash = x509::hex(&Sha256::digest(text.as_bytes()));
            let ingredients = Ingredients::Pki { config: Box::new(config), credential };
            Ok(Recipe { ingredients, config_hash })
        }
    }
}

fn credential(
    spec: &IssuerSpec,
    config: &PkiConfig,
    reference: Option<&Reference>,
    content: impl Fn(&Reference) -> Content,
) -> Result<Vec<u8>, Unready> {
    let default_key = match &config.backend {
        Backend::Vault(vault) => vault.auth.default_secret_key(),
    };
    let (Some(secret_ref), Some(reference)) = (&spec.auth_secret_ref, reference) else {
        let login = match &config.backend {
            Backend::Vault(vault) => match vault.auth {
                VaultAuth::Token => "vault.auth.method token",
                VaultAuth::AppRole { .. } => "vault.auth.method appRole",
            },
        };
        let message = format!("{login} needs spec.authSecretRef: a Secret with key {default_key}");
        return Err(unready("AuthSecretRefMissing", message));
    };
    let key = secret_ref.key.as_deref().unwrap_or(default_key);
    entry(reference, key, &content(reference))
}

fn plan_mockca(
    spec: &IssuerSpec,
    secret: Option<&Reference>,
    content: impl Fn(&Reference) -> Content,
) -> Result<Recipe, Unready> {
    let options = spec.mockca.clone().unwrap_or_default();
    let ca = match secret {
        None => None,
        Some(reference) => {
            let data = content(reference);
            Some((entry(reference, "tls.crt", &data)?, entry(reference, "tls.key", &data)?))
        }
    };
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(&options).unwrap_or_default());
    if let Some((certificate, _)) = &ca {
        hash.update(certificate);
    }
    let config_hash = x509::hex(&hash.finalize());
    Ok(Recipe { ingredients: Ingredients::MockCa { spec: options, ca }, config_hash })
}

/// One key of a referred object, or what its absence means.
fn entry(reference: &Reference, key: &str, content: &Content) -> Result<Vec<u8>, Unready> {
    let (not_found, no_key) = match reference.kind {
        ReferenceKind::ConfigMap => ("ConfigMapNotFound", "ConfigMapKeyMissing"),
        ReferenceKind::Secret => ("SecretNotFound", "SecretKeyMissing"),
    };
    match content {
        Content::Loading => Err(unready("Loading", format!("reading {reference}"))),
        Content::Absent => Err(unready(not_found, format!("{reference} does not exist; waiting for it"))),
        Content::Unreadable(why) => {
            Err(unready("NotReadable", tidy(&format!("{reference} cannot be read: {why}"))))
        }
        Content::Present(data) => data.get(key).cloned().ok_or_else(|| {
            let there: Vec<&str> = data.keys().map(String::as_str).take(10).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            unready(no_key, tidy(&format!("{reference} has no key {key}; its keys: {there}")))
        }),
    }
}
