//! Leader election on a `Lease`, by client-go's rules (`k8s.io/client-go/tools/leaderelection`).
//!
//! * `rules`: what a contender does next, from what it saw and its own monotonic clock. Pure.
//! * `elector`: the loop that does it over a `kube::Api<Lease>`.
//! * `leadership`: what the rest of the process asks.
//!
//! The rules:
//!
//! 1. Every write carries the resourceVersion that was seen, so of two writers one gets a 409.
//! 2. Another's lease has run out when its duration passed since *we saw it change*, by our monotonic clock.
//!    Times written in it are for people: nobody's wall clock is believed.
//! 3. A leader renews every retry period; without success for the renew deadline it stops leading, while the
//!    lease that keeps others out still runs.
//! 4. A leader that exits empties the lease, and the next contender's try takes it. One that crashes is
//!    followed when the lease has run out.
//! 5. A lease is no fence: a leader that is paused for longer than the lease does not notice. So leadership ends
//!    for the rest of the process at [`Leadership::lost`], which is reckoned from before the last
//!    renewal was *sent*: nobody can have seen it, and so waited for less, than that.
//!
//! Why not `kube-lease-manager` 0.13.1, the only one of the crates that fits kube 5.0: it compares the holder's
//! written `renewTime` with the local wall clock (rule 2), takes a lease by patches without a resourceVersion
//! (rule 1), has no renew deadline (rule 3), and tells its user a bool, where a call to the PKI needs to know
//! until when (rule 5).

mod elector;
#[cfg(test)]
mod elector_tests;
mod leadership;
#[cfg(test)]
mod model;
mod rules;

use std::time::Duration;

pub use elector::Elector;
pub use leadership::Leadership;

use crate::api::GoDuration;

/// The name of our Lease.
pub const LEASE_NAME: &str = "external-issuer.io";

/// Who stands for election, where, and with which timing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name: [`LEASE_NAME`], unless a deployment says otherwise.
    pub name: String,
    /// Who we are: no two processes may ever be called the same, see [`identity`].
    pub identity: String,
    /// How patient all are with each other.
    pub timing: Timing,
}

/// The three durations of client-go, in an order that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    lease_duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// Why three durations do not make a timing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// The Lease stores whole seconds.
    #[error("--leader-elect-lease-duration {0}: must be whole seconds, at least 1s")]
    WholeSeconds(GoDuration),
    /// A leader must stop before others start.
    #[error(
        "--leader-elect-lease-duration {lease} must be longer than --leader-elect-renew-deadline {renew}"
    )]
    RenewTooLate {
        /// The lease duration given.
        lease: GoDuration,
        /// The renew deadline given.
        renew: GoDuration,
    },
    /// One failed try must not lose the lease.
    #[error(
        "--leader-elect-renew-deadline {renew} must be longer than 1.2 × --leader-elect-retry-period {retry}"
    )]
    RetryTooRare {
        /// The renew deadline given.
        renew: GoDuration,
        /// The retry period given.
        retry: GoDuration,
    },
    /// Without a pause the loop would flood the API server.
    #[error("--leader-elect-retry-period {0}: must be at least 100ms")]
    RetryTooOften(GoDuration),
}

impl Timing {
    /// client-go's defaults, which every Go controller has: 15 s, 10 s, 2 s.
    pub const DEFAULT: Self = Self {
        lease_duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };

    /// The least pause between two tries.
    const LEAST_RETRY: Duration = Duration::from_millis(100);

    /// These durations, if a leader with them stops before the next one starts.
    pub fn new(lease: GoDuration, renew: GoDuration, retry: GoDuration) -> Result<Self, TimingError> {
        let whole =
            lease.0.subsec_nanos() == 0 && i32::try_from(lease.0.as_secs()).is_ok_and(|secs| secs > 0);
        if !whole {
            return Err(TimingError::WholeSeconds(lease));
        }
        if lease <= renew {
            return Err(TimingError::RenewTooLate { lease, renew });
        }
        if retry.0 < Self::LEAST_RETRY {
            return Err(TimingError::RetryTooOften(retry));
        }
        if renew.0 <= retry.0.saturating_mul(6) / 5 {
            return Err(TimingError::RetryTooRare { renew, retry });
        }
        Ok(Self { lease_duration: lease.0, renew_deadline: renew.0, retry_period: retry.0 })
    }

    /// How long the others wait for a leader that fell silent.
    #[must_use]
    pub fn lease_duration(&self) -> Duration {
        self.lease_duration
    }

    /// How long a leader may fail to renew before it stops leading.
    #[must_use]
    pub fn renew_deadline(&self) -> Duration {
        self.renew_deadline
    }

    /// The pause between tries.
    #[must_use]
    pub fn retry_period(&self) -> Duration {
        self.retry_period
    }

    /// How long a renewal is good for, from before it was sent: the lease less a tenth, for two monotonic
    /// clocks that do not run alike and for what lies between a check and the act.
    fn validity(&self) -> Duration {
        self.lease_duration.mul_f64(0.9)
    }
}

/// A name that no other process has: the machine's (in a cluster: the pod's), and 128 random bits. Not the host
/// name alone: a container that restarts within its pod must not take its predecessor's lease for its own.
#[must_use]
pub fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("external-issuer");
    let mut bits = [0_u8; 16];
    // Fails only where no TLS connection could be made either; the process number is better than nothing.
    if aws_lc_rs::rand::fill(&mut bits).is_err() {
        return format!("{host}_{}", std::process::id());
    }
    format!("{host}_{:032x}", u128::from_be_bytes(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(lease: &str, renew: &str, retry: &str) -> Result<Timing, String> {
        Timing::new(lease.parse().unwrap(), renew.parse().unwrap(), retry.parse().unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_timing_has_the_order_that_client_go_asks_for() {
        assert_eq!(timing("15s", "10s", "2s"), Ok(Timing::DEFAULT));
        let table = [
            ("10s", "10s", "2s", "must be longer than --leader-elect-renew-deadline 10s"),
            ("15s", "10s", "9s", "1.2 × --leader-elect-retry-period 9s"),
            ("1500ms", "1s", "200ms", "must be whole seconds"),
            ("0s", "0s", "0s", "must be whole seconds"),
            ("9999999999s", "10s", "2s", "must be whole seconds"),
            ("15s", "10s", "1ms", "must be at least 100ms"),
        ];
        for (lease, renew, retry, expected) in table {
            let error = timing(lease, renew, retry).unwrap_err();
            assert!(error.contains(expected), "{lease} {renew} {retry}: {error}");
        }
    }

    #[test]
    fn no_two_identities_are_alike() {
        assert_ne!(identity(), identity());
    }
}
