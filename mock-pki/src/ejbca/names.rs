//! Names as EJBCA writes them: `CN=web,OU=Shop,O=Example,C=SE`, the most specific attribute first, in an order of its own
//! whatever the order in the certificate; and alternative names, `dNSName=web.example.com, iPAddress=10.0.0.1`.

use std::fmt::Write as _;

use ca::GeneralName;
use x509::{DistinguishedName, SubjectAltName};

use crate::der::{IA5_STRING, OBJECT_IDENTIFIER, PRINTABLE_STRING, SEQUENCE, SET, UTF8_STRING, tlv};

struct Kind {
    /// As it is written; the other spellings are read too.
    name: &'static str,
    also: &'static [&'static str],
    oid: &'static [u8],
    tag: u8,
}

const fn kind(name: &'static str, also: &'static [&'static str], oid: &'static [u8], tag: u8) -> Kind {
    Kind { name, also, oid, tag }
}

/// In the order in which they are written. In a certificate they stand the other way round, as X.500 has it.
const KINDS: [Kind; 17] = [
    kind("STREET", &["STREETADDRESS"], &[0x55, 4, 9], UTF8_STRING),
    kind("POSTALCODE", &[], &[0x55, 4, 17], UTF8_STRING),
    kind("E", &["EMAIL", "EMAILADDRESS"], &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], IA5_STRING),
    kind("UID", &[], &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], UTF8_STRING),
    kind("CN", &["COMMONNAME"], &[0x55, 4, 3], UTF8_STRING),
    kind("SN", &["SERIALNUMBER"], &[0x55, 4, 5], PRINTABLE_STRING),
    kind("GIVENNAME", &["GN"], &[0x55, 4, 42], UTF8_STRING),
    kind("INITIALS", &[], &[0x55, 4, 43], UTF8_STRING),
    kind("SURNAME", &[], &[0x55, 4, 4], UTF8_STRING),
    kind("T", &["TITLE"], &[0x55, 4, 12], UTF8_STRING),
    kind("OU", &[], &[0x55, 4, 11], UTF8_STRING),
    kind("organizationIdentifier", &[], &[0x55, 4, 97], UTF8_STRING),
    kind("O", &[], &[0x55, 4, 10], UTF8_STRING),
    kind("L", &[], &[0x55, 4, 7], UTF8_STRING),
    kind("ST", &[], &[0x55, 4, 8], UTF8_STRING),
    kind("DC", &[], &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], IA5_STRING),
    kind("C", &[], &[0x55, 4, 6], PRINTABLE_STRING),
];

/// A name from text. Two are equal when they say the same, in whatever order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dn(Vec<(usize, String)>);

impl Dn {
    /// Reads `CN=web,O=Example`; a backslash takes the next character as it is. Nothing if an attribute is unknown, has
    /// no value, or none is there.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut attributes = Vec::new();
        for part in split(text) {
            let (name, value) = part.split_once('=')?;
            let (name, value) = (name.trim(), unescape(value.trim()));
            let known = |kind: &Kind| {
                kind.name.eq_ignore_ascii_case(name)
                    || kind.also.iter().any(|also| also.eq_ignore_ascii_case(name))
            };
            let at = KINDS.iter().position(known)?;
            if value.is_empty() {
                return None;
            }
            attributes.push((at, value));
        }
        attributes.sort_by_key(|(at, _)| *at);
        (!attributes.is_empty()).then_some(Self(attributes))
    }

    /// The first common name.
    pub(crate) fn common_name(&self) -> Option<&str> {
        let is_common = |at: usize| KINDS.get(at).is_some_and(|kind| kind.name == "CN");
        self.0.iter().find(|(at, _)| is_common(*at)).map(|(_, value)| value.as_str())
    }

    /// DER of the Name, the most general attribute first.
    pub(crate) fn to_der(&self) -> Vec<u8> {
        let rdns = self.0.iter().rev().filter_map(|(at, value)| {
            let kind = KINDS.get(*at)?;
            let tag = if value.is_ascii() { kind.tag } else { UTF8_STRING };
            let attribute = [tlv(OBJECT_IDENTIFIER, kind.oid), tlv(tag, value.as_bytes())].concat();
            Some(tlv(SET, &tlv(SEQUENCE, &attribute)))
        });
        tlv(SEQUENCE, &rdns.flatten().collect::<Vec<u8>>())
    }
}

impl std::fmt::Display for Dn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = self.0.iter().filter_map(|(at, value)| Some((KINDS.get(*at)?.name, value.as_str())));
        f.write_str(&join(parts))
    }
}

/// A certificate's name as text.
pub(crate) fn written(name: &DistinguishedName) -> String {
    let mut parts: Vec<(Option<usize>, String, &str)> = Vec::new();
    for attribute in name.attributes() {
        let at = KINDS.iter().position(|kind| kind.oid == attribute.oid.as_bytes());
        let shown = at.and_then(|at| KINDS.get(at)).map(|kind| kind.name.to_owned());
        parts.push((at, shown.unwrap_or_else(|| attribute.oid.to_string()), &attribute.value));
    }
    // Most names are encoded the most general first.
    parts.reverse();
    parts.sort_by_key(|(at, ..)| *at);
    join(parts.iter().map(|(_, name, value)| (name.as_str(), *value)))
}

fn join<'a>(parts: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in parts {
        if !text.is_empty() {
            text.push(',');
        }
        let _ = write!(text, "{name}=");
        for character in value.chars() {
            if matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
                text.push('\\');
            }
            text.push(character);
        }
    }
    text
}

/// Between commas and plus signs that are not escaped.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut is_escaped) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        if !is_escaped && matches!(character, ',' | '+') {
            parts.push(text.get(begin..at).unwrap_or_default());
            begin = at + 1;
        }
        is_escaped = !is_escaped && character == '\\';
    }
    parts.push(text.get(begin..).unwrap_or_default());
    parts
}

fn unescape(text: &str) -> String {
    let (mut plain, mut is_escaped) = (String::with_capacity(text.len()), false);
    for character in text.chars() {
        is_escaped = !is_escaped && character == '\\';
        if !is_escaped {
            plain.push(character);
        }
    }
    plain
}

/// `java.lang.String.hashCode()`, which is a CA's id.
pub(crate) fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Alternative names as text; nothing if there are none.
pub(crate) fn alternative(names: &[SubjectAltName]) -> Option<String> {
    let written = names.iter().filter_map(|name| {
        Some(match name {
            SubjectAltName::Dns(name) => format!("dNSName={name}"),
            SubjectAltName::Email(name) => format!("rfc822name={name}"),
            SubjectAltName::Uri(name) => format!("uniformResourceId={name}"),
            SubjectAltName::Ip(address) => format!("iPAddress={address}"),
            SubjectAltName::Other(_) => return None,
        })
    });
    let written: Vec<String> = written.collect();
    (!written.is_empty()).then(|| written.join(", "))
}

/// Reads the same. Nothing if a name is of a kind that this mock does not make, or is malformed.
pub(crate) fn parse_alternative(text: &str) -> Option<Vec<GeneralName>> {
    let mut names = Vec::new();
    for part in split(text).into_iter().filter(|part| !part.trim().is_empty()) {
        let (name, value) = part.split_once('=')?;
        let value = unescape(value.trim());
        names.push(match name.trim().to_ascii_lowercase().as_str() {
            "dnsname" => GeneralName::Dns(value),
            "rfc822name" => GeneralName::Email(value),
            "uniformresourceid" | "uniformresourceidentifier" | "uri" => GeneralName::Uri(value),
            "ipaddress" => GeneralName::Ip(value.parse().ok()?),
            _ => return None,
        });
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn attributes_are_written_in_ejbcas_order_whatever_the_order_in_the_name() {
        let dn = Dn::parse("C=SE, o=Example\\, Inc.,CN=web,OU=Shop").unwrap();
        assert_eq!(dn.to_string(), "CN=web,OU=Shop,O=Example\\, Inc.,C=SE");
        assert_eq!(dn.common_name(), Some("web"));
        let encoded = DistinguishedName::from_der(&dn.to_der()).unwrap();
        assert_eq!(written(&encoded), dn.to_string());
        assert_eq!(encoded.attributes().next().unwrap().name(), "C", "the most general one first");
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in ["", "web", "CN=", "NOPE=x", "CN=a,,O=b", "=x"] {
            assert_eq!(Dn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_ca_s_id_is_javas_hash_of_its_name() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("CN=ManagementCA"), 1_979_554_355);
        assert_eq!(java_hash("hello"), 99_162_322);
    }

    #[test]
    fn alternative_names_are_read_as_they_are_written() {
        let text =
            "dNSName=web.example.com, iPAddress=10.0.0.1, uniformResourceId=spiffe://a/b, rfc822name=a@b.c";
        let names = parse_alternative(text).unwrap();
        let encoded = ca::general_names(&names).unwrap();
        assert_eq!(names.len(), 4);
        assert!(!encoded.is_empty());
        assert_eq!(parse_alternative("iPAddress=nope"), None);
        assert_eq!(parse_alternative("directoryName=CN=x"), None);
        assert_eq!(parse_alternative(""), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_it_was_written(values in proptest::collection::vec((0..KINDS.len(), "[ -~é]{1,12}"), 1..6)) {
            let mut attributes: Vec<(usize, String)> =
                values.into_iter().map(|(at, value)| (at, value.trim().to_owned())).filter(|(_, value)| !value.is_empty()).collect();
            prop_assume!(!attributes.is_empty());
            attributes.sort_by_key(|(at, _)| *at);
            let dn = Dn(attributes);
            prop_assert_eq!(Dn::parse(&dn.to_string()), Some(dn.clone()));
            prop_assert_eq!(written(&DistinguishedName::from_der(&dn.to_der()).unwrap()).len(), dn.to_string().len());
        }

        #[test]
        fn no_text_is_too_odd_to_read(text in "\\PC*") {
            let _ = Dn::parse(&text);
            let _ = parse_alternative(&text);
        }
    }
}
