//! Scenarios on one control plane that all share.
//!
//! Most run beside others, each in its own namespace. Those that do something to the controller run alone, after the
//! others. The control plane comes up with the first scenario.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::anyhow;
use clap::Parser;
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, RwLock};

use super::{Local, clocks_can_be_wrong};
use crate::Result;
use crate::suite::{self, Arm, Mode, Scenario, chain, note};
use crate::world::{Ground, Pictures};

/// The command line.
#[derive(Debug, Parser)]
#[command(about = "Scenarios on a real control plane, with the controller as a process beside it")]
pub struct Flags {
    #[command(flatten)]
    suite: suite::Selection,

    /// Where logs and data go [default: a folder that is removed if all is well]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Write down what scenarios leave, in fixtures/scenarios, instead of comparing with it
    #[arg(long)]
    record: bool,
}

/// How many scenarios run at once unless told otherwise: they mostly wait.
const AT_ONCE: usize = 6;
/// As a shell says it of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Runs the scenarios that the command line selects. Returns whether all is well.
pub fn run(flags: Flags, scenarios: &[Scenario]) -> Result<bool> {
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build()?);
    let seed = flags.suite.seed.unwrap_or_else(|| u64::from(std::process::id()) ^ drawn());
    let shared = Arc::new(Shared {
        given: flags.state_dir,
        pictures: if flags.record { Pictures::Record } else { Pictures::Compare },
        folder: OnceLock::new(),
        seed,
        local: OnceCell::new(),
        turn: RwLock::new(()),
    });
    let clocks = clocks_can_be_wrong();
    if !clocks {
        note("libfaketime is missing, so scenarios with a wrong clock are ignored: apt-get install faketime");
    }
    runtime.spawn(Arc::clone(&shared).until_interrupted());
    let mut alone_last = scenarios.to_vec();
    alone_last.sort_by_key(|scenario| !scenario.mode.is_beside());
    Ok(suite::run(flags.suite, Locally { runtime, shared, clocks }, &alone_last, seed))
}

struct Locally {
    runtime: Arc<Runtime>,
    shared: Arc<Shared>,
    clocks: bool,
}

impl Arm for Locally {
    fn leaves_out(&self, scenario: &Scenario) -> Option<&'static str> {
        (scenario.mode == Mode::WrongClock && !self.clocks).then_some("libfaketime is missing")
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn run(&self, scenario: Scenario, seed: u64) -> Result {
        self.runtime.block_on(self.shared.scenario(scenario, seed))
    }

    /// Stops what runs, and keeps the logs if something failed.
    fn end(&self, failed: bool) {
        if let Some(Ok(local)) = self.shared.local.get()
            && let Err(error) = self.runtime.block_on(local.stop())
        {
            note(&format!("stopping: {error:#}"));
        }
        self.shared.keep_or_remove(failed);
    }
}

struct Shared {
    /// Where logs and data shall go.
    given: Option<PathBuf>,
    pictures: Pictures,
    /// Where they do go, once there are any.
    folder: OnceLock<PathBuf>,
    seed: u64,
    /// A control plane that did not come up will not do so for the next scenario either.
    local: OnceCell<std::result::Result<Local, String>>,
    /// Shared by those that run beside others, held by one that runs alone.
    turn: RwLock<()>,
}

impl Shared {
    async fn scenario(&self, scenario: Scenario, seed: u64) -> Result {
        let ground = self.ground().await?;
        if scenario.mode.is_beside() {
            let _turn = self.turn.read().await;
            suite::judge(ground, scenario, seed).await
        } else {
            let _turn = self.turn.write().await;
            suite::judge(ground, scenario, seed).await
        }
    }

    async fn ground(&self) -> Result<&Ground> {
        let up = async || {
            let up = async { Local::up(self.make_folder()?, self.pictures, note).await };
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
}

fn drawn() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}
