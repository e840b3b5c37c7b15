//! All requests wait before the issuer starts: how fast can it be, and what does it cost?

use std::time::Instant;

use kube::api::DynamicObject;
use tokio::process::Command as Process;

use super::args::Backlog;
use super::audit::Mark;
use super::board::Record;
use super::error::{LoadError, Result};
use super::interrupt::Interrupt;
use super::process::{Issuer, Watched};
use super::report::Report;
use super::run::LATE_EVENTS;
use super::session::{Session, both};

/// Approves all requests, then starts the issuer.
pub(super) async fn backlog(backlog: &Backlog, interrupt: &Interrupt) -> Result<Vec<Report>> {
    let (mut session, made) = Session::begin(&backlog.common, interrupt).await?;
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
        issuer = Some(Issuer::start(&backlog.command, backlog.log.as_deref()).await?);
    } else if let Some(command) = &backlog.start_command {
        shell(command).await?;
        watched.again(&common.processes)?;
    }
    session.finish(ended(issuer.as_ref())).await?;
    let mut processes: Vec<_> = issuer.as_ref().and_then(Issuer::cost).into_iter().collect();
    processes.extend(watched.costs());
    match issuer {
        // An issuer that ends writes its last events first.
        Some(issuer) => issuer.stop().await?,
        None if mark.is_some() => tokio::time::sleep(LATE_EVENTS).await,
        None => {}
    }
    let mut report = session.report("backlog");
    if let Some(issuance) = &mut report.issuance {
        // Of a backlog, the time since the approval is the time spent waiting for the issuer's start.
        issuance.latency = None;
        issuance.unseen = 0;
        issuance.first_after_start = first_after(&session.board.records(), began);
    }
    Ok(Report { processes, calls: session.calls(mark.as_ref())?, ..report })
}

/// The end of an issuer that nobody asked for.
pub(super) async fn ended(issuer: Option<&Issuer>) -> LoadError {
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
