//! The log of a run, kept instead of printed.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use sim_kube::client::Clock;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// What is kept: everything that the controller says at its most talkative, and what its libraries warn of.
const FILTER: &str = "warn,external_issuer=debug";

/// A log; clones are the same.
#[derive(Clone)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    clock: Clock,
}

impl Log {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { lines: Arc::default(), clock }
    }

    /// What has to be in force for lines to come here.
    pub(crate) fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let (lines, clock) = (Arc::clone(&self.lines), self.clock);
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(FILTER))
            .with_ansi(false)
            .with_timer(VirtualTime(clock))
            .with_writer(move || Lines(Arc::clone(&lines)))
            .finish()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

struct VirtualTime(Clock);

impl FormatTime for VirtualTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", self.0.now())
    }
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
