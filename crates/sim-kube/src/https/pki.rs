//! The certificates of one server: its authority, its own, and those of its users.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::HttpsError;
use crate::Identity;
use crate::hash::sha256;

/// An authority, and the names that its server goes by.
pub(super) struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    ca_pem: String,
    names: Vec<String>,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Pki {
    /// A new authority for a server at `address`.
    pub(super) fn new(address: IpAddr) -> Result<Self, HttpsError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name("sim-kube-ca", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let mut names: Vec<String> =
            ["localhost", "kubernetes.default.svc", "127.0.0.1", "::1"].map(str::to_owned).into();
        let address = address.to_string();
        if !names.contains(&address) {
            names.push(address);
        }
        Ok(Self { ca_pem: authority.pem(), authority, names })
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// TLS as the server speaks it: clients may show a certificate of this authority, or none.
    pub(super) fn server_config(&self) -> Result<ServerConfig, HttpsError> {
        fn tls(error: impl std::fmt::Display) -> HttpsError {
            HttpsError::Tls(error.to_string())
        }
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name = name("kube-apiserver", None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).map_err(tls)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(tls)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// A certificate and its key for a user in one group, in PEM.
    pub(super) fn client(&self, user: &str, group: &str) -> Result<(String, String), HttpsError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name(user, Some(group));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// A secret that nobody guesses.
pub(super) fn token() -> Result<String, HttpsError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| HttpsError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn name(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

/// Whom a client certificate names: its common name, in the groups that are its organizations.
pub(super) fn identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    let groups = parsed.subject().iter_organization().filter_map(|organization| organization.as_str().ok());
    let mut identity = Identity::user(name, groups);
    let credential = vec![format!("X509SHA256={}", sha256(certificate))];
    identity.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), credential);
    Some(identity)
}
