//! No issuer: how many status writes can the API server take?

use std::num::NonZeroUsize;
use std::time::Instant;

use futures::stream;

use super::api::{self, Requests};
use super::args::Null;
use super::error::Result;
use super::interrupt::Interrupt;
use super::process::Watched;
use super::progress::Progress;
use super::report::{Latency, NullRate, Report, rate};
use super::request::{self, Canned, Run};
use super::session::{Step, both, delete_all, label};

/// Writes one canned status for each request; one run for each number of writers.
pub(super) async fn null(null: &Null, interrupt: &Interrupt) -> Result<Vec<Report>> {
    let common = &null.common;
    let client = api::client(common.target.kubeconfig.as_deref()).await?;
    let canned = Canned::new()?;
    let mut reports = Vec::new();
    for writers in &null.writers {
        let run = Run::new();
        let requests = Requests::new(client.clone(), &common.target.namespace);
        let mut progress = Progress::new();
        let writer =
            Writer { null, writers: *writers, run: &run, requests: &requests, canned: &canned, interrupt };
        let worked = writer.write(&mut progress).await;
        let cleaned = if common.keep {
            Ok(())
        } else {
            delete_all(&requests, &run, common, &mut progress, interrupt).await
        };
        reports.push(both(worked, cleaned)?);
    }
    Ok(reports)
}

/// One run.
struct Writer<'a> {
    null: &'a Null,
    writers: NonZeroUsize,
    run: &'a Run,
    requests: &'a Requests,
    canned: &'a Canned,
    interrupt: &'a Interrupt,
}

impl Writer<'_> {
    async fn write(self, progress: &mut Progress) -> Result<Report> {
        let Self { null, writers, run, requests, canned, interrupt } = self;
        let common = &null.common;
        let count = common.count.get();
        let made = request::requests(run, &common.target, &common.duration, count)?;
        let making = stream::iter(made.iter().map(|object| async move {
            requests.create(object).await?;
            requests.approve(object.metadata.name.as_deref().unwrap_or_default()).await
        }));
        let step = Step { name: "created and approved", all: count, at_once: common.at_once };
        let approved = step.done(making, progress, interrupt.first()).await?;
        let watched = Watched::begin(&common.processes, true)?;
        let writing = stream::iter(approved.iter().map(|object| async move {
            let began = Instant::now();
            requests.write(object, canned, null.write).await?;
            let answered = Instant::now();
            Ok((answered, answered - began))
        }));
        let step = Step { name: "written", all: count, at_once: writers };
        let written = step.done(writing, progress, interrupt.first()).await?;
        let (mut answers, times): (Vec<_>, Vec<_>) = written.into_iter().unzip();
        answers.sort_unstable();
        let (per_second, span) = rate(&answers);
        let write = format!("{:?}", null.write).to_lowercase();
        let kind = format!("null, {writers} writers, {write}");
        Ok(Report {
            label: label(common, &kind),
            mode: "null".to_owned(),
            count,
            null: Latency::of(times, "write begun").map(|latency| NullRate {
                writers: writers.get(),
                write,
                per_second,
                seconds: span.as_secs_f64(),
                latency,
            }),
            processes: watched.costs(),
            ..Report::default()
        })
    }
}
