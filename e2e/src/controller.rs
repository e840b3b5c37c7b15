//! What a scenario may do to the controller, however it runs: a process of ours, a task beside a simulated
//! cluster, or pods of a Deployment.

use std::time::Duration;

use anyhow::{bail, ensure};
use futures::future::BoxFuture;

use crate::Result;

/// The controller under test: none, one or more replicas.
///
/// Between scenarios one replica with the default [`Settings`] runs. Only a scenario that runs alone may change
/// that; the suite puts it back.
pub trait Controller: Send + Sync {
    /// The replicas that run.
    fn replicas(&self) -> Vec<Replica>;
    /// Starts one more, and waits until it serves `/livez`. It need not lead, nor be ready.
    fn start(&self, settings: Settings) -> BoxFuture<'_, Result<Replica>>;
    /// Asks a replica to end (SIGTERM) and waits; says how it ended.
    fn stop(&self, replica: &Replica, within: Duration) -> BoxFuture<'_, Result<End>>;
    /// Asks a replica to end and does not wait.
    fn ask_to_stop(&self, replica: &Replica) -> Result;
    /// Waits for the end of a replica.
    fn ended(&self, replica: &Replica, within: Duration) -> BoxFuture<'_, Result<End>>;
    /// Ends a replica at once (SIGKILL).
    fn kill(&self, replica: &Replica) -> BoxFuture<'_, Result>;
    /// Reads `/metrics`, `/livez` or `/readyz` of a replica: status and body.
    fn get(&self, replica: &Replica, path: &str) -> BoxFuture<'_, Result<(u16, String)>>;
    /// All that all replicas have logged, one JSON object a line, the oldest replica first.
    fn log(&self) -> String;
    /// How a replica runs.
    fn settings(&self, replica: &Replica) -> Result<Settings>;
    /// One replica with the default settings runs, leads and is ready, and no other. One restores at a time.
    fn restore(&self) -> BoxFuture<'_, Result>;
}

/// As long as the controller may take after SIGTERM, and a little more.
pub(crate) const STOP: Duration = Duration::from_secs(35);

/// What [`Controller::restore`] does, once nobody else does it.
pub(crate) async fn restore(controller: &dyn Controller) -> Result {
    let running = controller.replicas();
    if let [one] = running.as_slice()
        && controller.settings(one)? == Settings::default()
    {
        return until_it_leads(controller, one).await;
    }
    for replica in running {
        if controller.stop(&replica, STOP).await.is_err() {
            controller.kill(&replica).await?;
        }
    }
    let replica = controller.start(Settings::default()).await?;
    until_it_leads(controller, &replica).await
}

/// Waits until a replica leads and is ready.
async fn until_it_leads(controller: &dyn Controller, replica: &Replica) -> Result {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        if !controller.replicas().contains(replica) {
            let end = controller.ended(replica, Duration::ZERO).await?;
            bail!("{replica:?} ended with {end:?}");
        }
        let ready = controller.get(replica, "/readyz").await.is_ok_and(|(status, _)| status == 200);
        let leads = controller.get(replica, "/metrics").await.is_ok_and(|(_, text)| leads(&text));
        if ready && leads {
            return Ok(());
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "{replica:?} does not lead: ready {ready}, leads {leads}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether the replica with these metrics leads.
#[must_use]
pub fn leads(metrics: &str) -> bool {
    metrics.lines().any(|line| line == "external_issuer_leader 1")
}

/// One replica: its number, which is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Replica(pub usize);

/// How a replica ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit status.
    Exit(i32),
    /// By a signal.
    Signal(i32),
}

/// How a replica runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How far its clock is ahead (or, if negative, behind).
    pub clock_offset_secs: i64,
    /// A Lease of five seconds instead of the usual fifteen, so that a successor of a killed leader starts soon.
    pub short_lease: bool,
    /// How many requests it works on at once, if not its default.
    pub requests_at_once: Option<usize>,
}

impl Settings {
    /// As flags of `external-issuer run`. The clock has none.
    pub(crate) fn flags(self) -> Vec<String> {
        let mut flags = vec!["--leader-elect".to_owned()];
        if self.short_lease {
            let lease = "--leader-elect-lease-duration 5s --leader-elect-renew-deadline 4s \
                         --leader-elect-retry-period 500ms";
            flags.extend(lease.split(' ').map(str::to_owned));
        }
        if let Some(count) = self.requests_at_once {
            flags.extend(["--max-concurrent-requests".to_owned(), count.to_string()]);
        }
        flags
    }
}
