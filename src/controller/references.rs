//! The ConfigMaps and Secrets that issuers refer to: one watch for each object, by its name.
//!
//! A watch with `metadata.name=…` needs no more right than `resourceNames` gives, holds one object in memory
//! instead of a namespace's, and tells at once when a credential is corrected.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::queue::Queue;
use crate::api::IssuerKey;
use crate::decide::recipe::{Content, Reference, ReferenceKind};

/// The watched objects. Cheap to clone.
#[derive(Clone)]
pub struct References {
    client: Client,
    wake: Queue<IssuerKey>,
    watched: Arc<Mutex<HashMap<Reference, Watched>>>,
}

struct Watched {
    content: Content,
    users: BTreeSet<IssuerKey>,
    task: JoinHandle<()>,
}

/// After the answer that an object may not be read. Whoever grants the right sees it work within this.
const AGAIN: Duration = Duration::from_secs(15);

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl References {
    /// Watches nothing yet. A change wakes the issuers that refer to the object.
    #[must_use]
    pub fn new(client: Client, wake: Queue<IssuerKey>) -> Self {
        Self { client, wake, watched: Arc::default() }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Reference, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `issuer` refers to exactly these objects.
    pub fn set(&self, issuer: &IssuerKey, references: &[Reference]) {
        let mut watched = self.watched();
        for reference in references {
            watched
                .entry(reference.clone())
                .or_insert_with(|| Watched {
                    content: Content::Loading,
                    users: BTreeSet::new(),
                    task: self.watch(reference.clone()),
                })
                .users
                .insert(issuer.clone());
        }
        watched.retain(|reference, entry| {
            if !references.contains(reference) {
                entry.users.remove(issuer);
            }
            !entry.users.is_empty()
        });
    }

    /// What is known of an object.
    #[must_use]
    pub fn content(&self, reference: &Reference) -> Content {
        self.watched().get(reference).map_or(Content::Loading, |entry| entry.content.clone())
    }

    fn watch(&self, reference: Reference) -> JoinHandle<()> {
        let this = self.clone();
        tokio::spawn(async move {
            let namespace = reference.namespace.clone();
            match reference.kind {
                ReferenceKind::ConfigMap => {
                    let api = Api::<ConfigMap>::namespaced(this.client.clone(), &namespace);
                    this.follow(api, &reference, config_map_data).await;
                }
                ReferenceKind::Secret => {
                    let api = Api::<Secret>::namespaced(this.client.clone(), &namespace);
                    this.follow(api, &reference, secret_data).await;
                }
            }
        })
    }

    async fn follow<K>(&self, api: Api<K>, reference: &Reference, data: fn(K) -> BTreeMap<String, Vec<u8>>)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        loop {
            self.follow_once(api.clone(), reference, data).await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Follows the object until it may not be read. A watch that went on from there would say nothing when it may be
    /// again, as the object is what it was: it has to be read anew.
    async fn follow_once<K>(
        &self,
        api: Api<K>,
        reference: &Reference,
        data: fn(K) -> BTreeMap<String, Vec<u8>>,
    ) where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let mut states = std::pin::pin!(watcher::watch_object(api, &reference.name).default_backoff());
        while let Some(state) = states.next().await {
            let content = match state {
                Ok(Some(object)) => Content::Present(Arc::new(data(object))),
                Ok(None) => Content::Absent,
                Err(error) => {
                    tracing::warn!(%reference, %error, "a referred object cannot be read at present; trying again");
                    match unreadable(&error, reference) {
                        Some(why) => return self.update(reference, Content::Unreadable(why)),
                        None if self.content(reference) == Content::Loading => {
                            Content::Unreadable(format!("it cannot be read at present: {error}"))
                        }
                        // A watch that broke is made anew by itself; what was read is still the best we know.
                        None => continue,
                    }
                }
            };
            self.update(reference, content);
        }
    }

    fn update(&self, reference: &Reference, content: Content) {
        let mut watched = self.watched();
        let Some(entry) = watched.get_mut(reference) else { return };
        if entry.content == content {
            return;
        }
        tracing::info!(%reference, ?content, "a referred object changed");
        entry.content = content;
        for issuer in &entry.users {
            self.wake.now(issuer.clone());
        }
    }
}

/// Whether the error says that the object may not be read, and what to do.
fn unreadable(error: &watcher::Error, reference: &Reference) -> Option<String> {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))) = error
    else {
        return None;
    };
    let resource = match reference.kind {
        ReferenceKind::ConfigMap => "configmaps",
        ReferenceKind::Secret => "secrets",
    };
    (status.code == 403).then(|| {
        format!(
            "the controller has no permission; grant its ServiceAccount list and watch on {resource} \
             (resourceNames: [{}]) with a Role in namespace {}",
            reference.name, reference.namespace,
        )
    })
}

fn config_map_data(map: ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
    let binary = map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
    text.chain(binary).collect()
}

fn secret_data(secret: Secret) -> BTreeMap<String, Vec<u8>> {
    secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
}
