//! Certificate signing requests.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

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
