//! CRLs and OCSP responses are judged by people who did not make them: the openssl command and rustls-webpki.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod crl;
mod ocsp;
mod openssl;

use std::sync::OnceLock;

use ca::{
    Authority, CaProfile, Extra, KeyAlgorithm, LeafProfile, Requested, Sans, Serial, SigningKey, Subject,
};
use jiff::Timestamp;

/// Judges without a clock to set look at their own: everything is valid from this time…
fn start() -> Timestamp {
    "2001-02-03T04:05:06Z".parse().unwrap()
}

/// …to this one.
fn end() -> Timestamp {
    "2049-12-31T23:59:59Z".parse().unwrap()
}

fn authority(key: SigningKey, common_name: &str) -> Authority {
    let profile = CaProfile {
        common_name: common_name.to_owned(),
        not_before: start(),
        not_after: end(),
        serial: Serial::random().unwrap(),
        path_len: None,
    };
    Authority::self_signed(key, &profile).unwrap()
}

/// One authority for each kind of key.
fn authorities() -> &'static [Authority] {
    static AUTHORITIES: OnceLock<Vec<Authority>> = OnceLock::new();
    AUTHORITIES.get_or_init(|| {
        let new =
            |algorithm| authority(SigningKey::generate(algorithm).unwrap(), &format!("Root {algorithm:?}"));
        KeyAlgorithm::ALL.map(new).into()
    })
}

fn p256() -> &'static Authority {
    authorities().first().unwrap()
}

fn own_certificate(authority: &Authority) -> &x509::Certificate {
    authority.chain().first().unwrap()
}

fn leaf_profile() -> LeafProfile {
    LeafProfile {
        serial: Serial::random().unwrap(),
        not_before: start(),
        not_after: end(),
        is_ca: false,
        path_len: None,
        usages: x509::Usages::default_for_leaf().with_extended("1.3.6.1.5.5.7.3.1".parse().unwrap()),
        subject: Subject::FromCsr,
        subject_alt_names: Sans::None,
        crl_distribution_points: Vec::new(),
        ocsp: Vec::new(),
        ca_issuers: Vec::new(),
        basic_constraints_on_leaf: false,
    }
}

fn leaf(authority: &Authority, extra: Vec<Extra>) -> x509::Certificate {
    let key = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let name = vec![(ca::AttributeType::CommonName, "leaf".to_owned())];
    let subject = ca::distinguished_name(&[name]).unwrap();
    let requested = Requested { subject_der: &subject, spki_der: key.spki_der(), subject_alt_names: None };
    authority.issue_for(&requested, &leaf_profile(), extra).unwrap()
}
