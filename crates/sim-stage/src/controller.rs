//! The real controller as a task.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use axum::Router;
use external_issuer::args::{self, Command};
use external_issuer::clock::{Clock, SharedClock};
use external_issuer::random::Chance;
use external_issuer::run::{self, RunError, Seams};
use external_issuer::signer::http::Transport;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A replica. It ends where it stands when this is dropped.
#[derive(Debug)]
pub struct Controller {
    stop: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
    doors: oneshot::Receiver<Router>,
}

/// Where a replica is not like the others.
#[derive(Clone, Default)]
pub struct Apart {
    /// How far its clock is ahead of the stage's (or, if negative, behind).
    pub clock_ahead: SignedDuration,
    /// Its way to PKIs, if not to the stage's own.
    pub transport: Option<Arc<dyn Transport>>,
}

/// How a replica ended.
#[derive(Debug)]
pub enum Ended {
    /// As it should.
    Well,
    /// With an error, which it says.
    Failed(RunError),
    /// It was killed, or it panicked.
    Killed,
}

/// Never shows the same time twice, as no real one does: events are named after the nanosecond.
pub(crate) struct SimClock<F> {
    stage: sim_kube::client::Clock,
    /// How far it is ahead.
    ahead: F,
    read: AtomicI64,
}

impl<F> SimClock<F> {
    pub(crate) fn new(stage: sim_kube::client::Clock, ahead: F) -> Self {
        Self { stage, ahead, read: AtomicI64::new(0) }
    }
}

impl<F: Fn() -> SignedDuration + Send + Sync> Clock for SimClock<F> {
    fn now(&self) -> Timestamp {
        let read = SignedDuration::from_nanos(self.read.fetch_add(1, Ordering::Relaxed));
        self.stage.now() + (self.ahead)() + read
    }
}

/// A sequence that a seed fixes (the generator is splitmix64).
pub(crate) fn chance(seed: u64) -> Chance {
    let state = AtomicU64::new(seed);
    Arc::new(move || {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = state.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let upper = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default();
        f64::from(upper) / (f64::from(u32::MAX) + 1.0)
    })
}

impl Controller {
    pub(crate) fn start(
        client: Client,
        clock: SharedClock,
        chance: Chance,
        transport: Arc<dyn Transport>,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        // No address is listened on, unless a flag says so: where a flag is given twice the last one counts.
        let program = ["external-issuer", "run", "--metrics-bind-address=0", "--health-probe-bind-address=0"];
        let Command::Run(config) =
            args::parse(program.iter().chain(flags)).context("the controller's flags")?
        else {
            bail!("the controller's flags print something instead of running it");
        };
        let stop = CancellationToken::new();
        let (tell, doors) = oneshot::channel();
        let seams = Seams { client, clock, transport: Some(transport), doors: Some(tell), chance };
        let task = tokio::spawn(run::serve(*config, seams, stop.clone()));
        Ok(Self { stop, task, doors })
    }

    /// What answers `/livez`, `/readyz`, `/healthz` and `/metrics` of the replica; nothing if it ended before it could.
    pub async fn doors(&mut self) -> Option<Router> {
        (&mut self.doors).await.ok()
    }

    /// What SIGTERM does; does not wait.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end, which comes by itself only if something is wrong.
    pub async fn ended(&mut self) -> Ended {
        match (&mut self.task).await {
            Ok(Ok(())) => Ended::Well,
            Ok(Err(error)) => Ended::Failed(error),
            Err(_) => Ended::Killed,
        }
    }

    /// What SIGTERM does; waits for the end.
    pub async fn stop(mut self) -> Ended {
        self.ask_to_stop();
        self.ended().await
    }

    /// What SIGKILL does.
    pub async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}
