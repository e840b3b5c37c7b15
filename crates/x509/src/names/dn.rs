//! Distinguished names, for messages, comparison, and PKIs that take a subject as text.
//!
//! Never re-encode one of these: what is signed or copied is the raw Name (`subject_der`).

use std::fmt;

use crate::{
    oid::Oid,
    text,
    tlv::{
        BMP_STRING, IA5_STRING, Malformed, NUMERIC_STRING, OBJECT_IDENTIFIER, PRINTABLE_STRING, SEQUENCE,
        SET, TELETEX_STRING, Tlv, UNIVERSAL_STRING, UTF8_STRING, VISIBLE_STRING, Walk,
    },
};

/// The most attributes and relative names one name may have. Real ones have about a dozen; each costs many times
/// the two bytes that an empty one takes.
const MAX_PARTS: usize = 256;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Attribute types by the short names of RFC 4514 and `OpenSSL`.
const SHORT_NAMES: &[(&[u8], &str)] = &[
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x04], "SN"),
    (&[0x55, 0x04, 0x05], "serialNumber"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x55, 0x04, 0x0c], "title"),
    (&[0x55, 0x04, 0x11], "postalCode"),
    (&[0x55, 0x04, 0x2a], "GN"),
    (&[0x55, 0x04, 0x61], "organizationIdentifier"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], "emailAddress"),
];

/// One attribute of a name. Two are equal when type and text are, whatever string type carried the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// The attribute's type.
    pub oid: Oid,
    /// The value as text; `#` and hexadecimal (RFC 4514 2.4) where it is no string.
    pub value: String,
}

impl Attribute {
    /// The short name (`CN`, `O`, …), or the dotted object identifier.
    #[must_use]
    pub fn name(&self) -> String {
        let known = SHORT_NAMES.iter().find(|(oid, _)| *oid == self.oid.as_bytes());
        known.map_or_else(|| self.oid.to_string(), |(_, name)| (*name).to_owned())
    }
}

/// A name: a list of relative distinguished names, each a set of attributes, in the order they were encoded.
///
/// Equality is of types and texts in order; string types (`PrintableString`, `UTF8String`, …) do not matter.
/// Displays as RFC 4514 does, last RDN first: `CN=web,OU=Shop,O=Example`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct DistinguishedName {
    rdns: Vec<Vec<Attribute>>,
}

impl DistinguishedName {
    /// Reads a Name.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are not exactly one Name.
    pub fn from_der(name: &[u8]) -> Result<Self, Malformed> {
        let mut document = Walk::der(name);
        let mut sequence = document.expect(SEQUENCE, "name")?.inner();
        document.end("name has trailing bytes")?;
        let mut rdns = Vec::new();
        let mut parts = 0usize;
        let mut count = || {
            parts += 1;
            if parts > MAX_PARTS { Err(Malformed::new("name of more than 256 parts")) } else { Ok(()) }
        };
        while !sequence.is_empty() {
            count()?;
            let mut set = sequence.expect(SET, "relative name")?.inner();
            let mut rdn = Vec::new();
            while !set.is_empty() {
                count()?;
                rdn.push(attribute(&mut set)?);
            }
            rdns.push(rdn);
        }
        Ok(Self { rdns })
    }

    /// The RDNs in encoded order (usually the most general first), each with its attributes.
    #[must_use]
    pub fn rdns(&self) -> &[Vec<Attribute>] {
        &self.rdns
    }

    /// All attributes in encoded order.
    #[must_use]
    pub fn attributes(&self) -> impl DoubleEndedIterator<Item = &Attribute> {
        self.rdns.iter().flatten()
    }

    /// The common names, usually one.
    #[must_use]
    pub fn common_names(&self) -> impl DoubleEndedIterator<Item = &str> {
        let common = self.attributes().filter(|attribute| attribute.oid.as_bytes() == COMMON_NAME);
        common.map(|attribute| attribute.value.as_str())
    }

    /// The most specific common name: the last one (what Go and so cert-manager take as `CommonName`).
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_names().next_back()
    }

    /// For messages: cut to some two hundred bytes, and never nothing.
    pub(crate) fn shortened(&self) -> String {
        if self.is_empty() { "(no subject)".to_owned() } else { text::bounded(self.to_string(), 200) }
    }

    /// Whether the name has no attributes, as in certificates named by their alternative names only.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes().next().is_none()
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, rdn) in self.rdns.iter().rev().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            for (position, attribute) in rdn.iter().enumerate() {
                if position > 0 {
                    f.write_str("+")?;
                }
                write!(f, "{}={}", attribute.name(), escaped(&attribute.value))?;
            }
        }
        Ok(())
    }
}

/// RFC 4514 2.4: what would be read as syntax is escaped. Then, as everywhere, what cannot be printed.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut shown = String::new();
    for (position, character) in value.chars().enumerate() {
        let special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (position == 0 && matches!(character, ' ' | '#'))
            || (position == last && character == ' ');
        if special {
            shown.push('\\');
        }
        shown.push(character);
    }
    text::printable(&shown)
}

fn attribute(set: &mut Walk<'_>) -> Result<Attribute, Malformed> {
    let mut fields = set.expect(SEQUENCE, "name's attribute")?.inner();
    let oid = Oid::from_content(fields.expect(OBJECT_IDENTIFIER, "name's attribute type")?.value);
    let value = fields.any("name's attribute value")?;
    fields.end("name's attribute has trailing bytes")?;
    let value = string(&value).unwrap_or_else(|| format!("#{}", text::hex(value.raw)));
    Ok(Attribute { oid, value })
}

/// The text of an ASN.1 string; `None` where it is no string or not what its type promises.
fn string(value: &Tlv<'_>) -> Option<String> {
    match value.tag {
        UTF8_STRING | NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING => {
            String::from_utf8(value.value.to_vec()).ok()
        }
        // Teletex is Latin-1 in practice, as OpenSSL and Go read it.
        TELETEX_STRING => Some(value.value.iter().copied().map(char::from).collect()),
        BMP_STRING => {
            let (pairs, []) = value.value.as_chunks::<2>() else { return None };
            char::decode_utf16(pairs.iter().copied().map(u16::from_be_bytes)).collect::<Result<_, _>>().ok()
        }
        UNIVERSAL_STRING => {
            let (quads, []) = value.value.as_chunks::<4>() else { return None };
            quads.iter().copied().map(|quad| char::from_u32(u32::from_be_bytes(quad))).collect()
        }
        _ => None,
    }
}
