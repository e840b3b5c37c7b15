//! Every scenario on a real control plane of this machine: `scripts/e2e-local.sh [FILTER] [--list] [--seed N]`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use e2e::arm::local::suite::{self, Flags};

fn main() -> ExitCode {
    match suite::run(Flags::parse(), &e2e::scenario::all()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(101),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "e2e: {error:?}");
            ExitCode::FAILURE
        }
    }
}
