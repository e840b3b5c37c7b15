//! The one clock of all faces: the machine's, or the caller's where the mock runs within another process, moved or
//! stopped at the control port.
//!
//! Listeners do not go by it: their TLS certificates are of the machine's time, as their clients are.

use std::{
    cell::Cell,
    sync::{Arc, RwLock},
};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sync::{read, write};

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

/// What the clock shows, and how it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockState {
    /// The time of all faces.
    pub now: Timestamp,
    /// How far it is ahead of the clock below it, milliseconds.
    pub ahead_milliseconds: i64,
    /// Whether it stands still.
    pub stopped: bool,
}

/// How to move the clock; what is left out stays. `set` comes before `advance_seconds`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockChange {
    /// The time that it shall be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Timestamp>,
    /// So many seconds later, or earlier if negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advance_seconds: Option<i64>,
    /// Whether it shall stand still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<bool>,
}

/// A clock that can be moved, over one that cannot.
pub(crate) struct Clock {
    below: SharedClock,
    setting: RwLock<Setting>,
}

/// How a clock is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Setting {
    ahead: SignedDuration,
    /// At this time it stands still.
    stopped: Option<Timestamp>,
}

thread_local! {
    /// How wrong the clock is for what this thread does now, see [`skewed`].
    static SKEW: Cell<SignedDuration> = const { Cell::new(SignedDuration::ZERO) };
}

/// Does `work`, for which every clock is wrong by so much.
pub(crate) fn skewed<T>(skew: SignedDuration, work: impl FnOnce() -> T) -> T {
    struct Back(SignedDuration);
    impl Drop for Back {
        fn drop(&mut self) {
            SKEW.set(self.0);
        }
    }
    let _back = Back(SKEW.replace(skew));
    work()
}

impl Clock {
    pub(crate) fn new(below: SharedClock) -> Self {
        Self { below, setting: RwLock::default() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let setting = *read(&self.setting);
        plus(setting.stopped.unwrap_or_else(|| plus((self.below)(), setting.ahead)), SKEW.get())
    }

    pub(crate) fn state(&self) -> ClockState {
        let setting = *read(&self.setting);
        let (below, now) = ((self.below)(), self.now());
        let ahead = setting.stopped.map_or(setting.ahead, |at| at.duration_since(below));
        let ahead_milliseconds = i64::try_from(ahead.as_millis()).unwrap_or_default();
        ClockState { now, ahead_milliseconds, stopped: setting.stopped.is_some() }
    }

    /// Moves it; an error is a sentence.
    pub(crate) fn change(&self, change: &ClockChange) -> Result<(), String> {
        let mut setting = write(&self.setting);
        let below = (self.below)();
        let now = setting.stopped.unwrap_or_else(|| plus(below, setting.ahead));
        let advance = SignedDuration::from_secs(change.advance_seconds.unwrap_or_default());
        let then = change.set.unwrap_or(now).checked_add(advance).map_err(|error| error.to_string())?;
        // Beyond these X.509 has no words.
        if !(0..=253_402_300_799).contains(&then.as_second()) {
            return Err(format!("{then} is outside of what X.509 can say (years 1970 to 9999)"));
        }
        let stops = change.stopped.unwrap_or(setting.stopped.is_some());
        *setting = Setting {
            ahead: if then == now && setting.stopped.is_none() {
                setting.ahead
            } else {
                then.duration_since(below)
            },
            stopped: stops.then_some(then),
        };
        Ok(())
    }

    /// Back to the clock below.
    pub(crate) fn release(&self) {
        *write(&self.setting) = Setting::default();
    }

    pub(crate) fn setting(&self) -> Setting {
        *read(&self.setting)
    }

    pub(crate) fn restore(&self, setting: Setting) {
        *write(&self.setting) = setting;
    }
}

fn plus(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_is_set_advanced_stopped_and_released() {
        let clock = Clock::new(Arc::new(|| at("2030-01-01T00:00:00Z")));
        let change = |change: ClockChange| clock.change(&change).map(|()| clock.now().to_string());
        let set = ClockChange { set: Some(at("2031-01-01T00:00:00Z")), ..ClockChange::default() };
        assert_eq!(change(set).unwrap(), "2031-01-01T00:00:00Z");
        let later = ClockChange { advance_seconds: Some(90), stopped: Some(true), ..ClockChange::default() };
        assert_eq!(change(later).unwrap(), "2031-01-01T00:01:30Z");
        let back = ClockChange { advance_seconds: Some(-30), ..ClockChange::default() };
        assert_eq!(change(back).unwrap(), "2031-01-01T00:01:00Z");
        assert!(clock.state().stopped);
        let beyond = ClockChange { set: Some(at("-000001-01-01T00:00:00Z")), ..ClockChange::default() };
        assert!(change(beyond).unwrap_err().contains("years 1970 to 9999"));
        clock.release();
        assert_eq!(
            clock.state(),
            ClockState { now: at("2030-01-01T00:00:00Z"), ahead_milliseconds: 0, stopped: false }
        );
    }

    #[test]
    fn a_stopped_clock_goes_on_from_where_it_stood() {
        let machine = Arc::new(std::sync::Mutex::new(at("2030-01-01T00:00:00Z")));
        let below = Arc::clone(&machine);
        let clock = Clock::new(Arc::new(move || *below.lock().unwrap()));
        let stops = |stopped| ClockChange { stopped: Some(stopped), ..ClockChange::default() };
        clock.change(&stops(true)).unwrap();
        *machine.lock().unwrap() = at("2030-01-01T01:00:00Z");
        assert_eq!(clock.now(), at("2030-01-01T00:00:00Z"));
        clock.change(&stops(false)).unwrap();
        *machine.lock().unwrap() = at("2030-01-01T01:00:05Z");
        assert_eq!(clock.now(), at("2030-01-01T00:00:05Z"));
    }

    #[test]
    fn a_skewed_clock_is_wrong_for_what_it_is_skewed_for_alone() {
        let clock = Clock::new(Arc::new(|| at("2030-01-01T00:00:00Z")));
        let seen = skewed(SignedDuration::from_secs(-60), || clock.now());
        assert_eq!((seen, clock.now()), (at("2029-12-31T23:59:00Z"), at("2030-01-01T00:00:00Z")));
    }
}
