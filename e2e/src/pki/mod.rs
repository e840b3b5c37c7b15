//! The PKIs that a scenario may ask for.

mod openbao;

use futures::future::BoxFuture;

use crate::Result;

pub use openbao::{AppRole, OpenBao};

/// Brings PKIs.
pub trait Pkis: Send + Sync {
    /// The real OpenBao that all scenarios share.
    fn openbao(&self) -> BoxFuture<'_, Result<OpenBao>>;
}
