//! How fast the cluster's clock goes beside ours.
//!
//! The runtime's clock is paused, and jumps to the next timer whenever there is nothing to do, never while something
//! is being done. To go slower, a thread sleeps for a moment of ours, which holds the jumps back, and then as much of
//! the cluster's time is let pass.

use std::io;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// A moment: short enough that a line appears when it should.
const MOMENT: Duration = Duration::from_millis(20);

/// Where the clock is turned by hand: it goes on only when everything that happens now has happened.
pub(crate) const ALL_OF_IT: Duration = Duration::from_millis(1);

/// A runtime for a cluster, whose clock goes as [`keep`] lets it.
pub(crate) fn turned_by_hand() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().start_paused(true).build()
}

/// A runtime for a cluster by the machine's clock.
pub(crate) fn real() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Lets the clock go at `speed` for ever; without a speed the clock is left to itself.
pub(crate) async fn keep(speed: Option<u32>) {
    let Some(speed) = speed else { return std::future::pending().await };
    loop {
        let began = Instant::now();
        let _ = tokio::task::spawn_blocking(|| std::thread::sleep(MOMENT)).await;
        tokio::time::sleep(began.elapsed().saturating_mul(speed)).await;
    }
}
