//! Why a call to Vault came to nothing, and what that means for a request or an issuer.

use super::super::http::HttpError;
use super::super::{Outcome, Unhealthy, UnhealthyReason};
use super::refusal::{Refusal, RefusalKind};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer.
    Http(HttpError),
    /// An answer that is a refusal; the message is whole.
    Refused { message: String, refusal: Refusal },
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl Failure {
    /// A refusal of a call to `path`.
    pub(super) fn refused(path: &str, refusal: Refusal) -> Self {
        let advice = match refusal.kind {
            RefusalKind::Configuration => "; correct the issuer's configuration, or what it names in Vault",
            RefusalKind::Forbidden => "; correct the credential, or the policies it has in Vault",
            RefusalKind::Request | RefusalKind::Unavailable => "",
        };
        Self::Refused { message: format!("Vault refused {path}: {}{advice}", refusal.text), refusal }
    }

    /// Whether a credential was refused.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal { kind: RefusalKind::Forbidden, .. }, .. })
    }

    /// Whether what was asked is refused, and not who asked or where.
    pub(super) fn is_about_the_request(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal { kind: RefusalKind::Request, .. }, .. })
    }

    /// Whether the same call may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Http(error) => {
                matches!(error.clone().into_outcome(), Outcome::Retryable { .. })
            }
            Self::Refused { refusal, .. } => refusal.kind == RefusalKind::Unavailable,
        }
    }

    /// What went wrong, whole.
    pub(super) fn into_message(self) -> String {
        match self {
            Self::Http(error) => error.to_string(),
            Self::Refused { message, .. } => message,
        }
    }

    /// The same failure of a call that asks for no signature, such as a login: nothing can have been issued by it.
    pub(super) fn without_effect(self) -> Self {
        match self {
            Self::Http(
                HttpError::Unreachable { message, sent: _ }
                | HttpError::Unusable(message)
                | HttpError::TooLong(message),
            ) => Self::Http(HttpError::Unreachable { message, sent: false }),
            Self::Http(error) => Self::Http(error),
            Self::Refused { message, refusal } => {
                Self::Refused { message, refusal: Refusal { is_anothers: false, ..refusal } }
            }
        }
    }

    /// What a lookup that failed means for its order, which was not sent.
    pub(super) fn into_outcome_of_lookup(self) -> Outcome {
        match self.without_effect().into_outcome() {
            // It is the lookup that is refused, and not the order.
            Outcome::Permanent { message } => Outcome::IssuerAtFault { message },
            other => other,
        }
    }

    pub(super) fn into_outcome(self) -> Outcome {
        let (message, refusal) = match self {
            Self::Http(error) => return error.into_outcome(),
            Self::Refused { message, refusal } => (message, refusal),
        };
        match refusal.kind {
            RefusalKind::Request => Outcome::Permanent { message },
            RefusalKind::Forbidden | RefusalKind::Configuration => Outcome::IssuerAtFault { message },
            RefusalKind::Unavailable => Outcome::Retryable {
                message,
                retry_after: refusal.retry_after,
                may_have_issued: refusal.is_anothers,
            },
        }
    }

    pub(super) fn into_unhealthy(self) -> Unhealthy {
        let (message, refusal) = match self {
            Self::Http(error) => return error.into_unhealthy(),
            Self::Refused { message, refusal } => (message, refusal),
        };
        let reason = match refusal.kind {
            RefusalKind::Forbidden => UnhealthyReason::CredentialsRefused,
            RefusalKind::Request | RefusalKind::Configuration => UnhealthyReason::ConfigurationRefused,
            RefusalKind::Unavailable => UnhealthyReason::Unavailable,
        };
        Unhealthy { reason, message, retry_after: refusal.retry_after }
    }
}
