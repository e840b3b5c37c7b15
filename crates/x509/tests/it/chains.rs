//! Ordering chains.

use proptest::prelude::*;
use x509::{Certificate, Chain, chain::ChainError};

use crate::{
    fixtures::{certificate, certificates, csr},
    issue::namesakes,
};

fn spki() -> Vec<u8> {
    csr("p256-sha256").spki_der().to_vec()
}

fn chain_of(ca: &str) -> Vec<Certificate> {
    ["leaf", "lower", "upper", "root"].map(|name| certificate(&format!("{ca}/{name}"))).to_vec()
}

fn subjects(pem: &str) -> Vec<String> {
    let certificates = x509::bundle::read_certificates(pem.as_bytes()).unwrap();
    certificates.iter().map(|certificate| certificate.subject().common_name().unwrap().to_owned()).collect()
}

proptest! {
    #[test]
    fn the_order_and_number_of_arrival_do_not_matter(
        ca in prop::sample::select(vec!["ec", "rsa", "ed448"]),
        without_root: bool,
        arrival in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let mut certs = chain_of(ca);
        if without_root {
            certs.pop();
        }
        let shuffled: Vec<_> = arrival.iter().map(|index| certs[index % certs.len()].clone()).collect();
        let chain = Chain::order(&spki(), shuffled).unwrap();
        prop_assert_eq!(&chain.leaf, &certs[0]);
        prop_assert_eq!(&chain.intermediates, &certs[1..3]);
        prop_assert_eq!(chain.root.as_ref(), certs.get(3));
    }
}

#[test]
fn the_root_is_the_ca_and_not_in_the_chain() {
    let chain = Chain::order(&spki(), chain_of("ec")).unwrap();
    assert_eq!(subjects(&chain.certificate_pem()), ["web.example.com", "ec lower", "ec upper"]);
    assert_eq!(subjects(&chain.ca_pem().unwrap()), ["ec root"]);
    assert!(chain.certificate_pem().ends_with("-----END CERTIFICATE-----\n"));
    assert!(!chain.certificate_pem().contains('\r'));
}

#[test]
fn without_a_root_the_highest_intermediate_is_the_ca_and_stays() {
    let chain = Chain::order(&spki(), certificates(["ec/upper", "ec/leaf", "ec/lower"])).unwrap();
    assert_eq!(subjects(&chain.certificate_pem()), ["web.example.com", "ec lower", "ec upper"]);
    assert_eq!(subjects(&chain.ca_pem().unwrap()), ["ec upper"]);
}

#[test]
fn a_leaf_alone_has_no_ca_and_a_self_signed_one_is_its_own() {
    let alone = Chain::order(&spki(), certificates(["ec/leaf"])).unwrap();
    assert_eq!((alone.intermediates.len(), alone.ca_pem()), (0, None));

    let own = Chain::order(&spki(), certificates(["self-signed"])).unwrap();
    assert_eq!(own.root.as_ref(), Some(&own.leaf));
    assert_eq!(own.ca_pem(), Some(own.certificate_pem()));
    assert_eq!(own.certificate_pem(), certificate("self-signed").to_pem());
}

#[test]
fn the_old_root_is_recognised_though_it_is_weak() {
    let chain = Chain::order(&spki(), certificates(["legacy/root", "legacy/leaf"])).unwrap();
    assert_eq!(subjects(&chain.certificate_pem()), ["web.example.com"]);
    assert_eq!(subjects(&chain.ca_pem().unwrap()), ["legacy root"]);
}

#[test]
fn branches_are_refused() {
    let mut certs = chain_of("ec");
    certs.push(certificate("ec/upper-cross"));
    let error = Chain::order(&spki(), certs.clone()).unwrap_err();
    let ChainError::Branch { subject, issuers } = error else { panic!("{error}") };
    assert_eq!(subject, "CN=ec lower,O=Example");
    assert_eq!(issuers.matches("CN=ec upper,O=Example (serial ").count(), 2, "{issuers}");

    certs.pop();
    certs.push(certificate("ec/root-renewed"));
    assert!(matches!(Chain::order(&spki(), certs), Err(ChainError::Branch { .. })));
}

#[test]
fn strangers_and_gaps_are_refused_by_name() {
    let mut certs = chain_of("ec");
    certs.push(certificate("rsa/lower"));
    let error = Chain::order(&spki(), certs).unwrap_err().to_string();
    assert!(
        error.starts_with("not part of the chain of CN=web.example.com,OU=Shop,O=Example: CN=rsa lower,"),
        "{error}"
    );

    let gap = Chain::order(&spki(), certificates(["ec/leaf", "ec/upper"])).unwrap_err();
    assert!(
        matches!(&gap, ChainError::Strangers { strangers, .. } if strangers.contains("ec upper")),
        "{gap}"
    );
    let namesake =
        Chain::order(&spki(), certificates(["ec/leaf", "ec/lower", "ec/upper", "ec/root-namesake"]));
    assert!(matches!(namesake, Err(ChainError::Strangers { .. })), "{namesake:?}");
}

#[test]
fn the_leaf_is_found_by_its_key_alone() {
    assert_eq!(Chain::order(&spki(), Vec::new()), Err(ChainError::Empty));
    let error = Chain::order(csr("ed25519").spki_der(), chain_of("ec")).unwrap_err().to_string();
    assert!(error.contains("no certificate has the public key of the request"), "{error}");
    assert!(error.contains("CN=web.example.com,OU=Shop,O=Example"), "{error}");
    let two = Chain::order(&spki(), certificates(["ec/leaf", "rsa/leaf"]));
    assert!(matches!(two, Err(ChainError::SeveralLeaves { .. })), "{two:?}");
}

#[test]
fn certificates_from_elsewhere_complete_the_chain_where_they_fit() {
    let extra =
        certificates(["rsa/root", "ec/root-namesake", "ec/root", "ec/upper", "ec/root-renewed", "ec/lower"]);
    for answer in [certificates(["ec/leaf"]), certificates(["ec/leaf", "ec/upper"]), chain_of("ec")] {
        let has_root = answer.len() == 4;
        let chain = Chain::order_with(&spki(), answer, extra.clone()).unwrap();
        assert_eq!(subjects(&chain.certificate_pem()), ["web.example.com", "ec lower", "ec upper"]);
        let expected = if has_root { "ec/root" } else { "ec/root-renewed" };
        assert_eq!(chain.root, Some(certificate(expected)), "the answer's own, else the one valid longest");
    }
    let unfit = Chain::order_with(&spki(), certificates(["ec/leaf"]), certificates(["rsa/root"])).unwrap();
    assert_eq!(unfit.root, None);
}

#[test]
fn the_effort_for_namesakes_is_bounded() {
    let few = namesakes(40);
    let chain = Chain::order(few[0].spki_der(), few.iter().rev().cloned().collect()).unwrap();
    assert_eq!((chain.intermediates.as_slice(), chain.root.as_ref()), (&few[1..39], few.last()));
    let many = namesakes(200);
    assert_eq!(Chain::order(many[0].spki_der(), many.clone()), Err(ChainError::TooManyNamesakes));
}
