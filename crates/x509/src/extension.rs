//! Extensions (RFC 5280 4.2): where each lies, and the few whose content this crate understands.

use std::ops::Range;

use crate::{
    names::{SubjectAltName, san},
    oid::Oid,
    tlv::{BOOLEAN, INTEGER, Malformed, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, Walk, context_primitive},
    usage::Usages,
};

pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// The most extensions one request or certificate may carry. Real ones have about a dozen; the limit keeps
/// the search for duplicates cheap.
const MAX_EXTENSIONS: usize = 256;

const CRITICAL: &str = "extension's critical flag";

/// One extension: its object identifier, and where its value (the content of the OCTET STRING) lies.
#[derive(Debug, Clone)]
pub(crate) struct Extension {
    pub(crate) oid: Oid,
    pub(crate) critical: bool,
    pub(crate) value: Range<usize>,
}

/// `BasicConstraints` (RFC 5280 4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) is_ca: bool,
    pub(crate) path_len: Option<u32>,
}

/// What this crate understands of a document's extensions, read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extensions {
    all: Vec<Extension>,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) usages: Usages,
    pub(crate) subject_key_id: Option<Range<usize>>,
    pub(crate) authority_key_id: Option<Range<usize>>,
}

impl Extensions {
    /// Reads a SEQUENCE OF Extension and adds it to what was read before (a request may carry several).
    ///
    /// An extension that comes twice is refused (RFC 5280 4.2: "must not include more than one instance"):
    /// two readers could each take another one.
    pub(crate) fn add(&mut self, sequence: &mut Walk<'_>) -> Result<(), Malformed> {
        let mut list = sequence.expect(SEQUENCE, "extensions")?.inner();
        while !list.is_empty() {
            let mut fields = list.expect(SEQUENCE, "extension")?.inner();
            let oid =
                Oid::from_content(fields.expect(OBJECT_IDENTIFIER, "extension's object identifier")?.value);
            let critical = fields.optional(BOOLEAN, CRITICAL)?.map(|flag| flag.boolean(CRITICAL));
            let value = fields.expect(OCTET_STRING, "extension's value")?;
            fields.end("extension has trailing bytes")?;
            if self.all.len() >= MAX_EXTENSIONS {
                return Err(Malformed::new("more than 256 extensions"));
            }
            if self.all.iter().any(|earlier| earlier.oid == oid) {
                return Err(Malformed::new("an extension comes twice"));
            }
            self.understand(oid.as_bytes(), value.inner())?;
            let critical = critical.transpose()?.unwrap_or(false);
            self.all.push(Extension { oid, critical, value: value.value_span() });
        }
        Ok(())
    }

    fn understand(&mut self, oid: &[u8], mut value: Walk<'_>) -> Result<(), Malformed> {
        match oid {
            BASIC_CONSTRAINTS => self.basic_constraints = Some(basic_constraints(&mut value)?),
            KEY_USAGE => self.usages.read_key_usage(&mut value)?,
            EXTENDED_KEY_USAGE => self.usages.read_extended(&mut value)?,
            SUBJECT_KEY_IDENTIFIER => {
                self.subject_key_id =
                    Some(value.expect(OCTET_STRING, "subject key identifier")?.value_span());
            }
            AUTHORITY_KEY_IDENTIFIER => {
                let mut fields = value.expect(SEQUENCE, "authority key identifier")?.inner();
                let key_id = fields.optional(context_primitive(0), "authority key identifier")?;
                self.authority_key_id = key_id.map(|key_id| key_id.value_span());
            }
            _ => return Ok(()),
        }
        value.end("extension's value has trailing bytes")
    }

    pub(crate) fn find(&self, oid: &[u8]) -> Option<&Extension> {
        self.all.iter().find(|extension| extension.oid.as_bytes() == oid)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Extension> {
        self.all.iter()
    }

    /// The subject alternative names of the document the extensions were read from.
    pub(crate) fn subject_alt_names(&self, document: &[u8]) -> Result<Vec<SubjectAltName>, Malformed> {
        let value = self.find(SUBJECT_ALT_NAME).and_then(|extension| document.get(extension.value.clone()));
        value.map_or_else(|| Ok(Vec::new()), san::read)
    }
}

fn basic_constraints(value: &mut Walk<'_>) -> Result<BasicConstraints, Malformed> {
    let mut fields = value.expect(SEQUENCE, "basic constraints")?.inner();
    let is_ca = fields.optional(BOOLEAN, "basic constraints")?;
    let is_ca = is_ca.map_or(Ok(false), |flag| flag.boolean("basic constraints"))?;
    let path_len = match fields.optional(INTEGER, "basic constraints")?.map(|length| length.value) {
        None => None,
        Some(length) => Some(path_length(length).ok_or(Malformed::new("basic constraints"))?),
    };
    fields.end("basic constraints have trailing bytes")?;
    Ok(BasicConstraints { is_ca, path_len })
}

/// A non-negative integer, as large as it may be: 4,294,967,295 certificates are as good as unlimited.
fn path_length(content: &[u8]) -> Option<u32> {
    let (first, _) = content.split_first()?;
    let value =
        content.iter().try_fold(0u32, |value, byte| value.checked_mul(256)?.checked_add(u32::from(*byte)));
    (first & 0x80 == 0).then(|| value.unwrap_or(u32::MAX))
}
