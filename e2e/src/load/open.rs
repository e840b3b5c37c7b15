//! Requests come at a fixed rate, whether or not the issuer keeps up: how long does each wait?

use std::time::{Duration, Instant};

use kube::api::DynamicObject;
use tokio::task::JoinSet;

use super::args::Open;
use super::audit::Mark;
use super::error::{LoadError, Result};
use super::interrupt::Interrupt;
use super::process::Watched;
use super::report::{Report, millis, number};
use super::run::LATE_EVENTS;
use super::session::{Session, both};

/// Approves at a fixed rate.
pub(super) async fn open(open: &Open, interrupt: &Interrupt) -> Result<Report> {
    let (mut session, made) = Session::begin(&open.common, interrupt).await?;
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
    session.finish(std::future::pending()).await?;
    let processes = watched.costs();
    if mark.is_some() {
        tokio::time::sleep(LATE_EVENTS).await;
    }
    let mut report = session.report("open loop");
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
        let due = begin + Duration::from_secs_f64(number(index) / open.rate);
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {}
            () = session.interrupt.first() => return Err(LoadError::Interrupted),
        }
        latest = latest.max(due.elapsed());
        let (requests, create) = (session.requests.clone(), open.approved_by_others);
        let name = session.run.request(index);
        pending.spawn(async move {
            let sent = if create { requests.create(&object).await } else { requests.approve(&name).await };
            sent.map(drop)
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
