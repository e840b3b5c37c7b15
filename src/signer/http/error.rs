//! What can go wrong between us and an answer, sorted by what the caller should do.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{StatusCode, Url};
use rustls::CertificateError;

use super::super::{Outcome, Unhealthy, UnhealthyReason};
use super::{CONNECT_TIMEOUT, MAX_BODY};

/// No answer. Each message names the operation, the host, what happened and, where there is something, what to
/// do; none holds a header, a body or a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nobody there, a time-out, or a connection that broke: it may work later.
    #[error("{message}")]
    Unreachable {
        /// What happened.
        message: String,
        /// Whether the request went out, so that nobody knows whether the PKI did what it was asked. `false` is
        /// certain: there was no connection.
        sent: bool,
    },
    /// Somebody is there whom the settings do not trust, or who does not speak TLS: settings or the server's
    /// certificate must change.
    #[error("{0}")]
    Untrusted(String),
    /// Something answered that no PKI answers: compressed though that was declined. Gateways do so when they break,
    /// so it may pass.
    #[error("{0}")]
    Unusable(String),
    /// An answer longer than any that is waited for; see [`Unusable`](Self::Unusable).
    #[error("{0}")]
    TooLong(String),
    /// A redirect, which is not followed: the address must be corrected.
    #[error("{message}")]
    Redirected {
        /// Where to, and what to do.
        message: String,
        /// `307` with the same scheme: how a standby server passes requests on to the active one. The next
        /// request may meet the active one.
        standby: bool,
    },
}

impl HttpError {
    /// What it means for a request.
    #[must_use]
    pub fn into_outcome(self) -> Outcome {
        match self {
            Self::Unreachable { message, sent: may_have_issued } => {
                Outcome::Retryable { message, retry_after: None, may_have_issued }
            }
            Self::Unusable(message) | Self::TooLong(message) => {
                Outcome::Retryable { message, retry_after: None, may_have_issued: true }
            }
            Self::Redirected { message, standby: true } => {
                Outcome::Retryable { message, retry_after: None, may_have_issued: false }
            }
            Self::Untrusted(message) | Self::Redirected { message, standby: false } => {
                Outcome::IssuerAtFault { message }
            }
        }
    }

    /// What it means for an issuer.
    #[must_use]
    pub fn into_unhealthy(self) -> Unhealthy {
        let reason = match self {
            Self::Unreachable { .. } | Self::Untrusted(_) | Self::Unusable(_) | Self::TooLong(_) => {
                UnhealthyReason::Unreachable
            }
            Self::Redirected { standby: true, .. } => UnhealthyReason::Unavailable,
            Self::Redirected { standby: false, .. } => UnhealthyReason::ConfigurationRefused,
        };
        Unhealthy { reason, message: self.to_string(), retry_after: None }
    }
}

/// What was tried, and where: the beginning of every message.
pub(super) struct Place {
    pub(super) operation: &'static str,
    pub(super) url: Url,
    pub(super) timeout: Duration,
}

impl Place {
    pub(super) fn sending(&self, error: &reqwest::Error) -> HttpError {
        if error.is_timeout() {
            if !error.is_connect() {
                return self.silent();
            }
            let within = CONNECT_TIMEOUT.min(self.timeout);
            let message = self.message(format_args!("no connection within {within:?}"));
            return HttpError::Unreachable { message, sent: false };
        }
        if error.is_connect()
            && let Some(error) = find::<rustls::Error>(error)
        {
            return HttpError::Untrusted(self.message(tls_problem(error)));
        }
        HttpError::Unreachable { message: self.message(connection_problem(error)), sent: !error.is_connect() }
    }

    /// No answer in time.
    pub(super) fn silent(&self) -> HttpError {
        let message = self.message(format_args!("no answer within {:?}", self.timeout));
        HttpError::Unreachable { message, sent: true }
    }

    /// The connection ended in this way.
    pub(super) fn broken(&self, kind: io::ErrorKind) -> HttpError {
        let problem = named(kind).map_or_else(|| kind.to_string(), str::to_owned);
        let sent = kind != io::ErrorKind::ConnectionRefused;
        HttpError::Unreachable { message: self.message(problem), sent }
    }

    pub(super) fn reading(&self, error: &reqwest::Error) -> HttpError {
        if error.is_timeout() {
            let what = format_args!("the answer was not complete within {:?}", self.timeout);
            return HttpError::Unreachable { message: self.message(what), sent: true };
        }
        let what = format_args!("the answer broke off: {}", connection_problem(error));
        HttpError::Unreachable { message: self.message(what), sent: true }
    }

    pub(super) fn too_long(&self) -> HttpError {
        HttpError::TooLong(self.message(format_args!("the answer is longer than {MAX_BODY} bytes")))
    }

    pub(super) fn encoded(&self, coding: &HeaderValue) -> HttpError {
        let coding = shown(coding.as_bytes());
        let what = format_args!("the answer is compressed ({coding}), though that was declined");
        HttpError::Unusable(self.message(what))
    }

    pub(super) fn redirected(&self, status: StatusCode, location: Option<&HeaderValue>) -> HttpError {
        let target = location.and_then(|value| value.to_str().ok()).and_then(|text| self.url.join(text).ok());
        let standby = status == StatusCode::TEMPORARY_REDIRECT
            && target.as_ref().is_some_and(|target| target.scheme() == self.url.scheme());
        let to = target.map_or("an unknown address".to_owned(), |target| {
            shown(format!("{}://{}", target.scheme(), host(&target)).as_bytes())
        });
        let message = self.message(format_args!(
            "HTTP {} to {to}; redirects are not followed, as the credential would go along: correct the URL",
            status.as_u16()
        ));
        HttpError::Redirected { message, standby }
    }

    fn message(&self, what: impl std::fmt::Display) -> String {
        format!("could not {} at {}: {what}", self.operation, host(&self.url))
    }
}

/// Host and port, without anything that could be a credential.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// Foreign text in a message: printable, and short.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MAX: usize = 120;
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX).collect()
}

fn tls_problem(error: &rustls::Error) -> String {
    use CertificateError as Bad;
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return match error {
            rustls::Error::InvalidMessage(_) => "it does not speak TLS: is the URL's scheme http?".to_owned(),
            other => format!("TLS failed: {}", shown(other.to_string().as_bytes())),
        };
    };
    match certificate {
        // A CA of the same name with another key shows as a bad signature.
        Bad::UnknownIssuer | Bad::BadSignature => {
            "its certificate is signed by a CA that is not trusted: put that CA into tls.caBundle".to_owned()
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "its certificate is not for this host name: correct the URL or the server's certificate"
                .to_owned()
        }
        Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "its certificate is not yet valid".to_owned(),
        other => format!("its certificate is refused ({})", shown(other.to_string().as_bytes())),
    }
}

fn connection_problem(error: &reqwest::Error) -> String {
    find::<io::Error>(error)
        .and_then(|error| named(error.kind()))
        .map_or_else(|| shown(root(error).to_string().as_bytes()), str::to_owned)
}

fn named(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some("connection refused"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Some("the connection was reset"),
        io::ErrorKind::UnexpectedEof => Some("the connection was closed"),
        _ => None,
    }
}

/// The innermost error: the outer ones only say that there is an inner one.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().map_or(error, root)
}

/// The first error of this type among the causes, also where an `io::Error` hides it.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    error
        .downcast_ref::<T>()
        .or_else(|| find(error.downcast_ref::<io::Error>()?.get_ref()?))
        .or_else(|| find(error.source()?))
}
