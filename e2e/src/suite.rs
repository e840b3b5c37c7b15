//! Runs scenarios on one arm and reports as libtest does.
//!
//! Most scenarios run beside others, each in its own namespace. Those that do something to the controller that
//! all share run alone, after the others. Every scenario is followed by [`World::check`].

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, RwLock};

use crate::Result;
use crate::arm::local::Local;
use crate::world::{Ground, World};

/// One scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// `topic::a_sentence`.
    pub name: &'static str,
    /// Whether others may run beside it.
    pub alone: bool,
    /// What must be true.
    pub run: for<'a> fn(&'a World) -> BoxFuture<'a, Result>,
}

/// The command line.
#[derive(Debug, Parser)]
#[command(about = "Scenarios on a real control plane, with the controller as a process beside it")]
pub struct Flags {
    #[command(flatten)]
    libtest: Arguments,

    /// How many times to run the selected scenarios
    #[arg(long, default_value_t = 1, value_name = "N")]
    repeat: u32,

    /// The seed of everything random; drawn if absent, and printed
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// Where logs and data go [default: a folder that is removed if all is well]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// How many scenarios run at once unless told otherwise: they mostly wait.
const AT_ONCE: usize = 6;
/// No scenario may take longer.
const LIMIT: Duration = Duration::from_mins(7);

/// Runs the scenarios that the command line selects. Returns whether all is well.
pub fn run(mut flags: Flags, scenarios: &[Scenario]) -> Result<bool> {
    let started = Instant::now();
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build()?);
    let seed = flags.seed.unwrap_or_else(|| u64::from(std::process::id()) ^ drawn());
    let given = flags.state_dir.clone();
    let folder = match &given {
        Some(folder) => folder.clone(),
        None => tempfile::Builder::new().prefix("external-issuer-e2e-").tempdir()?.keep(),
    };
    let suite = Arc::new(Suite {
        runtime,
        folder: folder.clone(),
        seed,
        local: OnceCell::new(),
        turn: RwLock::new(()),
        times: Mutex::default(),
    });
    flags.libtest.test_threads.get_or_insert(AT_ONCE);
    if !flags.libtest.list {
        note(&format!("seed {seed} (--seed {seed} repeats it), logs in {}", folder.display()));
    }
    let conclusion = libtest_mimic::run(&flags.libtest, suite.trials(scenarios, flags.repeat));
    suite.end(&conclusion, started, given.is_none());
    Ok(!conclusion.has_failed())
}

struct Suite {
    runtime: Arc<Runtime>,
    folder: PathBuf,
    seed: u64,
    local: OnceCell<Local>,
    /// Shared by those that run beside others, held by one that runs alone.
    turn: RwLock<()>,
    times: Mutex<BTreeMap<String, Duration>>,
}

impl Suite {
    fn trials(self: &Arc<Self>, scenarios: &[Scenario], repeat: u32) -> Vec<Trial> {
        let mut sorted = scenarios.to_vec();
        sorted.sort_by_key(|scenario| scenario.alone);
        let trial = |scenario: &Scenario| {
            let (suite, scenario) = (Arc::clone(self), *scenario);
            Trial::test(scenario.name, move || {
                suite.runtime.block_on(suite.scenario(scenario)).map_err(|error| Failed::from(chain(&error)))
            })
        };
        let mut trials: Vec<Trial> = Vec::new();
        for scenario in &sorted {
            trials.extend((0..repeat).map(|_| trial(scenario)));
        }
        trials
    }

    async fn ground(&self) -> Result<&Ground> {
        let local = self.local.get_or_try_init(|| Local::up(&self.folder, self.seed, note)).await?;
        Ok(&local.ground)
    }

    async fn scenario(&self, scenario: Scenario) -> Result {
        let ground = self.ground().await?;
        if scenario.alone {
            let _turn = self.turn.write().await;
            self.timed(ground, scenario).await
        } else {
            let _turn = self.turn.read().await;
            self.timed(ground, scenario).await
        }
    }

    async fn timed(&self, ground: &Ground, scenario: Scenario) -> Result {
        ground.controller.restore().await.context("the controller before the scenario")?;
        let began = Instant::now();
        let ended = self.one(ground, scenario).await;
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.insert(scenario.name.to_owned(), began.elapsed());
        ended
    }

    async fn one(&self, ground: &Ground, scenario: Scenario) -> Result {
        let before = ground.controller.replicas();
        let sentence = scenario.name.rsplit("::").next().unwrap_or(scenario.name);
        let world = World::new(ground, sentence).await?;
        let run = (scenario.run)(&world);
        match tokio::time::timeout(LIMIT, run).await {
            Ok(ended) => ended.with_context(|| format!("in namespace {}", world.namespace))?,
            Err(_) => anyhow::bail!("not done within {LIMIT:?}{}", world.story().await),
        }
        world.check().await.context("after the scenario")?;
        let after = ground.controller.replicas();
        ensure!(
            scenario.alone || before == after,
            "the controller ended by itself: {before:?} ran before, {after:?} after{}",
            world.story().await
        );
        world.tear_down().await
    }

    /// Stops what runs, says what took longest, and keeps the logs if something failed.
    fn end(&self, conclusion: &Conclusion, started: Instant, remove: bool) {
        let Some(local) = self.local.get() else { return };
        if let Err(error) = self.runtime.block_on(local.stop()) {
            note(&format!("stopping: {error:#}"));
        }
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slowest: Vec<(&String, &Duration)> = times.iter().collect();
        slowest.sort_by_key(|(_, time)| std::cmp::Reverse(**time));
        note("slowest:");
        for (name, time) in slowest.iter().take(10) {
            note(&format!("{:>7.1} s  {name}", time.as_secs_f64()));
        }
        note(&format!("{:>7.1} s  in all", started.elapsed().as_secs_f64()));
        if conclusion.has_failed() || !remove {
            note(&format!("logs are kept in {}", self.folder.display()));
        } else {
            drop(std::fs::remove_dir_all(Path::new(&self.folder)));
        }
    }
}

/// An error and what led to it, without a backtrace: which line of a scenario it was, the texts say.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n  because ")
}

/// A line for the person who waits.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "e2e: {text}");
}

fn drawn() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}
