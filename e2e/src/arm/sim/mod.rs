//! A simulated cluster in this process, one for each scenario, with everything on it and the clock turned by waiting.
//!
//! ```text
//! scenario's thread ──> paused clock ──> sim-kube, sim-cert-manager
//!                                   ├──> the real controller as tasks (arm/sim/controller.rs)
//!                                   └──> mock-pki, any number, on a network without sockets (arm/sim/network.rs)
//! ```
//!
//! Nothing here listens, and nothing waits in real time: when all tasks wait, the clock goes on to the first of them.
//! Where a scenario asks for an OpenBao, mock-pki stands in, set up through the same API; recordings of a real one are
//! what mock-pki itself is compared with.

mod audit;
mod controller;
mod log;
mod network;
mod pkis;
pub mod suite;

use std::sync::Arc;
use std::time::Duration;

use external_issuer::clock::Clock;
use jiff::Timestamp;
use sim_stage::{Backoff, Options, SYSTEM, Stage};
use tokio::task::JoinHandle;

use self::audit::Heard;
use self::controller::Tasks;
use self::log::Log;
use self::network::Network;
use self::pkis::SimPkis;
use crate::Result;
use crate::manifest;
use crate::suite::Mode;
use crate::world::{Ground, Pictures};

/// What the clock shows at first: any time would do, but not the same fraction of a second as what is written.
const BEGINS: Timestamp = Timestamp::constant(1_893_456_000, 250_000_000);
/// cert-manager's waits after failures, as on the local arm: hours would outlast a scenario's patience.
const BACKOFF: Backoff = Backoff { minimum: Duration::from_secs(2), maximum: Duration::from_secs(10) };

/// A cluster with everything on it. It ends when this is dropped.
struct Sim {
    cert_manager: JoinHandle<std::convert::Infallible>,
    /// What a scenario stands on.
    ground: Ground,
}

impl Sim {
    /// Sets everything up. The controller logs to `log`.
    async fn up(seed: u64, mode: Mode, log: Log) -> Result<Self> {
        let stage = Stage::set(Options { seed, begins: BEGINS }).await?;
        if mode == Mode::Unread {
            stage.any_csr_passes();
        }
        let heard = Arc::new(Heard::default());
        heard.listen(stage.server());
        let cert_manager = stage.cert_manager_with(BACKOFF);
        let stage = Arc::new(stage);
        let clock = Arc::new(StageClock(stage.clock()));
        let network = Network::default();
        let ground = Ground {
            client: stage.admin(),
            pkis: Arc::new(SimPkis::new(network.clone(), stage.clock(), seed)),
            controller: Arc::new(Tasks::new(stage, network, log)),
            audit: heard,
            judged: Arc::default(),
            controller_user: format!("system:serviceaccount:{SYSTEM}:external-issuer-controller"),
            system: SYSTEM.to_owned(),
            tenant_role: manifest::folder(&manifest::repository().join("deploy/rbac/tenant"))?,
            clock,
            pictures: Pictures::Compare,
        };
        ground.controller.restore().await?;
        Ok(Self { cert_manager, ground })
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.cert_manager.abort();
    }
}

struct StageClock(sim_kube::client::Clock);

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}
