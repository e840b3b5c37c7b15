//! A replica of the controller: a process, and after its end the next one.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use sim_kube::Identity;
use sim_kube::client::Server;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::op::Replica;
use super::weather::Weather;
use crate::SYSTEM;
use crate::controller::{Controller, Ended, SimClock, chance};
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
        let weather = self.weather.clone();
        let clock =
            SimClock::new(self.server.clock(), move || SignedDuration::from_secs(weather.skew(replica)));
        let chance = chance(self.seed ^ (number << 8) ^ (replica as u64));
        let flags: &[&str] = if self.elects { &["--leader-elect"] } else { &[] };
        Controller::start(client, Arc::new(clock), chance, Arc::new(wire.clone()), flags)
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
        controller.ask_to_stop();
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
