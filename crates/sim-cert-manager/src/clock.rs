//! The time, which somebody else turns.

use std::time::Duration;

use jiff::Timestamp;

/// Tells the time, and how it relates to tokio's.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// How much of tokio's time passes until this clock shows `deadline`. The same amount, unless this clock runs
    /// faster.
    fn until(&self, deadline: Timestamp) -> Duration {
        Duration::try_from(deadline.duration_since(self.now())).unwrap_or_default()
    }
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}
