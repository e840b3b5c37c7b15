//! The `issue-load` program: parse, run, print.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use e2e::load::args::Cli;
use e2e::load::error::{LoadError, chain};
use e2e::load::run::{Ended, run};

/// As a shell says it of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let (text, good) = match run(&cli.command).await {
        Ok(Ended::Text(text)) => (text, true),
        Ok(Ended::Reports(reports, json)) => {
            let good = reports.iter().all(|report| report.issuance.as_ref().is_none_or(|of| of.failed == 0));
            let show = |report| if json { to_json(report) } else { format!("{report}") };
            (reports.iter().map(show).collect(), good)
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "issue-load: {}", chain(&error));
            return ExitCode::from(if matches!(error, LoadError::Interrupted) { INTERRUPTED } else { 1 });
        }
    };
    // A reader that closes the pipe early has what it wanted.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn to_json(report: &e2e::load::report::Report) -> String {
    serde_json::to_string(report)
        .map_or_else(|error| format!("{{\"error\": \"{error}\"}}\n"), |line| line + "\n")
}
