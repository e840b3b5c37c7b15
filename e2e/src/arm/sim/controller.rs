//! The controller as tasks of this process.
//!
//! A task that is dropped may leave others behind; what makes it a process that has ended is that nothing of it
//! reaches anybody any more, neither the API server nor a PKI.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::body::Body;
use futures::future::BoxFuture;
use http::Request;
use http_body_util::BodyExt as _;
use jiff::SignedDuration;
use sim_kube::fault::{self, Effect, Rule};
use sim_stage::{Apart, Ended, Stage};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::log::Log;
use super::network::{Network, Outlet};
use crate::Result;
use crate::controller::{self, Controller, End, Replica, Settings};

/// What a shell says of SIGKILL, which nobody sends here.
const KILLED: End = End::Signal(9);

/// The replicas, running and ended.
pub(super) struct Tasks {
    stage: Arc<Stage>,
    network: Network,
    log: Log,
    all: Mutex<Vec<Arc<Instance>>>,
}

struct Instance {
    settings: Settings,
    doors: Router,
    ask_to_stop: CancellationToken,
    kill: CancellationToken,
    ended: watch::Receiver<Option<End>>,
}

impl Instance {
    fn end(&self) -> Option<End> {
        *self.ended.borrow()
    }

    async fn wait(&self, within: Duration) -> Result<End> {
        let mut ended = self.ended.clone();
        match tokio::time::timeout(within, ended.wait_for(Option::is_some)).await {
            Ok(Ok(end)) => end.context("it ended, nobody knows how"),
            Ok(Err(_)) => bail!("it ended, nobody knows how"),
            Err(_) => bail!("it did not end within {within:?}"),
        }
    }
}

impl Tasks {
    pub(super) fn new(stage: Arc<Stage>, network: Network, log: Log) -> Self {
        Self { stage, network, log, all: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Instance>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instance(&self, replica: Replica) -> Result<Arc<Instance>> {
        self.all().get(replica.0).cloned().with_context(|| format!("there is no {replica:?}"))
    }

    async fn launch(&self, settings: Settings) -> Result<Replica> {
        let number = self.all().len();
        let peer = format!("replica-{number}");
        let gone = Arc::new(AtomicBool::new(false));
        let apart = Apart {
            clock_ahead: SignedDuration::from_secs(settings.clock_offset_secs),
            transport: Some(Arc::new(Outlet { network: self.network.clone(), ended: Arc::clone(&gone) })),
        };
        let flags = settings.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut task = self.stage.controller_apart(&peer, &flags, apart)?;
        let doors = task.doors().await.with_context(|| format!("replica {number} ended at once"))?;
        let (ask_to_stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let (tell, ended) = watch::channel(None);
        let server = self.stage.server().clone();
        let (asked, killed) = (ask_to_stop.clone(), kill.clone());
        tokio::spawn(async move {
            let end = tokio::select! {
                biased;
                () = killed.cancelled() => None,
                ended = task.ended() => Some(ended),
                () = asked.cancelled() => {
                    task.ask_to_stop();
                    tokio::select! {
                        biased;
                        () = killed.cancelled() => None,
                        ended = task.ended() => Some(ended),
                    }
                }
            };
            gone.store(true, Ordering::Relaxed);
            let fence = Rule::new(Effect::Drop, move |seen| *seen.peer.0 == *peer);
            let fence = server.with(|cluster, _| cluster.faults().install(fence));
            match &end {
                None => task.kill().await,
                Some(_) => drop(task),
            }
            tell.send_replace(Some(match end {
                None => KILLED,
                Some(Ended::Well) => End::Exit(0),
                Some(Ended::Failed(_)) => End::Exit(1),
                Some(Ended::Killed) => End::Exit(101),
            }));
            stays(fence).await;
        });
        let mut all = self.all();
        all.push(Arc::new(Instance { settings, doors, ask_to_stop, kill, ended }));
        Ok(Replica(all.len() - 1))
    }
}

/// Holds a fault as long as the stage stands.
async fn stays(fence: fault::Guard) {
    std::future::pending::<()>().await;
    drop(fence);
}

impl Controller for Tasks {
    fn replicas(&self) -> Vec<Replica> {
        let all = self.all();
        let running = all.iter().enumerate().filter(|(_, instance)| instance.end().is_none());
        running.map(|(number, _)| Replica(number)).collect()
    }

    fn start(&self, settings: Settings) -> BoxFuture<'_, Result<Replica>> {
        Box::pin(self.launch(settings))
    }

    fn stop(&self, replica: &Replica, within: Duration) -> BoxFuture<'_, Result<End>> {
        let replica = *replica;
        Box::pin(async move {
            self.ask_to_stop(&replica)?;
            self.ended(&replica, within).await
        })
    }

    fn ask_to_stop(&self, replica: &Replica) -> Result {
        self.instance(*replica)?.ask_to_stop.cancel();
        Ok(())
    }

    fn ended(&self, replica: &Replica, within: Duration) -> BoxFuture<'_, Result<End>> {
        let replica = *replica;
        Box::pin(async move {
            let end = self.instance(replica)?.wait(within).await;
            end.with_context(|| format!("{replica:?}"))
        })
    }

    fn kill(&self, replica: &Replica) -> BoxFuture<'_, Result> {
        let replica = *replica;
        Box::pin(async move {
            let instance = self.instance(replica)?;
            instance.kill.cancel();
            instance.wait(Duration::from_secs(10)).await.map(drop)
        })
    }

    fn get(&self, replica: &Replica, path: &str) -> BoxFuture<'_, Result<(u16, String)>> {
        let (replica, path) = (*replica, path.to_owned());
        Box::pin(async move {
            let instance = self.instance(replica)?;
            ensure!(instance.end().is_none(), "{replica:?} has ended");
            let request = Request::get(path).body(Body::empty())?;
            let answer = instance.doors.clone().oneshot(request).await?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await?.to_bytes();
            Ok((status, String::from_utf8(body.to_vec())?))
        })
    }

    fn log(&self) -> String {
        self.log.text()
    }

    fn settings(&self, replica: &Replica) -> Result<Settings> {
        Ok(self.instance(*replica)?.settings)
    }

    fn restore(&self) -> BoxFuture<'_, Result> {
        Box::pin(controller::restore(self))
    }
}
