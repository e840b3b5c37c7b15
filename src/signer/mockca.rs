//! A CA in the controller's memory, for tests: the whole flow without a PKI. Never chosen silently.
//!
//! It issues what was asked: the request's raw subject and names, the usages, CA certificates, any duration.
//! Only the CA's own end cuts a certificate short.
//!
//! It takes an idempotency key: the serial number follows from it.
//!
//! `pendingFor` plays a PKI with manual approval. The handle says when the answer is due and for which request,
//! so nothing needs to be remembered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ca::{
    Authority, CaError, CaProfile, KeyAlgorithm, LeafProfile, Requested, Sans, Serial, SigningKey, Subject,
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use x509::Csr;

use super::{
    Answer, Handle, Health, IdempotencyKey, Offers, Order, Origin, Outcome, Signer, Unhealthy,
    UnhealthyReason,
};
use crate::clock::SharedClock;

/// Ten years: no test outlives it.
const CA_LIFETIME: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// A CA made now is valid from an hour ago, so that a clock that is set back does not precede it.
const CA_BACKDATED: SignedDuration = SignedDuration::from_hours(1);

/// X.520's limit for a common name.
const MAX_COMMON_NAME: usize = 64;

/// Signs with a CA in memory.
pub struct MockCa {
    authority: Arc<Authority>,
    clock: SharedClock,
    pending_for: Duration,
    /// The end of the certificate in the CA's chain that ends first.
    end: Timestamp,
}

/// The user's CA cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MockCaError {
    /// A key of the Secret holds nothing.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Certificate and key are no CA.
    #[error("{0}")]
    Ca(#[from] CaError),
    /// A certificate of the chain has ended.
    #[error("the certificate of {subject} expired at {at}")]
    Expired {
        /// Its subject.
        subject: String,
        /// Its notAfter.
        at: Timestamp,
    },
    /// A certificate of the chain does not hold yet.
    #[error("the certificate of {subject} is not valid before {from}")]
    NotYetValid {
        /// Its subject.
        subject: String,
        /// Its notBefore.
        from: Timestamp,
    },
}

/// Makes a new CA: a self-signed root. Making an RSA key takes up to seconds: call it off the async threads.
pub fn new_authority(name: &str, algorithm: KeyAlgorithm, now: Timestamp) -> Result<Authority, MockCaError> {
    let common_name = format!("Mock CA {name}").chars().take(MAX_COMMON_NAME).collect();
    let profile = CaProfile {
        common_name,
        not_before: now - CA_BACKDATED,
        not_after: now + CA_LIFETIME,
        serial: Serial::random()?,
        path_len: None,
    };
    Ok(Authority::self_signed(SigningKey::generate(algorithm)?, &profile)?)
}

/// Reads the user's CA: `tls.crt` (with or without the certificates above it) and `tls.key`.
pub fn read_authority(certificates: &[u8], key: &[u8], now: Timestamp) -> Result<Authority, MockCaError> {
    for (name, bytes) in [("tls.crt", certificates), ("tls.key", key)] {
        if bytes.trim_ascii().is_empty() {
            return Err(MockCaError::Empty(name));
        }
    }
    let authority = Authority::from_pem(certificates, key)?;
    for certificate in authority.chain() {
        let (from, at) = (certificate.not_before(), certificate.not_after());
        let subject = || certificate.subject().to_string();
        if at <= now {
            return Err(MockCaError::Expired { subject: subject(), at });
        }
        if now < from {
            return Err(MockCaError::NotYetValid { subject: subject(), from });
        }
    }
    Ok(authority)
}

impl MockCa {
    /// A signer with this CA that answers "pending" for a while first.
    #[must_use]
    pub fn new(authority: Arc<Authority>, pending_for: Duration, clock: SharedClock) -> Self {
        let ends = authority.chain().iter().map(x509::Certificate::not_after);
        let end = ends.min().unwrap_or(Timestamp::MAX);
        Self { authority, clock, pending_for, end }
    }

    async fn issue(&self, order: &Order) -> Outcome {
        let now = self.clock.now();
        if self.end <= now {
            let message = format!("the mock CA expired at {}: give the issuer a new one", self.end);
            return Outcome::IssuerAtFault { message };
        }
        let profile = self.profile(order, now);
        // An RSA signature takes a millisecond or more, all others a tenth of one.
        let issued = if self.is_rsa() {
            let (authority, csr) = (Arc::clone(&self.authority), order.csr.clone());
            let issuing = tokio::task::spawn_blocking(move || issue(&authority, &csr, &profile));
            let Ok(issued) = issuing.await else {
                let message = "the mock CA was interrupted".to_owned();
                return Outcome::Retryable { message, retry_after: None, may_have_issued: false };
            };
            issued
        } else {
            issue(&self.authority, &order.csr, &profile)
        };
        issued.map_or_else(|error| failed(&error), Outcome::Issued)
    }

    /// Valid from now and not a moment before, as cert-manager's own CA issuer does: a certificate is renewed
    /// at two thirds of its real lifetime, which backdating would stretch beyond what was asked.
    fn profile(&self, order: &Order, now: Timestamp) -> LeafProfile {
        let asked = SignedDuration::try_from(order.duration).unwrap_or(SignedDuration::MAX);
        let not_after = now.checked_add(asked).map_or(self.end, |end| end.min(self.end));
        // A CA below this one may have one CA less below it.
        let path_len = self.authority.chain().first().and_then(x509::Certificate::path_len);
        LeafProfile {
            serial: serial(&order.idempotency_key()),
            not_before: now,
            not_after,
            is_ca: order.is_ca,
            path_len: path_len.and_then(|n| u8::try_from(n.saturating_sub(1)).ok()),
            usages: order.usages.clone(),
            subject: Subject::FromCsr,
            subject_alt_names: Sans::FromCsr,
            crl_distribution_points: Vec::new(),
            ocsp: Vec::new(),
            ca_issuers: Vec::new(),
            basic_constraints_on_leaf: true,
        }
    }

    fn is_rsa(&self) -> bool {
        use KeyAlgorithm::{Rsa2048, Rsa3072, Rsa4096};
        matches!(self.authority.key().algorithm(), Rsa2048 | Rsa3072 | Rsa4096)
    }

    fn pending(due: &Due) -> Outcome {
        match due.handle() {
            Ok(handle) => Outcome::Pending { handle, message: format!("the mock CA answers at {}", due.at) },
            Err(error) => Outcome::Permanent { message: error.to_string() },
        }
    }
}

/// The serial number is the key's, so that an order that is submitted twice is one certificate: nothing that this CA
/// issues for it can be told apart by its number, and nothing is left over. 126 bits of a SHA-256 never meet twice.
fn serial(key: &IdempotencyKey) -> Serial {
    let mut bytes: [u8; 16] = key.as_bytes().first_chunk().copied().unwrap_or_default();
    bytes[0] |= 0x40;
    Serial::from_bytes(bytes)
}

/// The order's request was verified before.
fn issue(authority: &Authority, csr: &Csr, profile: &LeafProfile) -> Result<Answer, CaError> {
    let leaf = authority.issue_for(&Requested::from(csr), profile, Vec::new())?;
    let certificates = std::iter::once(leaf).chain(authority.chain().iter().cloned()).collect();
    Ok(Answer { certificates, authorities: Vec::new(), origin: Origin::Issued })
}

fn failed(error: &CaError) -> Outcome {
    let message = format!("the mock CA cannot issue this: {error}");
    match error {
        CaError::Crypto(_) => Outcome::Retryable { message, retry_after: None, may_have_issued: false },
        _ => Outcome::Permanent { message },
    }
}

impl Signer for MockCa {
    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            if self.pending_for.is_zero() {
                return self.issue(order).await;
            }
            let wait = SignedDuration::try_from(self.pending_for).unwrap_or(SignedDuration::MAX);
            let at = self.clock.now().checked_add(wait).unwrap_or(Timestamp::MAX);
            Self::pending(&Due::new(at, &order.csr))
        })
    }

    /// A handle of another request, or that is none of ours, says nothing about this request: it is submitted
    /// afresh, so that an issuer that was another kind before goes on.
    fn poll<'a>(&'a self, order: &'a Order, handle: &'a Handle) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            match Due::read(handle, &order.csr) {
                Some(due) if due.at <= self.clock.now() => self.issue(order).await,
                Some(due) => Self::pending(&due),
                None => self.submit(order).await,
            }
        })
    }

    fn offers(&self) -> Offers {
        Offers::IdempotencyKey
    }

    fn check(&self) -> BoxFuture<'_, Health> {
        Box::pin(async {
            let soon = self.clock.now().checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
            if self.end > soon {
                return Ok(());
            }
            Err(Unhealthy {
                reason: UnhealthyReason::ConfigurationRefused,
                message: format!("the mock CA ends at {}, within a day: give the issuer a new one", self.end),
                retry_after: None,
            })
        })
    }
}

/// Shows the CA's subject, never its key.
impl fmt::Debug for MockCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockCa").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// When the answer to a request is due: `<RFC 3339> <16 hex digits of the request's SHA-256>`.
struct Due {
    at: Timestamp,
    request: u64,
}

impl Due {
    fn new(at: Timestamp, csr: &Csr) -> Self {
        let request = csr.sha256().first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        Self { at, request }
    }

    fn read(handle: &Handle, csr: &Csr) -> Option<Self> {
        let (at, request) = handle.as_str().split_once(' ')?;
        let due = Self::new(at.parse().ok()?, csr);
        (format!("{:016x}", due.request) == request).then_some(due)
    }

    fn handle(&self) -> Result<Handle, super::outcome::HandleError> {
        Handle::new(format!("{} {:016x}", self.at, self.request))
    }
}

#[cfg(test)]
mod tests;
