//! The modes: which there are, and those that make no requests.

use std::time::Duration;

use super::args::{Command, Delay, Idle};
use super::backlog::{backlog, ended};
use super::error::{LoadError, Result};
use super::interrupt::Interrupt;
use super::null::null;
use super::open::open;
use super::process::{Issuer, Watched};
use super::report::Report;
use super::table;
use crate::line;

/// What a mode came to.
#[derive(Debug)]
pub enum Ended {
    /// Reports, and whether they are wanted as JSON.
    Reports(Vec<Report>, bool),
    /// A text.
    Text(String),
}

/// Events are written off the issuer's path; what is still on its way is waited for before calls are counted.
pub(super) const LATE_EVENTS: Duration = Duration::from_secs(2);

/// Does what was asked. An interruption ends it: what was made is deleted, what was started is stopped.
pub async fn run(command: &Command) -> Result<Ended> {
    let interrupt = Interrupt::listen()
        .map_err(|error| LoadError::Process(format!("could not listen for signals: {error}")))?;
    let interrupt = &interrupt;
    Ok(match command {
        Command::Backlog(of) => Ended::Reports(backlog(of, interrupt).await?, of.common.output.json),
        Command::Open(of) => Ended::Reports(vec![open(of, interrupt).await?], of.common.output.json),
        Command::Null(of) => Ended::Reports(null(of, interrupt).await?, of.common.output.json),
        Command::Idle(of) => Ended::Reports(vec![idle(of, interrupt).await?], of.output.json),
        Command::Delay(of) => delay(of, interrupt).await?,
        Command::Table(of) => Ended::Text(table::render(&of.files)?),
    })
}

async fn idle(idle: &Idle, interrupt: &Interrupt) -> Result<Report> {
    let watched = Watched::begin(&idle.processes, true)?;
    let issuer = match idle.command.as_slice() {
        [] if idle.processes.is_empty() => {
            return Err(LoadError::Process("give --pid NAME=PID, or a command behind --".to_owned()));
        }
        [] => None,
        command => Some(Issuer::start(command, idle.log.as_deref()).await?),
    };
    tokio::select! {
        () = tokio::time::sleep(idle.duration) => {}
        error = ended(issuer.as_ref()) => return Err(error),
        () = interrupt.first() => return Err(LoadError::Interrupted),
    }
    let mut processes: Vec<_> = issuer.as_ref().and_then(Issuer::cost).into_iter().collect();
    processes.extend(watched.costs());
    if let Some(issuer) = issuer {
        issuer.stop().await?;
    }
    let label = idle.output.label.clone().unwrap_or_else(|| "idle".to_owned());
    Ok(Report { label, mode: "idle".to_owned(), processes, ..Report::default() })
}

async fn delay(delay: &Delay, interrupt: &Interrupt) -> Result<Ended> {
    let Delay { listen, to, by } = delay;
    let problem = |error| LoadError::Process(format!("could not listen on {listen}: {error}"));
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(problem)?;
    tokio::select! {
        ended = line::serve(listener, to.clone(), *by) => ended.map_err(problem).map(|()| Ended::Text(String::new())),
        () = interrupt.first() => Err(LoadError::Interrupted),
    }
}
