//! Reading a request (RFC 6960 4.1).

use der::{
    AnyRef, Decode as _, Sequence,
    asn1::{ObjectIdentifier, OctetStringRef},
};

use super::CertId;
use crate::extension::OCSP_NONCE;

/// An OCSP request: what is asked of an [`Authority`](crate::Authority). Borrows the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspRequest<'a> {
    cert_ids: Vec<CertId<'a>>,
    nonce: Option<&'a [u8]>,
    signed: bool,
}

/// Why bytes are no request that can be answered. The answer is
/// [`OcspFailure::MalformedRequest`](super::OcspFailure::MalformedRequest).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OcspRequestError {
    /// Longer than [`OcspRequest::MAX_LEN`].
    #[error("an OCSP request of {0} bytes: at most {max} are read", max = OcspRequest::MAX_LEN)]
    TooLong(usize),
    /// No DER, or not of an `OCSPRequest`.
    #[error("no OCSPRequest: {0}")]
    Der(#[from] der::Error),
    /// A version that is not 1.
    #[error("version {0} of OCSP, counted from 0: only 0 is known")]
    Version(u8),
    /// A request for the status of nothing.
    #[error("the OCSP request names no certificate")]
    Empty,
    /// A nonce that RFC 9654 2.1 forbids: it has 1 to 128 bytes, and there is one at most.
    #[error("the OCSP request's nonce is not one of 1 to 128 bytes")]
    Nonce,
    /// An extension that must not be passed over, and is not known.
    #[error("the OCSP request has the critical extension {0}, which is not known")]
    Critical(ObjectIdentifier),
}

impl<'a> OcspRequest<'a> {
    /// The longest request that is read, in bytes: room for 200 certificates, where one is the rule.
    pub const MAX_LEN: usize = 16 * 1024;

    /// The longest nonce (RFC 9654 2.1).
    const MAX_NONCE_LEN: usize = 128;

    /// Reads a request.
    ///
    /// # Errors
    /// See [`OcspRequestError`].
    pub fn from_der(der: &'a [u8]) -> Result<Self, OcspRequestError> {
        if der.len() > Self::MAX_LEN {
            return Err(OcspRequestError::TooLong(der.len()));
        }
        let Signable { tbs, signature } = Signable::from_der(der)?;
        if tbs.version != V1 {
            return Err(OcspRequestError::Version(tbs.version));
        }
        if tbs.request_list.is_empty() {
            return Err(OcspRequestError::Empty);
        }
        tbs.request_list.iter().try_for_each(|request| known(request.extensions.as_deref()))?;
        known(tbs.extensions.as_deref())?;
        Ok(Self {
            nonce: nonce(tbs.extensions.as_deref().unwrap_or_default())?,
            cert_ids: tbs.request_list.into_iter().map(|request| request.cert_id).collect(),
            signed: signature.is_some(),
        })
    }

    /// The certificates that are asked for; at least one.
    #[must_use]
    pub fn cert_ids(&self) -> &[CertId<'a>] {
        &self.cert_ids
    }

    /// What the response is to repeat, so that it cannot be an old one (RFC 9654): 1 to 128 bytes.
    #[must_use]
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.nonce
    }

    /// Whether there is a signature. Whose it is, and whether it holds, is not looked at.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signed
    }
}

fn known(extensions: Option<&[Extension<'_>]>) -> Result<(), OcspRequestError> {
    let mut unknown = extensions.unwrap_or_default().iter().filter(|one| one.critical && one.id != NONCE);
    unknown.next().map_or(Ok(()), |one| Err(OcspRequestError::Critical(one.id)))
}

fn nonce<'a>(extensions: &[Extension<'a>]) -> Result<Option<&'a [u8]>, OcspRequestError> {
    let mut nonces = extensions.iter().filter(|extension| extension.id == NONCE);
    let Some(extension) = nonces.next() else { return Ok(None) };
    let nonce =
        <&OctetStringRef>::from_der(extension.value.as_bytes()).map_err(|_| OcspRequestError::Nonce)?;
    let fits = (1..=OcspRequest::MAX_NONCE_LEN).contains(&nonce.as_bytes().len());
    if fits && nonces.next().is_none() { Ok(Some(nonce.as_bytes())) } else { Err(OcspRequestError::Nonce) }
}

const V1: u8 = 0;
const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap(OCSP_NONCE);

const fn v1() -> u8 {
    V1
}

/// `OCSPRequest`.
#[derive(Sequence)]
struct Signable<'a> {
    tbs: TbsRequest<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    signature: Option<AnyRef<'a>>,
}

#[derive(Sequence)]
struct TbsRequest<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "v1")]
    version: u8,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    requestor_name: Option<AnyRef<'a>>,
    request_list: Vec<Request<'a>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension<'a>>>,
}

#[derive(Sequence)]
struct Request<'a> {
    cert_id: CertId<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension<'a>>>,
}

#[derive(Sequence)]
struct Extension<'a> {
    id: ObjectIdentifier,
    #[asn1(default = "bool::default")]
    critical: bool,
    value: &'a OctetStringRef,
}

#[cfg(test)]
mod tests {
    use der::{Encode as _, asn1::IntRef};
    use proptest::{prelude::*, sample::Index};
    use spki::AlgorithmIdentifierRef;

    use super::*;

    /// What goes into a request: serial numbers, and the extension values with their identifiers.
    fn request(
        version: u8,
        serials: &[Vec<u8>],
        extensions: &[(ObjectIdentifier, bool, Vec<u8>)],
    ) -> Vec<u8> {
        let hash_algorithm = AlgorithmIdentifierRef {
            oid: ObjectIdentifier::new_unwrap("1.3.14.3.2.26"),
            parameters: Some(AnyRef::NULL),
        };
        let hash = OctetStringRef::new(&[7; 20]).unwrap();
        let single = |serial: &'_ Vec<u8>| Request {
            cert_id: CertId {
                hash_algorithm,
                issuer_name_hash: hash,
                issuer_key_hash: hash,
                serial: IntRef::new(Box::leak(serial.clone().into_boxed_slice())).unwrap(),
            },
            extensions: None,
        };
        let extensions = extensions.iter().map(|(id, critical, value)| Extension {
            id: *id,
            critical: *critical,
            value: OctetStringRef::new(value).unwrap(),
        });
        let tbs = TbsRequest {
            version,
            requestor_name: None,
            request_list: serials.iter().map(single).collect(),
            extensions: Some(extensions.collect::<Vec<_>>()).filter(|all| !all.is_empty()),
        };
        Signable { tbs, signature: None }.to_der().unwrap()
    }

    #[test]
    fn an_extension_of_a_single_request_matters_only_when_it_is_critical() {
        let plain = request(V1, &[vec![1]], &[]);
        let cert_id = OcspRequest::from_der(&plain).unwrap().cert_ids()[0];
        let id = ObjectIdentifier::new_unwrap("1.2.3.4");
        for (critical, expected) in [(false, Ok(cert_id)), (true, Err(OcspRequestError::Critical(id)))] {
            let value = OctetStringRef::new(&[]).unwrap();
            let single = Request { cert_id, extensions: Some(vec![Extension { id, critical, value }]) };
            let (version, request_list) = (V1, vec![single]);
            let tbs = TbsRequest { version, requestor_name: None, request_list, extensions: None };
            let der = Signable { tbs, signature: None }.to_der().unwrap();
            assert_eq!(OcspRequest::from_der(&der).map(|request| request.cert_ids()[0]), expected);
        }
    }

    #[test]
    fn a_nonce_may_be_critical() {
        let der = request(V1, &[vec![1]], &[(NONCE, true, vec![4, 1, 9])]);
        assert_eq!(OcspRequest::from_der(&der).unwrap().nonce(), Some([9].as_slice()));
    }

    fn with_nonce(nonce: &[u8]) -> Vec<u8> {
        let value = OctetStringRef::new(nonce).unwrap().to_der().unwrap();
        request(V1, &[vec![1]], &[(NONCE, false, value)])
    }

    #[test]
    fn a_nonce_has_1_to_128_bytes() {
        for length in [1, 32, 128] {
            let der = with_nonce(&vec![9; length]);
            assert_eq!(OcspRequest::from_der(&der).unwrap().nonce(), Some(vec![9; length].as_slice()));
        }
        for length in [0, 129] {
            assert_eq!(OcspRequest::from_der(&with_nonce(&vec![9; length])), Err(OcspRequestError::Nonce));
        }
        // Bare bytes where an OCTET STRING should be; and two nonces.
        let nonce = (NONCE, false, vec![4, 1, 9]);
        for extensions in [vec![(NONCE, false, vec![9; 16])], vec![nonce.clone(), nonce]] {
            let der = request(V1, &[vec![1]], &extensions);
            assert_eq!(OcspRequest::from_der(&der), Err(OcspRequestError::Nonce));
        }
    }

    #[test]
    fn an_unknown_extension_matters_only_when_it_is_critical() {
        let unknown = ObjectIdentifier::new_unwrap("1.2.3.4");
        let der = request(V1, &[vec![1]], &[(unknown, false, Vec::new())]);
        assert_eq!(OcspRequest::from_der(&der).unwrap().nonce(), None);
        let der = request(V1, &[vec![1]], &[(unknown, true, Vec::new())]);
        assert_eq!(OcspRequest::from_der(&der), Err(OcspRequestError::Critical(unknown)));
    }

    #[test]
    fn a_request_has_version_1_some_certificate_and_a_bounded_length() {
        assert_eq!(OcspRequest::from_der(&request(1, &[vec![1]], &[])), Err(OcspRequestError::Version(1)));
        assert_eq!(OcspRequest::from_der(&request(V1, &[], &[])), Err(OcspRequestError::Empty));
        let long = request(V1, &vec![vec![1]; 400], &[]);
        assert_eq!(OcspRequest::from_der(&long), Err(OcspRequestError::TooLong(long.len())));
        let der = request(V1, &vec![vec![1]; 200], &[]);
        assert_eq!(OcspRequest::from_der(&der).unwrap().cert_ids().len(), 200);
    }

    /// The content of INTEGERs, negative ones too.
    fn serials() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let serial = any::<i128>().prop_map(|serial| serial.to_der().unwrap().split_off(2));
        proptest::collection::vec(serial, 1..4)
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(der in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = OcspRequest::from_der(&der);
        }

        /// Of a good request too, with some bytes changed or cut off.
        #[test]
        fn a_damaged_request_is_refused_or_still_within_its_bounds(
            serials in serials(),
            damage in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
            cut in proptest::option::of(any::<Index>()),
        ) {
            let nonce = (NONCE, false, vec![4, 2, 1, 2]);
            let mut der = request(V1, &serials, &[nonce]);
            for (index, byte) in damage {
                *index.get_mut(&mut der) = byte;
            }
            if let Some(cut) = cut {
                der.truncate(cut.index(der.len()));
            }
            if let Ok(request) = OcspRequest::from_der(&der) {
                prop_assert!(!request.cert_ids().is_empty());
                prop_assert!(request.nonce().is_none_or(|nonce| (1..=128).contains(&nonce.len())));
            }
        }

        /// Each `CertID` stands in the request as it is encoded again.
        #[test]
        fn a_request_comes_back_as_it_was_made(
            serials in serials(),
            nonce in proptest::collection::vec(any::<u8>(), 1..=128),
        ) {
            let value = OctetStringRef::new(&nonce).unwrap().to_der().unwrap();
            let der = request(V1, &serials, &[(NONCE, false, value)]);
            let read = OcspRequest::from_der(&der).unwrap();
            prop_assert_eq!(read.nonce(), Some(nonce.as_slice()));
            let told: Vec<_> = read.cert_ids().iter().map(CertId::serial).collect();
            prop_assert_eq!(told, serials);
            for cert_id in read.cert_ids() {
                let again = cert_id.to_der().unwrap();
                prop_assert!(der.windows(again.len()).any(|window| window == again));
            }
        }
    }
}
