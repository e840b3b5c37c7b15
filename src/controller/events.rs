//! Kubernetes events: one for each transition, off the path of signing.
//!
//! An event that cannot be written is lost, counted and nothing else: it never holds up or fails a request. One
//! is made when what a status says changes, and once by each process for a request that nobody approves; none is
//! ever merged with another, so `create` is the one permission needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Resource};
use tokio::sync::{Semaphore, mpsc};

use super::MANAGER;
use super::issuers::Issuer;
use crate::api::{CertificateRequest, ExternalClusterIssuer, ExternalIssuer, IssuerKind};
use crate::clock::SharedClock;
use crate::decide::Notice;
use crate::metrics::Metrics;

/// How many events may wait; beyond, they are dropped. At a few hundred a second this is several seconds' worth.
const WAITING: usize = 2048;
/// How many are written at once: events must not take the API server from the writes of status.
const AT_ONCE: usize = 4;

/// Takes events. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    sender: Option<mpsc::Sender<Event>>,
    clock: SharedClock,
    instance: Arc<str>,
    metrics: Arc<Metrics>,
    /// The last nanosecond that is in a name.
    last: Arc<AtomicI64>,
}

/// Writes events until all who make them are gone.
pub struct EventWriter {
    receiver: mpsc::Receiver<Event>,
    client: Client,
    metrics: Arc<Metrics>,
}

impl Events {
    /// Events are made and written.
    #[must_use]
    pub fn new(
        client: Client,
        clock: SharedClock,
        instance: &str,
        metrics: Arc<Metrics>,
    ) -> (Self, EventWriter) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let writer = EventWriter { receiver, client, metrics: Arc::clone(&metrics) };
        let last = Arc::default();
        (Self { sender: Some(sender), clock, instance: instance.into(), metrics, last }, writer)
    }

    /// Events are not wanted.
    #[must_use]
    pub fn off(clock: SharedClock, metrics: Arc<Metrics>) -> Self {
        Self { sender: None, clock, instance: "".into(), metrics, last: Arc::default() }
    }

    /// Tells about a request.
    pub fn request(&self, request: &CertificateRequest, action: &str, notice: &Notice) {
        self.send(request.object_ref(&()), action, notice);
    }

    /// Tells about an issuer.
    pub fn issuer(&self, issuer: &Issuer, action: &str, notice: &Notice) {
        self.send(reference(issuer), action, notice);
    }

    /// Tells about any object.
    pub fn about(&self, regarding: ObjectReference, action: &str, notice: &Notice) {
        self.send(regarding, action, notice);
    }

    /// A nanosecond for a name, and for no other: two things may be told at once, and clocks count more coarsely.
    fn of_its_own(&self, now: Timestamp) -> i64 {
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        let before = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
        now.max(before.saturating_add(1))
    }

    fn send(&self, regarding: ObjectReference, action: &str, notice: &Notice) {
        let Some(sender) = &self.sender else { return };
        let now = self.clock.now();
        let event = event(regarding, action, notice, now, self.of_its_own(now), &self.instance);
        if sender.try_send(event).is_err() {
            self.metrics.events_dropped();
        }
    }
}

/// An issuer, as an event refers to it.
pub(super) fn reference(issuer: &Issuer) -> ObjectReference {
    let api_version = match issuer.key.kind {
        IssuerKind::Issuer => ExternalIssuer::api_version(&()),
        IssuerKind::ClusterIssuer => ExternalClusterIssuer::api_version(&()),
    };
    ObjectReference {
        api_version: Some(api_version.into_owned()),
        kind: Some(issuer.key.kind.as_str().to_owned()),
        namespace: issuer.key.namespace.clone(),
        name: Some(issuer.key.name.clone()),
        uid: Some(issuer.uid.clone()),
        resource_version: issuer.resource_version.clone(),
        field_path: None,
    }
}

impl EventWriter {
    /// Writes until the last [`Events`] is dropped.
    pub async fn run(mut self) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(event) = self.receiver.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (client, metrics) = (self.client.clone(), Arc::clone(&self.metrics));
            tokio::spawn(async move {
                // Events about cluster-scoped objects live in `default`, as kubectl expects.
                let namespace = event.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
                let api: Api<Event> = Api::namespaced(client, &namespace);
                if let Err(error) = api.create(&PostParams::default(), &event).await {
                    metrics.events_dropped();
                    tracing::debug!(%error, namespace, "an event could not be written");
                }
                drop(place);
            });
        }
        // Those in flight end before the process does.
        let _ = places.acquire_many(u32::try_from(AT_ONCE).unwrap_or(1)).await;
    }
}

/// The longest note that the API server takes.
const NOTE_LIMIT: usize = 1024;

fn event(
    regarding: ObjectReference,
    action: &str,
    notice: &Notice,
    now: Timestamp,
    nanosecond: i64,
    instance: &str,
) -> Event {
    let name = regarding.name.clone().unwrap_or_default();
    let end = notice.message.floor_char_boundary(NOTE_LIMIT);
    Event {
        metadata: ObjectMeta {
            // A name of an object may be as long as a name can be.
            name: Some(format!(
                "{}.{:x}",
                name.get(..name.floor_char_boundary(200)).unwrap_or_default().trim_end_matches(['.', '-']),
                nanosecond
            )),
            namespace: Some(regarding.namespace.clone().unwrap_or_else(|| "default".to_owned())),
            ..ObjectMeta::default()
        },
        action: Some(action.to_owned()),
        reason: Some(notice.reason.to_owned()),
        note: notice.message.get(..end).map(str::to_owned),
        type_: Some(if notice.warning { "Warning" } else { "Normal" }.to_owned()),
        regarding: Some(regarding),
        reporting_controller: Some(MANAGER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        event_time: Some(MicroTime(now)),
        ..Event::default()
    }
}
