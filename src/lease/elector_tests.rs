//! The elector over a real `kube::Client`, with a Lease API in memory behind it and a clock turned by hand.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::client::Body;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Elector, LEASE_NAME, Leadership, Settings, Timing};
use crate::clock::Clock;
use crate::random;

const SECOND: Duration = Duration::from_secs(1);
/// The retry period with the greatest jitter, and a breath.
const NEXT_TRY: Duration = Duration::from_millis(4_500);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mood {
    #[default]
    Well,
    /// No answer.
    Silent,
    /// Every write is a conflict.
    Conflicts,
    /// 403, as without RBAC.
    Forbids,
}

#[derive(Debug, Default)]
struct Store {
    lease: Option<Lease>,
    version: u64,
    mood: Mood,
    calls: Vec<Method>,
}

/// The Lease API of one cluster. Cheap to clone.
#[derive(Clone, Debug, Default)]
struct Cluster(Arc<Mutex<Store>>);

impl Cluster {
    fn client(&self) -> Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request| cluster.clone().serve(request));
        Client::new(service, "default")
    }

    fn set(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    fn lease(&self) -> Lease {
        self.0.lock().unwrap().lease.clone().unwrap()
    }

    fn holder(&self) -> Option<String> {
        self.lease().spec.and_then(|spec| spec.holder_identity)
    }

    fn taken_calls(&self) -> Vec<Method> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        // A call takes a while, so that nothing rests on two things happening at once.
        sleep(Duration::from_millis(5)).await;
        if self.0.lock().unwrap().mood == Mood::Silent {
            std::future::pending::<()>().await;
        }
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        assert!(path.starts_with("/apis/coordination.k8s.io/v1/namespaces/system/leases"), "{path}");
        let sent: Option<Lease> = serde_json::from_slice(&body.collect_bytes().await.unwrap()).ok();
        Ok(self.0.lock().unwrap().handle(parts.method, sent))
    }
}

impl Store {
    fn handle(&mut self, method: Method, sent: Option<Lease>) -> Response<Body> {
        self.calls.push(method.clone());
        match (method, self.mood, sent) {
            (_, Mood::Forbids, _) => status(403, "Forbidden"),
            (Method::GET, ..) => self.lease.as_ref().map_or_else(|| status(404, "NotFound"), json),
            (_, Mood::Conflicts, _) => status(409, "Conflict"),
            (Method::POST, _, Some(_)) if self.lease.is_some() => status(409, "AlreadyExists"),
            (Method::PUT, _, Some(_)) if self.lease.is_none() => status(404, "NotFound"),
            (Method::PUT, _, Some(sent)) if sent.metadata.resource_version != self.version() => {
                status(409, "Conflict")
            }
            (Method::POST | Method::PUT, _, Some(sent)) => json(self.put(sent)),
            (method, ..) => panic!("unexpected {method}"),
        }
    }

    fn version(&self) -> Option<String> {
        self.lease.as_ref()?.metadata.resource_version.clone()
    }

    fn put(&mut self, mut lease: Lease) -> &Lease {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease.insert(lease)
    }
}

fn json(lease: &Lease) -> Response<Body> {
    Response::new(Body::from(serde_json::to_vec(lease).unwrap()))
}

fn status(code: u16, reason: &str) -> Response<Body> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code,
    });
    let mut response = Response::new(Body::from(body.to_string().into_bytes()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// A wall clock that stands still: nothing may rest on it.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
}

struct Process {
    leadership: Leadership,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

fn start(cluster: &Cluster, identity: &str) -> Process {
    let settings = Settings {
        namespace: "system".to_owned(),
        name: LEASE_NAME.to_owned(),
        identity: identity.to_owned(),
        timing: Timing::DEFAULT,
    };
    let elector = Elector::new(cluster.client(), Arc::new(Still), random::machine(), settings);
    let shutdown = CancellationToken::new();
    Process {
        leadership: elector.leadership(),
        shutdown: shutdown.clone(),
        running: tokio::spawn(elector.run(shutdown)),
    }
}

async fn within<F: Future>(limit: Duration, what: F) -> F::Output {
    timeout(limit, what).await.expect("must happen in time")
}

#[tokio::test(start_paused = true)]
async fn the_first_creates_the_lease_and_renews_it_without_reading() {
    let cluster = Cluster::default();
    let a = start(&cluster, "a");
    within(SECOND, a.leadership.acquired()).await;
    assert_eq!(cluster.holder().as_deref(), Some("a"));
    assert_eq!(cluster.taken_calls(), [Method::GET, Method::POST]);

    sleep(SECOND * 60).await;
    let calls = cluster.taken_calls();
    assert!(calls.iter().all(|method| method == Method::PUT), "{calls:?}");
    assert!((28..=30).contains(&calls.len()), "one every two seconds: {}", calls.len());
    assert!(a.leadership.is_leader());
    let spec = cluster.lease().spec.unwrap();
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_second_waits_and_a_release_hands_over_at_its_next_try() {
    let cluster = Cluster::default();
    let a = start(&cluster, "a");
    within(SECOND, a.leadership.acquired()).await;
    let b = start(&cluster, "b");
    sleep(SECOND * 60).await;
    assert!(a.leadership.is_leader() && !b.leadership.is_leader());

    a.shutdown.cancel();
    within(SECOND, a.running).await.unwrap();
    assert!(!a.leadership.is_leader());
    within(NEXT_TRY, b.leadership.acquired()).await;
    assert_eq!(cluster.holder().as_deref(), Some("b"));
    assert_eq!(cluster.lease().spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_names_nobody() {
    let cluster = Cluster::default();
    let a = start(&cluster, "a");
    within(SECOND, a.leadership.acquired()).await;
    a.shutdown.cancel();
    within(SECOND, a.running).await.unwrap();
    let spec = cluster.lease().spec.unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some(""), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_taken_over_after_the_lease_and_not_before_the_dead_could_have_acted() {
    let cluster = Cluster::default();
    let a = start(&cluster, "a");
    within(SECOND, a.leadership.acquired()).await;
    let b = start(&cluster, "b");
    sleep(SECOND * 30).await;
    a.running.abort();
    let until = a.leadership.valid_until().unwrap();
    let crashed = Instant::now();

    within(Timing::DEFAULT.lease_duration() + NEXT_TRY, b.leadership.acquired()).await;
    assert!(Instant::now() > until, "{:?} after the crash", crashed.elapsed());
    assert!(!a.leadership.is_leader());
}

#[tokio::test(start_paused = true)]
async fn leadership_is_lost_at_the_renew_deadline_when_the_api_falls_silent_and_won_again_later() {
    let cluster = Cluster::default();
    let a = start(&cluster, "a");
    within(SECOND, a.leadership.acquired()).await;
    sleep(SECOND * 5).await;
    cluster.set(Mood::Silent);
    let silent = Instant::now();
    within(SECOND * 11, a.leadership.lost()).await;
    let took = silent.elapsed();
    assert!((SECOND * 8..=SECOND * 10).contains(&took), "the last renewal was at most 2 s old: {took:?}");
    assert!(!a.leadership.is_leader());

    sleep(SECOND * 60).await;
    cluster.set(Mood::Well);
    // A call of five seconds that was begun in the silence may have to run out first.
    within(SECOND * 5 + NEXT_TRY * 2, a.leadership.acquired()).await;
    assert_eq!(cluster.lease().spec.unwrap().lease_transitions, Some(0), "nobody else was there");
}

#[tokio::test(start_paused = true)]
async fn leadership_is_lost_in_a_storm_of_conflicts() {
    let cluster = Cluster::default();
    let a = start(&cluster, "a");
    within(SECOND, a.leadership.acquired()).await;
    cluster.set(Mood::Conflicts);
    cluster.taken_calls();
    within(SECOND * 10, a.leadership.lost()).await;
    let calls = cluster.taken_calls().len();
    assert!(calls <= 3 * 5, "no hot loop: {calls} calls in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_single_conflict_costs_nothing() {
    let cluster = Cluster::default();
    let a = start(&cluster, "a");
    within(SECOND, a.leadership.acquired()).await;
    {
        // Somebody labels the Lease.
        let mut store = cluster.0.lock().unwrap();
        let mut lease = store.lease.clone().unwrap();
        lease.metadata.labels = Some([("seen".to_owned(), "yes".to_owned())].into());
        store.put(lease);
    }
    sleep(SECOND * 30).await;
    assert!(a.leadership.is_leader());
    assert!(cluster.lease().metadata.labels.is_some(), "a renewal keeps what others wrote");
}

#[tokio::test(start_paused = true)]
async fn without_permission_it_keeps_trying_at_the_same_slow_pace() {
    let cluster = Cluster::default();
    cluster.set(Mood::Forbids);
    let a = start(&cluster, "a");
    sleep(SECOND * 60).await;
    let calls = cluster.taken_calls().len();
    assert!((13..=31).contains(&calls), "{calls} calls in a minute");
    cluster.set(Mood::Well);
    within(NEXT_TRY, a.leadership.acquired()).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_again_by_its_holder() {
    let cluster = Cluster::default();
    let a = start(&cluster, "a");
    within(SECOND, a.leadership.acquired()).await;
    cluster.0.lock().unwrap().lease = None;
    sleep(SECOND * 3).await;
    assert!(a.leadership.is_leader());
    assert_eq!(cluster.holder().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_start_at_once_one_leads() {
    let cluster = Cluster::default();
    let (a, b) = (start(&cluster, "a"), start(&cluster, "b"));
    for _ in 0..60 {
        sleep(SECOND).await;
        assert_ne!(a.leadership.is_leader(), b.leadership.is_leader());
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_while_the_api_is_silent_ends_in_bounded_time() {
    let cluster = Cluster::default();
    let a = start(&cluster, "a");
    within(SECOND, a.leadership.acquired()).await;
    cluster.set(Mood::Silent);
    a.shutdown.cancel();
    within(SECOND * 11, a.running).await.unwrap();
}
