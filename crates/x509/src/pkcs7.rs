//! The certificates in a PKCS#7 / CMS `SignedData` (RFC 2315, RFC 5652 5.1), signed or "degenerate".
//!
//! Outer structure in DER or BER, since writers of both exist; the certificates themselves must be DER, as
//! everything that is signed. Nothing else in the message is looked at: it is a container here, its signature
//! proves nothing about the certificates in it. It carries them in no particular order.

use crate::tlv::{INTEGER, Malformed, OBJECT_IDENTIFIER, SEQUENCE, SET, Walk, context};

/// id-signedData
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// Whether the bytes begin as a `ContentInfo` with `SignedData` does. Only then is [`certificates`] worth a try.
pub(crate) fn looks_like_signed_data(bytes: &[u8]) -> bool {
    let mut document = Walk::ber(bytes);
    let content = document.expect(SEQUENCE, "content").map(|content| content.inner());
    let oid = content.and_then(|mut content| content.expect(OBJECT_IDENTIFIER, "content type"));
    oid.is_ok_and(|oid| oid.value == SIGNED_DATA)
}

/// The raw certificates in the message, in its order. Attribute certificates and other formats that the choice
/// allows are passed over.
pub(crate) fn certificates(bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut document = Walk::ber(bytes);
    let mut content_info = document.expect(SEQUENCE, "PKCS#7")?.inner();
    document.end("PKCS#7 has trailing bytes")?;
    let oid = content_info.expect(OBJECT_IDENTIFIER, "PKCS#7 content type")?;
    if oid.value != SIGNED_DATA {
        return Err(Malformed::new("PKCS#7 holds no SignedData"));
    }
    let mut wrapped = content_info.expect(context(0), "PKCS#7 content")?.inner();
    let mut signed_data = wrapped.expect(SEQUENCE, "PKCS#7 SignedData")?.inner();
    signed_data.expect(INTEGER, "PKCS#7 version")?;
    signed_data.expect(SET, "PKCS#7 digest algorithms")?;
    signed_data.expect(SEQUENCE, "PKCS#7 encapsulated content")?;
    let mut certificates = Vec::new();
    let mut list = signed_data.optional(context(0), "PKCS#7 certificates")?.map(|list| list.inner());
    while let Some(list) = list.as_mut().filter(|list| !list.is_empty()) {
        let choice = list.any("certificate in PKCS#7")?;
        if choice.tag == SEQUENCE {
            certificates.push(choice.raw);
        }
    }
    Ok(certificates)
}
