//! Writing DER, as far as a certificate request needs it.

/// Universal tags, and the constructed bit where DER wants it.
pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// A primitive context-specific tag.
pub(crate) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// A constructed context-specific tag.
pub(crate) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// Tag, length and content.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let significant = bytes.get(start..).unwrap_or_default();
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
        out.extend_from_slice(significant);
    }
    out.extend_from_slice(content);
    out
}

/// A SEQUENCE of what is already encoded.
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

/// A SET of what is already encoded, in DER's order.
pub(crate) fn set(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.sort();
    tlv(SET, &parts.concat())
}

/// An object identifier from its dotted form; `None` when that is none.
pub(crate) fn object_identifier(dotted: &str) -> Option<Vec<u8>> {
    let arcs = dotted.split('.').map(|arc| arc.parse::<u64>().ok()).collect::<Option<Vec<_>>>()?;
    let ([first @ 0..=1, second @ 0..=39, rest @ ..] | [first @ 2, second, rest @ ..]) = arcs.as_slice()
    else {
        return None;
    };
    let mut content = Vec::new();
    base128(first.checked_mul(40)?.checked_add(*second)?, &mut content);
    for arc in rest {
        base128(*arc, &mut content);
    }
    Some(tlv(OBJECT_IDENTIFIER, &content))
}

fn base128(value: u64, out: &mut Vec<u8>) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let seven = u8::try_from((value >> (7 * group)) & 0x7f).unwrap_or(0);
        out.push(if group == 0 { seven } else { seven | 0x80 });
    }
}

/// The content and what follows, when `bytes` begin with this tag and a definite length.
pub(crate) fn open(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = bytes else { return None };
    if *first != tag {
        return None;
    }
    if *length < 0x80 {
        return rest.split_at_checked(usize::from(*length));
    }
    let (size, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
    if size.len() > 4 {
        return None;
    }
    let length = size.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(tlv(OCTET_STRING, &[7; 127]).get(..3), Some(&[4, 127, 7][..]));
        assert_eq!(tlv(OCTET_STRING, &[7; 128]).get(..4), Some(&[4, 0x81, 128, 7][..]));
        assert_eq!(tlv(OCTET_STRING, &[7; 256]).get(..5), Some(&[4, 0x82, 1, 0, 7][..]));
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let encoded = [tlv(SEQUENCE, &vec![1; length]), vec![9]].concat();
            assert_eq!(open(&encoded, SEQUENCE), Some((&vec![1; length][..], &[9][..])));
        }
    }

    #[test]
    fn object_identifiers_are_encoded_in_base_128() {
        assert_eq!(object_identifier("1.2.840.113549").unwrap(), [6, 6, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]);
        assert_eq!(object_identifier("2.5.4.3").unwrap(), [6, 3, 0x55, 4, 3]);
        assert_eq!(object_identifier("2.999").unwrap(), [6, 2, 0x88, 0x37]);
        for text in ["", "1", "3.1", "1.40", "1.2.x", "1..2"] {
            assert_eq!(object_identifier(text), None, "{text}");
        }
    }
}
