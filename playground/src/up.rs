//! Keeps everything running, with doors for kubectl and other clients, until it is told to stop.
//!
//! Sockets are read in a runtime of their own, by the machine's time: what a client may take to say hello does not
//! shrink because the cluster's clock goes faster.

mod doors;
mod left;

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{Timestamp, Unit};
use serde_json::json;
use sim_stage::{Options, Stage};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use self::doors::Doors;
use self::left::Left;
use crate::args::{Args, Up};
use crate::pace;
use crate::scene::{NAMESPACE, Scene};
use crate::timeline::Timeline;

/// How long clients that are still connected at the end may take.
const GRACE: Duration = Duration::from_secs(3);

/// By the machine's time a watch hears of a write a little later than others of the next.
const TOGETHER: Duration = Duration::from_millis(50);

/// Runs until Ctrl-C.
pub(crate) fn play(args: &Args, up: &Up) -> anyhow::Result<()> {
    let network = network().context("no runtime")?;
    let cluster = if args.speed.is_some() { pace::turned_by_hand() } else { pace::real() };
    let ended = cluster.context("no runtime")?.block_on(async {
        tokio::select! {
            ended = keep(args, up, &network) => ended,
            () = pace::keep(args.speed) => Ok(()),
        }
    });
    network.shutdown_timeout(GRACE);
    ended
}

fn network() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).thread_name("network").enable_all().build()
}

async fn keep(args: &Args, up: &Up, network: &Runtime) -> anyhow::Result<()> {
    let told_to_stop = told_to_stop().context("no signals")?;
    #[expect(clippy::disallowed_methods, reason = "the clock is read here once; from then on it is counted")]
    let begins = Timestamp::now().round(Unit::Second).context("the beginning of time")?;
    let timeline = Timeline::new(args.json, begins);
    let starting = timeline.waiting_for("setting up a cluster".to_owned());
    let stage = Stage::set(Options { seed: args.seed, begins }).await?;
    let doors = Doors::open(&stage, up, network.handle()).await?;
    let left = Left::new(&doors.kubeconfig)?;
    drop(starting);
    let scene = Scene {
        stage: &stage,
        timeline: &timeline,
        together: if args.speed.is_some() { pace::ALL_OF_IT } else { TOGETHER },
    };
    let stays = async {
        tokio::pin!(told_to_stop);
        tokio::select! {
            ready = scene.issuer(Some(&doors.vault)) => ready?,
            () = &mut told_to_stop => return Ok(()),
        }
        welcome(&timeline, &doors, &left);
        let _waiting = timeline.waiting_for("Ctrl-C ends it".to_owned());
        told_to_stop.await;
        Ok(())
    };
    let ended = Box::pin(scene.play(stays)).await;
    doors.close(network.handle()).await;
    timeline.summary(&[("certificates issued", stage.pki.ledger().len().to_string())]);
    ended
}

/// Completes when the process is asked to end.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Says where everything is, and what to try.
fn welcome(timeline: &Timeline, doors: &Doors, left: &Left) {
    let commands = left.commands();
    if timeline.is_json() {
        return timeline.json(&json!({"ready": {
            "kubernetes": doors.kubernetes,
            "kubeconfig": left.kubeconfig(),
            "namespace": NAMESPACE,
            "vault": doors.vault,
            "control": doors.control,
            "rootToken": doors.root_token,
            "try": commands,
        }}));
    }
    let Doors { kubernetes, vault, control, root_token, .. } = doors;
    let mut text = format!(
        "
  Kubernetes     {kubernetes}
  kubeconfig     {}
  PKI            {vault}   Vault's API, root token: {root_token}
  PKI's control  {control}

In another terminal:

  export KUBECONFIG={}
",
        left.kubeconfig().display(),
        left.kubeconfig().display()
    );
    for command in commands {
        let _ = writeln!(text, "  {command}");
    }
    let _ = write!(
        text,
        "
Break the PKI, and mend it:

  curl --data '{{\"kind\": \"sealed\"}}' {control}/faults
  curl --request DELETE {control}/faults
"
    );
    timeline.text(&text);
}
