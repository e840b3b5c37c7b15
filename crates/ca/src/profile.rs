//! What a certificate is to say.

use jiff::Timestamp;

use crate::Serial;

/// What a CA's own certificate says.
#[derive(Debug, Clone)]
pub struct CaProfile {
    /// The subject: one common name.
    pub common_name: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid to. The caller keeps it within the issuer's validity.
    pub not_after: Timestamp,
    /// The serial number.
    pub serial: Serial,
    /// How many CAs may follow below this one; `None` for any number.
    pub path_len: Option<u8>,
}

/// What a certificate made from a request says besides the request's key.
#[derive(Debug, Clone)]
pub struct LeafProfile {
    /// The serial number.
    pub serial: Serial,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid to. The caller keeps it within the authority's validity; nothing is checked here, because a mock
    /// must be able to issue what has expired.
    pub not_after: Timestamp,
    /// Whether it is a CA certificate. Then `keyCertSign` is added to the usages.
    pub is_ca: bool,
    /// For a CA: how many CAs may follow; `None` for any number.
    pub path_len: Option<u8>,
    /// Key usage (critical) and extended key usage; an extension without any usage is left out.
    pub usages: x509::Usages,
    /// Whose certificate it is.
    pub subject: Subject,
    /// The subject alternative names; critical when the subject is empty (RFC 5280 4.2.1.6).
    pub subject_alt_names: Sans,
    /// URLs of CRLs.
    pub crl_distribution_points: Vec<String>,
    /// URLs of OCSP responders.
    pub ocsp: Vec<String>,
    /// URLs of the issuer's certificate.
    pub ca_issuers: Vec<String>,
    /// Whether a certificate that is not a CA's has basic constraints too, with CA:FALSE.
    pub basic_constraints_on_leaf: bool,
}

impl LeafProfile {
    /// An end entity's from when to when, and nothing else said: the request's subject, no names, every usage, no URLs,
    /// and basic constraints.
    #[must_use]
    pub fn valid(serial: Serial, not_before: Timestamp, not_after: Timestamp) -> Self {
        Self {
            serial,
            not_before,
            not_after,
            is_ca: false,
            path_len: None,
            usages: x509::Usages::unrestricted(),
            subject: Subject::FromCsr,
            subject_alt_names: Sans::None,
            crl_distribution_points: Vec::new(),
            ocsp: Vec::new(),
            ca_issuers: Vec::new(),
            basic_constraints_on_leaf: true,
        }
    }
}

/// Where the subject comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The request's, byte for byte.
    FromCsr,
    /// This DER-encoded Name.
    Der(Vec<u8>),
}

/// Where the subject alternative names come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sans {
    /// The request's, byte for byte; none if it has none.
    FromCsr,
    /// This DER-encoded `GeneralNames`, see [`crate::general_names`].
    Der(Vec<u8>),
    /// None.
    None,
}
