//! Go's names of key usages, which roles use.

use x509::{Usages, usage::KeyUsage};

use crate::vault::pki::role::Rules;

const KEY_USAGES: [(&str, KeyUsage); 9] = [
    ("digitalsignature", KeyUsage::DigitalSignature),
    ("contentcommitment", KeyUsage::ContentCommitment),
    ("keyencipherment", KeyUsage::KeyEncipherment),
    ("dataencipherment", KeyUsage::DataEncipherment),
    ("keyagreement", KeyUsage::KeyAgreement),
    ("certsign", KeyUsage::CertSign),
    ("crlsign", KeyUsage::CrlSign),
    ("encipheronly", KeyUsage::EncipherOnly),
    ("decipheronly", KeyUsage::DecipherOnly),
];

const EXTENDED: [(&str, &str); 14] = [
    ("any", "2.5.29.37.0"),
    ("serverauth", SERVER_AUTH),
    ("clientauth", CLIENT_AUTH),
    ("codesigning", CODE_SIGNING),
    ("emailprotection", EMAIL_PROTECTION),
    ("ipsecendsystem", "1.3.6.1.5.5.7.3.5"),
    ("ipsectunnel", "1.3.6.1.5.5.7.3.6"),
    ("ipsecuser", "1.3.6.1.5.5.7.3.7"),
    ("timestamping", "1.3.6.1.5.5.7.3.8"),
    ("ocspsigning", "1.3.6.1.5.5.7.3.9"),
    ("microsoftservergatedcrypto", "1.3.6.1.4.1.311.10.3.3"),
    ("netscapeservergatedcrypto", "2.16.840.1.113730.4.1"),
    ("microsoftcommercialcodesigning", "1.3.6.1.4.1.311.2.1.22"),
    ("microsoftkernelcodesigning", "1.3.6.1.4.1.311.61.1.1"),
];

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";

/// What a role gives: its key usages, its flags and its extended usages. Unknown names are passed over, as the
/// product does.
pub(crate) fn of_role(rules: &Rules) -> Usages {
    let flags = [
        (rules.server_flag, SERVER_AUTH),
        (rules.client_flag, CLIENT_AUTH),
        (rules.code_signing_flag, CODE_SIGNING),
        (rules.email_protection_flag, EMAIL_PROTECTION),
    ];
    let flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, oid)| oid.to_owned());
    let oids = flags.chain(rules.ext_key_usage_oids.iter().cloned());
    named(&rules.key_usage, &rules.ext_key_usage, oids)
}

/// From names, and object identifiers besides.
pub(crate) fn named(key: &[String], extended: &[String], oids: impl Iterator<Item = String>) -> Usages {
    let mut usages = Usages::unrestricted();
    for name in key {
        let name = plain(name, "keyusage");
        if let Some((_, usage)) = KEY_USAGES.iter().find(|(known, _)| *known == name) {
            usages = usages.with(*usage);
        }
    }
    let extended = extended.iter().filter_map(|name| {
        let name = plain(name, "extkeyusage");
        EXTENDED.iter().find(|(known, _)| *known == name).map(|(_, oid)| (*oid).to_owned())
    });
    for oid in extended.chain(oids) {
        if let Ok(oid) = oid.parse() {
            usages = usages.with_extended(oid);
        }
    }
    usages
}

fn plain(name: &str, prefix: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    name.strip_prefix(prefix).unwrap_or(&name).to_owned()
}
