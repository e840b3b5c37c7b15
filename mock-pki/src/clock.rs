//! The one clock of all faces. It can be set apart from the machine's, for tests of expiry.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The time, as this PKI sees it.
#[derive(Debug, Default)]
pub struct Clock {
    offset_milliseconds: AtomicI64,
}

impl Clock {
    /// Now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the mock's clock is the place that reads the machine's")]
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.offset_milliseconds.load(Ordering::Relaxed));
        let machine = Timestamp::now();
        machine.checked_add(offset).unwrap_or(machine)
    }

    /// Moves the clock, forward or back.
    pub fn advance(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(0);
        self.offset_milliseconds.fetch_add(by, Ordering::Relaxed);
    }

    /// Back to the machine's time.
    pub fn reset(&self) {
        self.offset_milliseconds.store(0, Ordering::Relaxed);
    }
}
