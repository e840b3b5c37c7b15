//! Playing a scenario: the cast comes on, what is to happen happens, everything is put right, and the cluster comes to
//! rest. What comes of it is evidence, and nobody has judged it yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use sim_kube::client::{Clock, Server};
use sim_kube::fault::Peer;
use sim_kube::{Cluster, Identity};

use super::Scenario;
use super::actors::{Admin, restless};
use super::approver::{Approver, Policy};
use super::op::{Op, Replica};
use super::pki_fault::PkiFault;
use super::replica::{Command, Maker, Running};
use super::weather::Weather;
use crate::CERT_MANAGER;
use crate::log::Log;
use crate::mutant::{Broken, Mutant};
use crate::pki::Pki;
use crate::record::{Evidence, Record};
use crate::template::{self, CLUSTER_TOKEN, FOREIGN_TOKEN, TOKEN};
use crate::webhook::CertManagerWebhook;

/// How long the cluster may take to come to rest. Back-off is five minutes at most, and what was put off to a later
/// time by a PKI comes back within two.
const PATIENCE: Duration = Duration::from_mins(20);
/// How long it is watched after that: longer than any back-off, so that whatever is still to come comes.
const QUIET: Duration = Duration::from_mins(6);
/// With two replicas the Lease alone is a write every two seconds.
const QUIET_OF_TWO: Duration = Duration::from_mins(2);

/// Plays a scenario with the controller as it is.
///
/// # Errors
/// The stage could not be set, or somebody in it could not do their part.
pub fn play(scenario: &Scenario) -> anyhow::Result<Evidence> {
    play_broken(scenario, None)
}

/// Plays a scenario with a controller that breaks a promise.
///
/// # Errors
/// The stage could not be set, or somebody in it could not do their part.
pub fn play_broken(scenario: &Scenario, broken: Option<Broken>) -> anyhow::Result<Evidence> {
    let cluster = template::fork(scenario.seed)?;
    // Where the client library draws how long it waits for the next watch.
    fastrand::seed(scenario.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(perform(scenario, cluster, broken))
}

async fn perform(scenario: &Scenario, cluster: Cluster, broken: Option<Broken>) -> anyhow::Result<Evidence> {
    let clock = Clock::starting_at(template::begins());
    let log = Log::new(clock);
    let _logging = tracing::subscriber::set_default(log.subscriber());
    let stage = Stage::set(scenario, cluster, clock, broken)?;
    stage.admin.introduce(CLUSTER_TOKEN).await;
    let everybody = stage.everybody();
    // What is to strike the first requests has to be there before them.
    let at_first =
        scenario.ops.iter().take_while(|(wait, op)| *wait == 0 && matches!(op, Op::Strike(..))).count();
    let (at_first, later) = scenario.ops.split_at_checked(at_first).unwrap_or_default();
    for (_, op) in at_first {
        stage.maker.record.lock().happened.push((clock.now(), *op));
        stage.happen(*op, &[]).await?;
    }
    let mut running: Vec<Running> = vec![stage.maker.start(Replica::A)];
    if scenario.replicas > 1 {
        running.push(stage.maker.start(Replica::B));
    }
    stage.admin.make_certificate().await;
    for (wait, op) in later {
        tokio::time::sleep(Duration::from_millis(u64::from(*wait))).await;
        stage.maker.record.lock().happened.push((clock.now(), *op));
        stage.happen(*op, &running).await?;
    }
    stage.calm().await?;
    stage.rest(scenario.replicas > 1).await;
    for replica in running {
        replica.end().await;
    }
    everybody.iter().for_each(tokio::task::JoinHandle::abort);
    stage.look();
    let mut evidence = std::mem::take(&mut *stage.maker.record.lock());
    evidence.end = Some(clock.now());
    evidence.ledger = stage.maker.pki.ledger();
    evidence.log = log.text();
    evidence.elects = stage.maker.elects;
    Ok(evidence)
}

struct Stage {
    maker: Maker,
    admin: Admin,
    approver: Approver,
    webhook: CertManagerWebhook,
    /// Up to which of the store's writes the record goes.
    seen: std::sync::Mutex<u64>,
}

impl Stage {
    fn set(
        scenario: &Scenario,
        mut cluster: Cluster,
        clock: Clock,
        broken: Option<Broken>,
    ) -> anyhow::Result<Self> {
        let reads_csr = Arc::new(AtomicBool::new(true));
        let webhook = CertManagerWebhook { reads_csr, forgives: Arc::default() };
        cluster.add_admission(webhook.clone());
        let seen = cluster.store().revision();
        let server = Server::new(cluster, clock);
        let pki = Pki::with_root_token(server.clone(), scenario.seed, TOKEN)?;
        let record = Record::default();
        record.lock().canaries = vec![TOKEN.to_owned(), CLUSTER_TOKEN.to_owned(), FOREIGN_TOKEN.to_owned()];
        let admin = Admin::new(server.clone(), pki.clone());
        let maker = Maker {
            server: server.clone(),
            pki,
            weather: Weather::new(Duration::from_millis(u64::from(scenario.latency))),
            record,
            mutant: broken.map(|broken| Mutant::new(broken, server.clone())),
            seed: scenario.seed,
            elects: scenario.replicas > 1,
        };
        let approver = Approver::new(server, admin.clone());
        Ok(Self { maker, admin, approver, webhook, seen: std::sync::Mutex::new(seen) })
    }

    /// cert-manager and the approver.
    fn everybody(&self) -> Vec<tokio::task::JoinHandle<()>> {
        let identity = Identity::service_account(CERT_MANAGER, CERT_MANAGER);
        let client = self.maker.server.client_of(Peer(CERT_MANAGER.into()), identity);
        let clock = self.maker.server.clock();
        let options = sim_cert_manager::run::Options {
            keys: Arc::new(sim_cert_manager::key_source::Seeded(self.maker.seed)),
            approve: false,
            events: false,
            steps_at_once: 1,
            ..Default::default()
        };
        let cert_manager = sim_cert_manager::run::run(client, Arc::new(move || clock.now()), options);
        vec![
            tokio::spawn(async move {
                cert_manager.await;
            }),
            tokio::spawn(self.approver.clone().run()),
        ]
    }

    /// Takes what was written since the last look into the record.
    fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (changes, revision) = self.maker.server.with(|cluster, _| {
            let changes: Vec<_> = cluster.store().changes_after(*seen).cloned().collect();
            (changes, cluster.store().revision())
        });
        *seen = revision;
        self.maker.record.lock().changes.extend(changes);
    }

    async fn happen(&self, op: Op, running: &[Running]) -> anyhow::Result<()> {
        let Maker { server, pki, weather, record, .. } = &self.maker;
        let tell = |replica: Replica, command: Command| {
            if let Some(running) = running.get(replica as usize) {
                running.tell(command);
            }
        };
        let process = |replica: Replica| {
            let evidence = record.lock();
            let of_replica = |name: &str| name.starts_with(&replica.to_string());
            evidence
                .processes
                .iter()
                .rev()
                .find(|process| of_replica(&process.name))
                .map(|process| process.name.clone())
        };
        match op {
            Op::Strike(replica, nth, blow) => weather.arm(replica, nth, blow),
            Op::Crash(replica) => tell(replica, Command::Crash),
            Op::Restart(replica) => tell(replica, Command::Restart),
            Op::Partition(replica, seconds) => {
                weather.partition(replica, seconds);
                if let Some(process) = process(replica) {
                    weather.freeze(server, &process, seconds, record);
                }
            }
            Op::Stale(replica, seconds) => {
                if let Some(process) = process(replica) {
                    weather.freeze(server, &process, seconds, record);
                }
            }
            Op::Cut(replica, kind) => {
                if let Some(process) = process(replica) {
                    let peer = Peer(process.as_str().into());
                    server.with(|cluster, _| cluster.cut_watches(Some(&peer), &kind.cut()));
                }
            }
            Op::NoBookmarks(replica, seconds) => weather.no_bookmarks(replica, seconds),
            Op::Skew(replica, seconds) => weather.set_skew(replica, seconds),
            Op::Suspend(seconds) => tokio::time::advance(Duration::from_secs(u64::from(seconds))).await,
            Op::Compact => {
                self.look();
                server.with(|cluster, _| {
                    let revision = cluster.store().revision();
                    cluster.compact(revision);
                });
            }
            Op::Pki(fault, seconds) => self.spoil_pki(pki, fault, seconds)?,
            Op::NoEvents(seconds) => weather.no_events(seconds),
            Op::StealLease => self.admin.steal_lease().await,
            Op::DeleteLease => self.admin.delete_lease().await,
            Op::Approve => {
                self.approver.set(Policy::Approve);
                self.approver.decide().await;
            }
            Op::Deny => self.approver.set(Policy::Deny),
            Op::Ignore => self.approver.set(Policy::Ignore),
            Op::Flip => {
                self.webhook.forgives.store(true, Ordering::Relaxed);
                self.approver.flip().await;
            }
            Op::Ask(which) => self.admin.ask(which).await?,
            Op::Unask(which) => self.admin.unask(which).await,
            Op::Reask(which) => {
                self.admin.unask(which).await;
                self.admin.ask(which).await?;
            }
            Op::Meddle => self.admin.meddle().await,
            Op::Renew => self.admin.renew().await,
            Op::EditCertificate => self.admin.edit_certificate().await,
            Op::RemakeCertificate => self.admin.remake_certificate().await,
            Op::DeleteRequests => self.admin.delete_requests().await,
            Op::DeleteSecret => self.admin.delete_secret().await,
            Op::EditIssuer => self.admin.edit_issuer().await,
            Op::DeleteIssuer => self.admin.delete_issuer().await,
            Op::RestoreIssuer => self.admin.restore().await?,
            Op::Rotate => {
                if let Some(token) = self.admin.rotate().await {
                    record.lock().canaries.push(token);
                }
            }
            Op::DropCredential => self.admin.drop_credential().await,
            Op::DeleteNamespace => self.admin.delete_namespace().await,
        }
        Ok(())
    }

    fn spoil_pki(&self, pki: &Pki, fault: PkiFault, seconds: u16) -> anyhow::Result<()> {
        let PkiFault::Mock(mock) = fault else {
            self.maker.weather.garble(fault, seconds);
            return Ok(());
        };
        let id = pki.install(mock.fault()).with_context(|| format!("{fault}"))?;
        pki.note_installed(id);
        let pki = pki.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
            pki.uninstall(id);
        });
        Ok(())
    }

    /// Puts everything right.
    async fn calm(&self) -> anyhow::Result<()> {
        let Maker { server, pki, weather, record, .. } = &self.maker;
        weather.calm(server.clock(), record);
        pki.uninstall_all();
        self.approver.set(Policy::Approve);
        self.admin.restore().await?;
        record.lock().calm = Some(server.clock().now());
        Ok(())
    }

    /// Waits until nothing is left to do, and then some time more.
    async fn rest(&self, elects: bool) {
        let server = &self.maker.server;
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < PATIENCE && !restless(server).is_empty() {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        tokio::time::sleep(if elects { QUIET_OF_TWO } else { QUIET }).await;
        self.maker.record.lock().restless = restless(server);
    }
}
