//! The doors for the kubelet and for Prometheus: `/livez`, `/healthz`, `/readyz` and `/metrics`.
//!
//! Health and metrics listen on an address each, or on one for both. Binding is apart from serving, so that a
//! port in use stops the start with an error that names the flag.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// An address to listen on, as Go programs write it: `:8080` is every interface, `host:8080` is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    host: Option<String>,
    port: u16,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an address to listen on: write \":8080\" for every interface, \"127.0.0.1:8080\" for one, or \"0\" for none"
)]
pub struct AddressError(String);

impl FromStr for BindAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || AddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // An IPv6 address without brackets would swallow its last group as the port.
        if bare.is_none() && host.contains(':') {
            return Err(error());
        }
        let host = bare.unwrap_or(host);
        Ok(Self {
            host: (!host.is_empty()).then(|| host.to_owned()),
            port: port.parse().map_err(|_| error())?,
        })
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
            None => write!(f, ":{}", self.port),
        }
    }
}

impl BindAddress {
    async fn listen(&self) -> io::Result<TcpListener> {
        let Some(host) = &self.host else {
            return match TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port)).await {
                // Nodes without IPv6 exist.
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)).await
                }
                bound => bound,
            };
        };
        TcpListener::bind((host.as_str(), self.port)).await
    }
}

/// Whether the process may be sent work: true once every named gate is open.
///
/// Declare the gates before the server starts; one that is declared later closes `/readyz` again.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Gates>);

#[derive(Debug, Default)]
struct Gates {
    open: Mutex<BTreeMap<&'static str, bool>>,
    changed: Notify,
}

impl Readiness {
    /// Without gates: ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A gate of this name, closed unless it was opened before.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        self.gates().entry(name).or_default();
        Gate { readiness: self.clone(), name }
    }

    /// Whether every gate is open.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.gates().values().all(|open| *open)
    }

    /// Waits until every gate is open.
    pub async fn ready(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.is_ready() {
                return;
            }
            changed.await;
        }
    }

    fn gates(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, bool>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As Kubernetes' own `/readyz?verbose` answers: a line for each gate, then the verdict.
    fn report(&self) -> (StatusCode, String) {
        let gates = self.gates();
        let mut body = String::new();
        for (name, open) in &*gates {
            let _ =
                if *open { writeln!(body, "[+]{name} ok") } else { writeln!(body, "[-]{name} not ready") };
        }
        if gates.values().all(|open| *open) {
            (StatusCode::OK, body + "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, body + "not ready\n")
        }
    }
}

/// One thing that readiness waits for.
#[derive(Clone, Debug)]
pub struct Gate {
    readiness: Readiness,
    name: &'static str,
}

impl Gate {
    /// The thing is there.
    pub fn open(&self) {
        self.readiness.gates().insert(self.name, true);
        self.readiness.0.changed.notify_waiters();
    }
}

/// Why a door cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}, the address of {flag}: choose a free one with {flag}, or {flag}=0 to do without"
)]
pub struct BindError {
    flag: &'static str,
    address: BindAddress,
    source: io::Error,
}

/// The listening sockets, not yet served.
#[derive(Debug)]
pub struct Admin {
    servers: Vec<(TcpListener, Router)>,
    health: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
}

/// The flag with the health address.
pub const HEALTH_FLAG: &str = "--health-probe-bind-address";
/// The flag with the metrics address.
pub const METRICS_FLAG: &str = "--metrics-bind-address";

impl Admin {
    /// Opens the sockets. `None` leaves a door out; equal addresses share one socket.
    pub async fn bind(
        health: Option<&BindAddress>,
        metrics: Option<&BindAddress>,
        readiness: Readiness,
        exposed: Arc<Metrics>,
    ) -> Result<Self, BindError> {
        let mut admin = Self { servers: Vec::new(), health: None, metrics: None };
        match (health, metrics) {
            // Port 0 is a new port each time: two of them are two.
            (Some(health), Some(metrics)) if health == metrics && health.port != 0 => {
                let routes = doors(readiness, exposed);
                let address = admin.add(HEALTH_FLAG, health, routes).await?;
                (admin.health, admin.metrics) = (Some(address), Some(address));
            }
            (health, metrics) => {
                if let Some(health) = health {
                    admin.health = Some(admin.add(HEALTH_FLAG, health, health_routes(readiness)).await?);
                }
                if let Some(metrics) = metrics {
                    admin.metrics = Some(admin.add(METRICS_FLAG, metrics, metrics_routes(exposed)).await?);
                }
            }
        }
        Ok(admin)
    }

    async fn add(
        &mut self,
        flag: &'static str,
        address: &BindAddress,
        routes: Router,
    ) -> Result<SocketAddr, BindError> {
        let error = |source| BindError { flag, address: address.clone(), source };
        let listener = address.listen().await.map_err(error)?;
        let bound = listener.local_addr().map_err(error)?;
        self.servers.push((listener, routes));
        Ok(bound)
    }

    /// Where health is served.
    #[must_use]
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health
    }

    /// Where metrics are served.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Serves until `shutdown`, then lets open answers finish for at most [`GRACE`].
    pub async fn serve(self, shutdown: CancellationToken) {
        let served = self.servers.into_iter().map(|(listener, routes)| {
            let stop = shutdown.clone().cancelled_owned();
            let server = axum::serve(listener, routes).with_graceful_shutdown(stop);
            async { server.await.unwrap_or_else(|error| tracing::error!(%error, "an admin server ended")) }
        });
        let all = futures::future::join_all(served);
        tokio::select! {
            _ = all => {}
            () = async { shutdown.cancelled().await; tokio::time::sleep(GRACE).await } => {}
        }
    }
}

/// A scrape takes milliseconds; a client that stalls must not hold up the end of the process.
pub const GRACE: Duration = Duration::from_secs(1);

/// What answers at both doors.
pub fn doors(readiness: Readiness, metrics: Arc<Metrics>) -> Router {
    health_routes(readiness).merge(metrics_routes(metrics))
}

fn health_routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|State(readiness): State<Readiness>| async move { readiness.report() }))
        .with_state(readiness)
}

/// `prometheus-client` writes `OpenMetrics`, the form every Prometheus since 2.5 reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn metrics_routes(metrics: Arc<Metrics>) -> Router {
    async fn scrape(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
        ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.encode())
    }
    Router::new().route("/metrics", get(scrape)).with_state(metrics)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn reads_addresses_as_go_writes_them() {
        let table = [
            (":8080", Some((None, 8080))),
            ("127.0.0.1:0", Some((Some("127.0.0.1"), 0))),
            ("localhost:9090", Some((Some("localhost"), 9090))),
            ("[::1]:8081", Some((Some("::1"), 8081))),
            ("8080", None),
            ("::1:8081", None),
            (":", None),
            (":70000", None),
            ("host:http", None),
        ];
        for (text, expected) in table {
            let read = text.parse::<BindAddress>();
            let expected = expected.map(|(host, port)| BindAddress { host: host.map(str::to_owned), port });
            assert_eq!(read.clone().ok(), expected, "{text}");
            if let Ok(address) = read {
                assert_eq!(address.to_string(), text);
            }
        }
    }

    fn loopback() -> BindAddress {
        "127.0.0.1:0".parse().unwrap()
    }

    struct Running {
        health: SocketAddr,
        metrics: SocketAddr,
        shutdown: CancellationToken,
        served: tokio::task::JoinHandle<()>,
    }

    async fn start(readiness: &Readiness) -> Running {
        let admin = Admin::bind(Some(&loopback()), Some(&loopback()), readiness.clone(), Metrics::new())
            .await
            .unwrap();
        let shutdown = CancellationToken::new();
        Running {
            health: admin.health_address().unwrap(),
            metrics: admin.metrics_address().unwrap(),
            shutdown: shutdown.clone(),
            served: tokio::spawn(admin.serve(shutdown)),
        }
    }

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn parts(answer: &str) -> (&str, &str) {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap(), body)
    }

    #[tokio::test]
    async fn readiness_can_be_waited_for() {
        let readiness = Readiness::new();
        let (one, two) = (readiness.gate("one"), readiness.gate("two"));
        let waiting = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.ready().await }
        });
        one.open();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        two.open();
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn alive_from_the_start_and_ready_when_every_gate_is_open() {
        let readiness = Readiness::new();
        let (caches, leases) = (readiness.gate("caches"), readiness.gate("leader election"));
        let running = start(&readiness).await;

        for path in ["/livez", "/healthz"] {
            assert_eq!(parts(&fetch(running.health, path).await), ("200", "ok\n"), "{path}");
        }
        leases.open();
        assert_eq!(
            parts(&fetch(running.health, "/readyz").await),
            ("503", "[-]caches not ready\n[+]leader election ok\nnot ready\n")
        );
        caches.open();
        assert_eq!(
            parts(&fetch(running.health, "/readyz").await),
            ("200", "[+]caches ok\n[+]leader election ok\nready\n")
        );
    }

    #[tokio::test]
    async fn metrics_are_open_metrics_and_only_on_their_own_address() {
        let running = start(&Readiness::new()).await;
        let answer = fetch(running.metrics, "/metrics").await;
        assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
        assert_eq!(parts(&fetch(running.health, "/metrics").await).0, "404");
        assert_eq!(parts(&fetch(running.metrics, "/livez").await).0, "404");
    }

    #[tokio::test]
    async fn one_address_serves_both() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let address: BindAddress = free.to_string().parse().unwrap();
        let admin =
            Admin::bind(Some(&address), Some(&address), Readiness::new(), Metrics::new()).await.unwrap();
        assert_eq!(admin.health_address(), admin.metrics_address());
        tokio::spawn(admin.serve(CancellationToken::new()));
        assert_eq!(parts(&fetch(free, "/livez").await).0, "200");
        assert_eq!(parts(&fetch(free, "/metrics").await).0, "200");
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error_that_names_the_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: BindAddress = taken.local_addr().unwrap().to_string().parse().unwrap();
        let error = Admin::bind(None, Some(&address), Readiness::new(), Metrics::new())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("--metrics-bind-address") && error.contains(&address.to_string()), "{error}");
    }

    #[tokio::test]
    async fn shutdown_ends_serving_even_while_a_client_holds_its_connection() {
        let running = start(&Readiness::new()).await;
        let mut idle = TcpStream::connect(running.health).await.unwrap();
        idle.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
        running.shutdown.cancel();
        tokio::time::timeout(GRACE * 5, running.served).await.expect("serving must end").unwrap();
    }
}
