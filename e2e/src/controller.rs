//! What a scenario may do to the controller, however it runs: a process of ours, a task beside a simulated
//! cluster, or pods of a Deployment.

use std::time::Duration;

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
    /// One replica with the default settings runs, leads and is ready, and no other.
    fn restore(&self) -> BoxFuture<'_, Result>;
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
