//! Certificates as openssl writes and reads them.

use std::fs;

use jiff::Timestamp;
use x509::{Certificate, certificate::SignatureMatch};

use crate::fixtures::{all, certificate, csr, folder};

#[test]
fn what_is_read_is_what_openssl_reads() {
    for path in all("chain", ".expected") {
        let name = path.strip_prefix("chain/").unwrap().strip_suffix(".expected").unwrap();
        assert_eq!(
            as_openssl_shows(&certificate(name)),
            fs::read_to_string(folder().join(&path)).unwrap(),
            "{name}"
        );
    }
}

fn as_openssl_shows(certificate: &Certificate) -> String {
    let time = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let fingerprint: Vec<_> = certificate.sha256().iter().map(|byte| format!("{byte:02X}")).collect();
    [
        format!("serial={}", certificate.serial_hex().to_uppercase()),
        format!("subject={}", certificate.subject()),
        format!("issuer={}", certificate.issuer()),
        format!("notBefore={}", time(certificate.not_before())),
        format!("notAfter={}", time(certificate.not_after())),
        format!("sha256 Fingerprint={}", fingerprint.join(":")),
        String::new(),
    ]
    .join("\n")
}

#[test]
fn each_is_signed_by_the_next_and_by_no_other() {
    for (ca, checked) in [("ec", true), ("rsa", true), ("ed448", false)] {
        let chain = ["leaf", "lower", "upper", "root"].map(|name| certificate(&format!("{ca}/{name}")));
        for (below, one) in chain.iter().enumerate() {
            for (above, other) in chain.iter().enumerate() {
                let expected = above == (below + 1).min(3);
                assert_eq!(one.is_signed_by(other), expected, "{ca}: {one:?} by {other:?}");
            }
            assert_eq!(one.is_self_signed(), below == 3);
            assert_eq!(one.is_ca(), below > 0);
        }
        let link = chain[0].signature_matches(chain[1].spki_der());
        assert_eq!(matches!(link, SignatureMatch::Unsupported(_)), !checked, "{link:?}");
    }
}

#[test]
fn a_namesake_of_the_issuer_is_not_the_issuer() {
    let (upper, namesake) = (certificate("ec/upper"), certificate("ec/root-namesake"));
    assert_eq!(upper.issuer_der(), namesake.subject_der());
    assert!(!upper.is_signed_by(&namesake));
    assert!(upper.is_signed_by(&certificate("ec/root-renewed")));
}

#[test]
fn old_roots_are_read() {
    let root = certificate("legacy/root");
    assert!(root.is_self_signed());
    assert!(certificate("legacy/leaf").is_signed_by(&root));
}

#[test]
fn the_leaf_has_the_requests_key_and_names() {
    let (leaf, request) = (certificate("ec/leaf"), csr("p256-sha256"));
    assert_eq!(leaf.spki_der(), request.spki_der());
    assert_eq!(leaf.subject_der(), request.subject_der());
    assert_eq!(leaf.subject_alt_names(), request.subject_alt_names().unwrap());
    assert_eq!(leaf.usages().to_string(), "digital signature, key encipherment, server auth, client auth");
    assert_eq!(leaf.authority_key_id(), certificate("ec/lower").subject_key_id());
}
