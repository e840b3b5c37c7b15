//! The profiles there are: two that EJBCA ships, and one of which somebody has to approve every request.

use x509::{Usages, usage::KeyUsage};

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";

/// A certificate profile: what a certificate is good for, and how long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CertificateProfile {
    pub(crate) name: &'static str,
    pub(crate) id: i32,
    key_usages: &'static [KeyUsage],
    extended: &'static [&'static str],
    /// The longest validity, which is also the one without a wish.
    pub(crate) days: i64,
    pub(crate) requires_approval: bool,
}

/// All certificate profiles. Unlike those that EJBCA ships they let a request choose its validity.
pub(crate) const CERTIFICATE_PROFILES: &[CertificateProfile] = &[
    CertificateProfile {
        name: "ENDUSER",
        id: 1,
        key_usages: &[KeyUsage::DigitalSignature, KeyUsage::ContentCommitment, KeyUsage::KeyEncipherment],
        extended: &[CLIENT_AUTH, EMAIL_PROTECTION],
        days: 730,
        requires_approval: false,
    },
    CertificateProfile {
        name: "SERVER",
        id: 9,
        key_usages: &[KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment],
        extended: &[SERVER_AUTH],
        days: 730,
        requires_approval: false,
    },
    CertificateProfile {
        name: "ApprovalRequired",
        id: 1_341_207_733,
        key_usages: &[KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment],
        extended: &[SERVER_AUTH],
        days: 730,
        requires_approval: true,
    },
];

/// The end entity profile that allows everything, which EJBCA ships.
pub(crate) const EMPTY: EndEntityProfile = EndEntityProfile { name: "EMPTY", id: 1 };

/// An end entity profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndEntityProfile {
    pub(crate) name: &'static str,
    pub(crate) id: i32,
}

impl CertificateProfile {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        CERTIFICATE_PROFILES.iter().find(|profile| profile.name == name)
    }

    pub(crate) fn usages(&self) -> Usages {
        let usages = self.key_usages.iter().fold(Usages::unrestricted(), |usages, usage| usages.with(*usage));
        let extended = self.extended.iter().filter_map(|oid| oid.parse().ok());
        extended.fold(usages, Usages::with_extended)
    }
}

impl EndEntityProfile {
    pub(crate) fn named(name: &str) -> Option<Self> {
        (name == EMPTY.name).then_some(EMPTY)
    }
}
