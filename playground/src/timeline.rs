//! What is shown: one line for each thing that happens, for people or as JSON.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::Notify;

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    You,
    CertManager,
    Controller,
    Pki,
    Secret,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::You => "you",
            Self::CertManager => "cert-manager",
            Self::Controller => "external-issuer",
            Self::Pki => "PKI",
            Self::Secret => "Secret",
        }
    }

    /// An ANSI colour.
    const fn colour(self) -> u8 {
        match self {
            Self::You => 36,
            Self::CertManager => 34,
            Self::Controller => 35,
            Self::Pki => 33,
            Self::Secret => 32,
        }
    }
}

/// Where lines go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Timeline(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    json: bool,
    coloured: bool,
    begins: Timestamp,
    waiting: Mutex<Vec<Line>>,
    more: Notify,
}

/// What is to be told.
#[derive(Debug)]
struct Line {
    /// The cluster's revision after it: the order in which things happened, whoever saw them first.
    revision: u64,
    at: Timestamp,
    who: Who,
    what: String,
}

impl Timeline {
    pub(crate) fn new(json: bool, begins: Timestamp) -> Self {
        let coloured = !json && io::stdout().is_terminal();
        Self(Arc::new(Shared { json, coloured, begins, waiting: Mutex::default(), more: Notify::new() }))
    }

    /// A new part of the story.
    pub(crate) fn chapter(&self, title: &str) {
        self.flush();
        if !self.0.json {
            let (bold, plain) = if self.0.coloured { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            print(&format!("\n{bold}{title}{plain}"));
        }
    }

    /// Something happened, and with it the cluster came to this revision. It is told with the next
    /// [`flush`](Self::flush), in its order.
    pub(crate) fn tell(&self, revision: u64, at: Timestamp, who: Who, what: String) {
        self.waiting().push(Line { revision, at, who, what });
        self.0.more.notify_one();
    }

    /// Waits until there is something to tell.
    pub(crate) async fn has_something(&self) {
        self.0.more.notified().await;
    }

    /// Tells what waits.
    pub(crate) fn flush(&self) {
        let mut waiting = std::mem::take(&mut *self.waiting());
        waiting.sort_by_key(|line| (line.at, line.revision));
        for line in &waiting {
            self.show(line);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, Line { at, who, what, .. }: &Line) {
        let shared = &self.0;
        if shared.json {
            let line = json!({"time": at.to_string(), "who": who.name(), "what": what});
            return print(&line.to_string());
        }
        let since = elapsed(at.duration_since(shared.begins));
        let who_padded = format!("{:<15}", who.name());
        let who_shown =
            if shared.coloured { format!("\x1b[{}m{who_padded}\x1b[0m", who.colour()) } else { who_padded };
        print(&format!("{since:>16}  {who_shown}  {what}"));
    }

    /// The last words.
    pub(crate) fn summary(&self, words: &[(&str, String)]) {
        self.flush();
        if self.0.json {
            let all: serde_json::Map<_, _> =
                words.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            return print(&json!({"summary": all}).to_string());
        }
        self.chapter("In short");
        for (name, value) in words {
            print(&format!("  {name:<24}{value}"));
        }
    }
}

fn print(line: &str) {
    if writeln!(io::stdout(), "{line}").is_err() {
        // A reader that closes the pipe early has what it wanted.
        std::process::exit(0);
    }
}

/// `1d 02:03:04.567`.
fn elapsed(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let day = if days == 0 { String::new() } else { format!("{days}d ") };
    format!("{day}{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, duration.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_from_the_beginning() {
        assert_eq!(elapsed(SignedDuration::from_millis(61_005)), "00:01:01.005");
        assert_eq!(elapsed(SignedDuration::from_hours(49)), "2d 01:00:00.000");
    }
}
