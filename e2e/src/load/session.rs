//! A run: requests that are made, approved, watched and deleted again. The modes differ in what happens meanwhile.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::DynamicObject;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::api::{self, Requests};
use super::args::Common;
use super::audit::{Calls, Mark};
use super::board::{Board, Record};
use super::error::{LoadError, Result};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::report::{Issuance, Report};
use super::request::{self, Run};
use super::watch;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);
/// The watch stands within this, or there is no run.
const STANDS: Duration = Duration::from_secs(30);

/// A run against an issuer: its requests, and the watch that tells what becomes of them.
pub(super) struct Session<'a> {
    pub(super) common: &'a Common,
    pub(super) run: Run,
    pub(super) requests: Requests,
    pub(super) board: Arc<Board>,
    pub(super) progress: Progress,
    pub(super) interrupt: Interrupt,
    watch: JoinHandle<()>,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl<'a> Session<'a> {
    /// A watch that stands, and requests that are not made yet.
    pub(super) async fn begin(
        common: &'a Common,
        interrupt: &Interrupt,
    ) -> Result<(Self, Vec<DynamicObject>)> {
        let client = api::client(common.target.kubeconfig.as_deref()).await?;
        let run = Run::new();
        let made = request::requests(&run, &common.target, &common.duration, common.count.get())?;
        let board = Arc::new(Board::new(common.count.get()));
        let (ready, stands) = oneshot::channel();
        let namespace = common.target.namespace.clone();
        let watch =
            tokio::spawn(watch::watch(client.clone(), namespace, run.clone(), Arc::clone(&board), ready));
        let requests = Requests::new(client, &common.target.namespace);
        let interrupt = interrupt.clone();
        let session = Self { common, run, requests, board, progress: Progress::new(), interrupt, watch };
        // A watch that begins later would show late what it shows.
        let stands = tokio::time::timeout(STANDS, stands).await;
        stands
            .map_err(|_| LoadError::Process(format!("no watch on the requests within {STANDS:?}")))?
            .map_err(|_| LoadError::Process("the watch on the requests ended".to_owned()))?;
        Ok((session, made))
    }

    pub(super) async fn create(&mut self, made: &[DynamicObject]) -> Result<()> {
        let requests = &self.requests;
        let creating = stream::iter(made.iter().map(|request| requests.create(request)));
        let step = Step { name: "created", all: made.len(), at_once: self.common.at_once };
        step.done(creating, &mut self.progress, self.interrupt.first()).await.map(drop)
    }

    pub(super) async fn approve(&mut self) -> Result<()> {
        let (run, requests) = (&self.run, &self.requests);
        let all = self.common.count.get();
        let approving =
            stream::iter((0..all).map(|index| async move { requests.approve(&run.request(index)).await }));
        let step = Step { name: "approved", all, at_once: self.common.at_once };
        step.done(approving, &mut self.progress, self.interrupt.first()).await.map(drop)
    }

    /// Waits until every request has ended, or until `failed` says why they will not.
    pub(super) async fn finish(&mut self, failed: impl Future<Output = LoadError>) -> Result<()> {
        let (board, count) = (Arc::clone(&self.board), self.common.count.get());
        let mut tick = tokio::time::interval(TICK);
        let deadline = tokio::time::sleep(self.common.timeout);
        tokio::pin!(deadline, failed);
        let ended = loop {
            tokio::select! {
                () = board.all_finished() => break Ok(()),
                error = &mut failed => break Err(error),
                () = self.interrupt.first() => break Err(LoadError::Interrupted),
                () = &mut deadline => break Err(self.timeout()),
                _ = tick.tick() => self.progress.show("ready", board.finished(), count),
            }
        };
        self.progress.clear();
        ended
    }

    fn timeout(&self) -> LoadError {
        let records = self.board.records();
        let example = records.iter().enumerate().find(|(_, record)| record.end.is_none()).map_or(
            String::new(),
            |(index, Record { approved, waiting, .. })| {
                let said = match (waiting, approved) {
                    (Some(waiting), _) => format!("its Ready condition says {waiting}"),
                    (None, Some(_)) => {
                        "it is approved and has no Ready condition: does the issuer run?".to_owned()
                    }
                    (None, None) => {
                        "it is not approved: may the approver approve for this issuer?".to_owned()
                    }
                };
                format!("of {}, {said}", self.run.request(index))
            },
        );
        LoadError::Timeout {
            finished: self.board.finished(),
            count: records.len(),
            seconds: self.common.timeout.as_secs(),
            example,
        }
    }

    /// Deletes the requests, unless they shall be kept.
    pub(super) async fn clean_up(&mut self) -> Result<()> {
        if self.common.keep {
            return Ok(());
        }
        delete_all(&self.requests, &self.run, self.common, &mut self.progress, &self.interrupt).await
    }

    pub(super) fn report(&self, mode: &str) -> Report {
        let records = self.board.records();
        Report {
            label: label(self.common, mode),
            mode: mode.to_owned(),
            count: records.len(),
            issuance: Some(Issuance::of(&records, self.board.restarts())),
            client: self.common.client.clone(),
            ..Report::default()
        }
    }

    pub(super) fn calls(&self, mark: Option<&Mark>) -> Result<Option<Vec<Calls>>> {
        let prefix = format!("{}-", self.run.name());
        mark.map(|mark| mark.calls_since(&self.common.target.namespace, &prefix)).transpose()
    }
}

pub(super) fn label(common: &Common, mode: &str) -> String {
    let target = &common.target;
    common.output.label.clone().unwrap_or_else(|| format!("{} {}, {mode}", target.kind, target.name))
}

/// Many calls of one kind.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// What progress says of those that are done.
    pub(super) name: &'static str,
    /// How many.
    pub(super) all: usize,
    /// How many at once.
    pub(super) at_once: NonZeroUsize,
}

impl Step {
    /// Makes the calls, showing how many are done. An interruption and the first error end it.
    pub(super) async fn done<T, F: Future<Output = Result<T>>>(
        self,
        calls: impl stream::Stream<Item = F>,
        progress: &mut Progress,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Vec<T>> {
        let mut done = Vec::with_capacity(self.all);
        let mut running = std::pin::pin!(calls.buffer_unordered(self.at_once.get()));
        let mut interrupted = std::pin::pin!(interrupted);
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                next = running.try_next() => match next? {
                    Some(answer) => done.push(answer),
                    None => break,
                },
                _ = tick.tick() => progress.show(self.name, done.len(), self.all),
                () = &mut interrupted => return Err(LoadError::Interrupted),
            }
        }
        progress.clear();
        Ok(done)
    }
}

/// Deletes a run's requests. The interruption that led here does not end it, another one does.
pub(super) async fn delete_all(
    requests: &Requests,
    run: &Run,
    common: &Common,
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let all = common.count.get();
    let deleting =
        stream::iter((0..all).map(|index| async move { requests.delete(&run.request(index)).await }));
    let step = Step { name: "deleted", all, at_once: common.at_once };
    step.done(deleting, progress, interrupt.next()).await.map(drop)
}

/// The first error of the two, with the work's before the cleaning's.
pub(super) fn both<T>(worked: Result<T>, cleaned: Result<()>) -> Result<T> {
    worked.and_then(|answer| cleaned.map(|()| answer))
}
