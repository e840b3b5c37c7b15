//! The real controller as a task.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use external_issuer::args::{self, Command};
use external_issuer::clock::{Clock, SharedClock};
use external_issuer::random::SharedChance;
use external_issuer::run::{self, RunError, Seams};
use external_issuer::signer::http::Transport;
use jiff::Timestamp;
use kube::Client;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A replica. It ends where it stands when this is dropped.
#[derive(Debug)]
pub struct Controller {
    stop: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
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

/// The stage's clock, as the controller sees it.
pub(crate) struct SimClock(pub(crate) sim_kube::client::Clock);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Controller {
    pub(crate) fn start(
        client: Client,
        clock: SharedClock,
        chance: SharedChance,
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
        let seams = Seams { client, clock, chance, transport: Some(transport) };
        let task = tokio::spawn(run::serve(*config, seams, stop.clone()));
        Ok(Self { stop, task })
    }

    /// What SIGTERM does; waits for the end.
    pub async fn stop(mut self) -> Ended {
        self.tell_to_stop();
        self.ended().await
    }

    /// What SIGKILL does.
    pub async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub(crate) fn tell_to_stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self) -> Ended {
        match (&mut self.task).await {
            Ok(Ok(())) => Ended::Well,
            Ok(Err(error)) => Ended::Failed(error),
            Err(_) => Ended::Killed,
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}
