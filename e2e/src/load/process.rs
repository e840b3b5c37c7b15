//! Memory and CPU time of processes, from `/proc`, and the issuer's own process.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::args::{NamedPid, PidSource};
use super::error::{LoadError, Result};
use crate::process::{Process, Start};

/// What `/proc` says of a process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// `VmRSS`.
    pub rss_kib: u64,
    /// `VmHWM`: the most that was resident.
    pub peak_kib: u64,
    /// User and system time of all threads.
    pub cpu_seconds: f64,
}

impl Usage {
    /// Reads it; `None` if there is no such process.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let cpu_seconds = cpu_seconds(&stat, rustix::param::clock_ticks_per_second())?;
        Some(Self { rss_kib: kib(&status, "VmRSS:")?, peak_kib: kib(&status, "VmHWM:")?, cpu_seconds })
    }
}

fn kib(status: &str, field: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(field))?.trim().strip_suffix(" kB")?.parse().ok()
}

fn cpu_seconds(stat: &str, ticks_per_second: u64) -> Option<f64> {
    // The second field is the name in parentheses, which may hold spaces and parentheses itself.
    let (_, fields) = stat.rsplit_once(')')?;
    // utime and stime are fields 14 and 15; the first one behind the name is field 3.
    let mut times = fields.split_ascii_whitespace().skip(11);
    let (user, system): (u32, u32) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    let ticks = f64::from(user) + f64::from(system);
    Some(ticks / f64::from(u32::try_from(ticks_per_second).ok()?))
}

/// What a process cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Its name in the report.
    pub name: String,
    /// CPU seconds while it was watched.
    pub cpu_seconds: f64,
    /// Resident at the end, in MiB.
    pub rss_mib: f64,
    /// The most that was resident, in MiB. Of a process that ran before, since we began to watch.
    pub peak_mib: f64,
}

impl Cost {
    fn between(name: &str, before: Usage, after: Usage) -> Self {
        let mib = |kib: u64| f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0;
        Self {
            name: name.to_owned(),
            cpu_seconds: (after.cpu_seconds - before.cpu_seconds).max(0.0),
            rss_mib: mib(after.rss_kib),
            peak_mib: mib(after.peak_kib),
        }
    }
}

/// Processes that are not ours.
#[derive(Debug)]
pub struct Watched(Vec<(String, u32, Usage)>);

impl Watched {
    /// Begins to watch. Peaks are counted from here on where the kernel lets us. A pid file that is missing is an
    /// error only if `complete`: otherwise the process may be about to start.
    pub fn begin(processes: &[NamedPid], complete: bool) -> Result<Self> {
        let mut watched = Vec::new();
        for NamedPid { name, pid } in processes {
            let pid = match pid {
                PidSource::Known(pid) => *pid,
                PidSource::File(path) if complete || path.exists() => read_pid(path)?,
                PidSource::File(_) => continue,
            };
            // 5 resets VmHWM (proc_pid_clear_refs(5)); without the right to do that, the peak is of all its life.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
            match Usage::of(pid) {
                Some(usage) => watched.push((name.clone(), pid, usage)),
                None if complete => {
                    return Err(LoadError::Process(format!("--pid {name}: there is no process {pid}")));
                }
                None => {}
            }
        }
        Ok(Self(watched))
    }

    /// Looks for those that were started meanwhile: what they cost is counted from their start.
    pub fn again(&mut self, processes: &[NamedPid]) -> Result<()> {
        for NamedPid { name, pid } in processes {
            let PidSource::File(path) = pid else { continue };
            let pid = read_pid(path)?;
            if !self.0.iter().any(|(_, known, _)| *known == pid) {
                self.0.retain(|(known, ..)| known != name);
                self.0.push((name.clone(), pid, Usage::default()));
            }
        }
        Ok(())
    }

    /// What they cost until now. A process that ended is left out.
    #[must_use]
    pub fn costs(&self) -> Vec<Cost> {
        let cost = |(name, pid, before): &(String, u32, Usage)| {
            Usage::of(*pid).map(|after| Cost::between(name, *before, after))
        };
        self.0.iter().filter_map(cost).collect()
    }
}

fn read_pid(path: &Path) -> Result<u32> {
    let text = fs::read_to_string(path).map_err(LoadError::file("read", path))?;
    let problem = || LoadError::Content { path: path.to_owned(), problem: "holds no pid".to_owned() };
    text.trim().parse().map_err(|_| problem())
}

/// The issuer's process, started by us; it ends with us, however we end.
#[derive(Debug)]
pub struct Issuer {
    process: Process,
    name: String,
    log: PathBuf,
    /// Removes the log when it is ours.
    _log: Option<tempfile::NamedTempFile>,
}

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);
/// How much of its log is shown when it fails.
const TAIL: u64 = 2000;

impl Issuer {
    /// Starts it. Its output goes to `log`, or to a temporary file.
    pub async fn start(command: &[String], log: Option<&Path>) -> Result<Self> {
        let [program, ..] = command else {
            return Err(LoadError::Process("no command was given".to_owned()));
        };
        let (log, kept) = if let Some(path) = log {
            (path.to_owned(), None)
        } else {
            let file =
                tempfile::NamedTempFile::new().map_err(LoadError::file("create", std::env::temp_dir()))?;
            (file.path().to_owned(), Some(file))
        };
        let name = Path::new(program)
            .file_name()
            .map_or(program.clone(), |name| name.to_string_lossy().into_owned());
        let start = Start {
            name: name.clone(),
            command: command.to_vec(),
            environment: Vec::new(),
            log: log.clone(),
            stdout: None,
        };
        let process =
            Process::start(start).await.map_err(|error| LoadError::Process(format!("{error:#}")))?;
        Ok(Self { process, name, log, _log: kept })
    }

    /// Waits for an end that was not asked for.
    pub async fn ended(&self) -> LoadError {
        match self.process.end(Duration::MAX).await {
            Ok(status) => self.failure(status),
            Err(error) => LoadError::Process(format!("{error:#}")),
        }
    }

    fn failure(&self, status: ExitStatus) -> LoadError {
        let said = tail(&self.log).unwrap_or_default();
        LoadError::Process(format!(
            "{} ended before its work was done ({status}); its last words:\n{said}",
            self.name
        ))
    }

    /// What it cost until now.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        Usage::of(self.process.pid()).map(|usage| Cost::between(&self.name, Usage::default(), usage))
    }

    /// Asks it to end, and waits.
    pub async fn stop(self) -> Result<()> {
        let ended = self.process.stop(GRACE).await;
        ended.map(drop).map_err(|error| LoadError::Process(format!("{error:#} of SIGTERM; it is killed")))
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 4 0 100 1000 200 18446744073709551615";
        assert_eq!(cpu_seconds(stat, 100), Some(2.0));
    }

    #[test]
    fn our_own_process_can_be_read() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_kib > 0 && usage.peak_kib >= usage.rss_kib, "{usage:?}");
        assert_eq!(Usage::of(u32::MAX), None);
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_an_error_with_its_last_words() {
        let command = ["sh".to_owned(), "-c".to_owned(), "echo no licence; exit 3".to_owned()];
        let issuer = Issuer::start(&command, None).await.unwrap();
        let said = issuer.ended().await.to_string();
        assert!(said.contains("exit status: 3") && said.ends_with("no licence\n"), "{said}");
    }

    #[tokio::test]
    async fn a_process_is_stopped() {
        let issuer = Issuer::start(&["sleep".to_owned(), "1000".to_owned()], None).await.unwrap();
        assert!(issuer.cost().is_some());
        issuer.stop().await.unwrap();
    }
}
