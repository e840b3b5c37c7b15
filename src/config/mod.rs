//! The PKI's configuration: the document in the ConfigMap, parsed once into types that cannot be wrong.
//!
//! `document.rs` is what a user may write; this file is what the rest of the controller gets. Between the two
//! lies every check, and each error names the path of the field.

mod document;
mod parse;
mod url;
mod vault;

use std::time::Duration;

pub use document::schema;
pub use parse::{ConfigError, MAX_LEN, parse};
pub use url::PkiUrl;
pub use vault::{SignKind, VaultAuth, VaultConfig, VaultLookup, VaultPath};
use x509::Tolerance;

/// Everything the ConfigMap says about a PKI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PkiConfig {
    /// Which product, where, and how to log in.
    pub backend: Backend,
    /// Whom to trust at the other end.
    pub tls: TlsConfig,
    /// How far an answer may differ from what was asked.
    pub tolerance: Tolerance,
}

/// The product behind the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// HashiCorp Vault or OpenBao, its PKI secrets engine.
    Vault(VaultConfig),
}

/// How the PKI's server certificate is verified. TLS 1.2 is the least there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The CA certificates to trust; the system's own when empty.
    pub ca_bundle: Vec<x509::Certificate>,
    /// The least TLS version.
    pub min_version: TlsVersion,
}

/// TLS versions that may be required.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// The patience of an issuer, from its spec, with defaults and bounds applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long retryable errors are retried, from the first one.
    pub max_retry: Duration,
    /// How often a pending request is polled.
    pub poll_interval: Duration,
    /// The bound on one HTTP call.
    pub request_timeout: Duration,
    /// How often the PKI's health is checked.
    pub health_check_interval: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            max_retry: Self::MAX_RETRY,
            poll_interval: Self::POLL_INTERVAL,
            request_timeout: Self::REQUEST_TIMEOUT,
            health_check_interval: Self::HEALTH_CHECK_INTERVAL,
        }
    }
}

impl Patience {
    /// Long enough for a PKI's maintenance window or a bad night. A request that fails costs cert-manager's
    /// back-off of an hour and more, while one that is still pending goes on within minutes of the PKI's return.
    const MAX_RETRY: Duration = Duration::from_hours(12);
    /// A person approves; half a minute more is not noticed.
    const POLL_INTERVAL: Duration = Duration::from_secs(30);
    /// Some HSM-backed CAs need seconds; none known needs half a minute.
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
    /// One cheap call a minute shows an outage before most requests meet it.
    const HEALTH_CHECK_INTERVAL: Duration = Duration::from_mins(1);
    /// The longest bound on a call: a PKI that is silent for longer holds a place among the calls at once that
    /// other issuers need.
    const LONGEST_REQUEST: Duration = Duration::from_mins(5);
    /// The least interval: below a second a typing error would become a flood.
    const LEAST: Duration = Duration::from_secs(1);

    /// The patience a spec asks for.
    #[must_use]
    pub fn of(spec: &crate::api::IssuerSpec) -> Self {
        let default = Self::default();
        let or = |value: Option<crate::api::GoDuration>, default: Duration| value.map_or(default, |d| d.0);
        Self {
            max_retry: or(spec.max_retry_duration, default.max_retry),
            poll_interval: or(spec.poll_interval, default.poll_interval).max(Self::LEAST),
            request_timeout: or(spec.request_timeout, default.request_timeout)
                .clamp(Self::LEAST, Self::LONGEST_REQUEST),
            health_check_interval: or(spec.health_check_interval, default.health_check_interval)
                .max(Self::LEAST),
        }
    }
}

#[cfg(test)]
mod tests;
