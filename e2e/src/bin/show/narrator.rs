//! The timeline: seconds since the start, and what happened.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

/// Tells it on standard output.
pub(crate) struct Narrator {
    begin: Instant,
    colours: bool,
}

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";
const FAINT: &str = "2";

impl Narrator {
    /// Time begins. Colours only on a terminal.
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), colours: std::io::stdout().is_terminal() }
    }

    /// The first line.
    pub(crate) fn title(&self, text: &str) {
        Self::line(&self.painted(BOLD, text));
    }

    /// A new part of the story.
    pub(crate) fn chapter(&self, text: &str) {
        Self::line(&format!("\n{}", self.painted(BOLD, text)));
    }

    /// Something happened.
    pub(crate) fn step(&self, text: &str) {
        let time = format!("{:6.1} s", self.begin.elapsed().as_secs_f64());
        Self::line(&format!("{}  {text}", self.painted(FAINT, &time)));
    }

    /// Something came to a good end.
    pub(crate) fn good(&self, text: &str) {
        self.step(&self.painted(GREEN, text));
    }

    /// What belongs to the last step.
    pub(crate) fn details(&self, rows: &[(&str, String)]) {
        for (name, value) in rows {
            Self::line(&format!("            {}  {value}", self.painted(FAINT, &format!("{name:8}"))));
        }
    }

    /// It did not work.
    pub(crate) fn failed(&self, text: &str) {
        // Where neither stream can be written, the exit status is left.
        let _ = writeln!(std::io::stderr(), "\n{} {text}", self.painted(RED, "failed:"));
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(text: &str) {
        // A reader that closes the pipe early has seen what it wanted.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
