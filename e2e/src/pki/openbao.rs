//! An OpenBao, which its administrator may seal.

use std::any::Any;

use mock_pki::client::Control;
use serde_json::json;
use tokio::sync::Mutex;

use super::{Fault, Guard, VaultServer};
use crate::Result;

/// A running OpenBao with authorities, the role `web` and an AppRole. It ends when this is dropped.
pub struct OpenBao {
    /// What it serves.
    pub server: VaultServer,
    seal: Seal,
    /// Whatever keeps it running.
    _keeper: Box<dyn Any + Send + Sync>,
}

/// How it is sealed and unsealed.
pub enum Seal {
    /// By its own API, with this key.
    Key(String),
    /// mock-pki stands in, and a fault of its stands for the seal.
    Fault(Control, Mutex<Option<Guard>>),
}

impl OpenBao {
    /// Sets up a fresh one, which has nothing.
    pub async fn new(server: VaultServer, seal: Seal, keeper: Box<dyn Any + Send + Sync>) -> Result<Self> {
        server.make_authorities().await?;
        server.make_role().await?;
        Ok(Self { server, seal, _keeper: keeper })
    }

    /// From now on it does nothing but say that it is sealed.
    pub async fn seal(&self) -> Result {
        match &self.seal {
            Seal::Key(_) => self.server.post("sys/seal", json!({})).await.map(drop),
            Seal::Fault(control, sealed) => {
                *sealed.lock().await = Some(control.install(Fault::new("sealed")).await?);
                Ok(())
            }
        }
    }

    /// It works again, with what it had.
    pub async fn unseal(&self) -> Result {
        match &self.seal {
            Seal::Key(key) => self.server.post("sys/unseal", json!({"key": key})).await.map(drop),
            Seal::Fault(_, sealed) => match sealed.lock().await.take() {
                Some(fault) => Ok(fault.uninstall().await?),
                None => Ok(()),
            },
        }
    }
}
