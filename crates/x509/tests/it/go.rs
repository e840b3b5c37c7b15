//! What Go's parser refuses is refused here before it is published: `fixtures/x509/go-refuses`, where Go's own
//! words about each certificate lie beside it.

use x509::{
    Asked, Mismatch, Tolerance, Usages,
    bundle::read_certificates,
    judge::{Difference, SanTolerance, SubjectTolerance, judge},
};

use crate::{
    fixtures::{all, bytes, csr},
    issue::{HOUR, now},
};

/// Each certificate, and what is said of it.
const SAID: [(&str, &str); 33] = [
    ("access-critical", "authority information access is marked critical"),
    ("authority-key-id-critical", "authority key identifier is marked critical"),
    ("bmp-surrogate", "name has an invalid BMPString"),
    ("ca-is-1", "malformed DER: basic constraints"),
    ("control", ""),
    ("critical-is-1", "malformed DER: extension's critical flag"),
    ("critical-is-empty", "malformed DER: extension's critical flag"),
    ("distribution-points-garbage", "CRL distribution points"),
    ("extension-of-a-uuid", "extension's object identifier"),
    ("extensions-in-version-1", "malformed DER: extensions in a certificate that is not of version 3"),
    ("extensions-in-version-2", "malformed DER: extensions in a certificate that is not of version 3"),
    ("ia5-utf8", "name has an IA5String that is not ASCII"),
    ("key-usage-padding", "key usage has bits beyond its end"),
    ("leap-second", "malformed DER: time"),
    ("name-constraints-empty", "name constraints are empty"),
    ("numeric-letters", "name has a NumericString of more than digits"),
    ("octets-in-a-name", "name has a value of another type than Go's string types"),
    ("policy-twice", "a certificate policy comes twice"),
    ("printable-at", "name has a PrintableString with other characters"),
    ("printable-underscore", "name has a PrintableString with other characters"),
    ("printable-utf8", "name has a PrintableString with other characters"),
    ("rsa-without-null", "RSA key without NULL parameters"),
    ("serial-negative", "negative serial number"),
    ("serial-padded", "serial number"),
    ("subject-key-id-critical", "subject key identifier is marked critical"),
    ("universal-string", "name has a value of another type than Go's string types"),
    ("uri-with-a-control-character", "URI among the alternative names"),
    ("uri-with-half-an-escape", "URI among the alternative names"),
    ("utf8-latin1", "name has an invalid UTF8String"),
    ("version-4", "malformed DER: version"),
    ("version-empty", "malformed DER: version"),
    ("version-negative", "malformed DER: version"),
    ("visible-string", "name has a value of another type than Go's string types"),
];

#[test]
fn what_go_cannot_read_is_not_published() {
    let names: Vec<_> = SAID.iter().map(|(name, _)| format!("go-refuses/{name}.pem")).collect();
    assert_eq!(names, all("go-refuses", ".pem"));
    for (name, expected) in SAID {
        let go = String::from_utf8(bytes(&format!("go-refuses/{name}.expected"))).unwrap();
        let fine = go == "read; names: [web.example.com www.example.com]\n";
        assert_eq!(fine, expected.is_empty(), "{name}: Go says {go}");
        let said = verdict(name);
        assert!(said.ends_with(expected) && said.is_empty() == expected.is_empty(), "{name}: {said}");
    }
}

/// Why a certificate is not published; empty when it is.
fn verdict(name: &str) -> String {
    let answer = match read_certificates(&bytes(&format!("go-refuses/{name}.pem"))) {
        Ok(answer) => answer,
        Err(error) => return error.to_string(),
    };
    let csr = csr(if name.starts_with("rsa") { "rsa2048" } else { "p256-sha256" });
    let asked = Asked {
        csr: &csr,
        duration: HOUR * 24 * 365 * 200,
        usages: Usages::unrestricted(),
        is_ca: false,
        now: now(),
    };
    let tolerance = Tolerance {
        subject: SubjectTolerance::Any,
        subject_alt_names: SanTolerance::Superset,
        ..Tolerance::default()
    };
    match judge(&asked, &tolerance, answer, Vec::new()) {
        Ok(_) => String::new(),
        Err(Mismatch::Certificate { differences, .. }) => match differences.as_slice() {
            [Difference::Unreadable { why, .. }] => (*why).to_owned(),
            others => panic!("{name}: {others:?}"),
        },
        Err(other) => panic!("{name}: {other}"),
    }
}
