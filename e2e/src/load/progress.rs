//! A progress line on standard error: one that moves on a terminal, one every few seconds elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Elsewhere than on a terminal, a line this often.
const EVERY: Duration = Duration::from_secs(5);

/// A progress line.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    shown: Option<Instant>,
}

impl Progress {
    /// Nothing is shown yet.
    #[must_use]
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: None }
    }

    /// Shows how far a step is.
    pub fn show(&mut self, step: &str, done: usize, all: usize) {
        let due = match self.shown {
            _ if self.terminal => true,
            None => true,
            Some(shown) => shown.elapsed() >= EVERY || done == all,
        };
        if !due {
            return;
        }
        self.shown = Some(Instant::now());
        let (begin, end) = if self.terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        // A progress line that cannot be shown is no reason to stop measuring.
        let _ = write!(std::io::stderr(), "{begin}issue-load: {step} {done}/{all}{end}");
    }

    /// Removes the moving line.
    pub fn clear(&mut self) {
        if self.terminal && self.shown.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
