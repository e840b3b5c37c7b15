//! A simulated cluster with everything on it, in one process and on one clock.
//!
//! ```text
//! admin ──────────┐                                    ┌──> mock-pki (no socket)
//! cert-manager ───┼──> sim-kube (RBAC, CRDs, webhook)  │
//! the controller ─┘        ^ one clock: tokio's        │
//!       └──────────────────────────────────────────────┘
//! ```
//!
//! - The controller is the real one, under the ServiceAccount and the RBAC manifests that are shipped; cert-manager
//!   is `sim-cert-manager`, under the identity that its chart gives it.
//! - All waiting is tokio's. Under paused time a year passes as fast as its work is done; nothing opens a socket.
//! - Whoever is stopped in the middle (by dropping its task) leaves what a killed process leaves: whatever it had
//!   sent.

mod controller;
mod log;
mod manifests;
mod mutant;
pub mod oracle;
mod pki;
pub mod record;
pub mod scenario;
#[cfg(feature = "soak")]
pub mod soak;
pub mod sweeps;
mod template;
mod webhook;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use sim_kube::client::{Clock, Server};
use sim_kube::fault::Peer;
use sim_kube::{Cluster, Identity};
use tokio::task::JoinHandle;

pub use self::controller::{Apart, Controller, Ended};
pub use self::manifests::{apply, create};
pub use self::mutant::Broken;
pub use self::pki::{Call, Pki};
pub use self::template::TOKEN;
pub use sim_cert_manager::backoff::Backoff;

/// The namespace of cert-manager and of its ServiceAccount.
pub const CERT_MANAGER: &str = "cert-manager";
/// The namespace of the controller, and the cluster resource namespace.
pub const SYSTEM: &str = "external-issuer-system";

/// How long the cluster remembers: a watch that was away for longer lists anew. Five minutes on a real one.
const HISTORY: SignedDuration = SignedDuration::from_hours(1);
/// A watch of kube lasts 290 seconds, so it is told how far it is before it ends and not each minute: nobody who
/// remembers for an hour needs more, and in a year it would be half a million times for each watch.
const BOOKMARKS: SignedDuration = SignedDuration::from_mins(10);

/// How a stage is set.
#[derive(Clone, Debug)]
pub struct Options {
    /// What uids, generated names, cert-manager's keys, serial numbers and the controller's jitter follow from.
    pub seed: u64,
    /// What its clock shows at first.
    pub begins: Timestamp,
}

/// A cluster, a PKI, and nobody at work yet.
pub struct Stage {
    server: Server,
    seed: u64,
    reads_csr: Arc<AtomicBool>,
    /// The PKI.
    pub pki: Pki,
}

impl Stage {
    /// Sets the stage: namespaces, CRDs and RBAC are there, and so is a PKI. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// A manifest that is shipped is refused, or the PKI's CAs cannot be made.
    pub async fn set(options: Options) -> anyhow::Result<Self> {
        let clock = Clock::starting_at(options.begins);
        let cluster = Cluster::new(
            sim_kube::Options {
                seed: options.seed,
                history: Some(HISTORY),
                bookmark_every: BOOKMARKS,
                ..Default::default()
            },
            options.begins,
        );
        let server = Server::new(cluster, clock);
        let pki = Pki::new(server.clone(), options.seed)?;
        let reads_csr = Arc::new(AtomicBool::new(true));
        let stage = Self { pki, server, seed: options.seed, reads_csr };
        manifests::install(&stage.admin()).await?;
        let webhook =
            webhook::CertManagerWebhook { reads_csr: Arc::clone(&stage.reads_csr), forgives: Arc::default() };
        stage.server.with(|cluster, _| cluster.add_admission(webhook));
        Ok(stage)
    }

    /// The cluster, for faults and for looking behind the API.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The clock of everybody on the stage.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.server.clock()
    }

    /// A client of an administrator.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.server.client(Identity::admin())
    }

    /// From now on cert-manager's webhook lets every CSR pass, unread.
    pub fn any_csr_passes(&self) {
        self.reads_csr.store(false, Ordering::Relaxed);
    }

    /// Makes a namespace whose owner lets the controller read the ConfigMap `pki-config` and the Secret
    /// `pki-credentials`, as the manifest for tenants does.
    ///
    /// # Errors
    /// The namespace is there already.
    pub async fn tenant(&self, namespace: &str) -> anyhow::Result<()> {
        manifests::tenant(&self.admin(), namespace).await
    }

    /// cert-manager's certificate controllers and its approver, until the handle is aborted.
    #[must_use]
    pub fn cert_manager(&self) -> JoinHandle<std::convert::Infallible> {
        self.cert_manager_with(Backoff::default())
    }

    /// The same with other waits after failed issuances.
    #[must_use]
    pub fn cert_manager_with(&self, backoff: Backoff) -> JoinHandle<std::convert::Infallible> {
        let client = self
            .server
            .client_of(Peer(CERT_MANAGER.into()), Identity::service_account(CERT_MANAGER, CERT_MANAGER));
        let clock = self.clock();
        let options = sim_cert_manager::run::Options {
            backoff,
            keys: Arc::new(sim_cert_manager::key_source::Seeded(self.seed)),
            ..Default::default()
        };
        tokio::spawn(sim_cert_manager::run::run(client, Arc::new(move || clock.now()), options))
    }

    /// A replica of the controller. `peer` is what faults tell it by; `flags` are those of `external-issuer run`.
    ///
    /// # Errors
    /// The flags cannot be read.
    pub fn controller(&self, peer: &str, flags: &[&str]) -> anyhow::Result<Controller> {
        self.controller_apart(peer, flags, Apart::default())
    }

    /// The same where it is not like the others.
    ///
    /// # Errors
    /// The flags cannot be read.
    pub fn controller_apart(&self, peer: &str, flags: &[&str], apart: Apart) -> anyhow::Result<Controller> {
        let client = self
            .server
            .client_of(Peer(peer.into()), Identity::service_account(SYSTEM, "external-issuer-controller"));
        let transport = apart.transport.unwrap_or_else(|| self.pki.transport());
        let clock = Arc::new(controller::SimClock::new(self.clock(), move || apart.clock_ahead));
        Controller::start(client, clock, controller::chance(self.seed), transport, flags)
    }
}
