//! Chance, to spread what would otherwise happen at once. Rules get it as an argument.

use std::sync::Arc;

/// Gives numbers from 0 up to 1.
pub type Chance = Arc<dyn Fn() -> f64 + Send + Sync>;

/// The machine's.
#[must_use]
pub fn machine() -> Chance {
    Arc::new(fraction)
}

/// A random number from 0 up to 1; `0.5` if there is no randomness, which only makes retries and contenders meet.
fn fraction() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}
