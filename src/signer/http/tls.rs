//! TLS to a PKI: whom to trust, and the least version.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::CertificateDer;

use crate::config::{PkiUrl, TlsConfig, TlsVersion};

/// Why there can be no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A certificate of the bundle cannot be a trust anchor.
    #[error("tls.caBundle: certificate number {position} ({subject}) cannot be trusted as a CA: {problem}")]
    Bundle {
        /// Which, counted from 1.
        position: usize,
        /// Its subject.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The system has no CA certificates.
    #[error("this system has no CA certificates of its own: set tls.caBundle to the CA of the PKI's server")]
    NoSystemRoots,
    /// The library refuses.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

/// The bundle's certificates alone, or else the system's.
///
/// Own and explicit rather than reqwest's, which takes whatever provider the process happens to have installed.
pub(super) fn client_config(url: &PkiUrl, tls: &TlsConfig) -> Result<ClientConfig, TlsError> {
    let versions: &[&SupportedProtocolVersion] = match tls.min_version {
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12],
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::Client(error.to_string()))?
            .with_root_certificates(roots(url, tls)?)
            .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(url: &PkiUrl, tls: &TlsConfig) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in tls.ca_bundle.iter().enumerate() {
        roots.add(CertificateDer::from(certificate.der())).map_err(|error| TlsError::Bundle {
            position: index + 1,
            subject: certificate.subject().to_string(),
            problem: error.to_string(),
        })?;
    }
    // Without TLS there is nobody to trust, and an image without system roots must still do for a test.
    if roots.is_empty() && url.join("").scheme() == "https" {
        // Some systems carry a certificate or two that cannot be read; the rest are as good as ever.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TlsError::NoSystemRoots);
        }
    }
    Ok(roots)
}
