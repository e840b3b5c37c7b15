//! Key usage (RFC 5280 4.2.1.3) and extended key usage (4.2.1.12), in cert-manager's words.

use std::{collections::BTreeSet, fmt};

use crate::{
    oid::Oid,
    text,
    tlv::{BIT_STRING, Malformed, OBJECT_IDENTIFIER, SEQUENCE, Walk},
};

/// The key usage bits, in the order of RFC 5280 4.2.1.3: the number is the bit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyUsage {
    /// digitalSignature
    DigitalSignature = 0,
    /// contentCommitment, once nonRepudiation
    ContentCommitment = 1,
    /// keyEncipherment
    KeyEncipherment = 2,
    /// dataEncipherment
    DataEncipherment = 3,
    /// keyAgreement
    KeyAgreement = 4,
    /// keyCertSign
    CertSign = 5,
    /// cRLSign
    CrlSign = 6,
    /// encipherOnly
    EncipherOnly = 7,
    /// decipherOnly
    DecipherOnly = 8,
}

/// cert-manager's words for the bits (`pkg/api/util/usages.go`); the first word of each is the one shown.
const KEY_USAGES: &[(KeyUsage, &[&str])] = &[
    (KeyUsage::DigitalSignature, &["digital signature", "signing"]),
    (KeyUsage::ContentCommitment, &["content commitment"]),
    (KeyUsage::KeyEncipherment, &["key encipherment"]),
    (KeyUsage::DataEncipherment, &["data encipherment"]),
    (KeyUsage::KeyAgreement, &["key agreement"]),
    (KeyUsage::CertSign, &["cert sign"]),
    (KeyUsage::CrlSign, &["crl sign"]),
    (KeyUsage::EncipherOnly, &["encipher only"]),
    (KeyUsage::DecipherOnly, &["decipher only"]),
];

/// anyExtendedKeyUsage, which stands for every extended usage.
pub const ANY_EXTENDED_KEY_USAGE: Oid = Oid::from_static(&[0x55, 0x1d, 0x25, 0x00]);

/// cert-manager's words for extended usages (`pkg/api/util/usages.go`), and Go's object identifiers for them
/// (`crypto/x509`).
const EXTENDED: &[(&[u8], &[&str])] = &[
    (&[0x55, 0x1d, 0x25, 0x00], &["any"]),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 1], &["server auth"]),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 2], &["client auth"]),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 3], &["code signing"]),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 4], &["email protection", "s/mime"]),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 5], &["ipsec end system"]),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 6], &["ipsec tunnel"]),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 7], &["ipsec user"]),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 8], &["timestamping"]),
    (&[0x2b, 6, 1, 5, 5, 7, 3, 9], &["ocsp signing"]),
    (&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x0a, 3, 3], &["microsoft sgc"]),
    (&[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x04, 0x01], &["netscape sgc"]),
];

/// The most extended usages one extension may list.
const MAX_EXTENDED: usize = 256;

/// What a key may be used for. An absent extension restricts nothing, and is told apart from an empty one.
///
/// Displays with cert-manager's words: `digital signature, key encipherment, server auth`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Usages {
    key: Option<u16>,
    extended: Option<BTreeSet<Oid>>,
}

/// Usages that are none of cert-manager's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown key usages: {names}")]
pub struct UnknownUsage {
    names: String,
}

impl Usages {
    /// No extension at all: nothing is restricted.
    #[must_use]
    pub fn unrestricted() -> Self {
        Self::default()
    }

    /// Reads cert-manager's words. No words at all mean [`Usages::default_for_leaf`], as in cert-manager
    /// (`pkg/util/pki/csr.go`, `KeyUsagesForCertificateOrCertificateRequest`).
    ///
    /// # Errors
    /// [`UnknownUsage`] names every word that is not one of cert-manager's.
    pub fn from_cert_manager(names: &[String]) -> Result<Self, UnknownUsage> {
        if names.is_empty() {
            return Ok(Self::default_for_leaf());
        }
        let mut usages = Self { key: Some(0), extended: None };
        let mut unknown = Vec::new();
        for name in names {
            let name = name.as_str();
            if let Some((usage, _)) = KEY_USAGES.iter().find(|(_, words)| words.contains(&name)) {
                usages = usages.with(*usage);
            } else if let Some((oid, _)) = EXTENDED.iter().find(|(_, words)| words.contains(&name)) {
                usages = usages.with_extended(Oid::from_static(oid));
            } else {
                unknown.push(format!("`{}`", text::bounded(text::printable(name), 64)));
            }
        }
        // Only extended usages were asked for: then no key usage extension is asked for either.
        usages.key = usages.key.filter(|bits| *bits != 0);
        if unknown.is_empty() { Ok(usages) } else { Err(UnknownUsage { names: text::list(unknown, 10) }) }
    }

    /// What cert-manager asks for when nothing is said: digital signature and key encipherment
    /// (`pkg/apis/certmanager/v1/types.go`, `DefaultKeyUsages`).
    #[must_use]
    pub fn default_for_leaf() -> Self {
        Self::default().with(KeyUsage::DigitalSignature).with(KeyUsage::KeyEncipherment)
    }

    /// With this key usage too. A request for a CA asks for [`KeyUsage::CertSign`] besides what it names.
    #[must_use]
    pub fn with(mut self, usage: KeyUsage) -> Self {
        self.key = Some(self.key.unwrap_or_default() | bit(usage));
        self
    }

    /// With this extended usage too.
    #[must_use]
    pub fn with_extended(mut self, oid: Oid) -> Self {
        self.extended.get_or_insert_default().insert(oid);
        self
    }

    /// Whether there is a key usage extension.
    #[must_use]
    pub fn restricts_key_usage(&self) -> bool {
        self.key.is_some()
    }

    /// Whether there is an extended key usage extension.
    #[must_use]
    pub fn restricts_extended(&self) -> bool {
        self.extended.is_some()
    }

    /// Whether this bit is set in a key usage extension that is there.
    #[must_use]
    pub fn has(&self, usage: KeyUsage) -> bool {
        self.key.is_some_and(|bits| bits & bit(usage) != 0)
    }

    /// Whether this extended usage is listed, literally.
    #[must_use]
    pub fn has_extended(&self, oid: &Oid) -> bool {
        self.extended.as_ref().is_some_and(|extended| extended.contains(oid))
    }

    /// The bits set, in the order of RFC 5280.
    pub fn key_usages(&self) -> impl Iterator<Item = KeyUsage> {
        KEY_USAGES.iter().map(|(usage, _)| *usage).filter(|usage| self.has(*usage))
    }

    /// The extended usages listed, sorted by object identifier.
    pub fn extended(&self) -> impl Iterator<Item = &Oid> {
        self.extended.iter().flatten()
    }

    /// cert-manager's words for what is set; an object identifier where it has none.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let extended = self.extended().map(|oid| {
            let known = EXTENDED.iter().find(|(content, _)| *content == oid.as_bytes());
            known
                .and_then(|(_, words)| words.first())
                .map_or_else(|| oid.to_string(), |word| (*word).to_owned())
        });
        self.key_usages().map(|usage| usage.to_string()).chain(extended)
    }

    pub(crate) fn read_key_usage(&mut self, value: &mut Walk<'_>) -> Result<(), Malformed> {
        let bits = value.expect(BIT_STRING, "key usage")?.value;
        // Bits are numbered from the left, and trailing zero bits left out (X.690 11.2.2).
        let [unused @ 0..8, octets @ ..] = bits else { return Err(Malformed::new("key usage")) };
        let (first, second) = match octets {
            [] if *unused == 0 => (0, 0),
            [first] => (first & (0xff << unused), 0),
            [first, second] => (*first, second & (0xff << unused)),
            // Bits beyond the nine that are defined say nothing.
            [first, second, ..] => (*first, *second),
            [] => return Err(Malformed::new("key usage")),
        };
        self.key = Some(u16::from_be_bytes([first, second]));
        Ok(())
    }

    pub(crate) fn read_extended(&mut self, value: &mut Walk<'_>) -> Result<(), Malformed> {
        let mut list = value.expect(SEQUENCE, "extended key usage")?.inner();
        let mut extended = BTreeSet::new();
        while !list.is_empty() {
            extended.insert(Oid::from_content(list.expect(OBJECT_IDENTIFIER, "extended key usage")?.value));
            if extended.len() > MAX_EXTENDED {
                return Err(Malformed::new("more than 256 extended key usages"));
            }
        }
        self.extended = Some(extended);
        Ok(())
    }
}

/// Bit 0 is the leftmost of the first octet.
const fn bit(usage: KeyUsage) -> u16 {
    0x8000 >> usage as u16
}

impl fmt::Display for KeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = KEY_USAGES.iter().find(|(usage, _)| usage == self).map(|(_, words)| *words);
        f.write_str(words.and_then(<[_]>::first).copied().unwrap_or_default())
    }
}

impl fmt::Display for Usages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = text::list(self.names(), 24);
        f.write_str(if shown.is_empty() { "none" } else { &shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn every_word_of_cert_manager_is_known_and_comes_back() {
        // The enumeration in pkg/apis/certmanager/v1/types.go, but for the synonyms "signing" and "s/mime".
        let all = words(&[
            "digital signature",
            "content commitment",
            "key encipherment",
            "data encipherment",
            "key agreement",
            "cert sign",
            "crl sign",
            "encipher only",
            "decipher only",
            "any",
            "server auth",
            "client auth",
            "code signing",
            "email protection",
            "ipsec end system",
            "ipsec tunnel",
            "ipsec user",
            "timestamping",
            "ocsp signing",
            "microsoft sgc",
            "netscape sgc",
        ]);
        let usages = Usages::from_cert_manager(&all).unwrap();
        let mut shown: Vec<_> = usages.names().collect();
        shown.sort();
        let mut expected = all;
        expected.sort();
        assert_eq!(shown, expected);
        let synonyms = Usages::from_cert_manager(&words(&["signing", "s/mime"])).unwrap();
        assert_eq!(synonyms.to_string(), "digital signature, email protection");
    }

    #[test]
    fn object_identifiers_are_the_registered_ones() {
        let oid = |word: &str| {
            let usages = Usages::from_cert_manager(&words(&[word])).unwrap();
            assert!(!usages.restricts_key_usage());
            usages.extended().next().unwrap().to_string()
        };
        assert_eq!(oid("any"), "2.5.29.37.0");
        assert_eq!(oid("server auth"), "1.3.6.1.5.5.7.3.1");
        assert_eq!(oid("ocsp signing"), "1.3.6.1.5.5.7.3.9");
        assert_eq!(oid("microsoft sgc"), "1.3.6.1.4.1.311.10.3.3");
        assert_eq!(oid("netscape sgc"), "2.16.840.1.113730.4.1");
    }

    #[test]
    fn no_words_mean_cert_managers_default() {
        let usages = Usages::from_cert_manager(&[]).unwrap();
        assert_eq!(usages, Usages::default_for_leaf());
        assert_eq!(usages.to_string(), "digital signature, key encipherment");
        assert_eq!(Usages::unrestricted().to_string(), "none");
    }

    #[test]
    fn every_unknown_word_is_named() {
        let error = Usages::from_cert_manager(&words(&["server auth", "Server Auth", "x\n"])).unwrap_err();
        assert_eq!(error.to_string(), "unknown key usages: `Server Auth`, `x\\u{a}`");
    }

    #[test]
    fn bits_are_read_from_the_left() {
        let read = |der: &[u8]| {
            let mut usages = Usages::unrestricted();
            usages.read_key_usage(&mut Walk::der(der)).map(|()| usages.to_string())
        };
        assert_eq!(read(&[3, 2, 5, 0xa0]).unwrap(), "digital signature, key encipherment");
        assert_eq!(read(&[3, 2, 1, 0x06]).unwrap(), "cert sign, crl sign");
        assert_eq!(read(&[3, 3, 7, 0, 0x80]).unwrap(), "decipher only");
        // Bits that the first octet calls unused say nothing.
        assert_eq!(read(&[3, 2, 5, 0xbf]).unwrap(), "digital signature, key encipherment");
        assert_eq!(read(&[3, 1, 0]).unwrap(), "none");
        assert!(read(&[3, 2, 8, 0xa0]).is_err());
        assert!(read(&[3, 0]).is_err());
    }
}
