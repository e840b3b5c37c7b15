//! mock-pki: a Vault that misbehaves when told to, and remembers everything.

use std::any::Any;

use anyhow::ensure;
use mock_pki::client::Control;
use mock_pki::ledger::Issued;

use super::VaultServer;
use crate::Result;
use crate::judge;

pub use mock_pki::Fault;
pub use mock_pki::client::Guard;

/// One mock-pki, the scenario's own. It ends when this is dropped.
pub struct MockPki {
    /// Its Vault face, with authorities, the role `web` and an AppRole.
    pub vault: VaultServer,
    /// Its control port: faults, ledger, journal.
    pub control: Control,
    /// Whatever keeps it running.
    _keeper: Box<dyn Any + Send + Sync>,
}

impl MockPki {
    /// Sets up a fresh one.
    pub async fn new(
        vault: VaultServer,
        control: Control,
        keeper: Box<dyn Any + Send + Sync>,
    ) -> Result<Self> {
        vault.make_role().await?;
        Ok(Self { vault, control, _keeper: keeper })
    }

    /// Installs a fault on what signs. It is in force until the guard is gone.
    pub async fn when_signing(&self, fault: Fault) -> Result<Guard> {
        Ok(self.control.install(fault.on_path("/sign/")).await?)
    }

    /// Installs a fault on everything.
    pub async fn always(&self, fault: Fault) -> Result<Guard> {
        Ok(self.control.install(fault).await?)
    }

    /// The certificates issued for a common name, the oldest first.
    pub async fn issued_for(&self, common_name: &str) -> Result<Vec<Issued>> {
        let mut all = self.control.ledger().await?;
        all.retain(|issued| issued.common_name.as_deref() == Some(common_name));
        Ok(all)
    }

    /// Exactly one certificate was issued for a common name, and it is this one.
    pub async fn issued_once(&self, common_name: &str, leaf: &judge::Seen) -> Result {
        let issued = self.issued_for(common_name).await?;
        let serials: Vec<String> = issued.iter().map(|issued| issued.serial.to_ascii_uppercase()).collect();
        ensure!(
            serials == [leaf.serial.clone()],
            "the ledger has {serials:?} for {common_name}, not {}",
            leaf.serial
        );
        Ok(())
    }
}
