//! The one clock of all faces: the machine's, or the caller's where the mock runs within another process.

use std::sync::Arc;

use jiff::Timestamp;

/// Tells the time.
pub type SharedClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The machine's clock.
#[must_use]
pub fn machine() -> SharedClock {
    Arc::new(now)
}

/// Now, by the machine.
#[expect(clippy::disallowed_methods, reason = "the mock's clock is the place that reads the machine's")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
