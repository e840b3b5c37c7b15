//! Certificates are judged by people who did not make them: `openssl verify -x509_strict` and rustls-webpki.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod openssl;

use ca::{
    Authority, CaProfile, Extra, GeneralName, KeyAlgorithm, LeafProfile, Sans, Serial, SigningKey, Subject,
    general_names,
};
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

const NOON: i64 = 1_800_000_000;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(NOON).unwrap() + SignedDuration::from_hours(hours)
}

fn ca_profile(name: &str, path_len: Option<u8>) -> CaProfile {
    CaProfile {
        common_name: name.to_owned(),
        not_before: at(-1),
        not_after: at(24 * 365),
        serial: Serial::random().unwrap(),
        path_len,
    }
}

fn leaf_profile() -> LeafProfile {
    LeafProfile {
        serial: Serial::random().unwrap(),
        not_before: at(-1),
        not_after: at(24),
        is_ca: false,
        path_len: None,
        usages: x509::Usages::default_for_leaf()
            .with_extended("1.3.6.1.5.5.7.3.1".parse().unwrap())
            .with_extended("1.3.6.1.5.5.7.3.2".parse().unwrap()),
        subject: Subject::FromCsr,
        subject_alt_names: Sans::FromCsr,
        crl_distribution_points: vec!["http://crl.example.com/ca".to_owned()],
        ocsp: vec!["http://ocsp.example.com".to_owned()],
        ca_issuers: vec!["http://ca.example.com/ca".to_owned()],
        basic_constraints_on_leaf: false,
    }
}

fn request(key: &SigningKey, dns: &str) -> x509::Csr {
    let subject = ca::distinguished_name(&[vec![(ca::AttributeType::CommonName, dns.to_owned())]]).unwrap();
    let names = general_names(&[GeneralName::Dns(dns.to_owned())]).unwrap();
    let extra = Extra { oid: "2.5.29.17".to_owned(), critical: false, value: names };
    x509::Csr::from_der(&key.request(&subject, vec![extra]).unwrap()).unwrap()
}

fn judge_by_webpki(authority: &Authority, leaf: &x509::Certificate) {
    let root = CertificateDer::from(authority.chain().last().unwrap().der());
    let anchor = anchor_from_trusted_cert(&root).unwrap();
    let intermediates: Vec<_> =
        authority.chain().iter().map(|certificate| CertificateDer::from(certificate.der())).collect();
    let der = CertificateDer::from(leaf.der());
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOON.cast_unsigned()));
    EndEntityCert::try_from(&der)
        .unwrap()
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            &intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .unwrap();
}

#[test]
fn every_ca_key_signs_for_every_request_key() {
    let leaf_keys = KeyAlgorithm::ALL.map(|algorithm| SigningKey::generate(algorithm).unwrap());
    let root = Authority::self_signed(
        SigningKey::generate(KeyAlgorithm::EcdsaP384).unwrap(),
        &ca_profile("Root", None),
    )
    .unwrap();
    for algorithm in KeyAlgorithm::ALL {
        let key = SigningKey::generate(algorithm).unwrap();
        let own_root = Authority::self_signed(
            SigningKey::from_pem(key.to_pkcs8_pem().unwrap().as_bytes()).unwrap(),
            &ca_profile("Own root", Some(0)),
        )
        .unwrap();
        let intermediate = root.subordinate(key, &ca_profile("Intermediate", Some(0))).unwrap();
        for leaf_key in &leaf_keys {
            for authority in [&own_root, &intermediate] {
                let csr = request(leaf_key, "app.example.com");
                let leaf = authority.issue(&csr, &leaf_profile()).unwrap();
                assert_eq!(leaf.spki_der(), leaf_key.spki_der());
                assert_eq!(leaf.subject_der(), csr.subject_der());
                judge_by_webpki(authority, &leaf);
                openssl::verify(authority, &leaf, NOON).unwrap();
            }
        }
    }
}

#[test]
fn a_request_for_a_ca_becomes_a_ca_that_can_issue() {
    let root = Authority::self_signed(
        SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap(),
        &ca_profile("Root", None),
    )
    .unwrap();
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let profile = LeafProfile {
        is_ca: true,
        path_len: Some(0),
        usages: x509::Usages::default_for_leaf(),
        ..leaf_profile()
    };
    let certificate = root.issue(&request(&key, "sub.example.com"), &profile).unwrap();
    assert!(certificate.is_ca());
    assert_eq!(certificate.path_len(), Some(0));
    assert!(certificate.usages().has(x509::usage::KeyUsage::CertSign));

    let pem = [certificate.to_pem(), root.chain()[0].to_pem()].concat();
    let sub = Authority::from_pem(pem.as_bytes(), key.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
    let leaf_key = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let leaf = sub.issue(&request(&leaf_key, "leaf.example.com"), &leaf_profile()).unwrap();
    judge_by_webpki(&sub, &leaf);
    openssl::verify(&sub, &leaf, NOON).unwrap();

    let refused = sub.issue(&request(&leaf_key, "deeper.example.com"), &profile).unwrap_err();
    assert!(matches!(refused, ca::CaError::PathLength), "{refused}");
}

#[test]
fn foreign_subjects_come_back_byte_for_byte() {
    let root = Authority::self_signed(
        SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap(),
        &ca_profile("Root", None),
    )
    .unwrap();
    // Two OUs, a multi-valued RDN, a T61String, an empty subject.
    let subjects = [
        ("/O=Acme/OU=one/OU=two/CN=app", "utf8only"),
        ("/O=Acme/OU=b+CN=a", "utf8only"),
        ("/O=M\u{fc}ller/CN=app", "MASK:4"),
        ("/", "default"),
    ];
    for (subject, mask) in subjects {
        let csr =
            openssl::request(subject, mask, "DNS:app.example.com,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u@x");
        let leaf = root.issue(&csr, &leaf_profile()).unwrap();
        assert_eq!(leaf.subject_der(), csr.subject_der(), "{subject}");
        assert_eq!(leaf.extension("2.5.29.17"), csr.extension("2.5.29.17"), "{subject}");
        let critical = leaf.extensions().find(|(oid, ..)| oid.to_string() == "2.5.29.17").unwrap().1;
        assert_eq!(critical, subject == "/", "RFC 5280 4.2.1.6: critical only when the subject is empty");
        openssl::verify(&root, &leaf, NOON).unwrap();
    }
}

#[test]
fn a_foreign_cas_name_is_the_issuer_byte_for_byte() {
    let (certificate, key) = openssl::authority("/O=Acme/OU=b+CN=a/OU=one/OU=two");
    let authority = Authority::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let leaf_key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let leaf = authority.issue(&request(&leaf_key, "app.example.com"), &leaf_profile()).unwrap();
    assert_eq!(leaf.issuer_der(), authority.chain()[0].subject_der());
    assert_eq!(leaf.authority_key_id(), authority.chain()[0].subject_key_id());
    judge_by_webpki(&authority, &leaf);
}

#[test]
fn an_authority_is_read_in_any_order_and_only_with_its_own_parts() {
    let root = Authority::self_signed(
        SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap(),
        &ca_profile("Root", None),
    )
    .unwrap();
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let key_pem = key.to_pkcs8_pem().unwrap();
    let sub = root.subordinate(key, &ca_profile("Sub", None)).unwrap();
    let [own, issuer] = sub.chain() else { panic!("two certificates") };
    for order in [[own, issuer], [issuer, own]] {
        let pem: String = order.iter().map(|certificate| certificate.to_pem()).collect();
        let read = Authority::from_pem(pem.as_bytes(), key_pem.as_bytes()).unwrap();
        let ders: Vec<_> = read.chain().iter().map(x509::Certificate::der).collect();
        assert_eq!(ders, [own.der(), issuer.der()]);
    }
    let wrong_key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap().to_pkcs8_pem().unwrap();
    let error = Authority::from_pem(own.to_pem().as_bytes(), wrong_key.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "none of the 1 CA certificates is for the private key");

    let other = Authority::self_signed(
        SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap(),
        &ca_profile("Other", None),
    )
    .unwrap();
    let pem = [own.to_pem(), issuer.to_pem(), other.chain()[0].to_pem()].concat();
    let error = Authority::from_pem(pem.as_bytes(), key_pem.as_bytes()).unwrap_err();
    assert!(matches!(error, ca::CaError::UnrelatedCertificate { .. }), "{error}");

    let leaf_key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let leaf = root.issue(&request(&leaf_key, "app"), &leaf_profile()).unwrap();
    let error = Authority::from_pem(leaf.to_pem().as_bytes(), leaf_key.to_pkcs8_pem().unwrap().as_bytes())
        .unwrap_err();
    assert!(matches!(error, ca::CaError::NotACa { .. }), "{error}");
}

#[test]
fn a_ca_that_may_not_sign_certificates_is_refused() {
    let root = Authority::self_signed(
        SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap(),
        &ca_profile("Root", None),
    )
    .unwrap();
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let profile = LeafProfile { is_ca: true, ..leaf_profile() };
    // keyCertSign and cRLSign; cRLSign alone.
    for (bits, allowed) in [([0x03, 0x02, 0x01, 0x06], true), ([0x03, 0x02, 0x01, 0x02], false)] {
        let usage = Extra { oid: "2.5.29.15".to_owned(), critical: true, value: bits.to_vec() };
        let request = request(&key, "sub");
        let certificate = root.issue_for(&ca::Requested::from(&request), &profile, vec![usage]).unwrap();
        let pem = certificate.to_pem();
        let read = Authority::from_pem(pem.as_bytes(), key.to_pkcs8_pem().unwrap().as_bytes());
        let refused = matches!(read, Err(ca::CaError::MayNotSign { .. }));
        assert_eq!((read.is_ok(), refused), (allowed, !allowed));
    }
}

#[test]
fn a_request_that_its_key_did_not_sign_gets_nothing() {
    let root = Authority::self_signed(
        SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap(),
        &ca_profile("Root", None),
    )
    .unwrap();
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let good = request(&key, "app.example.com");
    let mut der = good.der().to_vec();
    let name = der.windows(3).position(|window| window == b"app").unwrap();
    der[name] = b'x';
    let forged = x509::Csr::from_der(&der).unwrap();
    let error = root.issue(&forged, &leaf_profile()).unwrap_err();
    assert!(matches!(error, ca::CaError::Request(_)), "{error}");
}

#[test]
fn validity_is_the_profiles_to_the_second_on_both_sides_of_2050() {
    let root = Authority::self_signed(
        SigningKey::generate(KeyAlgorithm::Ed25519).unwrap(),
        &ca_profile("Root", None),
    )
    .unwrap();
    let key = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let csr = request(&key, "app.example.com");
    for (not_before, not_after) in [
        ("2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z"),
        ("2019-01-01T00:00:00Z", "2018-01-01T00:00:00Z"),
        ("1970-01-01T00:00:00Z", "9999-12-30T00:00:00Z"),
    ] {
        let (not_before, not_after): (Timestamp, Timestamp) =
            (not_before.parse().unwrap(), not_after.parse().unwrap());
        let leaf = root.issue(&csr, &LeafProfile { not_before, not_after, ..leaf_profile() }).unwrap();
        assert_eq!((leaf.not_before(), leaf.not_after()), (not_before, not_after));
    }
    let before_1970 = LeafProfile { not_before: Timestamp::from_second(-1).unwrap(), ..leaf_profile() };
    assert!(matches!(root.issue(&csr, &before_1970).unwrap_err(), ca::CaError::Time(_)));
}

#[test]
fn debug_of_an_authority_holds_no_key() {
    let root = Authority::self_signed(
        SigningKey::generate(KeyAlgorithm::Ed25519).unwrap(),
        &ca_profile("Root", None),
    )
    .unwrap();
    assert_eq!(
        format!("{root:?}"),
        r#"Authority { subject: Some("CN=Root"), key: SigningKey { algorithm: Ed25519, .. }, .. }"#
    );
}
