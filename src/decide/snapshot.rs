//! What a decision about a `CertificateRequest` may look at.

use jiff::Timestamp;
use x509::Tolerance;

use super::earlier::Earlier;
use crate::api::{CertificateRequest, IssuerKey};
use crate::config::Patience;
use crate::signer::submission::Offers;

/// One request, its issuer and the time, as they were when the decision was loaded.
#[derive(Clone, Debug)]
pub struct RequestSnapshot<'a> {
    /// The time, read once.
    pub now: Timestamp,
    /// A random number in `0.0..1.0`, drawn once, that spreads retries.
    pub jitter: f64,
    /// The request.
    pub request: &'a CertificateRequest,
    /// The issuer it refers to.
    pub issuer: IssuerView,
    /// What this process remembers of the request.
    pub memory: Memory,
}

/// An issuer, as far as a request cares.
#[derive(Clone, Debug)]
pub enum IssuerView {
    /// No issuer of that kind and name.
    Missing,
    /// It exists; this process has not finished its first check of it, which takes no longer than the PKI does.
    Unchecked,
    /// The check failed.
    NotReady {
        /// What the issuer's condition says.
        message: String,
    },
    /// It was checked.
    Ready {
        /// The generation of the object now.
        generation: i64,
        /// The generation that was checked.
        checked_generation: i64,
        /// What it grants its requests.
        terms: Terms,
    },
}

/// What an issuer grants its requests. They go with a call to the PKI, so that an issuer that changes meanwhile
/// does not change how its answer is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Its patience.
    pub patience: Patience,
    /// How far an answer may differ.
    pub tolerance: Tolerance,
    /// What its PKI offers against a second certificate for one request.
    pub offers: Offers,
    /// Whether its PKI is asked to revoke what it issued for nothing.
    pub revoke_unused: bool,
}

/// What a process remembers of a request between two decisions. Losing it costs nothing but time, and a lookup where the
/// PKI has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// How many calls in a row came to nothing.
    pub failures: u32,
    /// Not to call the PKI for a while.
    pub pause: Option<Pause>,
    /// When this process first looked at the request.
    pub first_seen: Option<Timestamp>,
    /// Whether the wait for approval was already reported.
    pub approval_reported: bool,
    /// What is known of submissions before the next one.
    pub earlier: Earlier,
    /// Whether it was already reported that there may be a certificate that nobody has.
    pub duplicate_reported: bool,
}

/// A time in which the PKI is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it was decided on. If that is still to come, the clock was set back, and the end means nothing.
    pub since: Timestamp,
    /// Not to call the PKI before.
    pub until: Timestamp,
}

impl RequestSnapshot<'_> {
    /// The issuer that the request refers to, if it is one of ours.
    #[must_use]
    pub fn issuer_key(&self) -> Option<IssuerKey> {
        let namespace = self.request.metadata.namespace.as_deref()?;
        IssuerKey::referred(&self.request.spec.issuer_ref, namespace)
    }
}
