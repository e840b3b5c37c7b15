//! The streams of requests and issuers, into the stores.
//!
//! Nothing is stored that is not needed: ten thousand finished requests pass through, none stays. Requests are
//! listed in pages of one consistent read, as fresh as a read of each, so that what a leader lists it may sign;
//! issuers, which are checked before they are believed, by a streaming list from the API server's cache.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::api::ListParams;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::issuers::{Issuer, Issuers};
use super::queue::Queue;
use super::references::References;
use super::request::API_RETRY;
use super::store::{RequestKey, Requests};
use crate::admin::Gate;
use crate::api::{CertificateRequest, ExternalClusterIssuer, ExternalIssuer, IssuerKey, IssuerKind};
use crate::lease::Leadership;

/// Requests in a page of the list. One is 5 to 20 KiB, most of it its managed fields, and a page is held at once.
const PAGE: u32 = 100;
/// How long the first list waits for leadership. A lease that is free is taken within a few round trips; who
/// does not lead by then lists all the same, to be warm when its turn comes.
const LEADERSHIP_FIRST: Duration = Duration::from_secs(1);

/// Watches requests, for ever. Opens the gate when the first list is complete.
///
/// What a list names is as fresh as what an event brings if it was begun while this process led: no other
/// process has signed since. Otherwise each request is read again before it is signed.
pub async fn requests(
    client: Client,
    namespace: Option<&str>,
    requests: Arc<Requests>,
    queue: Queue<RequestKey>,
    leadership: Leadership,
    gate: Gate,
) {
    let api: Api<CertificateRequest> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let wake = |key: Option<RequestKey>| {
        if let Some(key) = key {
            queue.now(key);
        }
    };
    let _ = tokio::time::timeout(LEADERSHIP_FIRST, leadership.acquired()).await;
    let consistent = watcher::Config::default().page_size(PAGE);
    let handle = |event| match event {
        Event::Init => requests.list_begins(leadership.is_leader()),
        Event::InitApply(request) | Event::Apply(request) => wake(requests.seen(request)),
        Event::InitDone => {
            requests.list_ends();
            gate.open();
        }
        Event::Delete(request) => {
            if let Some(key) = RequestKey::of(&request) {
                requests.gone(&key);
            }
        }
    };
    follow(api, "certificaterequests.cert-manager.io", consistent, handle, || requests.watch_broke()).await;
}

/// Tells the store where the API server is now that this process leads, unless its list told it already. Until the
/// API server has said so, every request may have been submitted by the one who led before.
pub async fn leads_since(client: Client, namespace: Option<&str>, requests: Arc<Requests>) {
    if !requests.needs_leads_since() {
        return;
    }
    let api: Api<CertificateRequest> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    loop {
        // Neither a version nor a continuation: a consistent read.
        match api.list_metadata(&ListParams::default().limit(1)).await {
            Ok(list) => {
                let version = list.metadata.resource_version.unwrap_or_default();
                tracing::debug!(version, "what is made after this version no other leader has seen");
                return requests.leads_since(version);
            }
            Err(error) => tracing::warn!(%error, "the API server does not say where it is; trying again"),
        }
        tokio::time::sleep(API_RETRY).await;
    }
}

/// What a change of an issuer touches.
#[derive(Clone)]
pub struct IssuerWatch {
    /// The store of issuers.
    pub issuers: Arc<Issuers>,
    /// The requests, which wait for their issuer.
    pub requests: Arc<Requests>,
    /// The objects that issuers refer to.
    pub references: References,
    /// Checks issuers.
    pub issuer_queue: Queue<IssuerKey>,
    /// Works on requests.
    pub request_queue: Queue<RequestKey>,
}

impl IssuerWatch {
    /// Watches namespaced issuers, for ever.
    pub async fn namespaced(self, client: Client, namespace: Option<&str>, gate: Gate) {
        let api: Api<ExternalIssuer> = match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        self.follow(api, "externalissuers.external-issuer.io", IssuerKind::Issuer, gate).await;
    }

    /// Watches cluster issuers, for ever.
    pub async fn cluster(self, client: Client, gate: Gate) {
        let api: Api<ExternalClusterIssuer> = Api::all(client);
        self.follow(api, "externalclusterissuers.external-issuer.io", IssuerKind::ClusterIssuer, gate).await;
    }

    async fn follow<K>(self, api: Api<K>, resource: &str, kind: IssuerKind, gate: Gate)
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
        Issuer: From<K>,
    {
        let cached = watcher::Config::default().streaming_lists();
        let handle = |event: Event<K>| match event {
            Event::Init => self.issuers.list_begins(kind),
            Event::InitApply(issuer) | Event::Apply(issuer) => self.seen(issuer.into()),
            Event::InitDone => {
                for key in self.issuers.list_ends(kind) {
                    self.gone(&key);
                }
                gate.open();
            }
            Event::Delete(issuer) => {
                let key = Issuer::from(issuer).key;
                self.issuers.gone(&key);
                self.gone(&key);
            }
        };
        follow(api, resource, cached, handle, || ()).await;
    }

    fn seen(&self, issuer: Issuer) {
        let key = issuer.key.clone();
        if self.issuers.seen(issuer) {
            self.issuer_queue.now(key);
        }
    }

    fn gone(&self, key: &IssuerKey) {
        self.references.set(key, &[]);
        // The check of an issuer that is gone forgets what is left of it.
        self.issuer_queue.now(key.clone());
        for request in self.requests.release(key) {
            self.request_queue.now(request);
        }
    }
}

async fn follow<K>(
    api: Api<K>,
    resource: &str,
    mut config: watcher::Config,
    mut handle: impl FnMut(Event<K>),
    broke: impl Fn(),
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut streams = config.initial_list_strategy == watcher::InitialListStrategy::StreamingList;
    loop {
        let mut events = std::pin::pin!(watcher::watcher(api.clone(), config.clone()).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => handle(event),
                Err(error) if streams && cannot_stream_lists(&error) => {
                    tracing::info!(resource, "the API server does not stream lists; reading pages instead");
                    (config, streams) = (watcher::Config::default().page_size(PAGE), false);
                    break;
                }
                Err(error) => {
                    broke();
                    tell(resource, &error);
                }
            }
        }
    }
}

fn cannot_stream_lists(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if matches!(status.code, 400 | 422))
}

/// A watch that fails is tried again with back-off; what matters is that somebody can see why.
fn tell(resource: &str, error: &watcher::Error) {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code,
        _ => 0,
    };
    match code {
        403 => {
            tracing::error!(resource, %error, "no permission to watch; apply the ClusterRole of the controller");
        }
        404 => {
            tracing::error!(resource, %error, "the API server does not know the resource; install its CRD");
        }
        // Watches end all the time: by time-out, by restarts of the API server, by compaction.
        410 => tracing::debug!(resource, %error, "the watch fell behind; listing anew"),
        _ => tracing::warn!(resource, %error, "the watch was interrupted; it is made anew"),
    }
}
