//! Processes that never outlive us.
//!
//! Each process has a thread of ours that starts it and waits for its end. The kernel kills the process when
//! that thread ends (`setpriv --pdeathsig`), which is when the process has ended or when we have, however we
//! ended. Processes have their own process groups, so that Ctrl-C reaches us alone and we stop them in order.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{oneshot, watch};

use crate::Result;

/// A running process, or one that ended.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    /// Where its output goes.
    log: PathBuf,
    ended: watch::Receiver<Option<ExitStatus>>,
    /// Open as long as we want it to run; some programs end when this does.
    _stdin: Option<ChildStdin>,
}

/// How to start a process.
#[derive(Debug)]
pub struct Start {
    /// What it is called in messages.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Further variables.
    pub environment: Vec<(String, String)>,
    /// Where standard error goes.
    pub log: PathBuf,
    /// Where standard output goes; to the log if `None`.
    pub stdout: Option<PathBuf>,
}

impl Process {
    /// Starts a process.
    pub async fn start(start: Start) -> Result<Self> {
        let (tell, told) = oneshot::channel();
        let (end, ended) = watch::channel(None);
        let Start { name, command, environment, log, stdout } = start;
        let mut log_file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| log.display().to_string())?;
        writeln!(log_file, "# {}", command.join(" "))?;
        let out = match &stdout {
            None => log_file.try_clone()?,
            Some(path) => File::create(path).with_context(|| path.display().to_string())?,
        };
        let mut child = Command::new("setpriv");
        child
            .args(["--pdeathsig", "KILL", "--"])
            .args(&command)
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(log_file)
            .process_group(0);
        std::thread::Builder::new().name(name.clone()).spawn(move || {
            let child = child.spawn().map(|mut child| {
                let stdin = child.stdin.take();
                (child, stdin)
            });
            match child {
                Err(error) => drop(tell.send(Err(error))),
                Ok((mut child, stdin)) => {
                    if tell.send(Ok((child.id(), stdin))).is_err() {
                        let _ = child.kill();
                    }
                    end.send_replace(child.wait().ok().or(Some(ExitStatus::from_raw(1))));
                }
            }
        })?;
        let (id, stdin) = told.await?.with_context(|| format!("{name}: {command:?} could not be started"))?;
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| anyhow!("pid {id}"))?;
        Ok(Self { name, pid, log, ended, _stdin: stdin })
    }

    /// Its log's path.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.ended().is_none() {
            // It may end between the two lines; then there is nothing to signal.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for its end.
    pub async fn end(&self, within: Duration) -> Result<ExitStatus> {
        let mut ended = self.ended.clone();
        let waited = tokio::time::timeout(within, ended.wait_for(Option::is_some)).await;
        match waited {
            Ok(Ok(status)) => status.ok_or_else(|| anyhow!("{} ended, nobody knows how", self.name)),
            Ok(Err(_)) => bail!("{} ended, nobody knows how", self.name),
            Err(_) => bail!("{} (pid {}) did not end within {within:?}", self.name, self.pid()),
        }
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(&self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM);
        self.end(within).await
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(&self) -> Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.end(Duration::from_secs(10)).await
    }

    /// Waits until the file at `path`, which this process writes, gives an answer.
    pub async fn says<T>(
        &self,
        path: &Path,
        within: Duration,
        answer: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if let Some(answer) = answer(&text) {
                return Ok(answer);
            }
            if let Some(status) = self.ended() {
                bail!("{} ended with {status} before it was ready\n{}", self.name, tail(&self.log, 30));
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{} was not ready within {within:?}\n{}", self.name, tail(&self.log, 30));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The last lines of a file.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    let text =
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    last_lines(&text, lines)
}

/// The last lines of a text.
#[must_use]
pub fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}
