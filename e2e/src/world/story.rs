//! What happened, for the reader of a failure.

use std::fmt::Write as _;

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;

use super::World;
use crate::process::last_lines;

/// The most events in a story.
const EVENTS: usize = 40;
/// The most lines of the log in a story, and the longest line.
const LINES: usize = 25;
const LINE: usize = 600;

impl World {
    /// The events of the namespace and the end of the controller's log, as far as they are about it.
    pub async fn story(&self) -> String {
        let mut story = String::new();
        match self.api::<Event>().list(&ListParams::default()).await {
            Err(error) => drop(writeln!(story, "cannot be listed: {error}")),
            Ok(events) => {
                for event in events {
                    let regarding = event.regarding.unwrap_or_default();
                    let _ = writeln!(
                        story,
                        "{} {}/{} {}: {}",
                        event.type_.unwrap_or_default(),
                        regarding.kind.unwrap_or_default(),
                        regarding.name.unwrap_or_default(),
                        event.reason.unwrap_or_default(),
                        event.note.unwrap_or_default(),
                    );
                }
            }
        }
        // Enough to see what happened; all of it is in the logs that are kept.
        story = format!("\n--- events in {}\n{}\n", self.namespace, last_lines(&story, EVENTS));
        let log = self.log();
        let ours: Vec<&str> = log
            .lines()
            .filter(|line| {
                line.contains(&self.namespace) || !line.contains("\"INFO\"") && !line.contains("\"DEBUG\"")
            })
            .map(|line| line.get(..line.floor_char_boundary(LINE)).unwrap_or_default())
            .collect();
        let _ = write!(story, "--- the controller's log about it\n{}", last_lines(&ours.join("\n"), LINES));
        story
    }

    /// Tells the person who waits something worth knowing about a scenario that passes.
    pub fn note(&self, text: &str) {
        crate::suite::note(&format!("{}: {text}", self.namespace));
    }

    /// What the controller has logged since the scenario began.
    #[must_use]
    pub fn log(&self) -> String {
        self.controller.log().get(self.log_begins..).unwrap_or_default().to_owned()
    }
}
