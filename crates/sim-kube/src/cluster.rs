//! The cluster: everything that the API server knows, and the one way in.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::admission::Admission;
use crate::authn::Authenticator;
use crate::chance::Chance;
use crate::controllers::Controllers;
use crate::fault::{Effect, Faults, Peer, Seen};
use crate::schemas::Schemas;
use crate::watch::{Watch, WatchId};
use crate::{Call, Failure, GroupResource, Identity, Registry, Store, builtin, meta, object, respond};

/// How a watch is answered that begins before the history does: a real server does both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpiredWatch {
    /// 200, and an ERROR as the only event.
    #[default]
    Event,
    /// The status is 410.
    Status,
}

/// How a cluster is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// What uids and generated names follow from.
    pub seed: u64,
    /// How long the history is kept; nothing to keep it until [`Cluster::compact`] is called.
    pub history: Option<SignedDuration>,
    /// How long the cluster's own controllers take to act on what they see.
    pub controllers_delay: SignedDuration,
    /// How a watch is answered that comes too late.
    pub expired_watch: ExpiredWatch,
    /// How often a quiet watch that wants to know is told how far it is. Shortly before its end it always is.
    pub bookmark_every: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            history: None,
            controllers_delay: SignedDuration::from_millis(100),
            expired_watch: ExpiredWatch::default(),
            bookmark_every: SignedDuration::from_mins(1),
        }
    }
}

/// What a request comes to.
#[derive(Debug)]
pub enum Answer {
    /// An answer that is complete.
    Response(Response<Bytes>),
    /// An answer that goes on: its head, and the watch to take its lines from.
    Watch(Response<()>, WatchId),
}

/// A Kubernetes API server and its storage.
pub struct Cluster {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) schemas: Schemas,
    pub(crate) options: Options,
    pub(crate) chance: Chance,
    pub(crate) admission: Vec<Box<dyn Admission>>,
    pub(crate) authenticator: Authenticator,
    pub(crate) controllers: Controllers,
    pub(crate) watches: BTreeMap<WatchId, Watch>,
    pub(crate) next_watch: u64,
    /// What the request under way is warned of.
    pub(crate) warnings: Vec<String>,
    faults: Faults,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("revision", &self.store.revision())
            .field("watches", &self.watches.len())
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// A cluster that began at `now`, with the namespaces and the roles that every cluster has.
    #[must_use]
    pub fn new(options: Options, now: Timestamp) -> Self {
        let mut cluster = Self {
            store: Store::new(),
            registry: Registry::built_in(),
            schemas: Schemas::default(),
            chance: Chance::new(options.seed),
            authenticator: Authenticator::new(options.seed),
            options,
            admission: Vec::new(),
            controllers: Controllers::default(),
            watches: BTreeMap::new(),
            next_watch: 0,
            warnings: Vec::new(),
            faults: Faults::default(),
        };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let namespace = json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": name,
                    "uid": cluster.chance.uid(),
                    "creationTimestamp": meta::time(now),
                    "labels": {"kubernetes.io/metadata.name": name},
                },
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            });
            cluster.store.put(now, &GroupResource::new("", "namespaces"), "", name, namespace);
        }
        for role in builtin::bootstrap() {
            let mut role = role.clone();
            let (api_version, kind) = (object::text(&role, "/apiVersion"), object::text(&role, "/kind"));
            let Some(kind) = cluster.registry.of_object(api_version, kind).cloned() else { continue };
            meta::begin(&kind, &mut role, "", now, &mut cluster.chance);
            let name = object::name(&role).to_owned();
            cluster.store.put(now, &kind.storage, "", &name, role);
        }
        cluster.observe(now);
        cluster
    }

    /// A cluster that goes on from what is stored in this one, history and all, with another seed. Watches, faults,
    /// admission and tokens do not come along.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        let options = Options { seed, ..self.options.clone() };
        Self {
            store: self.store.clone(),
            registry: self.registry.clone(),
            schemas: self.schemas.clone(),
            chance: Chance::new(seed),
            authenticator: Authenticator::new(seed),
            options,
            admission: Vec::new(),
            controllers: self.controllers.clone(),
            watches: BTreeMap::new(),
            next_watch: 0,
            warnings: Vec::new(),
            faults: Faults::default(),
        }
    }

    /// Whom the cluster believes.
    #[must_use]
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// Whom the cluster believes, to be told of more.
    pub fn authenticator_mut(&mut self) -> &mut Authenticator {
        &mut self.authenticator
    }

    /// Who sends a request, by its headers and by the certificate of its connection.
    pub fn authenticate(
        &self,
        now: Timestamp,
        headers: &HeaderMap,
        certificate: Option<&Identity>,
    ) -> Result<Identity, Failure> {
        self.authenticator.request(&self.store, headers, certificate, now)
    }

    /// What is stored, and its history.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The kinds that are served.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Gives somebody a say in every write, after those who already have one.
    pub fn add_admission(&mut self, admission: impl Admission + 'static) {
        self.admission.push(Box::new(admission));
    }

    /// The faults that are installed.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Forgets the history before `revision`: who wants to go on from there comes too late.
    pub fn compact(&mut self, revision: u64) {
        self.store.compact(revision);
    }

    /// What the installed faults do to a request. A skin asks once for each, before it hands it to
    /// [`Self::handle`], and does what it is told.
    #[must_use]
    pub fn verdict<B>(&self, now: Timestamp, request: &Request<B>, identity: &Identity) -> Effect {
        if !self.faults.any() {
            return Effect::Pass;
        }
        let call = Call::read(request.method(), request.uri()).ok().flatten();
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
        self.faults.verdict(&Seen {
            now,
            peer: &peer,
            user: identity,
            call: call.as_ref(),
            path: request.uri().path(),
        })
    }

    /// Carries out a request that `identity` makes at `now`.
    pub fn handle(&mut self, now: Timestamp, request: &Request<Bytes>, identity: &Identity) -> Answer {
        self.tick(now);
        let mut answer = self
            .answer(now, request, identity)
            .unwrap_or_else(|failure| Answer::Response(respond::failed(&failure)));
        let headers = match &mut answer {
            Answer::Response(response) => response.headers_mut(),
            Answer::Watch(head, _) => head.headers_mut(),
        };
        respond::mark(headers);
        respond::warn(headers, &std::mem::take(&mut self.warnings));
        if let (&Method::HEAD, Answer::Response(response)) = (request.method(), &mut answer) {
            response.body_mut().clear();
        }
        self.observe(now);
        answer
    }

    /// The revision that a client is shown when any will do.
    pub(crate) fn view(&self, peer: &Peer) -> u64 {
        let current = self.store.revision();
        // What is forgotten cannot be shown.
        self.faults.frozen_at(peer).map_or(current, |frozen| frozen.clamp(self.store.compacted(), current))
    }
}
