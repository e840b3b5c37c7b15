//! The whole flow in one process, told as it happens.
//!
//! ```text
//! story ──> acts as you do: applies manifests, breaks the PKI, waits ──┐
//! up ──> opens doors, and lets you act ────────────────────────────────┴──> scene: everybody at work
//! witness ──> watches the cluster ──┐
//! PKI's calls ──────────────────────┴──> timeline ──> stdout
//! pace ──> turns the one clock
//! ```

mod args;
mod pace;
mod scene;
mod story;
mod timeline;
mod up;
mod witness;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let played = match &args.command {
        None => story::play(&args),
        Some(Command::Up(up)) => up::play(&args, up),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "playground: {error:#}");
            ExitCode::FAILURE
        }
    }
}
