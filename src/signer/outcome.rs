//! What a PKI's answer means, in the field's five words: issued, pending, permanent, issuer at fault,
//! retryable. Each says what the caller does next, so that no rule needs to look at HTTP again.

use std::fmt;
use std::time::Duration;

use x509::Certificate;

/// The end of one call to the PKI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The PKI answered with certificates. They are not yet judged.
    Issued(Answer),
    /// The PKI took the request and will decide later: ask again with the handle.
    Pending {
        /// What to ask with.
        handle: Handle,
        /// The PKI's words, for the condition's message.
        message: String,
    },
    /// The PKI will never sign this request. Failed once, never retried.
    Permanent {
        /// The PKI's reason.
        message: String,
    },
    /// The issuer's own settings or credentials are refused: no request of this issuer can succeed until they
    /// change. The request waits; the issuer is checked again at once.
    IssuerAtFault {
        /// What was refused, and what to change.
        message: String,
    },
    /// It may work later: time-outs, broken connections, HTTP 429 and 5xx.
    Retryable {
        /// What went wrong.
        message: String,
        /// How long the PKI asked us to wait (`Retry-After`).
        retry_after: Option<Duration>,
        /// Whether the PKI may have done what it was asked all the same: the order was sent, and no answer of its own
        /// came. Submitting it again may be a second certificate.
        may_have_issued: bool,
    },
}

impl Outcome {
    /// The same outcome in other words.
    #[must_use]
    pub(super) fn reworded(self, reword: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Issued(answer) => Self::Issued(answer),
            Self::Pending { handle, message } => Self::Pending { handle, message: reword(&message) },
            Self::Permanent { message } => Self::Permanent { message: reword(&message) },
            Self::IssuerAtFault { message } => Self::IssuerAtFault { message: reword(&message) },
            Self::Retryable { message, retry_after, may_have_issued } => {
                Self::Retryable { message: reword(&message), retry_after, may_have_issued }
            }
        }
    }

    /// The outcome's word, for metrics and logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Issued(_) => "issued",
            Self::Pending { .. } => "pending",
            Self::Permanent { .. } => "permanent",
            Self::IssuerAtFault { .. } => "issuer_at_fault",
            Self::Retryable { .. } => "retryable",
        }
    }
}

/// The certificates a PKI answered with, in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The leaf and what else came with it.
    pub certificates: Vec<Certificate>,
    /// Certificates that the PKI named as its CA; only used to complete the chain.
    pub authorities: Vec<Certificate>,
    /// How we came by it.
    pub origin: Origin,
}

/// How we came by an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By our submission: nobody else has it.
    Issued,
    /// By looking for what an earlier submission came to. It has the order's key; whether another request with that key
    /// has it too, nobody can tell.
    Found,
}

/// What a PKI that answered "pending" wants to be asked with. Kept on the `CertificateRequest`, so that any
/// replica goes on where the last one stopped.
///
/// At most [`Handle::MAX_LEN`] bytes of printable text without line breaks; it is not a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle(String);

/// A PKI's handle that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the PKI's handle for the pending request must be 1 to {} printable characters", Handle::MAX_LEN)]
pub struct HandleError;

impl Handle {
    /// A condition's message may hold 32 KiB; no known PKI's handle comes near 1 KiB.
    pub const MAX_LEN: usize = 1024;

    /// Takes a handle as the PKI gave it.
    pub fn new(text: impl Into<String>) -> Result<Self, HandleError> {
        let text = text.into();
        let fits = !text.is_empty() && text.len() <= Self::MAX_LEN && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(HandleError) }
    }

    /// The handle's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of checking an issuer's PKI: configuration, credentials and health.
pub type Health = Result<(), Unhealthy>;

/// Why an issuer cannot serve at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhealthy {
    /// A word for the condition's reason, such as `Unreachable`.
    pub reason: UnhealthyReason,
    /// What was tried, what came back, and what to do.
    pub message: String,
    /// How long the PKI asked us to wait.
    pub retry_after: Option<Duration>,
}

/// The condition reasons of an unhealthy PKI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnhealthyReason {
    /// No connection, time-out, or an answer that is no answer.
    Unreachable,
    /// The PKI says of itself that it cannot serve: sealed, standby, 5xx, 429.
    Unavailable,
    /// The credential is refused, or may not do what the issuer needs.
    CredentialsRefused,
    /// The PKI does not know what the configuration names: a mount, a role, a path.
    ConfigurationRefused,
}

impl UnhealthyReason {
    /// The reason as the condition shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "PKIUnreachable",
            Self::Unavailable => "PKIUnavailable",
            Self::CredentialsRefused => "CredentialsRefused",
            Self::ConfigurationRefused => "ConfigurationRefused",
        }
    }
}
