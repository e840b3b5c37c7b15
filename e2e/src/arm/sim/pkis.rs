//! PKIs in this process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Method;
use mock_pki::client::Control;
use mock_pki::{in_process, server};
use sim_kube::client::Clock;
use tokio::sync::OnceCell;

use super::network::{Address, Network};
use crate::Result;
use crate::pki::{Line, MockPki, OpenBao, Pkis, Seal, VaultServer};
use crate::world::Dice;

/// mock-pki, as often as it is asked for.
pub(super) struct SimPkis {
    network: Network,
    clock: Clock,
    openbao: OnceCell<OpenBao>,
    dice: Mutex<Dice>,
    root_tokens: Mutex<Vec<String>>,
}

impl SimPkis {
    pub(super) fn new(network: Network, clock: Clock, seed: u64) -> Self {
        let dice = Mutex::new(Dice::new(seed));
        Self { network, clock, openbao: OnceCell::new(), dice, root_tokens: Mutex::default() }
    }

    /// A token that nobody would write by chance, so that its appearance anywhere is a leak.
    fn root_token(&self) -> String {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let token = format!("root-{:016x}{:016x}", dice.below(u64::MAX), dice.below(u64::MAX));
        self.root_tokens.lock().unwrap_or_else(PoisonError::into_inner).push(token.clone());
        token
    }

    fn make(&self) -> Result<(VaultServer, Control, Address)> {
        let (clock, root_token) = (self.clock, self.root_token());
        let config = server::Config { root_token: root_token.clone(), ..server::Config::default() };
        let pki = in_process::MockPki::new(&config, Arc::new(move || clock.now()))?;
        let address = self.network.add(pki.clone());
        let vault = VaultServer::new(address.url(), root_token, Arc::new(self.network.clone()));
        Ok((vault, Control::in_process(pki), address))
    }
}

impl Pkis for SimPkis {
    fn openbao(&self) -> BoxFuture<'_, Result<VaultServer>> {
        Box::pin(async {
            let shared = self.openbao.get_or_try_init(|| self.own_openbao()).await?;
            Ok(shared.server.clone())
        })
    }

    fn own_openbao(&self) -> BoxFuture<'_, Result<OpenBao>> {
        Box::pin(async {
            let (server, control, address) = self.make()?;
            // As a real one begins: with nothing.
            for mount in ["sys/mounts/pki", "sys/mounts/pki_int"] {
                server.call(Method::DELETE, mount, None).await?;
            }
            OpenBao::new(server, Seal::Fault(control, tokio::sync::Mutex::default()), Box::new(address)).await
        })
    }

    fn mock(&self) -> BoxFuture<'_, Result<MockPki>> {
        Box::pin(async {
            let (vault, control, address) = self.make()?;
            MockPki::new(vault, control, Box::new(address)).await
        })
    }

    fn line(&self, to: &VaultServer, by: Duration) -> BoxFuture<'_, Result<Box<dyn Line>>> {
        let line = self.network.line(&to.url, by);
        Box::pin(async { Ok(Box::new(line) as Box<dyn Line>) })
    }

    fn root_tokens(&self) -> Vec<String> {
        self.root_tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
