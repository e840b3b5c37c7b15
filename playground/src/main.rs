//! The whole flow in one process, told as it happens.
//!
//! ```text
//! story ──> acts as you do: applies manifests, breaks the PKI, waits
//! witness ──> watches the cluster ──┐
//! PKI's calls ──────────────────────┴──> timeline ──> stdout
//! pace ──> turns the one clock
//! ```

mod args;
mod pace;
mod story;
mod timeline;
mod witness;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use jiff::Timestamp;
use sim_stage::{Options, Stage};

use self::args::Args;
use self::story::Story;
use self::timeline::Timeline;

/// What the cluster's clock shows at first.
const BEGINS: &str = "2030-01-01T00:00:00Z";

fn main() -> ExitCode {
    let args = Args::parse();
    match play(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "playground: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(args: &Args) -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        let begins: Timestamp = BEGINS.parse().context("the beginning of time")?;
        let timeline = Timeline::new(args.json, begins);
        let stage = Stage::set(Options { seed: args.seed, begins }).await?;
        let story = Story::new(&stage, &timeline);
        tokio::select! {
            told = story.tell() => told,
            () = pace::keep(args.speed) => Ok(()),
        }
    })
}
