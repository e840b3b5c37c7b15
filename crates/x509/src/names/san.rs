//! Subject alternative names (RFC 5280 4.2.1.6).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    names::DistinguishedName,
    oid::Oid,
    text,
    tlv::{Malformed, OBJECT_IDENTIFIER, SEQUENCE, UTF8_STRING, Walk, context, context_primitive},
};

/// One `GeneralName`. `==` compares as written; two name the same thing when their [canonical
/// forms](SubjectAltName::canonical) are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubjectAltName {
    /// dNSName, as written.
    Dns(String),
    /// rfc822Name, as written.
    Email(String),
    /// uniformResourceIdentifier, as written.
    Uri(String),
    /// iPAddress.
    Ip(IpAddr),
    /// otherName, x400Address, directoryName, ediPartyName and registeredID: the raw `GeneralName` (tag, length
    /// and value), compared byte for byte.
    Other(Vec<u8>),
}

impl SubjectAltName {
    /// The form in which names are compared: DNS names in lower case (RFC 5280 7.2), mail addresses with the host
    /// in lower case (7.5), everything else as it is.
    #[must_use]
    pub fn canonical(&self) -> Self {
        match self {
            Self::Dns(name) => Self::Dns(name.to_ascii_lowercase()),
            Self::Email(name) => Self::Email(match name.rsplit_once('@') {
                Some((local, host)) => format!("{local}@{}", host.to_ascii_lowercase()),
                None => name.clone(),
            }),
            _ => self.clone(),
        }
    }

    /// An otherName's type and, where its value is a `UTF8String`, its text; `None` for every other kind of name.
    #[must_use]
    pub fn other_name(&self) -> Option<(Oid, Option<&str>)> {
        let Self::Other(raw) = self else { return None };
        let mut fields = Walk::der(raw).expect(OTHER_NAME, "otherName").ok()?.inner();
        let kind = fields.expect(OBJECT_IDENTIFIER, "type").ok()?;
        let mut value = fields.expect(context(0), "value").ok()?.inner();
        let text = value.expect(UTF8_STRING, "text").ok().and_then(|text| str::from_utf8(text.value).ok());
        Some((Oid::from_content(kind.value), text))
    }
}

/// `DNS:web.example.com`, `IP:10.0.0.1`, `URI:spiffe://…`, `email:…`, `otherName:1.3.6.1.4.1.311.20.2.3`, ….
impl fmt::Display for SubjectAltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{}", text::printable(name)),
            Self::Email(name) => write!(f, "email:{}", text::printable(name)),
            Self::Uri(name) => write!(f, "URI:{}", text::printable(name)),
            Self::Ip(address) => write!(f, "IP:{address}"),
            Self::Other(raw) => f.write_str(&other(raw)),
        }
    }
}

/// The most names one certificate or request may list: far more than a TLS handshake carries, and few enough that a
/// list of empty ones cannot fill the memory.
const MAX_NAMES: usize = 4096;

const OTHER_NAME: u8 = context(0);
const X400_ADDRESS: u8 = context(3);
const DIRECTORY_NAME: u8 = context(4);
const EDI_PARTY_NAME: u8 = context(5);
const REGISTERED_ID: u8 = context_primitive(8);

/// Reads the value of the extension.
pub(crate) fn read(value: &[u8]) -> Result<Vec<SubjectAltName>, Malformed> {
    let mut document = Walk::der(value);
    let mut list = document.expect(SEQUENCE, "subject alternative names")?.inner();
    document.end("subject alternative names have trailing bytes")?;
    let mut names = Vec::new();
    while !list.is_empty() {
        let name = list.any("subject alternative name")?;
        if names.len() >= MAX_NAMES {
            return Err(Malformed::new("more than 4096 subject alternative names"));
        }
        names.push(match name.tag {
            0x81 => SubjectAltName::Email(ia5(name.value)?),
            0x82 => SubjectAltName::Dns(ia5(name.value)?),
            0x86 => SubjectAltName::Uri(ia5(name.value)?),
            0x87 => SubjectAltName::Ip(ip(name.value)?),
            OTHER_NAME | X400_ADDRESS | DIRECTORY_NAME | EDI_PARTY_NAME | REGISTERED_ID => {
                SubjectAltName::Other(name.raw.to_vec())
            }
            _ => return Err(Malformed::new("subject alternative name of unknown type")),
        });
    }
    Ok(names)
}

fn ia5(value: &[u8]) -> Result<String, Malformed> {
    let text = str::from_utf8(value).ok().filter(|text| text.is_ascii());
    text.map(str::to_owned).ok_or(Malformed::new("subject alternative name is not ASCII"))
}

fn ip(value: &[u8]) -> Result<IpAddr, Malformed> {
    let four = || <[u8; 4]>::try_from(value).map(|octets| Ipv4Addr::from(octets).into());
    let sixteen = || <[u8; 16]>::try_from(value).map(|octets| Ipv6Addr::from(octets).into());
    four().or_else(|_| sixteen()).map_err(|_| Malformed::new("IP address has neither 4 nor 16 bytes"))
}

fn other(raw: &[u8]) -> String {
    let shown = Walk::der(raw).any("name").ok().and_then(|name| match name.tag {
        OTHER_NAME => {
            let kind = name.inner().expect(OBJECT_IDENTIFIER, "type").ok()?;
            Some(format!("otherName:{}", Oid::from_content(kind.value)))
        }
        DIRECTORY_NAME => {
            let directory = DistinguishedName::from_der(name.value).ok()?;
            Some(format!("dirName:{}", text::bounded(directory.to_string(), 256)))
        }
        REGISTERED_ID => Some(format!("RID:{}", Oid::from_content(name.value))),
        X400_ADDRESS => Some("x400Address".to_owned()),
        EDI_PARTY_NAME => Some("ediPartyName".to_owned()),
        _ => None,
    });
    shown.unwrap_or_else(|| format!("name:{}", text::hex_short(raw)))
}
