//! TLS for faces: a given certificate, or one made at start by a CA that is made at start.

use std::{net::IpAddr, sync::Arc};

use ca::{
    Authority, CaError, CaProfile, GeneralName, KeyAlgorithm, LeafProfile, Requested, Sans, SigningKey,
    Subject,
};
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _};
use serde::Deserialize;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, DigitallySignedStruct,
        client::danger::HandshakeSignatureValid,
        crypto::{verify_tls12_signature, verify_tls13_signature},
        server::danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use crate::random;

/// As long as a test environment may run.
const VALIDITY: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Which certificate faces are served with.
#[derive(Clone)]
pub enum Tls {
    /// A certificate for localhost, its loopback addresses and these further names, made at start.
    Generated {
        /// DNS names or addresses under which clients know this host.
        names: Vec<String>,
    },
    /// This one.
    Given {
        /// The certificate and its issuers, PEM.
        certificates: Vec<u8>,
        /// The private key, PEM.
        key: Vec<u8>,
    },
}

impl Default for Tls {
    fn default() -> Self {
        Self::Generated { names: Vec::new() }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Generated { .. } => "Generated",
            Self::Given { .. } => "Given",
        })
    }
}

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate could not be made.
    #[error("making the TLS certificate: {0}")]
    Generate(#[from] CaError),
    /// The given certificate or key cannot be read.
    #[error("the TLS certificate or key is no PEM that can be read")]
    Pem,
    /// Certificate and key do not fit, or are of a kind TLS does not use.
    #[error("the TLS certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// What is wrong with a connection's TLS.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trouble {
    /// It ends in the handshake.
    #[default]
    Handshake,
    /// The certificate has expired.
    Expired,
    /// The certificate comes from a CA that nobody knows.
    UnknownCa,
    /// The certificate is for another host.
    WrongName,
}

/// What a new connection meets.
pub(crate) enum Greeting {
    Accept(TlsAcceptor),
    HangUp,
}

/// What serves TLS.
pub(crate) struct Front {
    acceptor: TlsAcceptor,
    /// What made its certificate; nothing if that was given.
    authority: Option<Authority>,
    names: Vec<String>,
}

impl Front {
    /// With the certificate that is given, or one made now.
    pub(crate) fn new(tls: &Tls, now: Timestamp) -> Result<Self, TlsError> {
        Ok(match tls {
            Tls::Generated { names } => {
                let authority = authority("Mock PKI TLS CA", now)?;
                let (certificate, key) = certificate(&authority, names, valid_from(now))?;
                let acceptor = acceptor(certificate.as_bytes(), key.as_bytes())?;
                Self { acceptor, authority: Some(authority), names: names.clone() }
            }
            Tls::Given { certificates, key } => {
                Self { acceptor: acceptor(certificates, key)?, authority: None, names: Vec::new() }
            }
        })
    }

    /// The CA that clients must trust, PEM, when it was made here.
    pub(crate) fn ca(&self) -> Option<String> {
        let chain = self.authority.as_ref()?.chain();
        Some(chain.iter().map(x509::Certificate::to_pem).collect())
    }

    /// How to meet a connection that has this trouble. A certificate that expired or is for another name is otherwise
    /// as it should be, unless the real one was given: then its CA is unknown too.
    pub(crate) fn greet(&self, trouble: Option<Trouble>, now: Timestamp) -> Greeting {
        match trouble {
            None => Greeting::Accept(self.acceptor.clone()),
            Some(Trouble::Handshake) => Greeting::HangUp,
            Some(trouble) => self.spoilt(trouble, now).map_or(Greeting::HangUp, Greeting::Accept),
        }
    }

    fn spoilt(&self, trouble: Trouble, now: Timestamp) -> Result<TlsAcceptor, TlsError> {
        let stranger = authority("Unknown TLS CA", now)?;
        let known = self.authority.as_ref().filter(|_| trouble != Trouble::UnknownCa);
        let (elsewhere, expired) =
            (["elsewhere.invalid".to_owned()], plus(now, -SignedDuration::from_hours(1)));
        let (certificate, key) = match trouble {
            Trouble::WrongName => leaf(known.unwrap_or(&stranger), &elsewhere, valid_from(now))?,
            Trouble::Expired => {
                certificate(known.unwrap_or(&stranger), &self.names, (plus(expired, -VALIDITY), expired))?
            }
            Trouble::Handshake | Trouble::UnknownCa => certificate(&stranger, &self.names, valid_from(now))?,
        };
        acceptor(certificate.as_bytes(), key.as_bytes())
    }
}

fn acceptor(certificates: &[u8], key: &[u8]) -> Result<TlsAcceptor, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Pem)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(AnyClient(provider())))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Clients may show a certificate, whoever issued it: a face decides what it is worth.
#[derive(Debug)]
struct AnyClient(Arc<rustls::crypto::CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client's configuration that trusts nobody.
#[cfg(feature = "client")]
pub(crate) fn no_trust() -> rustls::ClientConfig {
    let versions =
        rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    versions
        .unwrap_or_else(|_| rustls::ClientConfig::builder())
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Named here, so that no process-wide default is needed or set.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// From and to.
type Validity = (Timestamp, Timestamp);

fn valid_from(now: Timestamp) -> Validity {
    (plus(now, -SignedDuration::from_mins(5)), plus(now, VALIDITY))
}

fn plus(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(time)
}

fn authority(name: &str, now: Timestamp) -> Result<Authority, CaError> {
    let (not_before, not_after) = valid_from(now);
    let profile = CaProfile {
        common_name: name.to_owned(),
        not_before,
        not_after,
        serial: random::serial(),
        path_len: Some(0),
    };
    Authority::self_signed(SigningKey::generate(KeyAlgorithm::EcdsaP256)?, &profile)
}

/// A certificate and its key, PEM, for this host and further names.
fn certificate(
    authority: &Authority,
    names: &[String],
    validity: Validity,
) -> Result<(String, String), CaError> {
    let own = ["localhost", "127.0.0.1", "::1"].into_iter().map(str::to_owned);
    let all: Vec<String> = own.chain(names.iter().cloned()).collect();
    leaf(authority, &all, validity)
}

/// The same for these names alone.
fn leaf(
    authority: &Authority,
    names: &[String],
    (not_before, not_after): Validity,
) -> Result<(String, String), CaError> {
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP256)?;
    let names: Vec<GeneralName> = names.iter().cloned().map(general_name).collect();
    let leaf = LeafProfile {
        usages: x509::Usages::from_cert_manager(&["digital signature".to_owned(), "server auth".to_owned()])
            .unwrap_or_default(),
        subject: Subject::Der(ca::distinguished_name(&[vec![(
            ca::AttributeType::CommonName,
            "mock-pki".to_owned(),
        )]])?),
        subject_alt_names: Sans::Der(ca::general_names(&names)?),
        basic_constraints_on_leaf: false,
        ..LeafProfile::valid(random::serial(), not_before, not_after)
    };
    let requested = Requested { subject_der: &[], spki_der: key.spki_der(), subject_alt_names: None };
    let certificate = authority.issue_for(&requested, &leaf, Vec::new())?;
    Ok((certificate.to_pem(), key.to_pkcs8_pem()?))
}

fn general_name(name: String) -> GeneralName {
    name.parse::<IpAddr>().map_or(GeneralName::Dns(name), GeneralName::Ip)
}
