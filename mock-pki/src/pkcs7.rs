//! PKCS#7 that carries certificates and nothing else (RFC 2315 9.1, "degenerate").

use x509::Certificate;

use crate::der::{CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, SET, sequence, tlv};

/// 1.2.840.113549.1.7.1
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// The DER of a `ContentInfo` with these certificates, in this order.
pub(crate) fn with<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> Vec<u8> {
    let certificates: Vec<&[u8]> = certificates.into_iter().map(Certificate::der).collect();
    let signed_data = sequence(&[
        tlv(INTEGER, &[1]),
        tlv(SET, &[]),
        sequence(&[tlv(OBJECT_IDENTIFIER, DATA)]),
        tlv(CONTEXT_0, &certificates.concat()),
        tlv(SET, &[]),
    ]);
    sequence(&[tlv(OBJECT_IDENTIFIER, SIGNED_DATA), tlv(CONTEXT_0, &signed_data)])
}
