//! The structures of RFC 5280 and RFC 2986 with raw parts.
//!
//! Not x509-cert's own, because its names re-sort on the way through and its fields are private.

use der::{
    Any, AnyRef, DateTime, Encode as _, Sequence,
    asn1::{BitStringRef, GeneralizedTime, SetOfVec, UintRef, UtcTime},
};
use jiff::Timestamp;
use x509_cert::{ext::Extension, time::Time};

use crate::CaError;

/// Version 3, counted from 0.
pub(crate) const V3: u8 = 2;

#[derive(Sequence)]
pub(crate) struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(crate) version: u8,
    pub(crate) serial: UintRef<'a>,
    pub(crate) signature: AnyRef<'a>,
    pub(crate) issuer: AnyRef<'a>,
    pub(crate) validity: Validity,
    pub(crate) subject: AnyRef<'a>,
    pub(crate) spki: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    pub(crate) extensions: Vec<Extension>,
}

#[derive(Sequence)]
pub(crate) struct Validity {
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
}

/// A certificate, a request, a CRL or an OCSP response: what is signed, how, and the signature.
#[derive(Sequence)]
pub(crate) struct Signed<'a> {
    pub(crate) tbs: AnyRef<'a>,
    pub(crate) algorithm: AnyRef<'a>,
    pub(crate) signature: BitStringRef<'a>,
}

#[derive(Sequence)]
pub(crate) struct RequestInfo<'a> {
    pub(crate) version: u8,
    pub(crate) subject: AnyRef<'a>,
    pub(crate) spki: AnyRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    pub(crate) attributes: SetOfVec<Any>,
}

/// The time as RFC 5280 4.1.2.5 and 5.1.2.4 want it: `UTCTime` through 2049, then `GeneralizedTime`.
pub(crate) fn time(at: Timestamp) -> Result<Time, CaError> {
    let date = date_time(at)?;
    if date.year() < 2050 {
        Ok(Time::UtcTime(UtcTime::from_date_time(date)?))
    } else {
        Ok(Time::GeneralTime(GeneralizedTime::from_date_time(date)))
    }
}

/// The time as RFC 6960 4.2.2.1 wants it.
pub(crate) fn generalized_time(at: Timestamp) -> Result<GeneralizedTime, CaError> {
    Ok(GeneralizedTime::from_date_time(date_time(at)?))
}

/// Whole seconds; what is below them is cut off.
fn date_time(at: Timestamp) -> Result<DateTime, CaError> {
    let seconds = u64::try_from(at.as_second()).map_err(|_| CaError::Time(at))?;
    DateTime::from_unix_duration(std::time::Duration::from_secs(seconds)).map_err(|_| CaError::Time(at))
}

/// Puts a signature under what was signed.
pub(crate) fn assemble(tbs: &[u8], algorithm: &[u8], signature: &[u8]) -> Result<Vec<u8>, CaError> {
    let signed = Signed {
        tbs: AnyRef::try_from(tbs)?,
        algorithm: AnyRef::try_from(algorithm)?,
        signature: BitStringRef::from_bytes(signature)?,
    };
    Ok(signed.to_der()?)
}
