//! Subject alternative names from text.

use std::net::IpAddr;

use der::{
    Any, AnyRef, Decode as _, Encode as _, Reader as _, SliceReader, Tag, TagNumber, asn1::ObjectIdentifier,
};

use crate::CaError;

/// A name of a subject, as RFC 5280 4.2.1.6 has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeneralName {
    /// rfc822Name.
    Email(String),
    /// dNSName.
    Dns(String),
    /// uniformResourceIdentifier.
    Uri(String),
    /// iPAddress.
    Ip(IpAddr),
    /// otherName whose value is a `UTF8String`, such as Microsoft's user principal name.
    OtherName {
        /// What kind of name, dotted.
        type_id: String,
        /// The name.
        value: String,
    },
}

/// The DER of `GeneralNames`, in the order given.
///
/// # Errors
/// [`CaError::Name`] when an e-mail address, DNS name or URI is not ASCII, or an object identifier is none.
pub fn general_names(names: &[GeneralName]) -> Result<Vec<u8>, CaError> {
    let encoded = names.iter().map(encode).collect::<Result<Vec<Any>, _>>()?;
    Ok(encoded.to_der()?)
}

fn encode(name: &GeneralName) -> Result<Any, CaError> {
    match name {
        GeneralName::Email(text) => text_name(1, "e-mail address", text),
        GeneralName::Dns(text) => text_name(2, "DNS name", text),
        GeneralName::Uri(text) => text_name(6, "URI", text),
        GeneralName::Ip(IpAddr::V4(address)) => implicit(7, false, &address.octets()),
        GeneralName::Ip(IpAddr::V6(address)) => implicit(7, false, &address.octets()),
        GeneralName::OtherName { type_id, value } => {
            let oid = ObjectIdentifier::new(type_id)
                .map_err(|_| CaError::Name { what: "object identifier", value: type_id.clone() })?;
            let text = AnyRef::new(Tag::Utf8String, value.as_bytes())?.to_der()?;
            let mut content = oid.to_der()?;
            content.extend(Any::new(tag(0, true), text)?.to_der()?);
            implicit(0, true, &content)
        }
    }
}

fn text_name(number: u32, what: &'static str, text: &str) -> Result<Any, CaError> {
    if !text.is_ascii() {
        return Err(CaError::Name { what, value: text.to_owned() });
    }
    implicit(number, false, text.as_bytes())
}

fn implicit(number: u32, constructed: bool, content: &[u8]) -> Result<Any, CaError> {
    Ok(Any::new(tag(number, constructed), content)?)
}

const fn tag(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific { constructed, number: TagNumber(number) }
}

/// `GeneralNames` with one more name at the end; what is there stays byte for byte.
///
/// # Errors
/// As [`general_names`], and when `names` is not DER.
pub fn append_general_name(names: Option<&[u8]>, name: &GeneralName) -> Result<Vec<u8>, CaError> {
    let mut content = match names {
        Some(names) => AnyRef::try_from(names)?.value().to_vec(),
        None => Vec::new(),
    };
    content.extend(encode(name)?.to_der()?);
    Ok(Any::new(Tag::Sequence, content)?.to_der()?)
}

/// `GeneralNames` without the last name; nothing if that was the only one. What is left stays byte for byte.
///
/// # Errors
/// When `names` is not DER.
pub fn without_last_general_name(names: &[u8]) -> Result<Option<Vec<u8>>, CaError> {
    let mut reader = SliceReader::new(AnyRef::try_from(names)?.value())?;
    let mut all = Vec::new();
    while !reader.is_finished() {
        all.push(AnyRef::decode(&mut reader)?);
    }
    all.pop();
    if all.is_empty() { Ok(None) } else { Ok(Some(all.to_der()?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_added_at_the_end_and_taken_from_there() {
        let dns = |name: &str| GeneralName::Dns(name.to_owned());
        let one = general_names(&[dns("a.example.com")]).unwrap();
        let two = append_general_name(Some(&one), &dns("b.example.com")).unwrap();
        assert_eq!(two, general_names(&[dns("a.example.com"), dns("b.example.com")]).unwrap());
        assert_eq!(without_last_general_name(&two).unwrap(), Some(one.clone()));
        assert_eq!(without_last_general_name(&one).unwrap(), None);
        assert!(without_last_general_name(b"none").is_err());
    }
}
