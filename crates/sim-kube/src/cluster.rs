//! The cluster: everything that the API server knows, and the one way in.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::admission::Admission;
use crate::chance::Chance;
use crate::controllers::Controllers;
use crate::fault::{Effect, Faults, Peer, Seen};
use crate::schemas::Schemas;
use crate::verbs::{Reply, Request};
use crate::watch::{Watch, WatchId};
use crate::{Call, Failure, GroupResource, Identity, Registry, Store, Verb, meta};

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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            history: None,
            controllers_delay: SignedDuration::from_millis(100),
            expired_watch: ExpiredWatch::default(),
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
    pub(crate) controllers: Controllers,
    pub(crate) watches: BTreeMap<WatchId, Watch>,
    pub(crate) next_watch: u64,
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
    /// A cluster that began at `now`, with the namespaces that every cluster has.
    #[must_use]
    pub fn new(options: Options, now: Timestamp) -> Self {
        let mut cluster = Self {
            store: Store::new(),
            registry: Registry::built_in(),
            schemas: Schemas::default(),
            chance: Chance::new(options.seed),
            options,
            admission: Vec::new(),
            controllers: Controllers::default(),
            watches: BTreeMap::new(),
            next_watch: 0,
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
        cluster.observe(now);
        cluster
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
    pub fn verdict<B>(&self, now: Timestamp, request: &http::Request<B>, identity: &Identity) -> Effect {
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
    pub fn handle(&mut self, now: Timestamp, request: &http::Request<Bytes>, identity: &Identity) -> Answer {
        self.tick(now);
        let answer =
            self.answer(now, request, identity).unwrap_or_else(|failure| Answer::Response(failed(&failure)));
        self.observe(now);
        answer
    }

    /// The revision that a client is shown when any will do.
    pub(crate) fn view(&self, peer: &Peer) -> u64 {
        let current = self.store.revision();
        // What is forgotten cannot be shown.
        self.faults.frozen_at(peer).map_or(current, |frozen| frozen.clamp(self.store.compacted(), current))
    }

    fn answer(
        &mut self,
        now: Timestamp,
        request: &http::Request<Bytes>,
        identity: &Identity,
    ) -> Result<Answer, Failure> {
        let Some(call) = Call::read(request.method(), request.uri())? else {
            return Ok(Answer::Response(page_not_found()));
        };
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
        let Some(kind) = self.registry.find(&call.group, &call.version, &call.plural).cloned() else {
            let known =
                self.registry.kinds().any(|kind| kind.group == call.group && kind.version == call.version);
            return if known { Err(Failure::no_such_path()) } else { Ok(Answer::Response(page_not_found())) };
        };
        check_route(&kind, &call)?;
        let request = Request {
            now,
            call: &call,
            kind,
            headers: request.headers(),
            body: request.body(),
            user: identity,
            peer: &peer,
        };
        let reply = match call.verb {
            Verb::Watch => {
                let id = self.watch(&request)?;
                return Ok(Answer::Watch(head(StatusCode::OK, "application/json").map(|_| ()), id));
            }
            Verb::Get => self.get(&request),
            Verb::List => self.list(&request),
            Verb::Create => self.create(&request),
            Verb::Update => self.update(&request),
            Verb::Patch => self.patch(&request),
            Verb::Delete => self.delete(&request),
            Verb::DeleteCollection => self.delete_collection(&request),
        }?;
        Ok(Answer::Response(json_response(&reply)))
    }
}

/// Whether there is such a place, and whether that can be done there.
fn check_route(kind: &crate::Kind, call: &Call) -> Result<(), Failure> {
    let (named, placed) = (!call.name.is_empty(), !call.namespace.is_empty());
    if placed && !kind.namespaced {
        return Err(Failure::no_such_path());
    }
    if kind.namespaced && !placed {
        // Across all namespaces things can be read, and nothing else.
        match call.verb {
            _ if named => return Err(Failure::no_such_path()),
            Verb::List | Verb::Watch => {}
            _ => return Err(Failure::method_not_allowed()),
        }
    }
    if !call.subresource.is_empty() {
        if !kind.has(&call.subresource) {
            return Err(Failure::no_such_path());
        }
        return match call.verb {
            Verb::Get | Verb::Update | Verb::Patch if call.subresource == "status" => Ok(()),
            _ => Err(Failure::method_not_allowed()),
        };
    }
    let of_one = matches!(call.verb, Verb::Get | Verb::Update | Verb::Patch | Verb::Delete);
    if of_one != named || !kind.verbs.contains(&call.verb) {
        return Err(Failure::method_not_allowed());
    }
    Ok(())
}

fn head(code: StatusCode, content_type: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    // A client that sees these leaves it to the server to hold it back.
    for name in ["x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"] {
        headers.insert(name, HeaderValue::from_static("00000000-0000-4000-8000-000000000000"));
    }
    response
}

fn json_response(reply: &Reply) -> Response<Bytes> {
    let mut response = head(reply.code, "application/json");
    *response.body_mut() = to_bytes(&reply.value);
    for warning in &reply.warnings {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - {}", json!(warning))) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// A failure as a response.
pub(crate) fn failed(failure: &Failure) -> Response<Bytes> {
    let mut response = head(failure.code, "application/json");
    *response.body_mut() = to_bytes(&failure.to_value());
    if let Some(seconds) =
        failure.details.as_ref().map(|details| details.retry_after_seconds).filter(|&seconds| seconds > 0)
    {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn page_not_found() -> Response<Bytes> {
    let mut response = head(StatusCode::NOT_FOUND, "text/plain; charset=utf-8");
    *response.body_mut() = Bytes::from_static(b"404 page not found\n");
    response
}

fn to_bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}
