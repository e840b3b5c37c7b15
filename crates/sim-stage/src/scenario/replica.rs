//! A replica of the controller: a process, and after its end the next one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use external_issuer::random::Chance;
use jiff::{SignedDuration, Timestamp};
use sim_kube::Identity;
use sim_kube::client::{Clock, Server};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::op::Replica;
use super::weather::Weather;
use crate::SYSTEM;
use crate::controller::{Controller, Ended};
use crate::mutant::Mutant;
use crate::pki::Pki;
use crate::record::{Process, Record};
use crate::wire::Wire;

/// How long it takes until a process is started again.
const RESTART: Duration = Duration::from_secs(2);

/// What a replica is told.
pub(super) enum Command {
    /// Be killed.
    Crash,
    /// Stop, and begin anew.
    Restart,
    /// Stop for good.
    End,
}

/// Everything that processes are made of.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) server: Server,
    pub(super) pki: Pki,
    pub(super) weather: Weather,
    pub(super) record: Record,
    pub(super) mutant: Option<Mutant>,
    pub(super) seed: u64,
    pub(super) elects: bool,
}

/// A replica at work.
pub(super) struct Running {
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

impl Running {
    pub(super) fn tell(&self, command: Command) {
        // A replica that has ended for good needs to be told nothing.
        let _ = self.commands.send(command);
    }

    /// Stops the replica for good, and waits for that.
    pub(super) async fn end(self) {
        self.tell(Command::End);
        let _ = self.task.await;
    }
}

/// The time of day of one replica.
struct SkewedClock {
    clock: Clock,
    weather: Weather,
    replica: Replica,
}

impl external_issuer::clock::Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let skew = SignedDuration::from_secs(self.weather.skew(self.replica));
        self.clock.now().saturating_add(skew).unwrap_or(Timestamp::MAX)
    }
}

/// Chance that a seed fixes (splitmix64).
struct Seeded(Mutex<u64>);

impl Chance for Seeded {
    #[expect(clippy::cast_precision_loss, reason = "half of the bits are more than enough")]
    fn fraction(&self) -> f64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as f64 / 4_294_967_296.0
    }
}

impl Maker {
    pub(super) fn start(&self, replica: Replica) -> Running {
        let (commands, told) = mpsc::unbounded_channel();
        Running { commands, task: tokio::spawn(self.clone().supervise(replica, told)) }
    }

    async fn supervise(self, replica: Replica, mut told: mpsc::UnboundedReceiver<Command>) {
        let mut number = 0;
        loop {
            number += 1;
            let name = format!("{replica}.{number}");
            let wire = Wire::new(
                name.clone(),
                replica,
                self.server.clone(),
                self.pki.clone(),
                self.weather.clone(),
                self.record.clone(),
                self.mutant.clone(),
            );
            let began = self.server.clock().now();
            self.record.lock().processes.push(Process { name: name.clone(), began, told: None, ended: None });
            let Ok(controller) = self.process(replica, number, &wire) else { return };
            let (how, goes_on) = self.live(&name, controller, &wire, &mut told).await;
            wire.cut_off();
            let ended = self.server.clock().now();
            self.record.with_process(&name, |process| process.ended = Some((ended, how)));
            if !goes_on {
                return;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(RESTART) => {}
                () = ends(&mut told) => return,
            }
        }
    }

    fn process(&self, replica: Replica, number: u64, wire: &Wire) -> anyhow::Result<Controller> {
        let client = wire.client(&Identity::service_account(SYSTEM, "external-issuer-controller"));
        let clock = SkewedClock { clock: self.server.clock(), weather: self.weather.clone(), replica };
        let chance = Seeded(Mutex::new(self.seed ^ (number << 8) ^ (replica as u64)));
        let flags: &[&str] = if self.elects { &["--leader-elect"] } else { &[] };
        Controller::start(client, Arc::new(clock), Arc::new(chance), Arc::new(wire.clone()), flags)
    }

    /// Until the process has ended: how, and whether there is to be another.
    async fn live(
        &self,
        name: &str,
        mut controller: Controller,
        wire: &Wire,
        told: &mut mpsc::UnboundedReceiver<Command>,
    ) -> (String, bool) {
        let command = tokio::select! {
            biased;
            () = wire.died() => Command::Crash,
            command = told.recv() => command.unwrap_or(Command::End),
            ended = controller.ended() => return (how(&ended), true),
        };
        let goes_on = !matches!(command, Command::End);
        if matches!(command, Command::Crash) {
            wire.cut_off();
            controller.kill().await;
            return ("killed".to_owned(), true);
        }
        let now = self.server.clock().now();
        self.record.with_process(name, |process| process.told = Some(now));
        controller.tell_to_stop();
        tokio::select! {
            biased;
            () = wire.died() => {
                controller.kill().await;
                ("killed".to_owned(), goes_on)
            }
            ended = controller.ended() => (how(&ended), goes_on),
        }
    }
}

/// Waits until it is told to end for good; what else it is told is of no use to a process that is not there.
async fn ends(told: &mut mpsc::UnboundedReceiver<Command>) {
    while !matches!(told.recv().await, None | Some(Command::End)) {}
}

fn how(ended: &Ended) -> String {
    match ended {
        Ended::Well => "well".to_owned(),
        Ended::Failed(error) => error.to_string(),
        Ended::Killed => "panicked".to_owned(),
    }
}
