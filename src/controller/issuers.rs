//! The issuers: what the watch told of them, and how they stand since their last check.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::version;
use crate::api::{ExternalClusterIssuer, ExternalIssuer, IssuerKey, IssuerKind, IssuerSpec, IssuerStatus};
use crate::decide::recipe::Recipe;
use crate::decide::{IssuerView, Terms};
use crate::signer::Signer;

/// An issuer of either kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Issuer {
    /// Which.
    pub key: IssuerKey,
    /// Its uid.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// The version that was read.
    pub resource_version: Option<String>,
    /// What it wants.
    pub spec: IssuerSpec,
    /// What its status says.
    pub status: IssuerStatus,
}

impl From<ExternalIssuer> for Issuer {
    fn from(object: ExternalIssuer) -> Self {
        let metadata = object.metadata;
        Self {
            key: IssuerKey {
                kind: IssuerKind::Issuer,
                namespace: metadata.namespace,
                name: metadata.name.unwrap_or_default(),
            },
            uid: metadata.uid.unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            resource_version: metadata.resource_version,
            spec: object.spec,
            status: object.status.unwrap_or_default(),
        }
    }
}

impl From<ExternalClusterIssuer> for Issuer {
    fn from(object: ExternalClusterIssuer) -> Self {
        let metadata = object.metadata;
        Self {
            key: IssuerKey {
                kind: IssuerKind::ClusterIssuer,
                namespace: None,
                name: metadata.name.unwrap_or_default(),
            },
            uid: metadata.uid.unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            resource_version: metadata.resource_version,
            spec: object.spec.0,
            status: object.status.unwrap_or_default(),
        }
    }
}

/// What an issuer signs with.
pub type SharedSigner = Arc<dyn Signer>;

/// How an issuer stood when it was last checked.
#[derive(Clone)]
pub struct Standing {
    /// The generation that was checked.
    pub generation: i64,
    /// Whether requests may be signed.
    pub ready: bool,
    /// What its condition says.
    pub message: String,
    /// What it grants its requests.
    pub terms: Terms,
    /// What the signer was made of.
    pub recipe: Option<Recipe>,
    /// The signer, if one could be made.
    pub signer: Option<SharedSigner>,
    /// How many checks in a row failed.
    pub failures: u32,
}

/// The store of issuers.
#[derive(Default)]
pub struct Issuers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// By key, so that what is worked on in turn has an order.
    entries: BTreeMap<IssuerKey, Entry>,
    listed: HashMap<IssuerKind, HashSet<IssuerKey>>,
}

struct Entry {
    issuer: Arc<Issuer>,
    standing: Option<Arc<Standing>>,
}

impl Issuers {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watch of a kind begins to list anew.
    pub fn list_begins(&self, kind: IssuerKind) {
        self.inner().listed.insert(kind, HashSet::new());
    }

    /// The list is complete. Returns the issuers that are gone.
    pub fn list_ends(&self, kind: IssuerKind) -> Vec<IssuerKey> {
        let mut inner = self.inner();
        let Some(listed) = inner.listed.remove(&kind) else { return Vec::new() };
        let gone: Vec<IssuerKey> =
            inner.entries.keys().filter(|key| key.kind == kind && !listed.contains(key)).cloned().collect();
        for key in &gone {
            inner.entries.remove(key);
        }
        gone
    }

    /// The watch showed an issuer. Returns whether there is something to check: it is new, or its spec is.
    pub fn seen(&self, issuer: Issuer) -> bool {
        let mut inner = self.inner();
        let key = issuer.key.clone();
        if let Some(listed) = inner.listed.get_mut(&key.kind) {
            listed.insert(key.clone());
        }
        match inner.entries.get_mut(&key) {
            Some(entry) if entry.issuer.uid == issuer.uid => {
                if version::is_older(
                    issuer.resource_version.as_deref(),
                    entry.issuer.resource_version.as_deref(),
                ) {
                    return false;
                }
                let new_spec = entry.issuer.generation != issuer.generation;
                entry.issuer = Arc::new(issuer);
                new_spec
            }
            _ => {
                inner.entries.insert(key, Entry { issuer: Arc::new(issuer), standing: None });
                true
            }
        }
    }

    /// Whether there is such an issuer.
    #[must_use]
    pub fn is_known(&self, key: &IssuerKey) -> bool {
        self.inner().entries.contains_key(key)
    }

    /// All of them.
    #[must_use]
    pub fn keys(&self) -> Vec<IssuerKey> {
        self.inner().entries.keys().cloned().collect()
    }

    /// The issuer is gone.
    pub fn gone(&self, key: &IssuerKey) {
        self.inner().entries.remove(key);
    }

    /// The issuer and its standing.
    #[must_use]
    pub fn entry(&self, key: &IssuerKey) -> Option<(Arc<Issuer>, Option<Arc<Standing>>)> {
        self.inner().entries.get(key).map(|entry| (Arc::clone(&entry.issuer), entry.standing.clone()))
    }

    /// The issuer was checked. Nothing happens if it was made anew meanwhile.
    pub fn checked(&self, key: &IssuerKey, uid: &str, standing: Standing) {
        if let Some(entry) = self.inner().entries.get_mut(key)
            && entry.issuer.uid == uid
        {
            entry.standing = Some(Arc::new(standing));
        }
    }

    /// We wrote the issuer's status, and this is how it stands now.
    pub fn written(&self, issuer: Issuer) {
        if let Some(entry) = self.inner().entries.get_mut(&issuer.key)
            && entry.issuer.uid == issuer.uid
            && entry.issuer.generation == issuer.generation
        {
            entry.issuer = Arc::new(issuer);
        }
    }

    /// What a request sees of an issuer, and the signer that goes with it.
    #[must_use]
    pub fn view(&self, key: &IssuerKey) -> (IssuerView, Option<SharedSigner>) {
        let Some((issuer, standing)) = self.entry(key) else { return (IssuerView::Missing, None) };
        match standing {
            None => (IssuerView::Unchecked, None),
            Some(standing) if !standing.ready => {
                (IssuerView::NotReady { message: standing.message.clone() }, None)
            }
            Some(standing) => {
                let view = IssuerView::Ready {
                    generation: issuer.generation,
                    checked_generation: standing.generation,
                    terms: standing.terms.clone(),
                };
                (view, standing.signer.clone())
            }
        }
    }
}
