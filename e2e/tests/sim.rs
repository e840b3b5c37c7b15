//! Every scenario on a simulated cluster: `cargo test -p e2e --test sim [-- FILTER] [--list] [--seed N] [--repeat N]`.

use std::process::ExitCode;

use clap::Parser as _;
use e2e::arm::sim::suite::{self, Flags};

fn main() -> ExitCode {
    if suite::run(Flags::parse(), &e2e::scenario::all()) { ExitCode::SUCCESS } else { ExitCode::from(101) }
}
