//! The `external-issuer` program: parse, telemetry, run.

use std::io::Write as _;
use std::process::ExitCode;

use external_issuer::args::{self, Command};
use external_issuer::{run, telemetry};

fn main() -> ExitCode {
    let config = match args::parse(std::env::args_os()) {
        Ok(Command::Run(config)) => config,
        Ok(Command::Print(text)) => {
            // A reader that closes the pipe early has what it wanted.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => error.exit(),
    };
    let ended = telemetry::init(config.log_format, &config.log_filter)
        .map_err(|error| run::chain(&error))
        .and_then(|()| run::run(*config).map_err(|error| run::chain(&error)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "external-issuer: {error}");
            ExitCode::FAILURE
        }
    }
}
