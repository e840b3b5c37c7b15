//! Certificate requests as openssl writes them.

use x509::{Csr, KeyType, SubjectAltName, csr::CsrError, key::same_key, usage::KeyUsage};

use crate::fixtures::{all, bytes, csr};

#[test]
fn every_supported_algorithm_proves_possession() {
    let mut verified = 0;
    for path in all("csr", ".pem") {
        let name = path.strip_prefix("csr/").unwrap().strip_suffix(".pem").unwrap();
        if name.starts_with("unsupported") || name.starts_with("broken") {
            continue;
        }
        assert_eq!(csr(name).verify(), Ok(()), "{name}");
        verified += 1;
    }
    assert!(verified >= 25, "only {verified}");
}

#[test]
fn an_unsupported_algorithm_is_named() {
    for (name, algorithm) in [
        ("unsupported-rsa1024", "RSA PKCS#1 with SHA-256 (key type RSA-1024)"),
        ("unsupported-rsa-sha1", "RSA PKCS#1 with SHA-1 (key type RSA-2048)"),
        ("unsupported-pss-odd-salt", "RSA-PSS with SHA-256 and a salt of 17 bytes (key type RSA-2048)"),
        ("unsupported-p224", "ECDSA with SHA-256 (key type P-224)"),
        ("unsupported-secp256k1", "ECDSA with SHA-256 (key type secp256k1)"),
        ("unsupported-ed448", "Ed448"),
    ] {
        let algorithm = algorithm.to_owned();
        assert_eq!(csr(name).verify(), Err(CsrError::UnsupportedAlgorithm { algorithm }), "{name}");
    }
}

#[test]
fn keys_are_told_apart() {
    for (name, expected) in [
        ("rsa2048", KeyType::Rsa { bits: 2048 }),
        ("rsa4096", KeyType::Rsa { bits: 4096 }),
        ("pss-key", KeyType::Rsa { bits: 2048 }),
        ("unsupported-rsa1024", KeyType::Rsa { bits: 1024 }),
        ("p256-sha256", KeyType::EcP256),
        ("p384-sha384", KeyType::EcP384),
        ("p521-sha512", KeyType::EcP521),
        ("ed25519", KeyType::Ed25519),
        ("unsupported-ed448", KeyType::Other("Ed448".to_owned())),
    ] {
        assert_eq!(csr(name).key_type(), expected, "{name}");
    }
}

#[test]
fn every_kind_of_name_is_read() {
    let csr = csr("names");
    let names: Vec<String> = csr.subject_alt_names().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "DNS:web.example.com",
            "DNS:*.example.com",
            "IP:10.0.0.1",
            "IP:2001:db8::1",
            "URI:spiffe://example.com/ns/shop/sa/web",
            "email:web@example.com",
            "otherName:1.3.6.1.4.1.311.20.2.3",
            "dirName:CN=in a directory,O=Example",
            "RID:1.2.3.4",
        ]
    );
    let subject = csr.subject();
    assert_eq!(subject.common_name(), Some("web.example.com"));
    let units: Vec<_> =
        subject.attributes().filter(|each| each.name() == "OU").map(|each| &each.value).collect();
    assert_eq!(units, ["First", "Second"]);
    let shown = subject.to_string();
    assert!(shown.ends_with(",O=Müller\\, Sohn \\+ Co,OU=Second,OU=First,C=DE"), "{shown}");
    assert!(
        shown.contains("CN=web.example.com") && shown.contains('+') && shown.contains("UID=4711"),
        "{shown}"
    );
}

#[test]
fn names_that_are_not_understood_are_kept_raw() {
    let names = csr("x400").subject_alt_names().unwrap();
    let [SubjectAltName::Other(raw), SubjectAltName::Dns(name)] = names.as_slice() else {
        panic!("{names:?}")
    };
    assert_eq!(raw, &[0xa3, 0x02, 0x30, 0x00]);
    assert_eq!(name, "web.example.c");
}

#[test]
fn usages_and_extensions_are_read() {
    let request = csr("names");
    let usages = request.usages().unwrap();
    assert_eq!(
        usages.to_string(),
        "digital signature, key encipherment, 1.3.6.1.4.1.311.20.2.2, server auth, client auth"
    );
    assert_eq!(request.extension("1.2.3.4.5"), Some(b"\x0c\x07unknown".as_slice()));
    assert_eq!((request.extension("1.2.3.4.6"), request.extension("no oid")), (None, None));
    assert_eq!(request.is_ca(), None);

    let ca = csr("ca");
    assert_eq!(ca.is_ca(), Some(true));
    let bits: Vec<_> = ca.usages().unwrap().key_usages().collect();
    assert_eq!(bits, [KeyUsage::CertSign, KeyUsage::CrlSign]);
    assert_eq!(csr("no-extensions").usages(), None);
}

#[test]
fn unusual_structures_are_read() {
    assert!(csr("no-attributes").subject_alt_names().unwrap().is_empty());
    assert!(csr("no-subject").subject().is_empty());
    let web = vec![SubjectAltName::Dns("web.example.com".to_owned())];
    let two = csr("two-extension-requests");
    assert_eq!(two.subject_alt_names().unwrap(), web);
    assert_eq!(two.usages().unwrap().to_string(), "server auth");
    assert_eq!(csr("microsoft-extension-request").subject_alt_names().unwrap(), web);
    assert_eq!(csr("bmp-challenge-password").usages().unwrap().to_string(), "server auth");
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for (name, message) in [
        ("broken-san-twice", "certificate request: malformed DER: an extension comes twice"),
        ("broken-extension-request", "certificate request: malformed DER: extensions"),
    ] {
        let error = Csr::from_pem(&bytes(&format!("csr/{name}.pem"))).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let names = csr("odd-san-not-ascii").subject_alt_names().unwrap_err();
    assert!(matches!(names, CsrError::Malformed(_)), "{names}");
}

#[test]
fn pem_must_hold_exactly_one_request() {
    let one = bytes("csr/p256-sha256.pem");
    let mut two = one.clone();
    two.extend_from_slice(&one);
    assert_eq!(Csr::from_pem(&two), Err(CsrError::Several));
    assert_eq!(Csr::from_pem(b""), Err(CsrError::NotFound));
    assert_eq!(Csr::from_pem(&bytes("chain/ec/leaf.pem")), Err(CsrError::NotFound));
    let mut with_certificate = bytes("chain/ec/leaf.pem");
    with_certificate.extend_from_slice(&one);
    assert_eq!(Csr::from_pem(&with_certificate).unwrap(), csr("p256-sha256"));
    assert!(matches!(Csr::from_pem(&vec![b' '; 2 << 20]), Err(CsrError::TooLarge { .. })));
}

#[test]
fn pem_is_read_in_every_form_and_written_in_one() {
    let original = csr("names");
    let text = String::from_utf8(bytes("csr/names.pem")).unwrap();
    let one_line: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    for form in [
        text.replace('\n', "\r\n"),
        text.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        text.replace('\n', "  \n  "),
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{one_line}\n-----END CERTIFICATE REQUEST-----"),
        format!("Request:\n{text}bye"),
    ] {
        assert_eq!(Csr::from_pem(form.as_bytes()).unwrap(), original, "{form}");
    }
    assert_eq!(original.to_pem(), text);
    assert_eq!(Csr::from_der(original.der()).unwrap().sha256(), original.sha256());
}

#[test]
fn raw_fields_are_slices_of_the_request() {
    for path in all("csr", ".pem") {
        let Ok(request) = Csr::from_pem(&bytes(&path)) else { continue };
        for field in [request.subject_der(), request.spki_der()] {
            assert!(request.der().windows(field.len()).any(|window| window == field), "{path}");
            assert_eq!(field.first(), Some(&0x30), "{path}");
        }
    }
    assert_eq!(csr("no-subject").subject_der(), [0x30, 0]);
}

#[test]
fn trailing_bytes_are_refused() {
    let mut der = csr("p256-sha256").der().to_vec();
    der.push(0);
    assert_eq!(
        Csr::from_der(&der).unwrap_err().to_string(),
        "certificate request: malformed DER: trailing bytes"
    );
}

#[test]
fn an_rsa_key_without_null_parameters_is_the_same_key() {
    let written = csr("rsa2048").spki_der().to_vec();
    let null = written.windows(4).position(|window| window == [0x01, 0x01, 0x05, 0x00]).unwrap() + 2;
    let mut without = written.clone();
    without.drain(null..null + 2);
    // The lengths of the key and of its algorithm are two less.
    without[3] -= 2;
    without[5] -= 2;
    assert!(same_key(&written, &without) && same_key(&without, &written));
    let last = without.len() - 10;
    without[last] ^= 1;
    assert!(!same_key(&written, &without));
    assert!(!same_key(&written, csr("rsa4096").spki_der()));
    assert!(!same_key(csr("p256-sha256").spki_der(), csr("p384-sha256").spki_der()));
}
