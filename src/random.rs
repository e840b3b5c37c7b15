//! Chance, to spread what would otherwise happen at once. Rules get it as an argument.

use std::sync::Arc;

/// Where chance comes from.
pub trait Chance: Send + Sync {
    /// A number from 0 up to 1.
    fn fraction(&self) -> f64;
}

/// A source of chance that many share.
pub type SharedChance = Arc<dyn Chance>;

/// The machine's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    /// `0.5` if there is no randomness, which only makes retries and contenders meet.
    fn fraction(&self) -> f64 {
        let mut bytes = [0; 4];
        match aws_lc_rs::rand::fill(&mut bytes) {
            Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
            Err(_) => 0.5,
        }
    }
}
