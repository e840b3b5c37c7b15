//! The modes, carried out.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::DynamicObject;
use tokio::process::Command as Process;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::api::{self, Requests};
use super::args::{Backlog, Command, Common, Delay, Idle, Null, Open};
use super::audit::Mark;
use super::board::{Approval, Board, Record};
use super::error::{LoadError, Result};
use super::process::{Issuer, Watched};
use super::progress::Progress;
use super::report::{Issuance, Latency, NullRate, Report, millis, per_second};
use super::request::{self, Canned, Run};
use super::{delay, table, watch};

/// What a mode came to.
#[derive(Debug)]
pub enum Ended {
    /// Reports, and whether they are wanted as JSON.
    Reports(Vec<Report>, bool),
    /// A text.
    Text(String),
}

/// Events are written off the issuer's path; what is still on its way is waited for before calls are counted.
const LATE_EVENTS: Duration = Duration::from_secs(2);
/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// Does what was asked.
pub async fn run(command: &Command) -> Result<Ended> {
    match command {
        Command::Backlog(backlog) => reports(self::backlog(backlog).await?, backlog.common.output.json),
        Command::Open(open) => reports(vec![self::open(open).await?], open.common.output.json),
        Command::Null(null) => reports(self::null(null).await?, null.common.output.json),
        Command::Idle(idle) => reports(vec![self::idle(idle).await?], idle.output.json),
        Command::Delay(delay) => self::delay(delay).await,
        Command::Table(files) => table::render(&files.files).map(Ended::Text),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it ends each arm above")]
fn reports(reports: Vec<Report>, json: bool) -> Result<Ended> {
    Ok(Ended::Reports(reports, json))
}

/// A run against an issuer: its requests, and the watch that tells what becomes of them.
struct Session<'a> {
    common: &'a Common,
    run: Run,
    requests: Requests,
    board: Arc<Board>,
    watch: JoinHandle<()>,
    progress: Progress,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl<'a> Session<'a> {
    async fn begin(common: &'a Common) -> Result<(Self, Vec<DynamicObject>)> {
        let client = api::client(common.target.kubeconfig.as_deref()).await?;
        let run = Run::new();
        let made = request::requests(&run, &common.target, &common.duration, common.count.get())?;
        let board = Arc::new(Board::new(common.count.get()));
        let (ready, stands) = oneshot::channel();
        let namespace = common.target.namespace.clone();
        let watch =
            tokio::spawn(watch::watch(client.clone(), namespace, run.clone(), Arc::clone(&board), ready));
        // Dropped only with the watch itself, and then the requests time out.
        let _ = tokio::time::timeout(Duration::from_secs(10), stands).await;
        let requests = Requests::new(client, &common.target.namespace);
        Ok((Self { common, run, requests, board, watch, progress: Progress::new() }, made))
    }

    async fn create(&mut self, made: &[DynamicObject]) -> Result<()> {
        let requests = &self.requests;
        let creating = stream::iter(made.iter().map(|request| requests.create(request)));
        counted(creating, self.common.at_once, &mut self.progress, "created", made.len()).await.map(drop)
    }

    async fn approve(&mut self) -> Result<()> {
        let (run, requests, board) = (&self.run, &self.requests, &self.board);
        let count = self.common.count.get();
        let approving = stream::iter((0..count).map(|index| async move {
            requests.approve(&run.request(index)).await?;
            board.approved(index, Instant::now());
            Ok(())
        }));
        counted(approving, self.common.at_once, &mut self.progress, "approved", count).await.map(drop)
    }

    /// Waits until every request has ended, or until `failed` says why they will not.
    async fn finish(&mut self, failed: impl Future<Output = LoadError>) -> Result<()> {
        let (board, count) = (Arc::clone(&self.board), self.common.count.get());
        let mut tick = tokio::time::interval(TICK);
        let deadline = tokio::time::sleep(self.common.timeout);
        tokio::pin!(deadline, failed);
        let ended = loop {
            tokio::select! {
                () = board.all_finished() => break Ok(()),
                error = &mut failed => break Err(error),
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
            |(index, Record { approval_seen, waiting, .. })| {
                let said = match (waiting, approval_seen) {
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
    async fn clean_up(&mut self) -> Result<()> {
        if self.common.keep {
            return Ok(());
        }
        delete_all(&self.requests, &self.run, self.common, &mut self.progress).await
    }

    fn report(&self, mode: &str, approval: Approval) -> Report {
        let records = self.board.records();
        Report {
            label: label(self.common, mode),
            mode: mode.to_owned(),
            count: records.len(),
            issuance: Some(Issuance::of(&records, approval, self.board.restarts())),
            ..Report::default()
        }
    }

    fn calls(&self, mark: Option<&Mark>) -> Result<Option<Vec<super::audit::Calls>>> {
        let prefix = format!("{}-", self.run.name());
        mark.map(|mark| mark.calls_since(&self.common.target.namespace, &prefix)).transpose()
    }
}

fn label(common: &Common, mode: &str) -> String {
    let target = &common.target;
    common.output.label.clone().unwrap_or_else(|| format!("{} {}, {mode}", target.kind, target.name))
}

/// Runs futures, so many at once, showing how many are done. Ctrl-C and the first error end it.
async fn counted<T, F: Future<Output = Result<T>>>(
    futures: impl stream::Stream<Item = F>,
    at_once: NonZeroUsize,
    progress: &mut Progress,
    step: &str,
    all: usize,
) -> Result<Vec<T>> {
    let mut done = Vec::with_capacity(all);
    let mut running = std::pin::pin!(futures.buffer_unordered(at_once.get()));
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            next = running.try_next() => match next? {
                Some(answer) => done.push(answer),
                None => break,
            },
            _ = tick.tick() => progress.show(step, done.len(), all),
            () = interrupted() => return Err(LoadError::Interrupted),
        }
    }
    progress.clear();
    Ok(done)
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler Ctrl-C ends the process anyway.
        std::future::pending::<()>().await;
    }
}

async fn delete_all(requests: &Requests, run: &Run, common: &Common, progress: &mut Progress) -> Result<()> {
    let count = common.count.get();
    let deleting =
        stream::iter((0..count).map(|index| async move { requests.delete(&run.request(index)).await }));
    counted(deleting, common.at_once, progress, "deleted", count).await.map(drop)
}

/// The first error of the two, with the work's before the cleaning's.
fn both<T>(worked: Result<T>, cleaned: Result<()>) -> Result<T> {
    worked.and_then(|answer| cleaned.map(|()| answer))
}

async fn backlog(backlog: &Backlog) -> Result<Vec<Report>> {
    let (mut session, made) = Session::begin(&backlog.common).await?;
    let worked = backlog_with(backlog, &mut session, &made).await;
    let cleaned = session.clean_up().await;
    both(worked, cleaned).map(|report| vec![report])
}

async fn backlog_with(
    backlog: &Backlog,
    session: &mut Session<'_>,
    made: &[DynamicObject],
) -> Result<Report> {
    let common = &backlog.common;
    session.create(made).await?;
    session.approve().await?;
    let mark = common.audit.as_deref().map(Mark::now).transpose()?;
    let mut watched = Watched::begin(&common.processes, backlog.start_command.is_none())?;
    let began = Instant::now();
    let mut issuer = None;
    if !backlog.command.is_empty() {
        issuer = Some(Issuer::start(&backlog.command, backlog.log.as_deref())?);
    } else if let Some(command) = &backlog.start_command {
        shell(command).await?;
        watched.again(&common.processes)?;
    }
    let failed = async {
        tokio::select! {
            error = ended(issuer.as_mut()) => error,
            () = interrupted() => LoadError::Interrupted,
        }
    };
    session.finish(failed).await?;
    let mut processes: Vec<_> = issuer.as_ref().and_then(Issuer::cost).into_iter().collect();
    processes.extend(watched.costs());
    match issuer {
        // An issuer that ends writes its last events first.
        Some(issuer) => issuer.stop().await?,
        None if mark.is_some() => tokio::time::sleep(LATE_EVENTS).await,
        None => {}
    }
    let mut report = session.report("backlog", Approval::Answered);
    if let Some(issuance) = &mut report.issuance {
        // Of a backlog, the time since the approval is the time spent waiting for the issuer's start.
        issuance.latency = None;
        issuance.first_after_start = first_after(&session.board.records(), began);
    }
    Ok(Report { processes, calls: session.calls(mark.as_ref())?, ..report })
}

async fn ended(issuer: Option<&mut Issuer>) -> LoadError {
    match issuer {
        Some(issuer) => issuer.ended().await,
        None => std::future::pending().await,
    }
}

fn first_after(records: &[Record], began: Instant) -> Option<f64> {
    let first = records.iter().filter_map(|record| record.end.as_ref().map(|(at, _)| *at)).min()?;
    Some(first.saturating_duration_since(began).as_secs_f64())
}

async fn shell(command: &str) -> Result<()> {
    let run = Process::new("sh").args(["-c", command]).stdin(std::process::Stdio::null()).output().await;
    let output =
        run.map_err(|error| LoadError::Process(format!("could not run sh -c '{command}': {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(LoadError::Process(format!("--start-command failed ({}): {}", output.status, said.trim())))
}

async fn open(open: &Open) -> Result<Report> {
    let (mut session, made) = Session::begin(&open.common).await?;
    let worked = open_with(open, &mut session, made).await;
    let cleaned = session.clean_up().await;
    both(worked, cleaned)
}

async fn open_with(open: &Open, session: &mut Session<'_>, made: Vec<DynamicObject>) -> Result<Report> {
    let common = &open.common;
    if !(open.rate.is_finite() && open.rate > 0.0) {
        return Err(LoadError::Process("--rate must be a number above 0".to_owned()));
    }
    if !open.approved_by_others {
        session.create(&made).await?;
    }
    let mark = common.audit.as_deref().map(Mark::now).transpose()?;
    let watched = Watched::begin(&common.processes, true)?;
    let latest = pace(open, session, made).await?;
    session
        .finish(async {
            interrupted().await;
            LoadError::Interrupted
        })
        .await?;
    let processes = watched.costs();
    if mark.is_some() {
        tokio::time::sleep(LATE_EVENTS).await;
    }
    let approval = if open.approved_by_others { Approval::Seen } else { Approval::Answered };
    let mut report = session.report("open loop", approval);
    if let Some(issuance) = &mut report.issuance {
        issuance.latest_approval = Some(millis(latest));
    }
    Ok(Report { rate: Some(open.rate), processes, calls: session.calls(mark.as_ref())?, ..report })
}

/// Approves (or creates, where others approve) at the rate, waiting for no answer before the next. Returns how
/// late it was at worst.
async fn pace(open: &Open, session: &mut Session<'_>, made: Vec<DynamicObject>) -> Result<Duration> {
    let mut pending: JoinSet<Result<()>> = JoinSet::new();
    let begin = Instant::now();
    let mut latest = Duration::ZERO;
    let all = made.len();
    for (index, object) in made.into_iter().enumerate() {
        let due = begin + Duration::from_secs_f64(super::report::number(index) / open.rate);
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {}
            () = interrupted() => return Err(LoadError::Interrupted),
        }
        latest = latest.max(due.elapsed());
        let (requests, board) = (session.requests.clone(), Arc::clone(&session.board));
        let (name, create) = (session.run.request(index), open.approved_by_others);
        pending.spawn(async move {
            if create {
                return requests.create(&object).await.map(drop);
            }
            requests.approve(&name).await?;
            board.approved(index, Instant::now());
            Ok(())
        });
        while let Some(ended) = pending.try_join_next() {
            joined(ended)?;
        }
        if index.is_multiple_of(10) {
            session.progress.show("sent", index, all);
        }
    }
    while let Some(ended) = pending.join_next().await {
        joined(ended)?;
    }
    Ok(latest)
}

fn joined(ended: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    ended.map_err(|error| LoadError::Process(format!("a task of the load generator failed: {error}")))?
}

async fn null(null: &Null) -> Result<Vec<Report>> {
    let common = &null.common;
    let client = api::client(common.target.kubeconfig.as_deref()).await?;
    let canned = Canned::new()?;
    let mut reports = Vec::new();
    for writers in &null.writers {
        let run = Run::new();
        let requests = Requests::new(client.clone(), &common.target.namespace);
        let mut progress = Progress::new();
        let worked = null_with(null, *writers, &run, &requests, &canned, &mut progress).await;
        let cleaned =
            if common.keep { Ok(()) } else { delete_all(&requests, &run, common, &mut progress).await };
        reports.push(both(worked, cleaned)?);
    }
    Ok(reports)
}

async fn null_with(
    null: &Null,
    writers: NonZeroUsize,
    run: &Run,
    requests: &Requests,
    canned: &Canned,
    progress: &mut Progress,
) -> Result<Report> {
    let common = &null.common;
    let count = common.count.get();
    let made = request::requests(run, &common.target, &common.duration, count)?;
    let making = stream::iter(made.iter().map(|object| async move {
        requests.create(object).await?;
        requests.approve(object.metadata.name.as_deref().unwrap_or_default()).await
    }));
    let approved = counted(making, common.at_once, progress, "created and approved", count).await?;
    let watched = Watched::begin(&common.processes, true)?;
    let began = Instant::now();
    let writing = stream::iter(approved.iter().map(|object| async move {
        let began = Instant::now();
        requests.write(object, canned, null.write).await?;
        Ok(began.elapsed())
    }));
    let times = counted(writing, writers, progress, "written", count).await?;
    let took = began.elapsed();
    let write = format!("{:?}", null.write).to_lowercase();
    let kind = format!("null, {writers} writers, {write}");
    Ok(Report {
        label: label(common, &kind),
        mode: "null".to_owned(),
        count,
        null: Latency::of(times, "write begun").map(|latency| NullRate {
            writers: writers.get(),
            write,
            per_second: per_second(count, took),
            seconds: took.as_secs_f64(),
            latency,
        }),
        processes: watched.costs(),
        ..Report::default()
    })
}

async fn idle(idle: &Idle) -> Result<Report> {
    let watched = Watched::begin(&idle.processes, true)?;
    let mut issuer = match idle.command.as_slice() {
        [] if idle.processes.is_empty() => {
            return Err(LoadError::Process("give --pid NAME=PID, or a command behind --".to_owned()));
        }
        [] => None,
        command => Some(Issuer::start(command, idle.log.as_deref())?),
    };
    tokio::select! {
        () = tokio::time::sleep(idle.duration) => {}
        error = ended(issuer.as_mut()) => return Err(error),
        () = interrupted() => return Err(LoadError::Interrupted),
    }
    let mut processes: Vec<_> = issuer.as_ref().and_then(Issuer::cost).into_iter().collect();
    processes.extend(watched.costs());
    if let Some(issuer) = issuer {
        issuer.stop().await?;
    }
    let label = idle.output.label.clone().unwrap_or_else(|| "idle".to_owned());
    Ok(Report { label, mode: "idle".to_owned(), processes, ..Report::default() })
}

async fn delay(delay: &Delay) -> Result<Ended> {
    let Delay { listen, to, by } = delay;
    let problem = |error| LoadError::Process(format!("could not listen on {listen}: {error}"));
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(problem)?;
    tokio::select! {
        ended = delay::serve(listener, to.clone(), *by) => ended.map_err(problem).map(|()| Ended::Text(String::new())),
        () = interrupted() => Err(LoadError::Interrupted),
    }
}
