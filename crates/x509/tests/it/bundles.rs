//! What a PKI may answer with.

use x509::{
    Certificate,
    bundle::{BundleError, read_certificates},
    pem,
};

use crate::fixtures::{bytes, certificate, certificates};

fn read(file: &str) -> Vec<Certificate> {
    read_certificates(&bytes(&format!("bundle/{file}"))).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// PKCS#7 is a set, so its order says nothing.
fn sorted(mut certificates: Vec<Certificate>) -> Vec<Vec<u8>> {
    certificates.sort_by(|one, other| one.der().cmp(other.der()));
    certificates.iter().map(|certificate| certificate.der().to_vec()).collect()
}

#[test]
fn the_chain_is_read_from_every_wrapping() {
    let expected = certificates(["ec/leaf", "ec/lower", "ec/upper", "ec/root"]);
    for file in ["chain.pem", "with-text.pem", "crlf.pem", "concatenated.der", "pem.b64"] {
        assert_eq!(read(file), expected, "{file}");
    }
    for file in ["pkcs7.pem", "cms.pem", "pkcs7.der", "pkcs7-one-line.b64"] {
        assert_eq!(sorted(read(file)), sorted(expected.clone()), "{file}");
    }
    let mut with_signer = expected;
    with_signer.push(certificate("self-signed"));
    assert_eq!(sorted(read("signed.ber")), sorted(with_signer));
}

#[test]
fn the_leaf_is_read_from_every_wrapping() {
    for file in ["leaf.der", "leaf-one-line.b64", "leaf-wrapped.b64", "trusted.pem"] {
        assert_eq!(read(file), certificates(["ec/leaf"]), "{file}");
    }
    let mut with_mark = "\u{feff}".as_bytes().to_vec();
    with_mark.extend(bytes("chain/ec/leaf.pem"));
    assert_eq!(read_certificates(&with_mark).unwrap(), certificates(["ec/leaf"]));
}

#[test]
fn white_space_around_der_does_no_harm() {
    for file in ["leaf.der", "concatenated.der", "pkcs7.der", "signed.ber"] {
        for (before, after) in [("", "\n"), ("\n", ""), (" \r\n", "\r\n\r\n")] {
            let padded = [before.as_bytes(), &bytes(&format!("bundle/{file}")), after.as_bytes()].concat();
            assert_eq!(read_certificates(&padded).unwrap(), read(file), "{file}");
        }
    }
    let more = [bytes("bundle/leaf.der"), b"\nmore".to_vec()].concat();
    assert_eq!(
        read_certificates(&more).unwrap_err().to_string(),
        "number 2: certificate: malformed DER: trailing bytes"
    );
}

#[test]
fn a_private_key_is_an_error_that_does_not_quote_it() {
    let leaf = String::from_utf8(bytes("chain/ec/leaf.pem")).unwrap();
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let key = pem::encode(label, b"a secret");
        for text in
            [key.clone(), format!("{leaf}{key}"), format!("{key}{leaf}"), format!("-----BEGIN X-----\n{key}")]
        {
            assert_eq!(read_certificates(text.as_bytes()), Err(BundleError::PrivateKey), "{label}");
        }
    }
    // PKCS#8 in DER begins with version 0, PKCS#12 with version 3.
    assert_eq!(
        read_certificates(&[0x30, 0x06, 0x02, 0x01, 0x00, 0x30, 0x01, 0xff]),
        Err(BundleError::PrivateKey)
    );
    assert_eq!(read_certificates(&[0x30, 0x80, 0x02, 0x01, 0x03, 0x00, 0x00]), Err(BundleError::Pkcs12));
}

#[test]
fn what_holds_no_certificate_says_so() {
    for (bytes, message) in [
        (Vec::new(), "empty"),
        (b" \r\n ".to_vec(), "empty"),
        (b"<html>502</html>".to_vec(), "neither PEM nor DER nor PKCS#7 nor base64 of one of these"),
        (b"AAAAAAAA".to_vec(), "neither PEM nor DER nor PKCS#7 nor base64 of one of these"),
        (bytes("csr/p256-sha256.pem"), "PEM without a certificate; it has: CERTIFICATE REQUEST"),
        (bytes("chain/ec/leaf.pem")[..200].to_vec(), "the PEM block \"CERTIFICATE\" has no END line"),
        (
            pem::encode("CERTIFICATE", b"\x30\x03\x02\x01\x00").into_bytes(),
            "number 1: certificate: malformed DER: no certificate content",
        ),
        (bytes("bundle/empty-pkcs7.der"), "PKCS#7 without a certificate"),
    ] {
        assert_eq!(read_certificates(&bytes).unwrap_err().to_string(), message);
    }
}

#[test]
fn size_and_number_are_bounded() {
    assert_eq!(read_certificates(&vec![b'A'; 5 << 20]), Err(BundleError::TooLarge { size: 5 << 20 }));
    let leaf = bytes("bundle/leaf.der");
    assert_eq!(read_certificates(&leaf.repeat(1000)).unwrap().len(), 1000);
    assert_eq!(read_certificates(&leaf.repeat(1001)), Err(BundleError::TooMany));
}
