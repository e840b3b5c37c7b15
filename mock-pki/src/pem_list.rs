//! Certificates in a document: a list of PEM.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
use x509::Certificate;

pub(crate) fn serialize<S: Serializer>(
    certificates: &[Certificate],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(certificates.iter().map(Certificate::to_pem))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Certificate>, D::Error> {
    let all = Vec::<String>::deserialize(deserializer)?;
    let mut certificates = Vec::new();
    for pem in all {
        certificates.extend(x509::bundle::read_certificates(pem.as_bytes()).map_err(D::Error::custom)?);
    }
    Ok(certificates)
}
