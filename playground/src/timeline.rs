//! What is shown: one line for each thing that happens, for people or as JSON.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::ProgressBar;
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
    /// What turns at the bottom of a terminal while something is waited for.
    spinner: Mutex<Option<ProgressBar>>,
    unread: Notify,
}

/// How often a spinner turns.
const TURNS: Duration = Duration::from_millis(100);

/// Something is being waited for, as long as this lives; a terminal shows it.
pub(crate) struct Waiting(Timeline);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(spinner) = self.0.spinner().take() {
            spinner.finish_and_clear();
        }
    }
}

/// What is to be told.
#[derive(Debug)]
struct Line {
    /// The cluster's revision after it: the order in which things happened, whoever saw them first and when.
    revision: u64,
    at: Timestamp,
    who: Who,
    what: String,
}

impl Timeline {
    pub(crate) fn new(json: bool, begins: Timestamp) -> Self {
        let coloured = !json && io::stdout().is_terminal();
        Self(Arc::new(Shared {
            json,
            coloured,
            begins,
            waiting: Mutex::default(),
            more: Notify::new(),
            spinner: Mutex::default(),
            unread: Notify::new(),
        }))
    }

    /// Says on a terminal what is waited for; where there is none, nothing.
    pub(crate) fn waiting_for(&self, what: String) -> Waiting {
        if self.0.coloured && io::stderr().is_terminal() {
            let spinner = ProgressBar::new_spinner().with_message(what);
            spinner.enable_steady_tick(TURNS);
            *self.spinner() = Some(spinner);
        }
        Waiting(self.clone())
    }

    /// Waits until somebody closes the pipe that is written to: who does so has what it wanted.
    pub(crate) async fn unread(&self) {
        self.0.unread.notified().await;
    }

    /// Text for people, as it is.
    pub(crate) fn text(&self, text: &str) {
        self.flush();
        self.print(text);
    }

    /// For programs.
    pub(crate) fn json(&self, value: &serde_json::Value) {
        self.flush();
        self.print(&value.to_string());
    }

    pub(crate) fn is_json(&self) -> bool {
        self.0.json
    }

    /// A new part of the story.
    pub(crate) fn chapter(&self, title: &str) {
        self.flush();
        if !self.0.json {
            let (bold, plain) = if self.0.coloured { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            self.print(&format!("\n{bold}{title}{plain}"));
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
        // What the cluster does not number comes after what was written before it.
        waiting.sort_by_key(|line| (line.revision, matches!(line.who, Who::You | Who::Pki)));
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
            return self.print(&line.to_string());
        }
        let since = elapsed(at.duration_since(shared.begins));
        let who_padded = format!("{:<15}", who.name());
        let who_shown =
            if shared.coloured { format!("\x1b[{}m{who_padded}\x1b[0m", who.colour()) } else { who_padded };
        self.print(&format!("{since:>16}  {who_shown}  {what}"));
    }

    /// The last words.
    pub(crate) fn summary(&self, words: &[(&str, String)]) {
        self.flush();
        if self.0.json {
            let all: serde_json::Map<_, _> =
                words.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            return self.print(&json!({"summary": all}).to_string());
        }
        self.chapter("In short");
        for (name, value) in words {
            self.print(&format!("  {name:<24}{value}"));
        }
    }

    fn spinner(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.0.spinner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line above the spinner.
    fn print(&self, line: &str) {
        let print = || writeln!(io::stdout(), "{line}");
        let printed = match self.spinner().as_ref() {
            Some(spinner) => spinner.suspend(print),
            None => print(),
        };
        if printed.is_err() {
            self.0.unread.notify_one();
        }
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
