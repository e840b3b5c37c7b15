//! Key usages and extended key usages: cert-manager's words, and the two extensions (`pkg/util/pki/keyusage.go`,
//! `pkg/api/util/usages.go`).

use crate::der::{BIT_STRING, OBJECT_IDENTIFIER, SEQUENCE, object_identifier, open, sequence, tlv};

/// cert-manager's words for the bits, in the order of the bits.
const KEY_USAGES: [&str; 9] = [
    "digital signature",
    "content commitment",
    "key encipherment",
    "data encipherment",
    "key agreement",
    "cert sign",
    "crl sign",
    "encipher only",
    "decipher only",
];

const EXTENDED: [(&str, &str); 12] = [
    ("any", "2.5.29.37.0"),
    ("server auth", "1.3.6.1.5.5.7.3.1"),
    ("client auth", "1.3.6.1.5.5.7.3.2"),
    ("code signing", "1.3.6.1.5.5.7.3.3"),
    ("email protection", "1.3.6.1.5.5.7.3.4"),
    ("ipsec end system", "1.3.6.1.5.5.7.3.5"),
    ("ipsec tunnel", "1.3.6.1.5.5.7.3.6"),
    ("ipsec user", "1.3.6.1.5.5.7.3.7"),
    ("timestamping", "1.3.6.1.5.5.7.3.8"),
    ("ocsp signing", "1.3.6.1.5.5.7.3.9"),
    ("microsoft sgc", "1.3.6.1.4.1.311.10.3.3"),
    ("netscape sgc", "2.16.840.1.113730.4.1"),
];

/// Key usages as a set, extended key usages in the order asked for
/// (`KeyUsagesForCertificateOrCertificateRequest`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usages {
    /// Bit 15 is digitalSignature, as in the BIT STRING.
    key: u16,
    extended: Vec<&'static str>,
}

impl Usages {
    /// No words at all mean digital signature and key encipherment. Unknown words are the error.
    pub(crate) fn of(words: &[String], is_ca: bool) -> Result<Self, Vec<String>> {
        const CERT_SIGN: u16 = 0x8000 >> 5;
        const DEFAULT: u16 = 0x8000 | 0x8000 >> 2;
        let mut usages = Self { key: if is_ca { CERT_SIGN } else { 0 }, extended: Vec::new() };
        let mut unknown = Vec::new();
        if words.is_empty() {
            usages.key |= DEFAULT;
        }
        for word in words {
            let canonical = match word.as_str() {
                "signing" => "digital signature",
                "s/mime" => "email protection",
                other => other,
            };
            if let Some(bit) = KEY_USAGES.iter().position(|known| *known == canonical) {
                usages.key |= 0x8000 >> bit;
            } else if let Some((known, _)) = EXTENDED.iter().find(|(known, _)| *known == canonical) {
                usages.extended.push(known);
            } else {
                unknown.push(word.clone());
            }
        }
        if unknown.is_empty() { Ok(usages) } else { Err(unknown) }
    }

    /// The value of the key usage extension: no trailing zero bits.
    pub(crate) fn key_usage_value(&self) -> Option<Vec<u8>> {
        if self.key == 0 {
            return None;
        }
        let [first, second] = self.key.to_be_bytes();
        let (last, bytes) = if second == 0 { (first, vec![first]) } else { (second, vec![first, second]) };
        let unused = u8::try_from(last.trailing_zeros()).unwrap_or(0);
        Some(tlv(BIT_STRING, &[vec![unused], bytes].concat()))
    }

    /// The value of the extended key usage extension.
    pub(crate) fn extended_value(&self) -> Option<Vec<u8>> {
        let oids = self.extended.iter().filter_map(|word| {
            EXTENDED.iter().find(|(known, _)| known == word).and_then(|(_, oid)| object_identifier(oid))
        });
        let oids: Vec<_> = oids.collect();
        (!oids.is_empty()).then(|| sequence(&oids))
    }

    /// The words for the key usages, in the order of the bits.
    pub(crate) fn key_words(&self) -> Vec<&'static str> {
        let set = |bit: &usize| self.key & (0x8000 >> bit) != 0;
        KEY_USAGES.iter().enumerate().filter(|(bit, _)| set(bit)).map(|(_, word)| *word).collect()
    }

    /// The words for the extended key usages.
    pub(crate) fn extended_words(&self) -> Vec<&'static str> {
        self.extended.clone()
    }

    /// Reads both extensions' values. What has no word is `unknown`, as in cert-manager's messages.
    pub(crate) fn read(key: Option<&[u8]>, extended: Option<&[u8]>) -> Option<Self> {
        let mut usages = Self::default();
        if let Some(value) = key {
            let (bits, _) = open(value, BIT_STRING)?;
            let [_, first, rest @ ..] = bits else { return Some(usages) };
            usages.key = u16::from_be_bytes([*first, rest.first().copied().unwrap_or(0)]);
        }
        if let Some(value) = extended {
            let (mut list, _) = open(value, SEQUENCE)?;
            while !list.is_empty() {
                let (oid, rest) = open(list, OBJECT_IDENTIFIER)?;
                let oid = tlv(OBJECT_IDENTIFIER, oid);
                let known =
                    EXTENDED.iter().find(|(_, known)| object_identifier(known).as_ref() == Some(&oid));
                usages.extended.push(known.map_or("unknown", |(word, _)| word));
                list = rest;
            }
        }
        Some(usages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usages_come_back_as_they_were_written() {
        let usages = Usages::of(&["client auth", "decipher only", "any"].map(str::to_owned), true).unwrap();
        let key = usages.key_usage_value();
        let extended = usages.extended_value();
        assert_eq!(Usages::read(key.as_deref(), extended.as_deref()), Some(usages.clone()));
        assert_eq!(usages.key_words(), ["cert sign", "decipher only"]);
        assert_eq!(usages.extended_words(), ["client auth", "any"]);
        assert_eq!(key.unwrap(), [3, 3, 7, 4, 0x80]);
    }
}
