//! Can the certificates above the leaf carry it, today and until cert-manager renews it?
//!
//! Every intermediate is published with the leaf, so a client takes the chain as it stands: one certificate in it
//! that has expired or may not sign makes the whole worthless. The root is not looked at: clients trust their own
//! copy of it, perhaps a renewed one.

use std::{fmt, time::Duration};

use jiff::Timestamp;

use crate::{
    certificate::Certificate,
    chain::Chain,
    judge::{Difference, compare::signed},
    usage::KeyUsage,
};

/// What makes an intermediate unfit to stand above the leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Its basic constraints do not say that it is a CA.
    NotCa,
    /// It has key usages, and signing certificates is none of them.
    MayNotSign,
    /// More CAs follow below it than its path length allows.
    TooManyBelow {
        /// The path length.
        allowed: u32,
        /// How many follow.
        below: usize,
    },
    /// It begins in the future.
    NotYetValid {
        /// notBefore
        not_before: Timestamp,
        /// The time of the judgement.
        now: Timestamp,
    },
    /// It has ended.
    Expired {
        /// notAfter
        not_after: Timestamp,
        /// The time of the judgement.
        now: Timestamp,
    },
    /// It ends while the leaf is still in use.
    EndsBeforeRenewal {
        /// notAfter
        not_after: Timestamp,
        /// When cert-manager renews the leaf.
        renewal: Timestamp,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCa => f.write_str("it is not a CA"),
            Self::MayNotSign => f.write_str("its key usages do not allow it to sign certificates"),
            Self::TooManyBelow { allowed, below } => {
                write!(f, "its path length allows {allowed} CAs below it, there are {below}")
            }
            Self::NotYetValid { not_before, now } => {
                write!(f, "its notBefore {not_before} is ahead of our clock {now:.0}")
            }
            Self::Expired { not_after, now } => {
                write!(f, "its notAfter {not_after} has passed, it is {now:.0}")
            }
            Self::EndsBeforeRenewal { not_after, renewal } => {
                write!(f, "its notAfter {not_after} comes before the certificate's renewal at {renewal}")
            }
        }
    }
}

/// Adds what is wrong with each intermediate, from the leaf upwards.
pub(super) fn check(
    chain: &Chain,
    renewal: Timestamp,
    now: Timestamp,
    clock_skew: Duration,
    found: &mut Vec<Difference>,
) {
    // A leaf that is a CA itself is there to sign, and then counts (RFC 5280 4.2.1.9).
    let mut below = usize::from(chain.leaf.is_ca() && !chain.leaf.is_self_issued());
    for issuer in &chain.intermediates {
        let time = not_now(issuer, now, clock_skew).or_else(|| {
            let not_after = issuer.not_after();
            (not_after < renewal).then_some(Unfit::EndsBeforeRenewal { not_after, renewal })
        });
        let path = issuer
            .path_len()
            .filter(|allowed| u32::try_from(below).is_ok_and(|below| below > *allowed))
            .map(|allowed| Unfit::TooManyBelow { allowed, below });
        for unfit in [may_not_sign(issuer), path, time].into_iter().flatten() {
            found.push(Difference::Issuer { issuer: issuer.subject(), unfit });
        }
        below += usize::from(!issuer.is_self_issued());
    }
}

/// Whether a certificate known from elsewhere may complete a chain. An intermediate that nobody can use is better
/// left out: the PKI did not send it.
pub(super) fn may_complete(certificate: &Certificate, now: Timestamp, clock_skew: Duration) -> bool {
    certificate.is_self_issued()
        || (may_not_sign(certificate).is_none() && not_now(certificate, now, clock_skew).is_none())
}

fn may_not_sign(certificate: &Certificate) -> Option<Unfit> {
    if !certificate.is_ca() {
        return Some(Unfit::NotCa);
    }
    let usages = certificate.usages();
    (usages.restricts_key_usage() && !usages.has(KeyUsage::CertSign)).then_some(Unfit::MayNotSign)
}

fn not_now(certificate: &Certificate, now: Timestamp, clock_skew: Duration) -> Option<Unfit> {
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    if not_after <= now {
        return Some(Unfit::Expired { not_after, now });
    }
    let ahead = not_before.duration_since(now);
    (ahead > signed(clock_skew)).then_some(Unfit::NotYetValid { not_before, now })
}
