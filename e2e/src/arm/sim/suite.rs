//! Scenarios on simulated clusters, one for each.

use anyhow::Context as _;
use clap::Parser;

use super::Sim;
use super::log::Log;
use crate::Result;
use crate::suite::{self, Arm, Scenario};

/// The command line.
#[derive(Debug, Parser)]
#[command(about = "Scenarios on simulated clusters, in this process and without waiting")]
pub struct Flags {
    #[command(flatten)]
    suite: suite::Selection,
}

/// What cannot run here, and why.
const LEFT_OUT: &[(&str, &str)] = &[(
    "in_tree::cert_managers_own_vault_issuer_issues_from_mock_pki_and_we_leave_it_alone",
    "it is about an issuer inside the real cert-manager",
)];

/// A run is the same every time, unless another seed is given.
const SEED: u64 = 1;

/// Runs the scenarios that the command line selects. Returns whether all is well.
#[must_use]
pub fn run(flags: Flags, scenarios: &[Scenario]) -> bool {
    // Fails only if one was installed before, which then serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let seed = flags.suite.seed.unwrap_or(SEED);
    // The longest are the last of the list: begun first, they do not outlast the others.
    let longest_first: Vec<Scenario> = scenarios.iter().rev().copied().collect();
    suite::run(flags.suite, Simulated, &longest_first, seed)
}

struct Simulated;

impl Arm for Simulated {
    fn leaves_out(&self, scenario: &Scenario) -> Option<&'static str> {
        LEFT_OUT.iter().find(|(name, _)| *name == scenario.name).map(|(_, reason)| *reason)
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, Into::into)
    }

    fn run(&self, scenario: Scenario, seed: u64) -> Result {
        let log = Log::default();
        let _caught = log.catch()?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(async {
            let sim = Sim::up(seed, scenario.mode, log).await.context("setting the stage")?;
            suite::judge(&sim.ground, scenario, seed).await
        })
    }

    fn end(&self, _: bool) {}
}
