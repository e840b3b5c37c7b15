//! A real OpenBao, which its administrator may seal.

use std::any::Any;

use serde_json::json;

use super::VaultServer;
use crate::Result;

/// A running OpenBao with authorities, the role `web` and an AppRole. It ends when this is dropped.
pub struct OpenBao {
    /// What it serves.
    pub server: VaultServer,
    unseal_key: String,
    /// Whatever keeps it running.
    _keeper: Box<dyn Any + Send + Sync>,
}

impl OpenBao {
    /// Sets up a fresh one.
    pub async fn new(
        server: VaultServer,
        unseal_key: String,
        keeper: Box<dyn Any + Send + Sync>,
    ) -> Result<Self> {
        server.make_authorities().await?;
        server.make_role().await?;
        Ok(Self { server, unseal_key, _keeper: keeper })
    }

    /// From now on it does nothing but say that it is sealed.
    pub async fn seal(&self) -> Result {
        self.server.post("sys/seal", json!({})).await.map(drop)
    }

    /// It works again, with what it had.
    pub async fn unseal(&self) -> Result {
        self.server.post("sys/unseal", json!({"key": self.unseal_key})).await.map(drop)
    }
}
