//! The subject of a request: cert-manager's fields in the order of Go's `pkix.Name`, or RFC 4514 text
//! (`pkg/util/pki/subject.go`).

use crate::{
    api::{CertificateSpec, X509Subject},
    der::{PRINTABLE_STRING, UTF8_STRING, object_identifier, sequence, set, tlv},
};

pub(crate) const COMMON_NAME: &str = "2.5.4.3";

/// Attribute types by the names that a literal subject may use.
const NAMES: [(&str, &str); 10] = [
    ("C", "2.5.4.6"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("CN", COMMON_NAME),
    ("SERIALNUMBER", "2.5.4.5"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
];

/// A subject that cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no distinguished name")]
pub struct SubjectError(String);

/// A subject, ready for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) der: Vec<u8>,
    /// What counts as the common name when a request must have a name of some kind.
    pub(crate) common_name: String,
}

impl Subject {
    pub(crate) fn of(spec: &CertificateSpec) -> Result<Self, SubjectError> {
        if spec.literal_subject.is_empty() {
            let der = from_fields(spec.subject.as_ref(), &spec.common_name);
            return Ok(Self { der, common_name: spec.common_name.clone() });
        }
        let rdns = parse(&spec.literal_subject)?;
        let attributes = || rdns.iter().flatten();
        let common_name = attributes().find(|(oid, _)| oid == COMMON_NAME).map(|(_, value)| value.clone());
        let der = encode(&rdns).ok_or_else(|| SubjectError(spec.literal_subject.clone()))?;
        Ok(Self { der, common_name: common_name.unwrap_or_default() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.der == [0x30, 0]
    }
}

type Rdn = Vec<(String, String)>;

/// Each field is one RDN, however many values it has.
fn from_fields(subject: Option<&X509Subject>, common_name: &str) -> Vec<u8> {
    let empty = X509Subject::default();
    let subject = subject.unwrap_or(&empty);
    let one = |value: &str| if value.is_empty() { Vec::new() } else { vec![value.to_owned()] };
    let fields: [(&str, Vec<String>); 9] = [
        ("2.5.4.6", subject.countries.clone()),
        ("2.5.4.8", subject.provinces.clone()),
        ("2.5.4.7", subject.localities.clone()),
        ("2.5.4.9", subject.street_addresses.clone()),
        ("2.5.4.17", subject.postal_codes.clone()),
        ("2.5.4.10", subject.organizations.clone()),
        ("2.5.4.11", subject.organizational_units.clone()),
        (COMMON_NAME, one(common_name)),
        ("2.5.4.5", one(&subject.serial_number)),
    ];
    let rdns: Vec<Rdn> = fields
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(oid, values)| values.into_iter().map(|value| (oid.to_owned(), value)).collect())
        .collect();
    encode(&rdns).unwrap_or_default()
}

fn encode(rdns: &[Rdn]) -> Option<Vec<u8>> {
    let rdns = rdns.iter().map(|rdn| {
        let attributes = rdn.iter().map(|(oid, value)| {
            let tag = if is_printable(value) { PRINTABLE_STRING } else { UTF8_STRING };
            Some(sequence(&[object_identifier(oid)?, tlv(tag, value.as_bytes())]))
        });
        attributes.collect::<Option<Vec<_>>>().map(set)
    });
    rdns.collect::<Option<Vec<_>>>().map(|rdns| sequence(&rdns))
}

/// X.680 41.4.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte))
}

/// Reads RFC 4514 text. The text names the most specific RDN first, the encoding has it last.
fn parse(text: &str) -> Result<Vec<Rdn>, SubjectError> {
    let error = || SubjectError(text.chars().take(200).collect());
    let mut rdns = vec![Rdn::new()];
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=').ok_or_else(error)?;
        let (value, end, after) = value(after).ok_or_else(error)?;
        let name = name.trim();
        let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, oid)| *oid);
        let oid = known.unwrap_or(name);
        object_identifier(oid).ok_or_else(error)?;
        rdns.last_mut().ok_or_else(error)?.push((oid.to_owned(), value));
        match end {
            None => break,
            Some('+') => {}
            Some(_) => rdns.push(Rdn::new()),
        }
        rest = after;
    }
    rdns.reverse();
    Ok(rdns)
}

/// One value, the character that ended it, and what follows.
fn value(text: &str) -> Option<(String, Option<char>, &str)> {
    let mut bytes = Vec::new();
    // Spaces at the end are no part of the value unless they were escaped.
    let mut kept = 0;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            ',' | ';' | '+' => {
                bytes.truncate(kept);
                let after = text.get(at + character.len_utf8()..)?;
                return Some((String::from_utf8(bytes).ok()?, Some(character), after));
            }
            '\\' => {
                let (_, escaped) = characters.next()?;
                if let Some(high) = escaped.to_digit(16) {
                    let low = characters.next()?.1.to_digit(16)?;
                    bytes.push(u8::try_from(high * 16 + low).ok()?);
                } else {
                    bytes.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
                }
                kept = bytes.len();
            }
            ' ' if bytes.is_empty() => {}
            ' ' => bytes.push(b' '),
            _ => {
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                kept = bytes.len();
            }
        }
    }
    bytes.truncate(kept);
    Some((String::from_utf8(bytes).ok()?, None, ""))
}

#[cfg(test)]
mod tests {
    use x509::DistinguishedName;

    use super::*;

    fn shown(spec: &CertificateSpec) -> String {
        DistinguishedName::from_der(&Subject::of(spec).unwrap().der).unwrap().to_string()
    }

    #[test]
    fn fields_come_in_the_order_of_go() {
        let spec = CertificateSpec {
            common_name: "web".to_owned(),
            subject: Some(X509Subject {
                organizations: vec!["Example".to_owned(), "Also".to_owned()],
                countries: vec!["DE".to_owned()],
                serial_number: "7".to_owned(),
                ..X509Subject::default()
            }),
            ..CertificateSpec::default()
        };
        assert_eq!(shown(&spec), "serialNumber=7,CN=web,O=Also+O=Example,C=DE");
        assert!(Subject::of(&CertificateSpec::default()).unwrap().is_empty());
    }

    #[test]
    fn a_literal_subject_is_turned_round() {
        let spec =
            |text: &str| CertificateSpec { literal_subject: text.to_owned(), ..CertificateSpec::default() };
        let text = r"CN=a\, b\+\C3\A4,OU=x+UID=7, O = Foo Bar ,DC=example";
        let subject = Subject::of(&spec(text)).unwrap();
        assert_eq!(subject.common_name, "a, b+ä");
        assert_eq!(shown(&spec(text)), r"CN=a\, b\+ä,OU=x+UID=7,O=Foo Bar,DC=example");
        for text in ["CN", "=x", "XX=1", r"CN=\", r"CN=\4"] {
            assert!(Subject::of(&spec(text)).is_err(), "{text}");
        }
    }
}
