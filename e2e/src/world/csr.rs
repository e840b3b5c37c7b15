//! Certificate signing requests.

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::Result;

/// A request and the key it was made with.
#[derive(Clone, Debug)]
pub struct Csr {
    /// The request, in PEM.
    pub pem: String,
    /// The private key, in PEM.
    pub key: String,
}

impl Csr {
    /// A request for DNS names, the first of which is the common name, with a fresh P-256 key.
    pub fn of(names: &[&str]) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        let pem = params.serialize_request(&key)?.pem()?;
        Ok(Self { pem, key: key.serialize_pem() })
    }
}

/// A self-signed CA that a user might have made.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its certificate, in PEM.
    pub certificate: String,
    /// Its private key, in PEM.
    pub key: String,
}

impl Authority {
    /// A new one with this common name.
    pub fn new(common_name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, key: key.serialize_pem() })
    }

    /// The data of the Secret that holds it.
    #[must_use]
    pub fn secret(&self) -> [(&str, &str); 2] {
        [("tls.crt", &self.certificate), ("tls.key", &self.key)]
    }
}
