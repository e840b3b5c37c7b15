//! What the mock counts, in the format of Prometheus. Counters last as long as the process; a reset leaves them alone.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use crate::store::World;

/// Methods that have a label of their own: clients may send any.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "LIST", "OPTIONS"];

/// All of them.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<FaceLabels, Histogram>,
    faults: Family<FaultLabels, Counter>,
    installed: Gauge,
    ledger: Gauge,
    waiting: Gauge,
    clock_ahead: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    face: &'static str,
    method: &'static str,
    /// `cut` where the connection was cut.
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaceLabels {
    face: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    kind: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("mock_pki");
        let durations = Family::<FaceLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.000_1, 4.0, 10))
        });
        let metrics = Self {
            requests: Family::default(),
            durations,
            faults: Family::default(),
            installed: Gauge::default(),
            ledger: Gauge::default(),
            waiting: Gauge::default(),
            clock_ahead: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register(
            "build",
            "Which version this is",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "requests",
            "Requests to a face, by the status of the answer",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "How long requests took, faults included",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "faults_applied",
            "Requests that a fault applied to, by the first of them",
            metrics.faults.clone(),
        );
        registry.register("faults_installed", "Faults in force", metrics.installed.clone());
        registry.register("ledger_certificates", "Certificates in the ledger", metrics.ledger.clone());
        registry.register("approvals_waiting", "Requests that wait for approval", metrics.waiting.clone());
        registry.register_with_unit(
            "clock_ahead",
            "How far the clock of all faces is ahead of the machine's",
            Unit::Seconds,
            metrics.clock_ahead.clone(),
        );
        Self { registry, ..metrics }
    }

    /// Counts a request.
    pub(crate) fn record(
        &self,
        face: &'static str,
        method: &str,
        status: Option<u16>,
        fault: Option<&str>,
        elapsed: Duration,
    ) {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        let status = status.map_or_else(|| "cut".to_owned(), |status| status.to_string());
        self.requests.get_or_create(&RequestLabels { face, method, status }).inc();
        self.durations.get_or_create(&FaceLabels { face }).observe(elapsed.as_secs_f64());
        if let Some(kind) = fault {
            self.faults.get_or_create(&FaultLabels { kind: kind.to_owned() }).inc();
        }
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self, world: &World) -> String {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let epoch = world.epoch();
        self.installed.set(count(world.faults.len()));
        self.ledger.set(count(epoch.ledger.len()));
        self.waiting.set(count(epoch.approvals.waiting()));
        self.clock_ahead.set(world.clock.state().ahead_milliseconds / 1000);
        let mut text = String::new();
        // Into memory it cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
