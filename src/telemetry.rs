//! Where the log goes: stderr, as JSON or as text.
//!
//! The level comes as an `EnvFilter` text from the flags (`--log-level`, which also reads
//! `EXTERNAL_ISSUER_LOG`). The libraries below us are held to warnings unless the filter names them.

use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// The form of the log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, its fields at the top level.
    #[default]
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error(
        "--log-level (or EXTERNAL_ISSUER_LOG) {filter:?} cannot be read: write a level such as \"debug\", or target=level pairs such as \"info,external_issuer=debug\""
    )]
    Filter {
        /// The text that was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Something else has claimed the log already.
    #[error("the log cannot be set up")]
    Init(#[from] TryInitError),
}

/// What would drown our own lines at `info` and `debug`. Comes before the user's filter, so that a filter that
/// names one of these wins.
const QUIET: &str = "kube=warn,kube_client=warn,kube_runtime=warn,hyper=warn,hyper_util=warn,h2=warn,tower=warn,\
                     reqwest=warn,rustls=warn,axum=warn";

/// Sends the log of the whole process to stderr. Call once.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let ansi = io::stderr().is_terminal();
    match format {
        LogFormat::Text => text(parse(filter)?, ansi, io::stderr).try_init()?,
        LogFormat::Json => json(filter, io::stderr)?.try_init()?,
    }
    Ok(())
}

/// The filter of this text over [`QUIET`].
pub(crate) fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(format!("{QUIET},{filter}"))
        .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
}

fn text<W>(filter: EnvFilter, ansi: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(writer).finish()
}

/// The log as it is by default, one JSON object a line, to wherever `writer` says.
pub fn json<W>(filter: &str, writer: W) -> Result<impl Subscriber + Send + Sync, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false);
    Ok(lines.with_env_filter(parse(filter)?).with_writer(writer).finish())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_at_the_top() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = json("info", move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", namespace = "team-a").entered();
            tracing::info!(outcome = "issued", "concluded");
        });

        let line: serde_json::Value = serde_json::from_str(&lines.text()).unwrap();
        assert_eq!(line["message"], "concluded");
        assert_eq!(line["outcome"], "issued");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["span"]["namespace"], "team-a");
    }

    #[test]
    fn a_bare_level_keeps_the_libraries_quiet_and_a_named_library_speaks() {
        for (filter, expected) in
            [("debug", vec!["ours"]), ("debug,kube_client=debug", vec!["ours", "theirs"])]
        {
            let lines = Lines::default();
            let writer = lines.clone();
            let subscriber = text(parse(filter).unwrap(), false, move || writer.clone());
            tracing::subscriber::with_default(subscriber, || {
                tracing::debug!(target: "external_issuer", "ours");
                tracing::debug!(target: "kube_client::client", "theirs");
            });
            let text = lines.text();
            let shown: Vec<&str> = text.lines().filter_map(|line| line.rsplit(": ").next()).collect();
            assert_eq!(shown, expected, "{filter}");
        }
    }

    #[test]
    fn text_has_no_colours_away_from_a_terminal() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = text(parse("info").unwrap(), false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || tracing::warn!("plain"));
        assert!(!lines.text().contains('\u{1b}'), "{}", lines.text());
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error_that_names_the_flag() {
        let error = parse("external_issuer=loud").unwrap_err().to_string();
        assert!(error.contains("--log-level") && error.contains("external_issuer=loud"), "{error}");
    }
}
