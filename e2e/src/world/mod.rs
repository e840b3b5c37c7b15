//! The world of one scenario: a namespace of its own on a cluster that others share, a controller, and PKIs.
//!
//! It does not say how the cluster or the controller came to be, and a scenario cannot ask.

mod certificates;
mod check;
mod csr;
mod dice;
mod end;
mod issuers;
mod observe;
mod permission;
mod secret;
mod story;
mod wait;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use external_issuer::clock::SharedClock;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kube::{Client, Resource};
use serde_json::Value;

use crate::Result;
use crate::audit::{Audit, Call};
use crate::controller::Controller;
use crate::manifest;
use crate::pki::Pkis;

pub use certificates::key;
pub use csr::{Authority, Csr};
pub use dice::Dice;
pub use end::Pictures;
pub use issuers::{Issuer, Kind};
pub use secret::Pair;
pub use wait::{LONG, PROMPTLY, SOON, matches, revision_of};

/// What an arm brings, once for all scenarios.
#[derive(Clone)]
pub struct Ground {
    /// An administrator's client: it plays users, approvers and the tests' own eyes.
    pub client: Client,
    /// The controller.
    pub controller: Arc<dyn Controller>,
    /// The PKIs.
    pub pkis: Arc<dyn Pkis>,
    /// Who did what, where the cluster tells.
    pub audit: Arc<dyn Audit>,
    /// How many refused calls outside the scenarios' own namespaces have failed a scenario already.
    pub judged: Arc<AtomicUsize>,
    /// The user name of the controller.
    pub controller_user: String,
    /// The cluster resource namespace.
    pub system: String,
    /// The Role and its binding that let the controller read a tenant's ConfigMaps and Secrets, as we ship it.
    pub tenant_role: Vec<Value>,
    /// The time of day, by the cluster's clock.
    pub clock: SharedClock,
    /// What is done with what scenarios leave.
    pub pictures: Pictures,
}

/// All that a scenario may touch.
pub struct World {
    /// An administrator's client.
    pub client: Client,
    /// The scenario's own namespace.
    pub namespace: String,
    /// The cluster resource namespace, shared with others.
    pub system: String,
    /// The controller.
    pub controller: Arc<dyn Controller>,
    /// The seed of everything random.
    pub seed: u64,
    ground: Ground,
    /// Texts that must never be seen in a log, an event or a status.
    canaries: Mutex<Vec<String>>,
    /// Cluster-scoped objects to remove.
    cluster_objects: Mutex<Vec<Value>>,
    /// What cert-manager's approver was taken away and has not been given back.
    withdrawn: Mutex<Option<ClusterRoleBinding>>,
    /// How long the controller's log was when the scenario began.
    log_begins: usize,
    /// Calls of the controller that may be refused, by resource.
    may_be_refused: Mutex<Vec<String>>,
    /// What is not determined of what the scenario leaves: objects and places in them.
    undetermined: Mutex<Vec<(String, String)>>,
}

impl World {
    /// A world with a fresh namespace, named after the scenario.
    pub async fn new(ground: &Ground, scenario: &str, seed: u64) -> Result<Self> {
        let slug: String = scenario
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let slug = slug.get(..slug.len().min(45)).unwrap_or_default().trim_matches('-');
        let namespaces: Api<Namespace> = Api::all(ground.client.clone());
        let made = namespaces
            .create(
                &PostParams::default(),
                &Namespace {
                    metadata: ObjectMeta {
                        generate_name: Some(format!("{slug}-")),
                        labels: Some(BTreeMap::from([("e2e".to_owned(), "scenario".to_owned())])),
                        ..ObjectMeta::default()
                    },
                    ..Namespace::default()
                },
            )
            .await?;
        let world = Self {
            client: ground.client.clone(),
            namespace: made.metadata.name.unwrap_or_default(),
            system: ground.system.clone(),
            controller: Arc::clone(&ground.controller),
            seed,
            log_begins: ground.controller.log().len(),
            ground: ground.clone(),
            canaries: Mutex::default(),
            cluster_objects: Mutex::default(),
            withdrawn: Mutex::default(),
            may_be_refused: Mutex::default(),
            undetermined: Mutex::default(),
        };
        world.grant_tenant_role(&world.namespace).await?;
        Ok(world)
    }

    /// The API of a namespaced kind in the scenario's namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The API of a cluster-scoped kind.
    #[must_use]
    pub fn cluster_api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    /// Applies a manifest; a namespaced object that names no namespace goes to the scenario's own.
    pub async fn apply(&self, manifest: Value) -> Result {
        manifest::apply(&self.client, manifest, &self.namespace).await.map(drop)
    }

    /// The time of day, by the cluster's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ground.clock.now()
    }

    /// The PKIs.
    #[must_use]
    pub fn pkis(&self) -> &dyn Pkis {
        self.ground.pkis.as_ref()
    }

    /// From now on this text must not be seen in a log, an event or a status.
    pub fn keep_secret(&self, canary: &str) {
        lock(&self.canaries).push(canary.to_owned());
    }

    /// The scenario takes a permission away, so the controller's calls on this resource may be refused.
    pub fn may_be_refused(&self, resource: &str) {
        lock(&self.may_be_refused).push(resource.to_owned());
    }

    /// The controller's calls to the API server that concern the scenario's namespace.
    pub fn controller_calls(&self, select: impl Fn(&Call) -> bool) -> Result<Vec<Call>> {
        let user = &self.ground.controller_user;
        self.ground
            .audit
            .calls(&|call| call.user == *user && call.namespace == self.namespace && select(call))
    }

    /// Everybody's calls to the API server that concern the scenario's namespace.
    pub fn calls(&self, select: impl Fn(&Call) -> bool) -> Result<Vec<Call>> {
        self.ground.audit.calls(&|call| call.namespace == self.namespace && select(call))
    }

    /// Removes what the scenario made and gives back what it took, however it ended; the namespace goes by and by.
    /// One that cannot be removed does not keep the others.
    pub async fn tear_down(self) -> Result {
        let mut ended = self.give_back().await;
        let objects = std::mem::take(&mut *lock(&self.cluster_objects));
        for object in objects {
            ended = ended.and(self.delete(&object).await);
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        match namespaces.delete(&self.namespace, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => ended,
            other => ended.and(other.map(drop).map_err(Into::into)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
