//! One difference between what was asked and what was got, in words.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    judge::{Unfit, compare::signed},
    names::{DistinguishedName, SubjectAltName},
    text,
};

/// What differs. Values are whole here and cut in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The subject is another.
    Subject {
        /// As in the request.
        asked: DistinguishedName,
        /// As in the certificate.
        got: DistinguishedName,
    },
    /// A common name that was asked for is not in the subject.
    CommonName {
        /// As in the request.
        asked: String,
        /// The certificate's whole subject.
        got: DistinguishedName,
    },
    /// Alternative names that were asked for are not there.
    NamesMissing {
        /// These are missing.
        missing: Vec<SubjectAltName>,
        /// These are there.
        got: Vec<SubjectAltName>,
    },
    /// Alternative names that nobody asked for.
    NamesAdded {
        /// These were added.
        added: Vec<SubjectAltName>,
    },
    /// Usages that were asked for are not there.
    UsagesMissing {
        /// These are missing, in cert-manager's words.
        missing: Vec<String>,
        /// These are there.
        got: Vec<String>,
    },
    /// Usages that nobody asked for.
    UsagesAdded {
        /// These were added, in cert-manager's words.
        added: Vec<String>,
    },
    /// A CA certificate instead of a leaf's, or the other way round.
    IsCa {
        /// Whether a CA was asked for.
        asked: bool,
    },
    /// The certificate ends before it begins.
    Reversed {
        /// notBefore
        not_before: Timestamp,
        /// notAfter
        not_after: Timestamp,
    },
    /// The certificate begins in the future.
    NotYetValid {
        /// notBefore
        not_before: Timestamp,
        /// The time of the judgement.
        now: Timestamp,
    },
    /// The certificate has ended.
    Expired {
        /// notAfter
        not_after: Timestamp,
        /// The time of the judgement.
        now: Timestamp,
    },
    /// The certificate lives longer than asked.
    TooLong {
        /// The lifetime asked for.
        asked: Duration,
        /// notAfter minus notBefore.
        got: SignedDuration,
        /// How much longer it might have been.
        longer_by: Duration,
    },
    /// cert-manager would renew the certificate at once, again and again.
    PastRenewal {
        /// When cert-manager renews it: notAfter less a third of the lifetime.
        renewal: Timestamp,
        /// The time of the judgement.
        now: Timestamp,
    },
    /// A certificate between the leaf and the root cannot carry the leaf.
    Issuer {
        /// Its subject.
        issuer: DistinguishedName,
        /// Why not.
        unfit: Unfit,
    },
    /// cert-manager cannot read a certificate that is well-formed otherwise.
    Unreadable {
        /// Its subject.
        certificate: DistinguishedName,
        /// What Go's parser does not take.
        why: &'static str,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject { asked, got } => {
                write!(f, "subject: asked {}, got {}", asked.shortened(), got.shortened())
            }
            Self::CommonName { asked, got } => {
                write!(f, "common name: asked {}, got subject {}", text::printable(asked), got.shortened())
            }
            Self::NamesMissing { missing, got } => {
                write!(f, "subject alternative names: asked {}, got {}", names(missing), names(got))
            }
            Self::NamesAdded { added } => {
                write!(f, "subject alternative names: not asked, got {}", names(added))
            }
            Self::UsagesMissing { missing, got } => {
                write!(f, "usages: asked {}, got {}", list(missing), list(got))
            }
            Self::UsagesAdded { added } => write!(f, "usages: not asked, got {}", list(added)),
            Self::IsCa { asked } => write!(f, "isCA: asked {asked}, got {}", !asked),
            Self::Reversed { not_before, not_after } => {
                write!(f, "validity: notAfter {not_after} is not after notBefore {not_before}")
            }
            Self::NotYetValid { not_before, now } => {
                write!(f, "validity: notBefore {not_before} is ahead of our clock {now:.0}")
            }
            Self::Expired { not_after, now } => {
                write!(f, "validity: notAfter {not_after} has passed, it is {now:.0}")
            }
            Self::TooLong { asked, got, longer_by } => {
                let (asked, longer_by) = (signed(*asked), signed(*longer_by));
                write!(f, "duration: asked {asked:#} and at most {longer_by:#} more, got {got:#}")
            }
            Self::PastRenewal { renewal, now } => {
                write!(f, "validity: due for renewal since {renewal}, it is {now:.0}")
            }
            Self::Issuer { issuer, unfit } => write!(f, "issuer {}: {unfit}", issuer.shortened()),
            Self::Unreadable { certificate, why } => {
                write!(f, "cert-manager cannot read the certificate of {}: {why}", certificate.shortened())
            }
        }
    }
}

fn names(names: &[SubjectAltName]) -> String {
    list(&names.iter().take(9).map(|name| text::bounded(name.to_string(), 100)).collect::<Vec<_>>())
        + &more(names.len().saturating_sub(9))
}

fn more(left_out: usize) -> String {
    if left_out == 0 { String::new() } else { format!(" and {left_out} more") }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { text::list(items, 24) }
}
