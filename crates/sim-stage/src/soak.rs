//! Playing and judging scenarios by the thousand, on as many threads as there are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::oracle::judge;
use crate::scenario::{Scenario, play};

/// A scenario that did not end well, and what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub scenario: Scenario,
    /// What was wrong, one line for each.
    pub wrong: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for wrong in &self.wrong {
            writeln!(f, "{wrong}")?;
        }
        write!(f, "to see it again: scripts/soak.sh replay '{}'", self.scenario)
    }
}

/// Plays a scenario and judges it: what is wrong, one line for each.
#[must_use]
pub fn examine(scenario: &Scenario) -> Vec<String> {
    match catch_unwind(AssertUnwindSafe(|| play(scenario))) {
        Ok(Ok(evidence)) => judge(&evidence).iter().map(ToString::to_string).collect(),
        Ok(Err(error)) => vec![format!("the scenario could not be played: {error:#}")],
        Err(_) => vec!["the scenario ended with a panic".to_owned()],
    }
}

/// Examines many scenarios on so many threads. The failures come in the scenarios' order.
#[must_use]
pub fn examine_all(scenarios: &[Scenario], threads: usize) -> Vec<Failure> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(place) else { return };
                    let wrong = examine(scenario);
                    if !wrong.is_empty() {
                        let failure = Failure { scenario: scenario.clone(), wrong };
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push((place, failure));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|(place, _)| *place);
    failures.into_iter().map(|(_, failure)| failure).collect()
}

/// As many threads as the machine has places for.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
