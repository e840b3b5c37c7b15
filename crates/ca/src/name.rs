//! Distinguished names from text.

use der::{
    Any, Encode as _,
    asn1::{ObjectIdentifier, SetOfVec},
};

use crate::CaError;

/// The attributes of names that products let people choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are X.520's")]
pub enum AttributeType {
    CommonName,
    SerialNumber,
    Country,
    Locality,
    Province,
    StreetAddress,
    Organization,
    OrganizationalUnit,
    PostalCode,
}

impl AttributeType {
    const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::CommonName => "2.5.4.3",
            Self::SerialNumber => "2.5.4.5",
            Self::Country => "2.5.4.6",
            Self::Locality => "2.5.4.7",
            Self::Province => "2.5.4.8",
            Self::StreetAddress => "2.5.4.9",
            Self::Organization => "2.5.4.10",
            Self::OrganizationalUnit => "2.5.4.11",
            Self::PostalCode => "2.5.4.17",
        })
    }
}

/// One relative distinguished name: usually one attribute; several make it multi-valued.
pub type Rdn = Vec<(AttributeType, String)>;

#[derive(der::Sequence)]
struct Attribute {
    id: ObjectIdentifier,
    value: Any,
}

/// The DER of a Name. As Go does, text is a `PrintableString` where it can be and a `UTF8String` elsewhere.
///
/// # Errors
/// [`CaError::Encode`] when a value is too long for DER.
pub fn distinguished_name(rdns: &[Rdn]) -> Result<Vec<u8>, CaError> {
    let mut name = Vec::new();
    for rdn in rdns.iter().filter(|rdn| !rdn.is_empty()) {
        let mut set = SetOfVec::<Any>::new();
        for (attribute, value) in rdn {
            let tag = if is_printable(value) { der::Tag::PrintableString } else { der::Tag::Utf8String };
            let value = Any::new(tag, value.as_bytes())?;
            set.insert(Any::encode_from(&Attribute { id: attribute.oid(), value })?)?;
        }
        name.push(Any::encode_from(&set)?);
    }
    Ok(name.to_der()?)
}

/// X.680 41.4.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte))
}
