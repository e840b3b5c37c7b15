//! The controller as processes of this machine.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use rustix::process::Signal;
use serde_json::Value;

use crate::Result;
use crate::controller::{self, Controller, End, Replica, STOP, Settings};
use crate::process::{Process, Start};

/// The replicas, running and ended.
pub(super) struct Processes {
    program: String,
    kubeconfig: PathBuf,
    folder: PathBuf,
    all: Mutex<Vec<Arc<Instance>>>,
    /// How many were started, those included that did not come up.
    started: AtomicUsize,
    http: reqwest::Client,
    /// One restores at a time.
    restoring: tokio::sync::Mutex<()>,
}

struct Instance {
    process: Process,
    settings: Settings,
    health: String,
    metrics: String,
}

impl Processes {
    pub(super) fn new(program: String, kubeconfig: PathBuf, folder: &Path) -> Self {
        Self {
            program,
            kubeconfig,
            folder: folder.to_owned(),
            all: Mutex::default(),
            started: AtomicUsize::new(0),
            http: reqwest::Client::new(),
            restoring: tokio::sync::Mutex::default(),
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Instance>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instance(&self, replica: Replica) -> Result<Arc<Instance>> {
        self.all().get(replica.0).cloned().with_context(|| format!("there is no {replica:?}"))
    }

    pub(super) async fn stop_all(&self) -> Result {
        for replica in self.replicas() {
            self.stop(&replica, STOP).await?;
        }
        Ok(())
    }

    fn command(&self, settings: Settings) -> Vec<String> {
        let always = "run --metrics-bind-address 127.0.0.1:0 --health-probe-bind-address 127.0.0.1:0 \
                      --log-level info,external_issuer=debug --kubeconfig";
        let mut command = vec![self.program.clone()];
        command.extend(always.split(' ').map(str::to_owned));
        command.push(self.kubeconfig.display().to_string());
        command.extend(settings.flags());
        command
    }

    async fn launch(&self, settings: Settings) -> Result<Replica> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.join(format!("controller-{number}.log"));
        let environment =
            if settings.clock_offset_secs == 0 { Vec::new() } else { shifted(settings.clock_offset_secs)? };
        let process = Process::start(Start {
            name: format!("controller {number}"),
            command: self.command(settings),
            environment,
            log: log.clone(),
            stdout: None,
        })
        .await?;
        let (health, metrics) = process
            .says(&log, Duration::from_secs(30), |text| {
                Some((address(text, "serving /livez")?, address(text, "serving /metrics")?))
            })
            .await?;
        let mut all = self.all();
        all.push(Arc::new(Instance { process, settings, health, metrics }));
        Ok(Replica(all.len() - 1))
    }
}

impl Controller for Processes {
    fn replicas(&self) -> Vec<Replica> {
        let all = self.all();
        let running = all.iter().enumerate().filter(|(_, instance)| instance.process.ended().is_none());
        running.map(|(number, _)| Replica(number)).collect()
    }

    fn start(&self, settings: Settings) -> BoxFuture<'_, Result<Replica>> {
        Box::pin(self.launch(settings))
    }

    fn stop(&self, replica: &Replica, within: Duration) -> BoxFuture<'_, Result<End>> {
        let replica = *replica;
        Box::pin(async move {
            let status = self.instance(replica)?.process.stop(within).await?;
            Ok(end(status))
        })
    }

    fn ask_to_stop(&self, replica: &Replica) -> Result {
        self.instance(*replica)?.process.signal(Signal::TERM);
        Ok(())
    }

    fn ended(&self, replica: &Replica, within: Duration) -> BoxFuture<'_, Result<End>> {
        let replica = *replica;
        Box::pin(async move { Ok(end(self.instance(replica)?.process.end(within).await?)) })
    }

    fn kill(&self, replica: &Replica) -> BoxFuture<'_, Result> {
        let replica = *replica;
        Box::pin(async move { self.instance(replica)?.process.kill().await.map(drop) })
    }

    fn get(&self, replica: &Replica, path: &str) -> BoxFuture<'_, Result<(u16, String)>> {
        let (replica, path) = (*replica, path.to_owned());
        Box::pin(async move {
            let instance = self.instance(replica)?;
            let address = if path == "/metrics" { &instance.metrics } else { &instance.health };
            let answer = self.http.get(format!("http://{address}{path}")).send().await?;
            Ok((answer.status().as_u16(), answer.text().await?))
        })
    }

    fn log(&self) -> String {
        let all = self.all();
        let read = |instance: &Arc<Instance>| {
            let bytes = std::fs::read(instance.process.log()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        all.iter().map(read).collect()
    }

    fn settings(&self, replica: &Replica) -> Result<Settings> {
        Ok(self.instance(*replica)?.settings)
    }

    fn restore(&self) -> BoxFuture<'_, Result> {
        Box::pin(async {
            let _one = self.restoring.lock().await;
            controller::restore(self).await
        })
    }
}

fn end(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    }
}

/// The address in the log's line with this message.
fn address(log: &str, message: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains(message))?;
    let line: Value = serde_json::from_str(line).ok()?;
    let find = |value: &Value| value.get("address").and_then(Value::as_str).map(str::to_owned);
    find(&line).or_else(|| line.get("fields").and_then(find))
}

/// libfaketime: installed as Debian's package does it, for any architecture, or unpacked by scripts/e2e-local.sh.
pub(super) fn faketime() -> Option<PathBuf> {
    let unpacked = super::cache().ok()?.join("tools/faketime/usr/lib");
    [PathBuf::from("/usr/lib"), unpacked].into_iter().find_map(|libraries| {
        let architectures = std::fs::read_dir(libraries).ok()?;
        architectures
            .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketime.so.1")))
            .find(|library| library.exists())
    })
}

/// A clock that is ahead by so many seconds, or behind; timers keep their pace.
fn shifted(seconds: i64) -> Result<Vec<(String, String)>> {
    let library = faketime().context("libfaketime is missing: apt-get install faketime")?;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Ok(vec![
        pair("LD_PRELOAD", &library.display().to_string()),
        pair("FAKETIME", &format!("{seconds:+}s")),
        pair("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        pair("DONT_FAKE_MONOTONIC", "1"),
    ])
}
