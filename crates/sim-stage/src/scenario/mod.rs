//! Scenarios: what happens to a cluster, as a value that can be generated, printed, read again and played.
//!
//! ```text
//! seed=7 replicas=2 latency=3 | +0 strike a 14 crash-before | +2000 pki wrong-key 60 | +500 renew
//! ```
//!
//! Before each thing that happens so many milliseconds pass. When all has happened everything is put right again, and
//! the cluster has to come to rest.

mod actors;
mod approver;
pub(crate) mod blow;
mod op;
pub(crate) mod pki_fault;
mod play;
mod replica;
#[cfg(feature = "soak")]
pub mod strategy;
pub(crate) mod weather;

use std::fmt;
use std::str::FromStr;

pub use self::blow::{Blow, CutKind};
pub use self::op::{Op, Replica};
pub use self::pki_fault::{Mock, PkiFault};
pub use self::play::{play, play_broken};

/// What happens to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What chance follows from.
    pub seed: u64,
    /// How many replicas of the controller there are, 1 or 2. With two they elect a leader.
    pub replicas: u8,
    /// How many milliseconds a request takes to arrive, and again its answer.
    pub latency: u16,
    /// What happens, each after so many milliseconds.
    pub ops: Vec<(u32, Op)>,
}

impl Scenario {
    /// One replica, no latency, and these.
    #[must_use]
    pub fn of(ops: impl IntoIterator<Item = (u32, Op)>) -> Self {
        Self { seed: 1, replicas: 1, latency: 0, ops: ops.into_iter().collect() }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={} replicas={} latency={}", self.seed, self.replicas, self.latency)?;
        self.ops.iter().try_for_each(|(wait, op)| write!(f, " | +{wait} {op}"))
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('|').map(str::trim);
        let mut scenario = Self::of([]);
        for word in parts.next().unwrap_or_default().split_whitespace() {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} has no `=`"))?;
            let wrong = |_| format!("{value:?} is no number");
            match name {
                "seed" => scenario.seed = value.parse().map_err(wrong)?,
                "replicas" => scenario.replicas = value.parse::<u8>().map_err(wrong)?.clamp(1, 2),
                "latency" => scenario.latency = value.parse().map_err(wrong)?,
                _ => return Err(format!("a scenario has no {name:?}")),
            }
        }
        for part in parts {
            let (wait, op) = part
                .strip_prefix('+')
                .and_then(|part| part.split_once(' '))
                .ok_or_else(|| format!("{part:?} does not begin with `+MILLISECONDS `"))?;
            let wait = wait.parse().map_err(|_| format!("{wait:?} is no number"))?;
            scenario.ops.push((wait, op.parse()?));
        }
        Ok(scenario)
    }
}
