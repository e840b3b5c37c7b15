//! The little DER that faces write themselves: names from text, PKCS#7 without signers, keys under a password.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// `[0]`, constructed.
pub(crate) const CONTEXT_0: u8 = 0xa0;

/// One value with its tag and length.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    if let Ok(short @ ..0x80) = u8::try_from(content.len()) {
        encoded.push(short);
    } else {
        let length = content.len().to_be_bytes();
        let zeros = length.iter().take_while(|byte| **byte == 0).count();
        let digits = length.get(zeros..).unwrap_or_default();
        encoded.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
        encoded.extend_from_slice(digits);
    }
    encoded.extend_from_slice(content);
    encoded
}

/// A SEQUENCE of what is encoded already.
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_fewest_bytes() {
        assert_eq!(tlv(4, &[7; 0x7f])[..3], [4, 0x7f, 7]);
        assert_eq!(tlv(4, &[7; 0x80])[..4], [4, 0x81, 0x80, 7]);
        assert_eq!(tlv(4, &[7; 0x0100])[..5], [4, 0x82, 1, 0, 7]);
        assert_eq!(tlv(4, &[0; 0x1234])[..4], [4, 0x82, 0x12, 0x34]);
    }
}
