//! Making a response (RFC 6960 4.2).

use der::{
    Any, AnyRef, Encode as _, Sequence, Tag, TagNumber,
    asn1::{GeneralizedTime, ObjectIdentifier, OctetString},
};
use jiff::Timestamp;
use x509_cert::ext::Extension;

use super::CertId;
use crate::{Authority, CaError, CrlReason, der_types::generalized_time, extension::Extensions};

/// id-pkix-ocsp-basic (4.2.1).
const BASIC_RESPONSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// What a response says besides the status of certificates.
#[derive(Debug, Clone, Copy)]
pub struct OcspProfile<'a> {
    /// When it was signed.
    pub produced_at: Timestamp,
    /// When the statuses were known to be right.
    pub this_update: Timestamp,
    /// When something newer is there at the latest; `None` for at any time.
    pub next_update: Option<Timestamp>,
    /// The nonce to repeat, [`OcspRequest::nonce`](super::OcspRequest::nonce); `None` also for a responder that
    /// knows none.
    pub nonce: Option<&'a [u8]>,
}

/// What an authority has to say about a certificate (2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertStatus {
    /// It is not revoked; whether it was ever issued is not said.
    Good,
    /// It was revoked.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why; `None` for unspecified.
        reason: Option<CrlReason>,
    },
    /// The authority does not know it.
    Unknown,
}

/// Why there is no answer (4.2.1, `OCSPResponseStatus` but for success; the numbers are its own). The response
/// is not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OcspFailure {
    /// The request is none: see [`OcspRequestError`](super::OcspRequestError).
    MalformedRequest = 1,
    /// Something went wrong here.
    InternalError = 2,
    /// There is no answer right now.
    TryLater = 3,
    /// Requests must be signed.
    SigRequired = 5,
    /// The client may not ask, or this responder has no say in the matter.
    Unauthorized = 6,
}

impl OcspFailure {
    /// The whole response: always 5 bytes.
    #[must_use]
    pub const fn to_der(self) -> [u8; 5] {
        [0x30, 0x03, 0x0a, 0x01, self as u8]
    }
}

impl Authority {
    /// Signs a response to the question about these certificates; gives the DER of the `OCSPResponse`. The
    /// responder is named by this authority's name. `status` is asked about certificates of this authority
    /// alone: a `CertID` with another issuer, or with a hash algorithm that is not supported, is unknown.
    ///
    /// # Errors
    /// [`CaError::Time`], [`CaError::Encode`], or the library fails to sign.
    pub fn answer_ocsp<'c>(
        &self,
        cert_ids: &[CertId<'c>],
        profile: &OcspProfile<'_>,
        status: impl Fn(&CertId<'_>) -> CertStatus,
    ) -> Result<Vec<u8>, CaError> {
        let this_update = generalized_time(profile.this_update)?;
        let next_update = profile.next_update.map(generalized_time).transpose()?;
        let single = |cert_id: &CertId<'c>| {
            let known = cert_id.names_issuer(self)?;
            let status = if known { status(cert_id) } else { CertStatus::Unknown };
            Ok(SingleResponse { cert_id: *cert_id, status: cert_status(status)?, this_update, next_update })
        };
        let data = ResponseData {
            responder_name: AnyRef::try_from(self.name_der())?,
            produced_at: generalized_time(profile.produced_at)?,
            responses: cert_ids.iter().map(single).collect::<Result<_, CaError>>()?,
            extensions: profile
                .nonce
                .map(|nonce| Extensions::of_ocsp_response(nonce).map(Extensions::into_inner))
                .transpose()?,
        };
        let basic = self.key().sign_and_assemble(&data.to_der()?)?;
        let response = OcspResponse {
            status: AnyRef::new(Tag::Enumerated, &[0])?,
            bytes: ResponseBytes { kind: BASIC_RESPONSE, response: OctetString::new(basic)? },
        };
        Ok(response.to_der()?)
    }
}

#[derive(Sequence)]
struct OcspResponse<'a> {
    status: AnyRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    bytes: ResponseBytes,
}

#[derive(Sequence)]
struct ResponseBytes {
    kind: ObjectIdentifier,
    response: OctetString,
}

/// Version 1 is the default and so is not there.
#[derive(Sequence)]
struct ResponseData<'a> {
    /// `ResponderID`, of which this is the alternative byName.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    responder_name: AnyRef<'a>,
    produced_at: GeneralizedTime,
    responses: Vec<SingleResponse<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Sequence)]
struct SingleResponse<'a> {
    cert_id: CertId<'a>,
    status: Any,
    this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    next_update: Option<GeneralizedTime>,
}

#[derive(Sequence)]
struct RevokedInfo {
    revocation_time: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    reason: Option<CrlReason>,
}

/// `CertStatus`, a CHOICE whose alternatives carry the tags 0 to 2.
fn cert_status(status: CertStatus) -> Result<Any, CaError> {
    let alternative = |number, constructed| Tag::ContextSpecific { constructed, number: TagNumber(number) };
    let encoded = match status {
        CertStatus::Good => Any::new(alternative(0, false), []),
        CertStatus::Revoked { at, reason } => {
            let info = RevokedInfo { revocation_time: generalized_time(at)?, reason };
            Any::new(alternative(1, true), Any::encode_from(&info)?.value())
        }
        CertStatus::Unknown => Any::new(alternative(2, false), []),
    };
    Ok(encoded?)
}
