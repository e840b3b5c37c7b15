//! Wiring and shutdown.
//!
//! Every replica watches, so that a new leader starts warm; only the leader works. On SIGTERM or SIGINT nothing
//! new is begun, what is in flight may end within [`GRACE`], the Lease is released, and the process ends with
//! success. A process that loses its leadership against its will ends with failure: whatever it believes is
//! stale, and its supervisor starts it anew.

use std::error::Error;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin, BindError, Readiness};
use crate::args::Config;
use crate::bounded::bounded;
use crate::clock::{SharedClock, SystemClock};
use crate::controller::answer::Answers;
use crate::controller::events::Events;
use crate::controller::issuer::IssuerReconciler;
use crate::controller::issuers::Issuers;
use crate::controller::load::Loader;
use crate::controller::queue::queue;
use crate::controller::references::References;
use crate::controller::request::RequestReconciler;
use crate::controller::status::StatusWriter;
use crate::controller::store::{Requests, Serves};
use crate::controller::unused::{Revocations, UnusedCertificates};
use crate::controller::watch::{self, IssuerWatch};
use crate::lease::{self, Elector, Leadership, Settings};
use crate::metrics::Metrics;
use crate::random::{self, Chance};
use crate::signer::http::Transport;
use crate::signer::registry::Registry;

/// How long work in flight may take to end after a signal. Kubernetes kills after 30 seconds by default.
pub const GRACE: Duration = Duration::from_secs(20);
/// How many issuers are checked at once.
const ISSUERS_AT_ONCE: std::num::NonZeroUsize = std::num::NonZeroUsize::new(8).unwrap();
/// How many certificates are revoked at once: nobody waits for it.
const REVOCATIONS_AT_ONCE: std::num::NonZeroUsize = std::num::NonZeroUsize::new(2).unwrap();

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The runtime or a signal handler could not be set up.
    #[error("the process could not be set up")]
    Setup(#[source] io::Error),
    /// No way to an API server.
    #[error("no configuration for an API server: give --kubeconfig, or run in a cluster")]
    Kubeconfig(#[source] Box<dyn Error + Send + Sync>),
    /// The configuration does not make a client.
    #[error("the Kubernetes client could not be made")]
    Client(#[source] kube::Error),
    /// A port is in use, or not allowed.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Another process leads.
    #[error("leadership was lost")]
    LeadershipLost,
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Runs until a signal.
pub fn run(config: Config) -> Result<(), RunError> {
    // Fails only if one was installed before, which then serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RunError::Setup)?.block_on(
        async {
            let stop = stop_on_signal()?;
            let client = client(config.kubeconfig.clone()).await?;
            let seams = Seams {
                client,
                clock: Arc::new(SystemClock),
                transport: None,
                doors: None,
                chance: random::machine(),
            };
            Box::pin(serve(config, seams, stop)).await
        },
    )
}

/// Where the controller meets the world. A simulation puts its own there.
pub struct Seams {
    /// The API server.
    pub client: Client,
    /// The time of day.
    pub clock: SharedClock,
    /// The way to PKIs; over the network if `None`.
    pub transport: Option<Arc<dyn Transport>>,
    /// Who wants to read health and metrics without a socket; is sent what answers there.
    pub doors: Option<oneshot::Sender<Router>>,
    /// What spreads retries, checks and contenders.
    pub chance: Chance,
}

/// Runs until `stop`, or until leadership is lost.
#[expect(clippy::too_many_lines, reason = "wiring: one list, from top to bottom, of what is made of what")]
pub async fn serve(config: Config, seams: Seams, stop: CancellationToken) -> Result<(), RunError> {
    let Seams { client, clock, transport, doors, chance } = seams;
    let client = bounded(client);
    let Config {
        metrics_address,
        health_address,
        leader_election,
        cluster_resource_namespace,
        watch_namespace,
        max_concurrent_requests,
        log_format: _,
        log_filter: _,
        events,
        kubeconfig: _,
    } = config;
    let metrics = Metrics::new();
    let readiness = Readiness::new();
    let gates = (
        readiness.gate("certificaterequests"),
        readiness.gate("externalissuers"),
        watch_namespace.is_none().then(|| readiness.gate("externalclusterissuers")),
    );
    if let Some(doors) = doors {
        // Who has lost interest is not told.
        let _ = doors.send(admin::doors(readiness.clone(), Arc::clone(&metrics)));
    }
    let admin = Admin::bind(
        health_address.as_ref(),
        metrics_address.as_ref(),
        readiness.clone(),
        Arc::clone(&metrics),
    )
    .await?;
    if let Some(address) = admin.health_address() {
        tracing::info!(%address, "serving /livez, /readyz and /healthz");
    }
    if let Some(address) = admin.metrics_address() {
        tracing::info!(%address, "serving /metrics");
    }
    let after_work = CancellationToken::new();
    let mut background = JoinSet::new();
    background.spawn(admin.serve(after_work.clone()));

    let identity = lease::identity();
    let leadership = match leader_election {
        None => Leadership::always(),
        Some(election) => {
            let settings = Settings {
                namespace: election.namespace,
                name: election.name,
                identity: identity.clone(),
                timing: election.timing,
            };
            let elector = Elector::new(client.clone(), Arc::clone(&clock), Arc::clone(&chance), settings);
            let leadership = elector.leadership();
            background.spawn(elector.run(after_work.clone()));
            leadership
        }
    };

    let (events, event_writer) = if events {
        let (events, writer) =
            Events::new(client.clone(), Arc::clone(&clock), &identity, Arc::clone(&metrics));
        (events, Some(writer))
    } else {
        (Events::off(Arc::clone(&clock), Arc::clone(&metrics)), None)
    };
    let writer_task = event_writer.map(|writer| tokio::spawn(writer.run()));
    let serves = if watch_namespace.is_some() { Serves::Namespaced } else { Serves::Both };
    let requests = Arc::new(Requests::new(serves));
    let issuers = Arc::new(Issuers::default());
    let (request_queue, request_work) = queue();
    let (issuer_queue, issuer_work) = queue();
    let (revocation_queue, revocation_work) = queue();
    let references = References::new(client.clone(), issuer_queue.clone());
    let status = StatusWriter::new(client.clone(), Arc::clone(&metrics));
    let unused = UnusedCertificates {
        issuers: Arc::clone(&issuers),
        events: events.clone(),
        leadership: leadership.clone(),
        metrics: Arc::clone(&metrics),
        revocations: Revocations::new(revocation_queue),
        chance: Arc::clone(&chance),
    };
    let request_reconciler = RequestReconciler {
        client: client.clone(),
        load: Loader {
            requests: Arc::clone(&requests),
            issuers: Arc::clone(&issuers),
            clock: Arc::clone(&clock),
            chance: Arc::clone(&chance),
        },
        status: status.clone(),
        events: events.clone(),
        queue: request_queue.clone(),
        issuers: issuer_queue.clone(),
        leadership: leadership.clone(),
        metrics: Arc::clone(&metrics),
        answers: Answers::default(),
        unused: unused.clone(),
    };
    let issuer_reconciler = IssuerReconciler {
        issuers: Arc::clone(&issuers),
        requests: Arc::clone(&requests),
        references: references.clone(),
        registry: Arc::new(Registry::new(Arc::clone(&clock), transport)),
        status,
        events,
        queue: issuer_queue.clone(),
        request_queue: request_queue.clone(),
        clock,
        chance,
        cluster_namespace: cluster_resource_namespace.into(),
        metrics: Arc::clone(&metrics),
        uids: Arc::default(),
    };

    let watches = IssuerWatch {
        issuers,
        requests: Arc::clone(&requests),
        references,
        issuer_queue,
        request_queue: request_queue.clone(),
    };
    let mut watching = JoinSet::new();
    let (request_gate, issuer_gate, cluster_gate) = gates;
    {
        let (client, namespace, leadership) = (client.clone(), watch_namespace.clone(), leadership.clone());
        watching.spawn(async move {
            let namespace = namespace.as_deref();
            watch::requests(client, namespace, requests, request_queue, leadership, request_gate).await;
        });
    }
    if let Some(gate) = cluster_gate {
        watching.spawn(watches.clone().cluster(client.clone(), gate));
    }
    {
        let (client, namespace) = (client.clone(), watch_namespace.clone());
        watching.spawn(async move { watches.namespaced(client, namespace.as_deref(), issuer_gate).await });
    }

    // A request that is decided before its issuer was listed would be told that there is none.
    let leads = tokio::select! {
        () = async { leadership.acquired().await; readiness.ready().await } => true,
        () = stop.cancelled() => false,
    };
    metrics.leader(leads);
    if leads {
        let (client, namespace) = (client.clone(), watch_namespace.clone());
        let requests = Arc::clone(&request_reconciler.load.requests);
        watching.spawn(async move { watch::leads_since(client, namespace.as_deref(), requests).await });
    }
    let lost = leadership.lost();
    let work = {
        let stop = stop.clone();
        async move {
            let observe = move |waiting, in_flight| metrics.queue(waiting, in_flight);
            let issuers = Arc::clone(&issuer_reconciler.issuers);
            let requests = Arc::clone(&request_reconciler.load.requests);
            let issuer_work = issuer_work.run(
                ISSUERS_AT_ONCE,
                stop.clone(),
                |_, _| (),
                || issuers.keys(),
                move |key| issuer_reconciler.clone().reconcile(key),
            );
            let revocation_work = revocation_work.run(
                REVOCATIONS_AT_ONCE,
                stop.clone(),
                |_, _| (),
                Vec::new,
                move |key| unused.clone().revoke(key),
            );
            let request_work = request_work.run(
                max_concurrent_requests,
                stop,
                observe,
                || requests.begin(),
                move |key| request_reconciler.clone().reconcile(key),
            );
            tokio::join!(request_work, issuer_work, revocation_work);
        }
    };
    let ended = if leads {
        tokio::select! {
            biased;
            () = lost => Err(RunError::LeadershipLost),
            () = within_grace(&stop, work) => Ok(()),
        }
    } else {
        Ok(())
    };
    watching.shutdown().await;
    if let Some(task) = writer_task {
        // The reconcilers are gone, and with them the last who make events.
        let _ = tokio::time::timeout(Duration::from_secs(2), task).await;
    }
    after_work.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(5), async {
        while background.join_next().await.is_some() {}
    })
    .await;
    tracing::info!("stopped");
    ended
}

/// Does the work; after `stop` it may take [`GRACE`] longer, then it is dropped where it stands. Nothing is lost
/// by that but calls to the PKI whose answers nobody waits for any more.
async fn within_grace(stop: &CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => {
            tracing::warn!("work in flight did not end in time and is abandoned");
        }
    }
}

async fn client(kubeconfig: Option<std::path::PathBuf>) -> Result<Client, RunError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| RunError::Kubeconfig(error.into()))?;
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .map_err(|error| RunError::Kubeconfig(error.into()))?
        }
        None => kube::Config::infer().await.map_err(|error| RunError::Kubeconfig(error.into()))?,
    };
    let agent = concat!("external-issuer/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    Client::try_from(config).map_err(RunError::Client)
}

fn stop_on_signal() -> Result<CancellationToken, RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Setup)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Setup)?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: nothing new is begun, work in flight may end");
        token.cancel();
    });
    Ok(stop)
}
