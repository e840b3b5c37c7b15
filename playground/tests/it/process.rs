//! The program, started and read line by line.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_playground")).args(arguments).output().unwrap()
}

/// `playground up --json`, which is ready.
pub(crate) struct Running {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

/// A test that fails leaves no process behind, whose pipes others would wait for.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_playground"))
            .args(["up", "--json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = child.stdout.take().map(BufReader::new);
        let mut running = Self { child, lines, ready: Value::Null };
        let line = running.until(|line| line.get("ready").is_some());
        running.ready = line["ready"].clone();
        running
    }

    pub(crate) fn ready(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap()
    }

    /// The next line that this holds of.
    pub(crate) fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.lines.as_mut().unwrap().read_line(&mut line).unwrap(),
                0,
                "it ended before it said so"
            );
            let line: Value = serde_json::from_str(&line).unwrap();
            if holds(&line) {
                return line;
            }
        }
    }

    /// The next line whose text holds this.
    pub(crate) fn until_told(&mut self, part: &str) -> String {
        let line = self.until(|line| line["what"].as_str().is_some_and(|what| what.contains(part)));
        line["what"].as_str().unwrap().to_owned()
    }

    /// Sends a signal, and gives the exit status and the last line.
    pub(crate) fn end(mut self, signal: &str) -> (Option<i32>, Value) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let last = self.until(|line| line.get("summary").is_some());
        (self.child.wait().unwrap().code(), last)
    }

    /// Reads no more.
    pub(crate) fn stop_reading(&mut self) {
        self.lines = None;
    }

    /// Waits for the end, which comes by itself.
    pub(crate) fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}
