//! Does this certificate answer that request?
//!
//! cert-manager checks of an issued certificate only that its key is the request's and that it has not expired
//! (`issuing_controller.go`). Whatever else a PKI gets wrong would be found by the application. So everything
//! that was asked is compared here, before a certificate is published, with tolerance for what PKIs do on
//! purpose: clip a validity, replace a subject, add a usage.

mod compare;
mod difference;
mod issuer;

use std::{fmt, time::Duration};

use jiff::Timestamp;

pub use self::{difference::Difference, issuer::Unfit};
use crate::{
    certificate::Certificate,
    chain::{Chain, ChainError},
    csr::{Csr, CsrError},
    text,
    usage::Usages,
};

/// The longest message a mismatch makes. An event's note holds 1,024 bytes, and ours says something besides.
const MESSAGE_LIMIT: usize = 900;

/// What was asked for. The names and the key are in the request itself.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The request.
    pub csr: &'a Csr,
    /// The lifetime asked for.
    pub duration: Duration,
    /// The usages asked for. A CA is asked to sign certificates too, whether they say so or not.
    pub usages: Usages,
    /// Whether a CA was asked for.
    pub is_ca: bool,
    /// The time of the judgement.
    pub now: Timestamp,
}

/// How much a certificate may differ. The default is each field's default.
///
/// Never tolerated: another key, `isCA` not as asked, a certificate that has expired or ends before it begins
/// or is due for renewal already, a chain that cannot carry the certificate until its renewal, and a certificate
/// that cert-manager cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tolerance {
    /// The subject. Default: the common name is compared.
    pub subject: SubjectTolerance,
    /// The subject alternative names. Default: as asked, but the common name may be added.
    pub subject_alt_names: SanTolerance,
    /// The usages. Default: all that were asked, perhaps more.
    pub usages: UsageTolerance,
    /// The validity. Default: up to an hour longer than asked, from at most five minutes ahead.
    pub validity: ValidityTolerance,
}

/// How much the subject may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubjectTolerance {
    /// Types and values of all attributes as asked, in the same order; only string types may differ.
    Exact,
    /// Every common name asked for is there (ASCII case ignored, RFC 5280 7.1); all else may differ, as PKIs
    /// set organisation and country themselves.
    #[default]
    CommonName,
    /// Any subject.
    Any,
}

/// How much the subject alternative names may differ. DNS names and mail hosts are compared without case, all
/// others byte for byte; order and repetition never matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SanTolerance {
    /// The same set.
    Exact,
    /// The same set, to which the common name asked for may be added, as a DNS name (or as an IP address if it
    /// is one): many PKIs do, as the CA/Browser Forum demands that common names be among the others.
    #[default]
    CommonNameAdded,
    /// All that were asked, and any others.
    Superset,
    /// Any names.
    Any,
}

/// How much key usages and extended key usages may differ. An absent extension restricts nothing and so
/// satisfies every demand (RFC 5280 4.2.1.3, 4.2.1.12), except under [`UsageTolerance::Exact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsageTolerance {
    /// The same.
    Exact,
    /// All that were asked. `any` stands for every extended usage; key encipherment is not asked of keys that
    /// cannot (see [`crate::KeyType::can_encipher_keys`]), though cert-manager asks it of all by default.
    #[default]
    Superset,
    /// Any usages.
    Any,
}

/// How much the validity may differ. Shorter than asked is always tolerated: PKIs clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidityTolerance {
    /// How much longer than asked the whole lifetime (notBefore to notAfter) may be; `None`: any. Default: one
    /// hour, room for the usual backdating of notBefore.
    pub longer_by: Option<Duration>,
    /// How far ahead of our clock notBefore may be. Default: five minutes.
    pub clock_skew: Duration,
}

impl Default for ValidityTolerance {
    fn default() -> Self {
        Self { longer_by: Some(Duration::from_hours(1)), clock_skew: Duration::from_mins(5) }
    }
}

/// Why an answer is not one to the request. The message is at most about 900 bytes long and holds no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The certificates are no chain for the request's key.
    Chain(ChainError),
    /// The request's alternative names cannot be read, so nothing can answer them.
    Request(CsrError),
    /// The certificate has the request's key and differs from the request otherwise.
    Certificate {
        /// Its serial number, for the PKI's logs.
        serial: String,
        /// All differences; at least one.
        differences: Vec<Difference>,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match self {
            Self::Chain(error) => error.to_string(),
            Self::Request(error) => error.to_string(),
            Self::Certificate { serial, differences } => {
                let differences: Vec<_> = differences.iter().map(Difference::to_string).collect();
                let serial = text::bounded(serial.clone(), 40);
                format!("certificate {serial} is not what was asked for: {}", differences.join("; "))
            }
        };
        f.write_str(&text::bounded(message, MESSAGE_LIMIT))
    }
}

impl std::error::Error for Mismatch {}

impl From<ChainError> for Mismatch {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

/// Puts an answer in order, compares its leaf with what was asked, and looks whether the chain can carry it.
///
/// `answer` must be one chain without strangers; `extra_ca` are CA certificates known from elsewhere (the
/// issuer's configuration, the PKI's CA endpoint), which complete it where they fit (see [`Chain::order_with`]).
///
/// # Errors
/// [`Mismatch`] with all differences of the certificate.
pub fn judge(
    asked: &Asked<'_>,
    tolerance: &Tolerance,
    answer: Vec<Certificate>,
    extra_ca: Vec<Certificate>,
) -> Result<Chain, Mismatch> {
    let (now, clock_skew) = (asked.now, tolerance.validity.clock_skew);
    let extra_ca =
        extra_ca.into_iter().filter(|known| issuer::may_complete(known, now, clock_skew)).collect();
    let chain = Chain::order_with(asked.csr.spki_der(), answer, extra_ca)?;
    let differences = compare::differences(asked, tolerance, &chain).map_err(Mismatch::Request)?;
    if differences.is_empty() {
        return Ok(chain);
    }
    Err(Mismatch::Certificate { serial: chain.leaf.serial_hex(), differences })
}
