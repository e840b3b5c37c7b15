//! Runs scenarios on one arm and reports as libtest does.
//!
//! Every scenario is followed by [`World::check`]. How many run at once, and beside what, is the arm's business.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::Result;
use crate::world::{Ground, World};

/// One scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// `topic::a_sentence`.
    pub name: &'static str,
    /// What may run beside it, and what it takes.
    pub mode: Mode,
    /// What must be true.
    pub run: for<'a> fn(&'a World) -> BoxFuture<'a, Result>,
}

/// How a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Beside others.
    Beside,
    /// Alone: it does something to what all share.
    Alone,
    /// Alone, with a controller whose clock is wrong. Left out where that cannot be had.
    WrongClock,
    /// Beside others where no webhook of cert-manager's reads requests.
    Unread,
}

impl Mode {
    /// Whether others may run meanwhile: the scenario leaves the controller alone.
    #[must_use]
    pub fn is_beside(self) -> bool {
        matches!(self, Self::Beside | Self::Unread)
    }
}

/// The part of the command line that all arms share.
#[derive(Debug, Args)]
pub struct Selection {
    #[command(flatten)]
    libtest: Arguments,

    /// How many times to run the selected scenarios, each time with the next seed
    #[arg(long, default_value_t = 1, value_name = "N")]
    repeat: u32,

    /// The seed of everything random
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
}

/// Where scenarios run.
pub trait Arm: Send + Sync + 'static {
    /// Why a scenario does not run here, if it does not.
    fn leaves_out(&self, scenario: &Scenario) -> Option<&'static str>;
    /// How many scenarios run at once unless told otherwise.
    fn at_once(&self) -> usize;
    /// Runs a scenario on a cluster of its own or on one that all share; see [`judge`].
    fn run(&self, scenario: Scenario, seed: u64) -> Result;
    /// Ends what still runs.
    fn end(&self, failed: bool);
}

/// No scenario may take longer, by the clock that it waits by.
const LIMIT: Duration = Duration::from_mins(7);

/// Runs the scenarios that the command line selects, in their order. Returns whether all is well.
pub fn run(mut flags: Selection, arm: impl Arm, scenarios: &[Scenario], seed: u64) -> bool {
    let started = Instant::now();
    let arm = Arc::new(arm);
    let times: Arc<Mutex<BTreeMap<String, Duration>>> = Arc::default();
    let mut trials = Vec::new();
    for &scenario in scenarios {
        let left_out = arm.leaves_out(&scenario);
        for repetition in 0..flags.repeat {
            let (arm, times) = (Arc::clone(&arm), Arc::clone(&times));
            let seed = seed.wrapping_add(u64::from(repetition));
            let trial = Trial::test(scenario.name, move || {
                let began = Instant::now();
                let ended = arm.run(scenario, seed);
                let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                times.insert(scenario.name.to_owned(), began.elapsed());
                ended.map_err(|error| Failed::from(format!("{}\n(--seed {seed})", chain(&error))))
            });
            // libtest shows a kind before the name: the reason is seen where the scenario is ignored.
            trials.push(match left_out {
                Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
                None => trial,
            });
        }
    }
    flags.libtest.test_threads.get_or_insert(arm.at_once());
    let conclusion = libtest_mimic::run(&flags.libtest, trials);
    arm.end(conclusion.has_failed());
    let times = times.lock().unwrap_or_else(PoisonError::into_inner);
    if !times.is_empty() {
        tell_the_slowest(&times, started);
    }
    !conclusion.has_failed()
}

fn tell_the_slowest(times: &BTreeMap<String, Duration>, started: Instant) {
    let mut slowest: Vec<(&String, &Duration)> = times.iter().collect();
    slowest.sort_by_key(|(_, time)| std::cmp::Reverse(**time));
    note("slowest:");
    for (name, time) in slowest.iter().take(10) {
        note(&format!("{:>7.1} s  {name}", time.as_secs_f64()));
    }
    note(&format!("{:>7.1} s  in all", started.elapsed().as_secs_f64()));
}

/// Runs a scenario, and judges what is left.
pub async fn judge(ground: &Ground, scenario: Scenario, seed: u64) -> Result {
    ground.controller.restore().await.context("the controller before the scenario")?;
    let before = ground.controller.replicas();
    let sentence = scenario.name.rsplit("::").next().unwrap_or(scenario.name);
    let world = World::new(ground, sentence, seed).await?;
    let judged = async {
        match tokio::time::timeout(LIMIT, (scenario.run)(&world)).await {
            Ok(ended) => ended.with_context(|| format!("in namespace {}", world.namespace))?,
            Err(_) => anyhow::bail!("not done within {LIMIT:?}{}", world.story().await),
        }
        world.check().await.context("after the scenario")?;
        world.end(scenario.name, ground.pictures).await?;
        let after = ground.controller.replicas();
        ensure!(
            !scenario.mode.is_beside() || before == after,
            "the controller ended by itself: {before:?} ran before, {after:?} after{}",
            world.story().await
        );
        Ok(())
    };
    let judged = judged.await;
    // One that failed leaves nothing that others would meet.
    let torn_down = world.tear_down().await.context("tearing down");
    judged.and(torn_down)
}

/// An error and what led to it, without a backtrace: which line of a scenario it was, the texts say.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n  because ")
}

/// A line for the person who waits.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "e2e: {text}");
}
