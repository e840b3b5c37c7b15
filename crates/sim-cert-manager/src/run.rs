//! Watches, decides, does, and asks again.
//!
//! ```text
//! watches ─┐
//! answers ─┴─> store ─> queue of keys ─> decide ─> perform (several at a time, one per key) ─> answers
//!                        ^ timers
//! ```
//!
//! One future, without tasks of its own: dropping it stops everything between two awaits, and a new one goes on
//! from what is in the cluster.

use std::{convert::Infallible, fmt::Debug, sync::Arc, time::Duration};

use futures::{
    Stream, StreamExt as _,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt as _, utils::Backoff as WatchBackoff, watcher},
};
use serde::de::DeserializeOwned;

use crate::{
    api::{Certificate, CertificateRequest},
    approver,
    backoff::Backoff,
    clock::Clock,
    decide::decide,
    events::Publisher,
    key_source::{Fresh, KeySource},
    perform::{Outcome, Step, StepError, Written, approve},
    queue::Queue,
    store::{Event, Key, Store},
};

/// How to run.
#[derive(Clone)]
pub struct Options {
    /// The wait after failed issuances.
    pub backoff: Backoff,
    /// Whether requests are approved here.
    pub approve: bool,
    /// Whether events are published.
    pub events: bool,
    /// Where private keys come from.
    pub keys: Arc<dyn KeySource>,
    /// How many steps may be under way at once. With one, a run on a repeatable cluster is repeatable.
    pub steps_at_once: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            approve: true,
            events: true,
            keys: Arc::new(Fresh),
            steps_at_once: 16,
        }
    }
}

/// cert-manager's certificate controllers and its approver, for ever.
pub async fn run(client: Client, clock: Arc<dyn Clock>, options: Options) -> Infallible {
    let mut run = Run {
        publisher: Publisher { client: client.clone(), clock: Arc::clone(&clock), enabled: options.events },
        client,
        clock,
        options,
        store: Store::default(),
        queue: Queue::default(),
        listed: Listed::default(),
        in_flight: FuturesUnordered::new(),
    };
    run.forever().await
}

/// Whose first list is complete.
#[derive(Default)]
struct Listed {
    certificates: bool,
    requests: bool,
    secrets: bool,
}

impl Listed {
    fn all(&self) -> bool {
        self.certificates && self.requests && self.secrets
    }
}

struct Run {
    client: Client,
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    options: Options,
    store: Store,
    queue: Queue,
    listed: Listed,
    in_flight: FuturesUnordered<BoxFuture<'static, (Key, Outcome)>>,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, and never stored")]
enum Watched {
    Certificate(watcher::Event<Certificate>),
    Request(watcher::Event<CertificateRequest>),
    Secret(watcher::Event<Secret>),
}

impl Run {
    async fn forever(&mut self) -> Infallible {
        let mut watched = stream::select(
            watch(Api::all(self.client.clone())).map(Watched::Certificate),
            stream::select(
                watch(Api::all(self.client.clone())).map(Watched::Request),
                watch(Api::all(self.client.clone())).map(Watched::Secret),
            ),
        );
        loop {
            self.start_steps();
            let timer = self.sleep();
            tokio::select! {
                biased;
                Some((key, outcome)) = self.in_flight.next() => self.ended(&key, outcome),
                Some(event) = watched.next() => self.seen(event),
                () = timer => self.queue.timers_due(self.clock.now()),
            }
        }
    }

    /// Until the first timer ends. Never no time at all, or two clocks that round differently could spin.
    fn sleep(&self) -> impl Future<Output = ()> + use<> {
        let until = self.queue.next_timer().filter(|_| self.listed.all());
        let sleep = until.map(|deadline| self.clock.until(deadline).max(Duration::from_millis(1)));
        async move {
            match sleep {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Nothing is decided before everything is known.
    fn start_steps(&mut self) {
        while self.listed.all() && self.in_flight.len() < self.options.steps_at_once.max(1) {
            let Some(key) = self.queue.pop() else { break };
            if let Some(step) = self.step(&key) {
                self.queue.begins(key.clone());
                self.in_flight.push(Box::pin(async move { (key, step.await) }));
            }
        }
    }

    fn step(&mut self, key: &Key) -> Option<BoxFuture<'static, Outcome>> {
        let now = self.clock.now();
        match key {
            Key::Certificate(name) => {
                let snapshot = self.store.snapshot(name)?;
                let decision = decide(&snapshot, now, &self.options.backoff);
                let step = Step {
                    client: self.client.clone(),
                    publisher: self.publisher.clone(),
                    keys: Arc::clone(&self.options.keys),
                    key: name.clone(),
                    certificate: snapshot.certificate.clone(),
                };
                if let Some(again) = decision.again {
                    self.queue.at(key.clone(), again);
                }
                let idle = decision.act.is_none() && decision.note.is_none();
                (!idle).then(|| Box::pin(step.perform(decision.act, decision.note)) as BoxFuture<'static, _>)
            }
            Key::Approval(name) => {
                let request = self.store.request(name).filter(|_| self.options.approve)?;
                let status = approver::approval(request, now)?;
                Some(Box::pin(approve(self.client.clone(), self.publisher.clone(), request.clone(), status)))
            }
        }
    }

    /// What was written is known before anything is decided about the key again.
    fn ended(&mut self, key: &Key, outcome: Outcome) {
        self.queue.ends(key);
        for written in outcome.written {
            let concerned = match written {
                Written::Certificate(certificate) => self.store.certificate_event(Event::Seen(*certificate)),
                Written::Request(request) => self.store.request_event(Event::Seen(*request)),
                Written::Secret(secret) => self.store.secret_event(Event::Seen(*secret)),
                Written::RequestDeleted(name, uid) => self.store.request_deleted(&name, &uid),
                Written::SecretDeleted(name, uid) => self.store.secret_deleted(&name, &uid),
            };
            self.add(concerned);
        }
        match outcome.error {
            None => self.queue.succeeded(key),
            // Only a change of the Certificate can help, and that will be seen.
            Some(StepError::Csr(error)) => tracing::warn!(?key, %error, "no request can be made"),
            Some(error) => {
                let wait = self.queue.failed(key, self.clock.now());
                tracing::debug!(?key, %error, ?wait, "the step is tried again");
            }
        }
    }

    fn seen(&mut self, event: Watched) {
        match &event {
            Watched::Certificate(watcher::Event::InitDone) => self.listed.certificates = true,
            Watched::Request(watcher::Event::InitDone) => self.listed.requests = true,
            Watched::Secret(watcher::Event::InitDone) => self.listed.secrets = true,
            _ => {}
        }
        let concerned = match event {
            Watched::Certificate(event) => self.store.certificate_event(event.into()),
            Watched::Request(event) => self.store.request_event(event.into()),
            Watched::Secret(event) => self.store.secret_event(event.into()),
        };
        self.add(concerned);
    }

    fn add(&mut self, concerned: Vec<Key>) {
        for key in concerned {
            self.queue.add(key);
        }
    }
}

impl<K> From<watcher::Event<K>> for Event<K> {
    fn from(event: watcher::Event<K>) -> Self {
        match event {
            watcher::Event::Init => Self::ListBegins,
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => Self::Seen(object),
            watcher::Event::InitDone => Self::ListEnds,
            watcher::Event::Delete(object) => Self::Gone(object),
        }
    }
}

fn watch<K>(api: Api<K>) -> impl Stream<Item = watcher::Event<K>> + Unpin
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let events = watcher::watcher(api, watcher::Config::default()).backoff(Doubling::default());
    Box::pin(events.filter_map(|event| async move {
        let tell = |error| tracing::debug!(kind = %K::kind(&()), %error, "the watch is made anew");
        event.map_err(tell).ok()
    }))
}

/// From a second to half a minute, and without chance, so that a run can be repeated.
#[derive(Default)]
struct Doubling {
    doublings: u32,
}

impl Iterator for Doubling {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Duration::from_secs(1 << self.doublings).min(Duration::from_secs(30));
        self.doublings = (self.doublings + 1).min(5);
        Some(wait)
    }
}

impl WatchBackoff for Doubling {
    fn reset(&mut self) {
        self.doublings = 0;
    }
}
