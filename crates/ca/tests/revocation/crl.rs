use ca::{Authority, CaError, CrlProfile, CrlReason, Extra, KeyAlgorithm, RevokedCertificate, SigningKey};
use jiff::Timestamp;
use proptest::prelude::*;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    RevocationOptionsBuilder, RevocationReason, anchor_from_trusted_cert,
};

use super::{authorities, authority, end, leaf, openssl::OpenSsl, own_certificate, p256, start};

fn profile() -> CrlProfile {
    CrlProfile { number: 7, this_update: start(), next_update: end(), base: None }
}

fn revoked(certificate: &x509::Certificate) -> RevokedCertificate<'_> {
    RevokedCertificate {
        serial: certificate.serial(),
        revoked_at: start(),
        reason: Some(CrlReason::KeyCompromise),
    }
}

fn pem(crl: &[u8]) -> String {
    x509::pem::encode("X509 CRL", crl)
}

fn judge_by_webpki(authority: &Authority, leaf: &x509::Certificate, crl: &[u8]) -> Result<(), webpki::Error> {
    let root = CertificateDer::from(own_certificate(authority).der());
    let anchor = anchor_from_trusted_cert(&root).unwrap();
    let leaf = CertificateDer::from(leaf.der());
    let crl = CertRevocationList::from(BorrowedCertRevocationList::from_der(crl).unwrap());
    let crls = [&crl];
    let revocation = RevocationOptionsBuilder::new(&crls)
        .unwrap()
        .with_expiration_policy(ExpirationPolicy::Enforce)
        .build();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_hours(500_000));
    EndEntityCert::try_from(&leaf)
        .unwrap()
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            &[],
            now,
            KeyUsage::server_auth(),
            Some(revocation),
            None,
        )
        .map(|_| ())
}

#[test]
fn every_key_signs_a_crl_that_tells_revoked_from_good() {
    for authority in authorities() {
        let (good, bad) = (leaf(authority, Vec::new()), leaf(authority, Vec::new()));
        let crl = authority.sign_crl(&profile(), [revoked(&bad)]).unwrap();

        judge_by_webpki(authority, &good, &crl).unwrap();
        assert_eq!(judge_by_webpki(authority, &bad, &crl), Err(webpki::Error::CertRevoked));

        let openssl = OpenSsl::with([
            ("ca.pem", own_certificate(authority).to_pem().as_bytes()),
            ("crl.pem", pem(&crl).as_bytes()),
            ("good.pem", good.to_pem().as_bytes()),
            ("bad.pem", bad.to_pem().as_bytes()),
        ]);
        let verdict = openssl.run("crl -in crl.pem -noout -verify -CAfile ca.pem");
        assert!(verdict.text.contains("verify OK"), "{authority:?}: {verdict:?}");
        let verify = "verify -x509_strict -crl_check -CAfile ca.pem -CRLfile crl.pem";
        let verdict = openssl.run(&format!("{verify} good.pem"));
        assert!(verdict.success, "{authority:?}: {verdict:?}");
        let verdict = openssl.run(&format!("{verify} bad.pem"));
        assert!(verdict.text.contains("error 23 at 0 depth lookup: certificate revoked"), "{verdict:?}");
    }
}

#[test]
fn a_crl_says_what_its_profile_says() {
    let authority = p256();
    let show = "crl -noout -crlnumber -lastupdate -nextupdate -issuer -text -in crl.pem";
    let empty = authority.sign_crl(&profile(), []).unwrap();
    let openssl = OpenSsl::with([("crl.pem", pem(&empty).as_bytes())]);
    let text = openssl.run(show).text;
    let id = own_certificate(authority).subject_key_id().unwrap();
    let id = id.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    for line in [
        "crlNumber=0x07",
        "lastUpdate=Feb  3 04:05:06 2001 GMT",
        "nextUpdate=Dec 31 23:59:59 2049 GMT",
        "issuer=CN = Root EcdsaP256",
        "Version 2 (0x1)",
        "No Revoked Certificates.",
        &id,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("critical"), "{text}");
    // RFC 5280 5.1.2.6: the extensions [0] follow nextUpdate, without an empty list in between.
    let next_update = b"491231235959Z\xa0";
    assert!(empty.windows(next_update.len()).any(|window| window == next_update));
}

#[test]
fn a_delta_crl_revokes_what_its_base_does_not() {
    let authority = p256();
    // OpenSSL looks for deltas of certificates alone that say there are some: freshestCRL, one URL.
    let freshest = Extra {
        oid: "2.5.29.46".to_owned(),
        critical: false,
        value: b"\x30\x10\x30\x0e\xa0\x0c\xa0\x0a\x86\x08http://d".to_vec(),
    };
    let (good, bad) = (leaf(authority, vec![freshest.clone()]), leaf(authority, vec![freshest]));
    let base = authority.sign_crl(&profile(), []).unwrap();
    let delta =
        authority.sign_crl(&CrlProfile { number: 8, base: Some(7), ..profile() }, [revoked(&bad)]).unwrap();
    let openssl = OpenSsl::with([
        ("ca.pem", own_certificate(authority).to_pem().as_bytes()),
        ("crls.pem", [pem(&base), pem(&delta)].concat().as_bytes()),
        ("delta.pem", pem(&delta).as_bytes()),
        ("good.pem", good.to_pem().as_bytes()),
        ("bad.pem", bad.to_pem().as_bytes()),
    ]);
    let verify = "verify -crl_check -extended_crl -use_deltas -CAfile ca.pem -CRLfile crls.pem";
    let verdict = openssl.run(&format!("{verify} good.pem"));
    assert!(verdict.success, "{verdict:?}");
    let verdict = openssl.run(&format!("{verify} bad.pem"));
    assert!(verdict.text.contains("certificate revoked"), "{verdict:?}");
    let text = openssl.run("crl -noout -text -in delta.pem").text;
    let indicator = text.lines().skip_while(|line| !line.contains("Delta CRL Indicator: critical")).nth(1);
    assert_eq!(indicator.map(str::trim), Some("7"), "{text}");
}

#[test]
fn times_are_utc_through_2049_and_generalized_from_2050() {
    let (before, after) = ("2049-12-31T23:59:59Z".parse().unwrap(), "2050-01-01T00:00:00Z".parse().unwrap());
    let entry = |revoked_at| RevokedCertificate { serial: &[1], revoked_at, reason: None };
    let crl = p256()
        .sign_crl(
            &CrlProfile { this_update: before, next_update: after, ..profile() },
            [entry(before), entry(after)],
        )
        .unwrap();
    let count = |bytes: &[u8]| crl.windows(bytes.len()).filter(|window| *window == bytes).count();
    assert_eq!(count(b"\x17\x0d491231235959Z"), 2);
    assert_eq!(count(b"\x18\x0f20500101000000Z"), 2);
    let openssl = OpenSsl::with([("crl.pem", pem(&crl).as_bytes())]);
    let text = openssl.run("crl -noout -lastupdate -nextupdate -in crl.pem").text;
    assert_eq!(text, "lastUpdate=Dec 31 23:59:59 2049 GMT\nnextUpdate=Jan  1 00:00:00 2050 GMT\n");

    let unspeakable = entry(Timestamp::from_second(-1).unwrap());
    let error = p256().sign_crl(&profile(), [unspeakable]).unwrap_err();
    assert!(matches!(error, CaError::Time(_)), "{error}");
}

#[test]
fn a_hundred_thousand_entries_are_read_by_both() {
    let authority = p256();
    let serials: Vec<_> = (0..100_000_u128).map(|n| ((0x4000 << 112) | n).to_be_bytes()).collect();
    let entries = serials.iter().map(|serial| RevokedCertificate {
        serial,
        revoked_at: start(),
        reason: Some(CrlReason::Superseded),
    });
    let crl = authority.sign_crl(&profile(), entries).unwrap();
    let read =
        CertRevocationList::from(BorrowedCertRevocationList::from_der(&crl).unwrap().to_owned().unwrap());
    for serial in &serials {
        let entry = read.find_serial(serial).unwrap().unwrap();
        assert_eq!(entry.reason_code, Some(RevocationReason::Superseded));
    }
    assert!(read.find_serial(&100_000_u128.to_be_bytes()).unwrap().is_none());
    let openssl = OpenSsl::with([
        ("ca.pem", own_certificate(authority).to_pem().as_bytes()),
        ("crl.der", crl.as_slice()),
    ]);
    let verdict = openssl.run("crl -in crl.der -noout -verify -CAfile ca.pem");
    assert!(verdict.text.contains("verify OK"), "{verdict:?}");
}

#[test]
fn who_may_not_sign_crls_signs_none() {
    let root = authority(SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap(), "Root");
    // keyCertSign alone; CA:TRUE.
    let extra =
        |oid: &str, value: &[u8]| Extra { oid: oid.to_owned(), critical: true, value: value.to_vec() };
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let subject = own_certificate(&root).subject_der();
    let requested = ca::Requested { subject_der: subject, spki_der: key.spki_der(), subject_alt_names: None };
    let usage = extra("2.5.29.15", &[0x03, 0x02, 0x02, 0x04]);
    let basic = extra("2.5.29.19", &[0x30, 0x03, 0x01, 0x01, 0xff]);
    let certificate = root.issue_for(&requested, &super::leaf_profile(), vec![usage, basic]).unwrap();
    let sub = Authority::from_certificates(vec![certificate], key).unwrap();
    let error = sub.sign_crl(&profile(), []).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the certificate of CN=Root may not sign CRLs (key usage cRLSign is missing)"
    );
}

#[test]
fn a_serial_number_without_bytes_is_refused() {
    let entry = RevokedCertificate { serial: &[], revoked_at: start(), reason: None };
    let error = p256().sign_crl(&profile(), [entry]).unwrap_err();
    assert!(matches!(error, CaError::Encode(_)), "{error}");
}

fn webpki_reason(reason: CrlReason) -> RevocationReason {
    match reason {
        CrlReason::KeyCompromise => RevocationReason::KeyCompromise,
        CrlReason::CaCompromise => RevocationReason::CaCompromise,
        CrlReason::AffiliationChanged => RevocationReason::AffiliationChanged,
        CrlReason::Superseded => RevocationReason::Superseded,
        CrlReason::CessationOfOperation => RevocationReason::CessationOfOperation,
        CrlReason::CertificateHold => RevocationReason::CertificateHold,
        CrlReason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        CrlReason::AaCompromise => RevocationReason::AaCompromise,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Entries come back from webpki's reader as they went in: positive serials of up to 20 bytes, in the order
    /// given, to the second.
    #[test]
    fn entries_come_back_as_they_went_in(
        entries in proptest::collection::vec(
            (
                proptest::collection::vec(any::<u8>(), 1..=20),
                0_i64..4_000_000_000,
                proptest::option::of(proptest::sample::select(CrlReason::ALL.as_slice())),
            ),
            0..8,
        ),
    ) {
        let list = entries.iter().map(|(serial, second, reason)| RevokedCertificate {
            serial,
            revoked_at: Timestamp::from_second(*second).unwrap(),
            reason: *reason,
        });
        // 20 bytes with a high bit make 21 in DER, which webpki refuses as RFC 5280 4.1.2.2 does.
        prop_assume!(entries.iter().all(|(serial, ..)| serial.len() < 20 || serial[0] < 0x80));
        let crl = p256().sign_crl(&profile(), list).unwrap();
        let read = BorrowedCertRevocationList::from_der(&crl).unwrap();
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        let told: Vec<_> = read
            .iter()
            .map(|entry| (stripped(entry.serial_number), entry.revocation_date.as_secs(), entry.reason_code))
            .collect();
        let meant: Vec<_> = entries
            .iter()
            .map(|(serial, second, reason)| {
                (stripped(serial), second.cast_unsigned(), reason.map(webpki_reason))
            })
            .collect();
        prop_assert_eq!(told, meant);
    }
}

/// Without leading zeros; zero itself is nothing.
fn stripped(serial: &[u8]) -> &[u8] {
    let first = serial.iter().position(|byte| *byte != 0).unwrap_or(serial.len());
    serial.get(first..).unwrap_or_default()
}
