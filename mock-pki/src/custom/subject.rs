//! Subjects as such PKIs write them: `/C=US/O=Example/CN=app` or `CN=app, O=Example, C=US`.
//!
//! With a slash in front the order is kept; with commas (RFC 4514) the last part comes first in the certificate.

use ca::AttributeType;

use crate::custom::Problem;

/// Far more than any name has.
const MAX_PARTS: usize = 64;

/// Reads one. A backslash takes the next character as it is.
pub(super) fn parse(text: &str) -> Result<Vec<(AttributeType, String)>, Problem> {
    let (separator, rest) = text.strip_prefix('/').map_or((',', text), |rest| ('/', rest));
    let mut parts = Vec::new();
    for part in split(rest, separator) {
        let wrong =
            |what: &str| Problem::bad("INVALID_SUBJECT", format!("subject {what}: {}", shortened(&part)));
        let (name, value) = part.split_once('=').ok_or_else(|| wrong("has a part without a value"))?;
        let kind = attribute(name.trim()).ok_or_else(|| wrong("has an unknown attribute"))?;
        parts.push((kind, value.trim().to_owned()));
        if parts.len() > MAX_PARTS {
            return Err(wrong("has too many parts, beginning with this one"));
        }
    }
    if separator == ',' {
        parts.reverse();
    }
    Ok(parts)
}

fn split(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut part, mut characters) = (Vec::new(), String::new(), text.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => part.extend(characters.next()),
            _ if character == separator => parts.push(std::mem::take(&mut part)),
            _ => part.push(character),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn attribute(name: &str) -> Option<AttributeType> {
    Some(match name.to_ascii_uppercase().as_str() {
        "CN" => AttributeType::CommonName,
        "C" => AttributeType::Country,
        "L" => AttributeType::Locality,
        "ST" | "S" => AttributeType::Province,
        "STREET" => AttributeType::StreetAddress,
        "O" => AttributeType::Organization,
        "OU" => AttributeType::OrganizationalUnit,
        "POSTALCODE" => AttributeType::PostalCode,
        "SERIALNUMBER" => AttributeType::SerialNumber,
        _ => return None,
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_ways_of_writing_say_the_same() {
        let slash = parse("/C=US/O=A\\/B, Inc./CN=app").unwrap();
        assert_eq!(slash, parse("CN=app, O=A/B\\, Inc.,C=US").unwrap());
        let texts: Vec<&str> = slash.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(texts, ["US", "A/B, Inc.", "app"]);
        for wrong in ["/CN", "app", "/X=y", "/CN=a/O"] {
            assert_eq!(parse(wrong).unwrap_err().code, "INVALID_SUBJECT", "{wrong}");
        }
        assert_eq!(parse("//").unwrap(), []);
    }

    proptest! {
        #[test]
        fn no_subject_is_too_strange(text in "[/,\\\\=CNO ]{0,40}|.{0,40}") {
            if let Ok(parts) = parse(&text) {
                prop_assert!(parts.len() <= MAX_PARTS);
            }
        }
    }
}
