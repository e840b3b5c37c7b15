//! A walk over DER (ITU-T X.690): tag, length, value, nothing else.
//!
//! It copies nothing, recurses never, and every step either consumes at least two bytes or ends the walk, so
//! the cost of reading is linear in the input. Each element knows where it lies in the whole document, so that
//! a parsed structure can keep positions instead of copies.
//!
//! Strict DER: definite, minimal lengths and low tag numbers only. [`Walk::ber`] also takes indefinite and
//! over-long lengths, which real PKCS#7 writers emit; nothing signed is ever read that way.

use std::ops::Range;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const NUMERIC_STRING: u8 = 0x12;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const TELETEX_STRING: u8 = 0x14;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const VISIBLE_STRING: u8 = 0x1a;
pub(crate) const UNIVERSAL_STRING: u8 = 0x1c;
pub(crate) const BMP_STRING: u8 = 0x1e;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;

/// A context-specific constructed tag, `[n]`.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// A context-specific primitive tag, `[n] IMPLICIT` of a primitive type.
pub(crate) const fn context_primitive(number: u8) -> u8 {
    0x80 | number
}

/// The bytes are not the DER they should be. Says which element could not be read; quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER: {what}")]
pub struct Malformed {
    what: &'static str,
}

impl Malformed {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what }
    }

    /// Which element it was.
    pub(crate) const fn what(&self) -> &'static str {
        self.what
    }
}

/// One element, with its place in the whole document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tlv<'a> {
    pub(crate) tag: u8,
    /// Tag, length and value.
    pub(crate) raw: &'a [u8],
    pub(crate) value: &'a [u8],
    at: usize,
    ber: bool,
}

impl<'a> Tlv<'a> {
    /// Where the element (tag included) lies in the document the walk began with.
    pub(crate) fn span(&self) -> Range<usize> {
        self.at..self.at.saturating_add(self.raw.len())
    }

    /// Where the value lies.
    pub(crate) fn value_span(&self) -> Range<usize> {
        let header = self.raw.len().saturating_sub(self.value.len());
        let start = self.at.saturating_add(header);
        start..start.saturating_add(self.value.len())
    }

    /// The value of a BOOLEAN: 00 or ff (X.690 11.1), which no two readers can take differently.
    pub(crate) fn boolean(&self, what: &'static str) -> Result<bool, Malformed> {
        match self.value {
            [0] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(Malformed::new(what)),
        }
    }

    /// A walk over the elements inside this one.
    pub(crate) fn inner(&self) -> Walk<'a> {
        Walk { rest: self.value, at: self.value_span().start, ber: self.ber }
    }

    /// The value of a BIT STRING that holds whole bytes, as keys and signatures do.
    pub(crate) fn whole_bytes(&self, what: &'static str) -> Result<&'a [u8], Malformed> {
        match self.value.split_first() {
            Some((0, bytes)) => Ok(bytes),
            _ => Err(Malformed::new(what)),
        }
    }
}

/// What is left of a sequence of elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk<'a> {
    rest: &'a [u8],
    at: usize,
    ber: bool,
}

impl<'a> Walk<'a> {
    pub(crate) fn der(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0, ber: false }
    }

    pub(crate) fn ber(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0, ber: true }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not walked over yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever its tag.
    pub(crate) fn any(&mut self, what: &'static str) -> Result<Tlv<'a>, Malformed> {
        let extent = self.extent().ok_or(Malformed::new(what))?;
        let (raw, rest) = self.rest.split_at_checked(extent.total).ok_or(Malformed::new(what))?;
        let value = raw.get(extent.value).ok_or(Malformed::new(what))?;
        let tag = raw.first().copied().ok_or(Malformed::new(what))?;
        let tlv = Tlv { tag, raw, value, at: self.at, ber: self.ber };
        self.at = self.at.saturating_add(raw.len());
        self.rest = rest;
        Ok(tlv)
    }

    /// The next element, which must have this tag. An object identifier must be written as X.690 8.19 says: with
    /// padding, which some readers skip, it could pass for another one here and for itself elsewhere.
    pub(crate) fn expect(&mut self, tag: u8, what: &'static str) -> Result<Tlv<'a>, Malformed> {
        if self.peek() != Some(tag) {
            return Err(Malformed::new(what));
        }
        let element = self.any(what)?;
        if tag == OBJECT_IDENTIFIER && !has_whole_arcs(element.value) {
            return Err(Malformed::new(what));
        }
        Ok(element)
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8, what: &'static str) -> Result<Option<Tlv<'a>>, Malformed> {
        if self.peek() == Some(tag) { self.any(what).map(Some) } else { Ok(None) }
    }

    /// Nothing may follow.
    pub(crate) fn end(self, what: &'static str) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed::new(what)) }
    }

    fn extent(&self) -> Option<Extent> {
        let header = Header::read(self.rest, self.ber)?;
        if let Some(length) = header.length {
            let total = header.size.checked_add(length)?;
            return (total <= self.rest.len()).then_some(Extent { value: header.size..total, total });
        }
        let end = end_of_contents(self.rest, header.size)?;
        Some(Extent { value: header.size..end, total: end.checked_add(2)? })
    }
}

/// Every arc is complete (its last octet has no high bit) and begins with something else than zero padding.
fn has_whole_arcs(identifier: &[u8]) -> bool {
    let ends = |octet: &u8| octet & 0x80 == 0;
    let starts = std::iter::once(true).chain(identifier.iter().map(ends));
    identifier.last().is_some_and(ends)
        && identifier.iter().zip(starts).all(|(octet, start)| !start || *octet != 0x80)
}

struct Extent {
    value: Range<usize>,
    total: usize,
}

struct Header {
    size: usize,
    /// `None`: indefinite, ends with end-of-contents octets.
    length: Option<usize>,
}

impl Header {
    fn read(bytes: &[u8], ber: bool) -> Option<Self> {
        let tag = *bytes.first()?;
        // High tag numbers appear nowhere in X.509 or PKCS#7.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let first = *bytes.get(1)?;
        if first < 0x80 {
            return Some(Self { size: 2, length: Some(usize::from(first)) });
        }
        if first == 0x80 {
            let constructed = tag & 0x20 != 0;
            return (ber && constructed).then_some(Self { size: 2, length: None });
        }
        let count = usize::from(first & 0x7f);
        // Four length bytes address 4 GiB, a thousand times any size this crate accepts.
        if count > 4 {
            return None;
        }
        let digits = bytes.get(2..count.checked_add(2)?)?;
        let length = digits
            .iter()
            .try_fold(0usize, |length, digit| length.checked_mul(256)?.checked_add(usize::from(*digit)))?;
        let minimal = length >= 0x80 && digits.first() != Some(&0);
        (ber || minimal).then_some(Self { size: count.checked_add(2)?, length: Some(length) })
    }
}

/// Where the end-of-contents octets are that close an indefinite element whose contents start at `at`.
/// Counts nested indefinite elements instead of recursing into them.
fn end_of_contents(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 1usize;
    loop {
        let rest = bytes.get(at..)?;
        if rest.starts_with(&[0, 0]) {
            open = open.checked_sub(1)?;
            if open == 0 {
                return Some(at);
            }
            at = at.checked_add(2)?;
            continue;
        }
        let header = Header::read(rest, true)?;
        let length = header.length.unwrap_or_else(|| {
            open += 1;
            0
        });
        at = at.checked_add(header.size)?.checked_add(length)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_must_be_minimal_in_der_and_may_be_long_in_ber() {
        let long_form = [OCTET_STRING, 0x81, 0x01, 0xaa];
        assert!(Walk::der(&long_form).any("octets").is_err());
        assert_eq!(Walk::ber(&long_form).any("octets").unwrap().value, [0xaa]);
    }

    #[test]
    fn indefinite_lengths_nest_in_ber_and_are_refused_in_der() {
        let nested = [0x30, 0x80, 0x30, 0x80, 0x04, 0x01, 0x07, 0, 0, 0, 0];
        assert!(Walk::der(&nested).any("sequence").is_err());
        let outer = Walk::ber(&nested).any("sequence").unwrap();
        let inner = outer.inner().any("sequence").unwrap();
        assert_eq!(inner.inner().any("octets").unwrap().value, [7]);
    }

    #[test]
    fn elements_know_their_place() {
        let document = [0x30, 0x06, 0x02, 0x01, 0x05, 0x04, 0x01, 0x09];
        let mut fields = Walk::der(&document).any("sequence").unwrap().inner();
        fields.any("integer").unwrap();
        let octets = fields.any("octets").unwrap();
        assert_eq!((octets.span(), octets.value_span()), (5..8, 7..8));
    }

    #[test]
    fn object_identifiers_have_one_form() {
        let read = |content: &[u8]| {
            let length = u8::try_from(content.len()).unwrap();
            let element = [&[OBJECT_IDENTIFIER, length], content].concat();
            Walk::der(&element).expect(OBJECT_IDENTIFIER, "identifier").is_ok()
        };
        assert!(
            read(&[0x55, 0x1d, 0x11])
                && read(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d])
                && read(&[0x2a, 0x81, 0x80, 0x00])
        );
        assert!(!read(&[]), "no arc");
        assert!(!read(&[0x55, 0x1d, 0x80, 0x11]) && !read(&[0x80, 0x55, 0x1d, 0x11]), "padding");
        assert!(!read(&[0x55, 0x1d, 0x91]), "cut short");
    }

    proptest! {
        #[test]
        fn every_byte_string_is_walked_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for mut walk in [Walk::der(&bytes), Walk::ber(&bytes)] {
                while let Ok(element) = walk.any("element") {
                    prop_assert!(element.raw.len() >= 2);
                    prop_assert_eq!(bytes.get(element.span()), Some(element.raw));
                    prop_assert_eq!(bytes.get(element.value_span()), Some(element.value));
                }
            }
        }
    }
}
