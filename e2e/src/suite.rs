//! Runs scenarios on one arm and reports as libtest does.
//!
//! Most scenarios run beside others, each in its own namespace. Those that do something to the controller that
//! all share run alone, after the others. Every scenario is followed by [`World::check`].

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use clap::Parser;
use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, RwLock};

use crate::Result;
use crate::arm::local::{self, Local};
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
    /// Alone, with a controller whose clock is wrong. Ignored where that cannot be had.
    WrongClock,
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

/// As a shell says it of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Runs the scenarios that the command line selects. Returns whether all is well.
pub fn run(mut flags: Flags, scenarios: &[Scenario]) -> Result<bool> {
    let started = Instant::now();
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build()?);
    let seed = flags.seed.unwrap_or_else(|| u64::from(std::process::id()) ^ drawn());
    let suite = Arc::new(Suite {
        runtime,
        given: flags.state_dir.clone(),
        folder: OnceLock::new(),
        seed,
        local: OnceCell::new(),
        turn: RwLock::new(()),
        times: Mutex::default(),
    });
    flags.libtest.test_threads.get_or_insert(AT_ONCE);
    suite.runtime.spawn(Arc::clone(&suite).until_interrupted());
    let conclusion = libtest_mimic::run(&flags.libtest, suite.trials(scenarios, flags.repeat));
    suite.end(&conclusion, started);
    Ok(!conclusion.has_failed())
}

struct Suite {
    runtime: Arc<Runtime>,
    /// Where logs and data shall go.
    given: Option<PathBuf>,
    /// Where they do go, once there are any.
    folder: OnceLock<PathBuf>,
    seed: u64,
    /// A control plane that did not come up will not do so for the next scenario either.
    local: OnceCell<std::result::Result<Local, String>>,
    /// Shared by those that run beside others, held by one that runs alone.
    turn: RwLock<()>,
    times: Mutex<BTreeMap<String, Duration>>,
}

impl Suite {
    fn trials(self: &Arc<Self>, scenarios: &[Scenario], repeat: u32) -> Vec<Trial> {
        let mut sorted = scenarios.to_vec();
        sorted.sort_by_key(|scenario| scenario.mode != Mode::Beside);
        let clocks = local::clocks_can_be_wrong();
        if !clocks {
            note(
                "libfaketime is missing, so scenarios with a wrong clock are ignored: apt-get install faketime",
            );
        }
        let trial = |scenario: &Scenario| {
            let (suite, scenario) = (Arc::clone(self), *scenario);
            Trial::test(scenario.name, move || {
                suite.runtime.block_on(suite.scenario(scenario)).map_err(|error| Failed::from(chain(&error)))
            })
            .with_ignored_flag(scenario.mode == Mode::WrongClock && !clocks)
        };
        let mut trials: Vec<Trial> = Vec::new();
        for scenario in &sorted {
            trials.extend((0..repeat).map(|_| trial(scenario)));
        }
        trials
    }

    async fn ground(&self) -> Result<&Ground> {
        let up = async || {
            let up = async { Local::up(self.make_folder()?, self.seed, note).await };
            up.await.map_err(|error| chain(&error))
        };
        match self.local.get_or_init(up).await {
            Ok(local) => Ok(&local.ground),
            Err(why) => Err(anyhow!("the control plane did not come up: {why}")),
        }
    }

    fn make_folder(&self) -> Result<&PathBuf> {
        let folder = match &self.given {
            Some(folder) => folder.clone(),
            None => tempfile::Builder::new().prefix("external-issuer-e2e-").tempdir()?.keep(),
        };
        let seed = self.seed;
        note(&format!("seed {seed} (--seed {seed} repeats it), logs in {}", folder.display()));
        Ok(self.folder.get_or_init(|| folder))
    }

    async fn scenario(&self, scenario: Scenario) -> Result {
        let ground = self.ground().await?;
        if scenario.mode == Mode::Beside {
            let _turn = self.turn.read().await;
            self.timed(ground, scenario).await
        } else {
            let _turn = self.turn.write().await;
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
        let judged = async {
            match tokio::time::timeout(LIMIT, (scenario.run)(&world)).await {
                Ok(ended) => ended.with_context(|| format!("in namespace {}", world.namespace))?,
                Err(_) => anyhow::bail!("not done within {LIMIT:?}{}", world.story().await),
            }
            world.check().await.context("after the scenario")?;
            let after = ground.controller.replicas();
            ensure!(
                scenario.mode != Mode::Beside || before == after,
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

    /// On Ctrl-C everything ends in order; a second one does not wait for that.
    async fn until_interrupted(self: Arc<Self>) {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        note("interrupted; stopping");
        if let Some(Ok(local)) = self.local.get() {
            tokio::select! {
                _ = local.stop() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        self.keep_or_remove(false);
        std::process::exit(INTERRUPTED);
    }

    /// The logs are kept if something failed, or if it was said where they go.
    fn keep_or_remove(&self, failed: bool) {
        let Some(folder) = self.folder.get() else { return };
        if failed || self.given.is_some() {
            note(&format!("logs are kept in {}", folder.display()));
        } else {
            drop(std::fs::remove_dir_all(folder));
        }
    }

    /// Stops what runs, says what took longest, and keeps the logs if something failed.
    fn end(&self, conclusion: &Conclusion, started: Instant) {
        let Some(Ok(local)) = self.local.get() else { return self.keep_or_remove(conclusion.has_failed()) };
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
        self.keep_or_remove(conclusion.has_failed());
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
