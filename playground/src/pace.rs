//! How fast the cluster's clock goes beside ours.
//!
//! The runtime's clock is paused, and jumps to the next timer whenever there is nothing to do. To go slower, a thread
//! sleeps for a moment of ours, which holds the jumps back, and then the clock is turned by hand.

use std::time::Duration;

/// The length of one step: short enough that a line appears when it should.
const STEP: Duration = Duration::from_millis(20);

/// Turns the clock at `speed` for ever; without a speed the clock is left to jump.
pub(crate) async fn keep(speed: Option<u32>) {
    let Some(speed) = speed else { return std::future::pending().await };
    loop {
        let _ = tokio::task::spawn_blocking(|| std::thread::sleep(STEP)).await;
        tokio::time::advance(STEP * speed).await;
    }
}
