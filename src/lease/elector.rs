//! The loop that stands for election, leads and releases. A thin shell: [`super::rules`] decides.

use std::future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::leadership::State;
use super::rules::{self, Seen, Step};
use super::{Leadership, Settings};
use crate::clock::SharedClock;
use crate::random::Chance;

/// One contender.
pub struct Elector {
    api: Api<Lease>,
    clock: SharedClock,
    chance: Chance,
    settings: Settings,
    seen: Option<Seen>,
    /// While leading: when the last renewal that succeeded was sent.
    renewed: Option<Instant>,
    state: watch::Sender<State>,
}

/// Why a try did not come to a decision.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("the API server refused")]
    Api(#[from] kube::Error),
    #[error("the API server did not answer within {0:?}")]
    Timeout(Duration),
}

impl Elector {
    /// A contender that does nothing yet. The wall clock is only for what people read in the Lease.
    #[must_use]
    pub fn new(client: Client, clock: SharedClock, chance: Chance, settings: Settings) -> Self {
        let api = Api::namespaced(client, &settings.namespace);
        let (state, _) = watch::channel(State::default());
        Self { api, clock, chance, settings, seen: None, renewed: None, state }
    }

    /// The view for the rest of the process.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        Leadership::of(self.state.subscribe())
    }

    /// Stands for election, and again whenever leadership is lost, until `shutdown`; then releases the Lease.
    ///
    /// Cancel `shutdown` after the work that needs leadership has ended: from then on another may lead.
    pub async fn run(mut self, shutdown: CancellationToken) {
        // Whatever is going on, the end of leadership is announced first.
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = reached(deadline) => self.lose(),
                () = self.try_once() => {}
            }
            let pause = self.pause();
            let deadline = self.deadline();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = reached(deadline) => self.lose(),
                () = sleep(pause) => {}
            }
        }
        self.release().await;
    }

    /// When leadership ends unless a renewal succeeds.
    fn deadline(&self) -> Option<Instant> {
        self.renewed.map(|sent| sent + self.settings.timing.renew_deadline())
    }

    /// The leader keeps the beat; contenders scatter (client-go: `JitterFactor` 1.2), so that they do not meet
    /// at every try.
    fn pause(&self) -> Duration {
        let period = self.settings.timing.retry_period();
        if self.renewed.is_some() { period } else { period.mul_f64(1.0 + 1.2 * (self.chance)()) }
    }

    async fn try_once(&mut self) {
        if let Err(error) = self.acquire_or_renew().await {
            tracing::warn!(
                lease = self.settings.name,
                namespace = self.settings.namespace,
                error = &error as &dyn std::error::Error,
                "leader election: try failed"
            );
        }
    }

    async fn acquire_or_renew(&mut self) -> Result<(), CallError> {
        // The holder writes at once: what it saw last is almost always what is there.
        if self.seen.as_ref().is_some_and(|seen| seen.is_held_by(&self.settings.identity))
            && matches!(self.write(Step::Renew).await, Ok(true))
        {
            return Ok(());
        }
        let lease = self.call(self.api.get_opt(&self.settings.name)).await?;
        self.observe(lease);
        let step = rules::step(self.seen.as_ref(), &self.settings.identity, Instant::now());
        self.write(step).await.map(drop)
    }

    fn observe(&mut self, lease: Option<Lease>) {
        let before = self.seen.take();
        self.seen = lease.map(|lease| Seen::observed(before.as_ref(), lease, Instant::now()));
        let holder = self.seen.as_ref().and_then(Seen::holder);
        if holder != before.as_ref().and_then(Seen::holder) {
            tracing::info!(lease = self.settings.name, holder, "leader election: holder seen");
        }
    }

    /// Writes what `step` asks for. Whether it is ours now: not if another was faster.
    async fn write(&mut self, step: Step) -> Result<bool, CallError> {
        let Settings { name, identity, timing, .. } = &self.settings;
        let (duration, wall, sent) = (timing.lease_duration(), self.clock.now(), Instant::now());
        let written = match (step, &self.seen) {
            (Step::Renew | Step::TakeOver, Some(seen)) => {
                let lease = seen.claimed(identity, duration, wall);
                self.call(self.api.replace(name, &PostParams::default(), &lease)).await
            }
            (Step::Create, _) => {
                let lease = rules::created(name, identity, duration, wall);
                self.call(self.api.create(&PostParams::default(), &lease)).await
            }
            (Step::Wait, _) | (_, None) => return Ok(false),
        };
        match written {
            Ok(lease) => {
                self.seen = Some(Seen::observed(None, lease, Instant::now()));
                self.win(sent);
                Ok(true)
            }
            Err(CallError::Api(kube::Error::Api(status))) if status.code == 409 => {
                tracing::debug!(lease = name, "leader election: another writer was faster");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The Lease is ours by a write that was sent at `sent`.
    fn win(&mut self, sent: Instant) {
        let first = self.renewed.replace(sent).is_none();
        let validity = self.settings.timing.validity();
        self.state.send_modify(|state| {
            state.term += u64::from(first);
            state.valid_until = Some(sent + validity);
            state.validity = validity;
        });
        if first {
            tracing::info!(lease = self.settings.name, identity = self.settings.identity, "became leader");
        }
    }

    /// The renew deadline has passed.
    fn lose(&mut self) {
        self.end_term();
        tracing::error!(
            lease = self.settings.name,
            identity = self.settings.identity,
            "lost leadership: the lease could not be renewed within {:?}",
            self.settings.timing.renew_deadline()
        );
    }

    fn end_term(&mut self) {
        self.renewed = None;
        self.state.send_modify(|state| state.valid_until = None);
    }

    /// Hands the Lease to whoever asks next. If that fails it runs out by itself.
    async fn release(&mut self) {
        self.end_term();
        let mine = |seen: &Option<Seen>, me: &str| seen.as_ref().is_some_and(|seen| seen.is_held_by(me));
        if !mine(&self.seen, &self.settings.identity) {
            return;
        }
        let mut result = self.write_release().await;
        if result.is_err() {
            // What we saw may be old: a renewal that timed out, or a label that somebody set.
            result = match self.call(self.api.get_opt(&self.settings.name)).await {
                Ok(lease) => {
                    self.observe(lease);
                    if !mine(&self.seen, &self.settings.identity) {
                        return;
                    }
                    self.write_release().await
                }
                Err(error) => Err(error),
            };
        }
        match result {
            Ok(()) => tracing::info!(lease = self.settings.name, "released the lease"),
            Err(error) => tracing::warn!(
                lease = self.settings.name,
                error = &error as &dyn std::error::Error,
                "the lease could not be released and will run out"
            ),
        }
    }

    async fn write_release(&self) -> Result<(), CallError> {
        let Some(seen) = &self.seen else { return Ok(()) };
        let lease = seen.released(self.clock.now());
        self.call(self.api.replace(&self.settings.name, &PostParams::default(), &lease)).await.map(drop)
    }

    /// Bounds a call as controller-runtime does: two must fit into the renew deadline.
    async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
        let limit = self.settings.timing.renew_deadline() / 2;
        match timeout(limit, call).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(CallError::Timeout(limit)),
        }
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => future::pending().await,
    }
}
