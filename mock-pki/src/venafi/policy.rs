//! What a policy folder demands and offers, and whether a request keeps to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use x509::{Csr, KeyType, SubjectAltName};

use crate::venafi::{
    dn::Dn,
    tree::{Attribute, Tree},
};

pub(crate) const CERTIFICATE_AUTHORITY: &str = "Certificate Authority";

/// The object identifier of Microsoft's user principal name.
pub(crate) const UPN: &str = "1.3.6.1.4.1.311.20.2.3";

/// The attributes of a subject: the policy's name for each, and X.520's.
pub(crate) const SUBJECT: [(&str, &str); 5] =
    [("Organization", "O"), ("Organizational Unit", "OU"), ("City", "L"), ("State", "ST"), ("Country", "C")];

/// The rules in force in one folder.
#[derive(Debug)]
pub(crate) struct Policy(BTreeMap<String, (Attribute, Dn)>);

/// What a request asks for, in the policy's terms.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) common_name: Option<String>,
    /// By X.520's short name.
    pub(crate) subject: Vec<(String, String)>,
    pub(crate) names: Vec<SubjectAltName>,
    /// Nothing where the key is still to be made by the policy's rule.
    pub(crate) key: Option<KeyType>,
}

impl Asked {
    pub(crate) fn of(csr: &Csr) -> Self {
        let subject = csr.subject();
        Self {
            common_name: subject.common_name().map(str::to_owned),
            subject: subject.attributes().map(|part| (part.name(), part.value.clone())).collect(),
            names: csr.subject_alt_names().unwrap_or_default(),
            key: Some(csr.key_type()),
        }
    }
}

impl Policy {
    /// Of a folder; nothing if it is none.
    pub(crate) fn of(tree: &Tree, folder: &Dn) -> Option<Self> {
        tree.effective(folder).map(Self)
    }

    /// The attribute, and the folder it comes from.
    pub(crate) fn attribute(&self, name: &str) -> Option<(&Attribute, &Dn)> {
        self.0.get(name).map(|(attribute, dn)| (attribute, dn))
    }

    pub(crate) fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map(|(attribute, _)| attribute.values.as_slice()).unwrap_or_default()
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str).filter(|value| !value.is_empty())
    }

    fn locked(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|(attribute, _)| attribute.locked)
    }

    /// The values that are the law here; nothing if any will do.
    fn law(&self, name: &str) -> Option<&[String]> {
        Some(self.values(name)).filter(|values| self.locked(name) && !values.is_empty())
    }

    pub(crate) fn key_size(&self) -> u32 {
        self.value("Key Bit Strength").and_then(|bits| bits.parse().ok()).unwrap_or(2048)
    }

    pub(crate) fn key_algorithm(&self) -> &str {
        self.value("Key Algorithm").unwrap_or("RSA")
    }

    pub(crate) fn curve(&self) -> &str {
        self.value("Elliptic Curve").unwrap_or("P256")
    }

    pub(crate) fn allows_key_reuse(&self) -> bool {
        self.value("Allow Private Key Reuse") != Some("0")
    }

    /// Whether CSRs must (`Some(true)`) or must not (`Some(false)`) come from the client.
    pub(crate) fn demands_csr(&self) -> Option<bool> {
        self.law("Manual Csr").map(|values| values.first().is_some_and(|value| value == "1"))
    }

    fn allows_names(&self, kind: &str) -> bool {
        !self.values("Prohibited SAN Types").iter().any(|prohibited| prohibited.eq_ignore_ascii_case(kind))
    }

    fn allows_wildcards(&self) -> bool {
        self.value("Prohibit Wildcard") != Some("1")
    }

    /// The names of the policy's attributes that a request offends, in the order in which they are looked at.
    pub(crate) fn violations(&self, asked: &Asked) -> Vec<&'static str> {
        let mut violated = Vec::new();
        for (attribute, short) in SUBJECT {
            let Some(law) = self.law(attribute) else { continue };
            let own = asked.subject.iter().filter(|(name, _)| name == short).map(|(_, value)| value);
            let own: Vec<&String> = own.collect();
            if own.is_empty() || !own.iter().all(|value| law.contains(value)) {
                violated.push(attribute);
            }
        }
        if asked.common_name.as_ref().is_some_and(|name| !self.allows_domain(name)) {
            violated.push("Common Name");
        }
        if !asked.names.iter().all(|name| self.allows_name(name)) {
            violated.push("Subject Alternative Name");
        }
        violated.extend(asked.key.as_ref().and_then(|key| self.key_violation(key)));
        violated
    }

    fn allows_name(&self, name: &SubjectAltName) -> bool {
        match name {
            SubjectAltName::Dns(name) => self.allows_names("DNS") && self.allows_domain(name),
            SubjectAltName::Ip(_) => self.allows_names("IP"),
            SubjectAltName::Email(_) => self.allows_names("Email"),
            SubjectAltName::Uri(_) => self.allows_names("URI"),
            SubjectAltName::Other(_) => self.allows_names("UPN"),
        }
    }

    /// A suffix with a dot in front wants something before it.
    fn allows_domain(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        if name.contains('*') && !self.allows_wildcards() {
            return false;
        }
        let suffixes = self.values("Domain Suffix Whitelist");
        suffixes.is_empty()
            || suffixes.iter().any(|suffix| {
                let suffix = suffix.to_ascii_lowercase();
                let (domain, alone) =
                    suffix.strip_prefix('.').map_or((suffix.as_str(), true), |rest| (rest, false));
                let below =
                    name.strip_suffix(domain).is_some_and(|before| before.len() > 1 && before.ends_with('.'));
                below || (alone && name == domain)
            })
    }

    fn key_violation(&self, key: &KeyType) -> Option<&'static str> {
        let (algorithm, curve) = match key {
            KeyType::Rsa { bits } => {
                if self.law("Key Bit Strength").is_some() && *bits < self.key_size() {
                    return Some("Key Bit Strength");
                }
                ("RSA", None)
            }
            KeyType::EcP256 => ("ECC", Some("P256")),
            KeyType::EcP384 => ("ECC", Some("P384")),
            KeyType::EcP521 => ("ECC", Some("P521")),
            // The product's word of old for keys that it cannot manage.
            KeyType::Ed25519 | KeyType::Other(_) => return Some("Key Algorithm"),
        };
        let is_among = |law: &[String], own: &str| law.iter().any(|value| value.eq_ignore_ascii_case(own));
        if self.law("Key Algorithm").is_some_and(|law| !is_among(law, algorithm)) {
            return Some("Key Algorithm");
        }
        let law = self.law("Elliptic Curve")?;
        curve.is_some_and(|curve| !is_among(law, curve)).then_some("Elliptic Curve")
    }

    /// As `Certificates/CheckPolicy` shows it.
    pub(crate) fn describe(&self) -> Value {
        let one = |name: &str, default: &str| json!({ "Locked": self.locked(name), "Value": self.value(name).unwrap_or(default) });
        let manual = self.value("Manual Csr") == Some("1");
        json!({
            "CertificateAuthority": one(CERTIFICATE_AUTHORITY, ""),
            "CsrGeneration": {
                "Locked": self.locked("Manual Csr"),
                "Value": if manual { "UserProvided" } else { "ServiceGenerated" },
            },
            "KeyGeneration": { "Locked": false, "Value": "Central" },
            "KeyPair": {
                "EllipticCurve": one("Elliptic Curve", self.curve()),
                "KeyAlgorithm": one("Key Algorithm", self.key_algorithm()),
                "KeySize": { "Locked": self.locked("Key Bit Strength"), "Value": self.key_size() },
            },
            "ManagementType": one("Management Type", "Enrollment"),
            "PrivateKeyReuseAllowed": self.allows_key_reuse(),
            "SubjAltNameDnsAllowed": self.allows_names("DNS"),
            "SubjAltNameEmailAllowed": self.allows_names("Email"),
            "SubjAltNameIpAllowed": self.allows_names("IP"),
            "SubjAltNameUpnAllowed": self.allows_names("UPN"),
            "SubjAltNameUriAllowed": self.allows_names("URI"),
            "Subject": {
                "City": one("City", ""),
                "Country": one("Country", ""),
                "Organization": one("Organization", ""),
                "OrganizationalUnit": {
                    "Locked": self.locked("Organizational Unit"),
                    "Values": self.values("Organizational Unit"),
                },
                "State": one("State", ""),
            },
            "UniqueSubjectEnforced": false,
            "WhitelistedDomains": self.values("Domain Suffix Whitelist"),
            "WildcardsAllowed": self.allows_wildcards(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(attributes: &[(&str, &[&str], bool)]) -> Policy {
        let attributes = attributes.iter().map(|(name, values, locked)| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            ((*name).to_owned(), (Attribute { values, locked: *locked }, Dn::parse("\\VED\\Policy").unwrap()))
        });
        Policy(attributes.collect())
    }

    fn asked(common_name: &str, subject: &[(&str, &str)]) -> Asked {
        Asked {
            common_name: Some(common_name.to_owned()),
            subject: subject.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            names: vec![SubjectAltName::Dns(common_name.to_owned())],
            key: Some(KeyType::Rsa { bits: 2048 }),
        }
    }

    #[test]
    fn what_is_locked_is_the_law_and_the_rest_is_a_default() {
        let policy = policy(&[("Organization", &["Example"], true), ("City", &["X"], false)]);
        assert!(policy.violations(&asked("a.example.com", &[("O", "Example"), ("L", "Y")])).is_empty());
        assert_eq!(policy.violations(&asked("a.example.com", &[("O", "Other")])), ["Organization"]);
        assert_eq!(policy.violations(&asked("a.example.com", &[])), ["Organization"]);
    }

    #[test]
    fn names_stay_below_the_listed_domains() {
        let rules = policy(&[
            ("Domain Suffix Whitelist", &["example.com", ".example.org"], false),
            ("Prohibit Wildcard", &["1"], false),
        ]);
        for (name, allowed) in [
            ("example.com", true),
            ("a.B.example.COM", true),
            ("badexample.com", false),
            (".example.com", false),
            ("example.org", false),
            ("a.example.org", true),
            ("*.example.com", false),
        ] {
            assert_eq!(rules.violations(&asked(name, &[])).is_empty(), allowed, "{name}");
        }
        let no_ip = policy(&[("Prohibited SAN Types", &["IP"], false)]);
        let ip = Asked { names: vec![SubjectAltName::Ip([10, 0, 0, 1].into())], ..Asked::default() };
        assert_eq!(no_ip.violations(&ip), ["Subject Alternative Name"]);
    }

    #[test]
    fn keys_are_judged_by_kind_size_and_curve() {
        let rules = policy(&[
            ("Key Algorithm", &["RSA"], true),
            ("Key Bit Strength", &["3072"], true),
            ("Elliptic Curve", &["P384"], true),
        ]);
        let violation = |key| rules.key_violation(&key);
        assert_eq!(violation(KeyType::Rsa { bits: 2048 }), Some("Key Bit Strength"));
        assert_eq!(
            (violation(KeyType::Rsa { bits: 4096 }), violation(KeyType::EcP384)),
            (None, Some("Key Algorithm"))
        );
        let curves = policy(&[("Elliptic Curve", &["P384"], true)]);
        assert_eq!(curves.key_violation(&KeyType::EcP256), Some("Elliptic Curve"));
        assert_eq!(curves.key_violation(&KeyType::EcP384), None);
    }

    proptest! {
        #[test]
        fn no_name_and_no_suffix_is_too_strange(name in "\\PC{0,30}", suffix in "\\PC{0,12}") {
            let rules = policy(&[("Domain Suffix Whitelist", &[&suffix], true)]);
            let _ = rules.violations(&asked(&name, &[]));
        }
    }
}
