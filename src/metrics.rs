//! What can be counted, under names that stay.
//!
//! Every label has a bounded set of values: words of ours, and the issuers that exist (an issuer's series go
//! when it does: [`Metrics::forget_issuer`]). No label ever carries a request's name or a PKI's text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::api::IssuerKey;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    issuers: Arc<Issuers>,
    queue_depth: Gauge,
    in_flight: Gauge,
    leader: Gauge,
    status_writes: Family<[(&'static str, &'static str); 1], Counter>,
    events_dropped: Counter,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("external_issuer");
        let issuers = Arc::new(Issuers::default());
        registry.register_collector(Box::new(Arc::clone(&issuers)));
        let metrics = Self {
            issuers,
            queue_depth: Gauge::default(),
            in_flight: Gauge::default(),
            leader: Gauge::default(),
            status_writes: Family::default(),
            events_dropped: Counter::default(),
            registry: Registry::default(),
        };
        registry.register(
            "queue_depth",
            "CertificateRequests that wait for their turn",
            metrics.queue_depth.clone(),
        );
        registry.register(
            "requests_in_flight",
            "CertificateRequests being worked on",
            metrics.in_flight.clone(),
        );
        registry.register("leader", "1 while this process may sign, else 0", metrics.leader.clone());
        registry.register("status_writes", "Status patches sent, by result", metrics.status_writes.clone());
        registry.register(
            "events_dropped",
            "Kubernetes events given up on because too many waited, or because the API refused them",
            metrics.events_dropped.clone(),
        );
        registry.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Arc::new(Self { registry, ..metrics })
    }

    /// The `OpenMetrics` text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail, and no metric of ours fails by itself.
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            tracing::error!("the metrics cannot be encoded");
        }
        text
    }

    /// A request reached its end: `issued`, `failed` or `denied`.
    pub fn request_concluded(&self, issuer: &IssuerKey, outcome: &'static str) {
        self.issuers.with(issuer, |of| of.concluded.entry(outcome).or_default().inc());
    }

    /// A request was issued this long after its approval.
    pub fn approved_to_ready(&self, issuer: &IssuerKey, took: Duration) {
        self.issuers.with(issuer, |of| of.issuance.observe(took.as_secs_f64()));
    }

    /// The PKI was called: which operation, how it ended, how long it took.
    pub fn pki_call(
        &self,
        issuer: &IssuerKey,
        operation: &'static str,
        result: &'static str,
        took: Duration,
    ) {
        self.issuers.with(issuer, |of| {
            of.pki_calls.entry((operation, result)).or_default().inc();
            of.pki_call_duration
                .entry(operation)
                .or_insert_with(|| Histogram::new(PKI_CALL_BUCKETS))
                .observe(took.as_secs_f64());
        });
    }

    /// A request will be tried again after an error.
    pub fn retry(&self, issuer: &IssuerKey) {
        self.issuers.with(issuer, |of| of.retries.inc());
    }

    /// A certificate was issued that no request uses: `gone`, `unknown`, `denied`, `rejected`, `left`.
    pub fn certificate_unused(&self, issuer: &IssuerKey, why: &'static str) {
        self.issuers.with(issuer, |of| of.unused.entry(why).or_default().inc());
    }

    /// A request was submitted although it may have been before: `unanswered`, or the lookup `gave_up`.
    pub fn submitted_again(&self, issuer: &IssuerKey, why: &'static str) {
        self.issuers.with(issuer, |of| of.submitted_again.entry(why).or_default().inc());
    }

    /// The issuer's `Ready` condition was judged.
    pub fn issuer_ready(&self, issuer: &IssuerKey, ready: bool) {
        self.issuers.with(issuer, |of| of.ready = Some(ready));
    }

    /// The issuer is gone: so are its series.
    pub fn forget_issuer(&self, issuer: &IssuerKey) {
        self.issuers.lock().remove(issuer);
    }

    /// How many requests wait, and how many are being worked on.
    pub fn queue(&self, depth: usize, in_flight: usize) {
        self.queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        self.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
    }

    /// A status patch was sent: `written`, `conflict`, `gone`, `refused`, `failed`.
    pub fn status_write(&self, result: &'static str) {
        self.status_writes.get_or_create(&[("result", result)]).inc();
    }

    /// An event was given up on.
    pub fn events_dropped(&self) {
        self.events_dropped.inc();
    }

    /// Whether this process leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }
}

/// From the whole second that an approval is dated in to a PKI where a person approves within the working day.
const ISSUANCE_BUCKETS: [f64; 10] = [1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 43200.0];

/// The longest call is bounded by an issuer's `requestTimeout`, 30 s unless set.
const PKI_CALL_BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// What is counted for one issuer.
#[derive(Debug)]
struct Issuer {
    concluded: BTreeMap<&'static str, Counter>,
    issuance: Histogram,
    pki_calls: BTreeMap<(&'static str, &'static str), Counter>,
    pki_call_duration: BTreeMap<&'static str, Histogram>,
    retries: Counter,
    unused: BTreeMap<&'static str, Counter>,
    submitted_again: BTreeMap<&'static str, Counter>,
    ready: Option<bool>,
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            concluded: BTreeMap::new(),
            issuance: Histogram::new(ISSUANCE_BUCKETS),
            pki_calls: BTreeMap::new(),
            pki_call_duration: BTreeMap::new(),
            retries: Counter::default(),
            unused: BTreeMap::new(),
            submitted_again: BTreeMap::new(),
            ready: None,
        }
    }
}

/// The series of every issuer, kept by issuer so that all of one can be forgotten at once.
#[derive(Debug, Default)]
struct Issuers(Mutex<BTreeMap<IssuerKey, Issuer>>);

impl Issuers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<IssuerKey, Issuer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, key: &IssuerKey, count: impl FnOnce(&mut Issuer) -> T) {
        let mut issuers = self.lock();
        // The key is cloned once in an issuer's life, not at every count.
        if let Some(issuer) = issuers.get_mut(key) {
            count(issuer);
        } else {
            count(issuers.entry(key.clone()).or_default());
        }
    }
}

type Labels<'a, const N: usize> = ([(&'static str, &'a str); 3], [(&'static str, &'static str); N]);

fn labels<'a, const N: usize>(key: &'a IssuerKey, more: [(&'static str, &'static str); N]) -> Labels<'a, N> {
    let issuer = [
        ("issuer_kind", key.kind.as_str()),
        ("issuer_namespace", key.namespace.as_deref().unwrap_or_default()),
        ("issuer_name", key.name.as_str()),
    ];
    (issuer, more)
}

impl Collector for Issuers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let issuers = self.lock();

        let mut family = start(&mut encoder, "requests", CONCLUDED_HELP, MetricType::Counter)?;
        for (key, of) in &*issuers {
            for (outcome, counter) in &of.concluded {
                put(&mut family, &labels(key, [("outcome", outcome)]), counter)?;
            }
        }
        let mut family =
            start(&mut encoder, "issuance_duration_seconds", ISSUANCE_HELP, MetricType::Histogram)?;
        for (key, of) in &*issuers {
            put(&mut family, &labels(key, []), &of.issuance)?;
        }
        let mut family = start(&mut encoder, "pki_calls", PKI_CALLS_HELP, MetricType::Counter)?;
        for (key, of) in &*issuers {
            for ((operation, result), counter) in &of.pki_calls {
                put(&mut family, &labels(key, [("operation", operation), ("result", result)]), counter)?;
            }
        }
        let mut family =
            start(&mut encoder, "pki_call_duration_seconds", PKI_CALL_HELP, MetricType::Histogram)?;
        for (key, of) in &*issuers {
            for (operation, histogram) in &of.pki_call_duration {
                put(&mut family, &labels(key, [("operation", operation)]), histogram)?;
            }
        }
        let mut family = start(&mut encoder, "retries", RETRIES_HELP, MetricType::Counter)?;
        for (key, of) in &*issuers {
            put(&mut family, &labels(key, []), &of.retries)?;
        }
        let mut family = start(&mut encoder, "certificates_unused", UNUSED_HELP, MetricType::Counter)?;
        for (key, of) in &*issuers {
            for (why, counter) in &of.unused {
                put(&mut family, &labels(key, [("why", why)]), counter)?;
            }
        }
        let mut family = start(&mut encoder, "submissions_again", AGAIN_HELP, MetricType::Counter)?;
        for (key, of) in &*issuers {
            for (why, counter) in &of.submitted_again {
                put(&mut family, &labels(key, [("why", why)]), counter)?;
            }
        }
        let mut family = start(&mut encoder, "issuer_ready", READY_HELP, MetricType::Gauge)?;
        for (key, of) in &*issuers {
            if let Some(ready) = of.ready {
                put(&mut family, &labels(key, []), &ConstGauge::new(i64::from(ready)))?;
            }
        }
        Ok(())
    }
}

const CONCLUDED_HELP: &str = "CertificateRequests that reached their end, by outcome.";
const ISSUANCE_HELP: &str = "Time from a request's approval to its certificate; the approval's is in whole seconds, of its approver's clock.";
const PKI_CALLS_HELP: &str = "Calls to the PKI, by operation and result.";
const PKI_CALL_HELP: &str = "Time that calls to the PKI took, by operation.";
const RETRIES_HELP: &str = "Requests put off after an error, to be tried again.";
const UNUSED_HELP: &str = "Certificates that the PKI issued for nothing, by why no request uses them.";
const AGAIN_HELP: &str = "Submissions that may be a second one, so that the PKI may have issued a certificate that nobody has, by why that could not be told.";
const READY_HELP: &str = "1 while the issuer is Ready, else 0.";

fn start<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    kind: MetricType,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, None, kind)
}

fn put(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(family.encode_family(labels)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::IssuerKind;

    fn issuer(name: &str) -> IssuerKey {
        IssuerKey { kind: IssuerKind::Issuer, namespace: Some("team-a".to_owned()), name: name.to_owned() }
    }

    /// Everything counted once for this issuer.
    fn count_all(metrics: &Metrics, key: &IssuerKey) {
        metrics.request_concluded(key, "issued");
        metrics.approved_to_ready(key, Duration::from_millis(20));
        metrics.pki_call(key, "submit", "issued", Duration::from_millis(7));
        metrics.retry(key);
        metrics.certificate_unused(key, "gone");
        metrics.submitted_again(key, "unanswered");
        metrics.issuer_ready(key, true);
    }

    #[test]
    fn every_metric_with_its_type_and_help() {
        let metrics = Metrics::new();
        count_all(&metrics, &issuer("corp"));
        metrics.status_write("written");
        let described: Vec<String> =
            metrics.encode().lines().filter(|line| line.starts_with("# ")).map(str::to_owned).collect();
        insta::assert_snapshot!(described.join("\n"));
    }

    #[test]
    fn every_series_of_one_issuer() {
        let metrics = Metrics::new();
        count_all(&metrics, &issuer("corp"));
        let series: Vec<String> = metrics
            .encode()
            .lines()
            .filter(|line| line.contains("issuer_name=\"corp\"") && !line.contains("_bucket"))
            .map(str::to_owned)
            .collect();
        insta::assert_snapshot!(series.join("\n"));
    }

    #[test]
    fn the_cluster_kind_has_an_empty_namespace() {
        let metrics = Metrics::new();
        let key = IssuerKey { kind: IssuerKind::ClusterIssuer, namespace: None, name: "corp".to_owned() };
        metrics.issuer_ready(&key, false);
        let line = "external_issuer_issuer_ready{issuer_kind=\"ExternalClusterIssuer\",issuer_namespace=\"\",issuer_name=\"corp\"} 0\n";
        assert!(metrics.encode().contains(line), "{}", metrics.encode());
    }

    #[test]
    fn a_forgotten_issuer_leaves_no_series_and_others_stay() {
        let metrics = Metrics::new();
        count_all(&metrics, &issuer("deleted"));
        count_all(&metrics, &issuer("stays"));
        metrics.forget_issuer(&issuer("deleted"));
        let text = metrics.encode();
        assert!(!text.contains("deleted") && text.contains("stays"), "{text}");
    }

    #[test]
    fn queue_leader_and_writes_are_plain_numbers() {
        let metrics = Metrics::new();
        metrics.queue(7, 3);
        metrics.leader(true);
        metrics.status_write("conflict");
        metrics.events_dropped();
        let text = metrics.encode();
        for line in [
            "external_issuer_queue_depth 7\n",
            "external_issuer_requests_in_flight 3\n",
            "external_issuer_leader 1\n",
            "external_issuer_status_writes_total{result=\"conflict\"} 1\n",
            "external_issuer_events_dropped_total 1\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
