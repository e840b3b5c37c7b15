use std::cell::Cell;

use ca::{
    Authority, CertStatus, CrlReason, HashAlgorithm, KeyAlgorithm, OcspFailure, OcspProfile, OcspRequest,
    SigningKey,
};

use super::{authorities, authority, end, leaf, openssl::OpenSsl, own_certificate, p256, start};

/// How openssl judges `response` as the client that sent `request`: the signature and the nonce.
const JUDGE: &str = "ocsp -reqin request -respin response -VAfile ca.pem";

/// How openssl looks up the statuses of certificates that are named after it; it makes its own `CertID`s.
const STATUS: &str = "ocsp -respin response -no_nonce -issuer ca.pem -VAfile ca.pem";

fn profile<'a>(request: &OcspRequest<'a>) -> OcspProfile<'a> {
    OcspProfile {
        produced_at: start(),
        this_update: start(),
        next_update: Some(end()),
        nonce: request.nonce(),
    }
}

fn key_compromise() -> CertStatus {
    CertStatus::Revoked {
        at: "2002-03-04T05:06:07Z".parse().unwrap(),
        reason: Some(CrlReason::KeyCompromise),
    }
}

/// A directory with the authority's certificate and these leaves, and a request about them made by openssl.
fn asked(authority: &Authority, leaves: &[(&str, &x509::Certificate)], arguments: &str) -> OpenSsl {
    let openssl = OpenSsl::with([("ca.pem", own_certificate(authority).to_pem().as_bytes())]);
    for (name, leaf) in leaves {
        openssl.write(name, leaf.to_pem().as_bytes());
    }
    let verdict = openssl.run(&format!("ocsp -issuer ca.pem -reqout request {arguments}"));
    assert!(verdict.success, "{verdict:?}");
    openssl
}

#[test]
fn every_key_answers_good_and_revoked_with_the_nonce() {
    for authority in authorities() {
        let (good, bad) = (leaf(authority, Vec::new()), leaf(authority, Vec::new()));
        let leaves = [("good.pem", &good), ("bad.pem", &bad)];
        let openssl =
            asked(authority, &leaves, "-sha1 -cert good.pem -sha256 -cert bad.pem -cert good.pem -nonce");
        let der = openssl.read("request");
        let request = OcspRequest::from_der(&der).unwrap();
        let ids: Vec<_> = request.cert_ids().iter().map(|id| (id.hash_algorithm(), id.serial())).collect();
        let (sha1, sha256) = (Some(HashAlgorithm::Sha1), Some(HashAlgorithm::Sha256));
        assert_eq!(ids, [(sha1, good.serial()), (sha256, bad.serial()), (sha256, good.serial())]);
        assert!(request.nonce().is_some());

        let response = authority
            .answer_ocsp(request.cert_ids(), &profile(&request), |id| {
                if id.serial() == bad.serial() { key_compromise() } else { CertStatus::Good }
            })
            .unwrap();
        openssl.write("response", &response);
        let verdict = openssl.run(JUDGE);
        assert_eq!((verdict.text.as_str(), verdict.success), ("Response verify OK\n", true), "{authority:?}");
        let verdict = openssl.run(&format!("{STATUS} -sha1 -cert good.pem -sha256 -cert bad.pem"));
        let expected = "good.pem: good
\tThis Update: Feb  3 04:05:06 2001 GMT
\tNext Update: Dec 31 23:59:59 2049 GMT
bad.pem: revoked
\tThis Update: Feb  3 04:05:06 2001 GMT
\tNext Update: Dec 31 23:59:59 2049 GMT
\tReason: keyCompromise
\tRevocation Time: Mar  4 05:06:07 2002 GMT
Response verify OK
";
        assert_eq!((verdict.text.as_str(), verdict.success), (expected, true), "{authority:?}");
    }
}

#[test]
fn a_response_says_what_its_profile_says() {
    let certificate = leaf(p256(), Vec::new());
    let openssl = asked(p256(), &[("leaf.pem", &certificate)], "-cert leaf.pem -nonce");
    let der = openssl.read("request");
    let request = OcspRequest::from_der(&der).unwrap();
    let profile = OcspProfile { produced_at: "2003-04-05T06:07:08.9Z".parse().unwrap(), ..profile(&request) };
    let status = CertStatus::Revoked { at: start(), reason: None };
    openssl.write("response", &p256().answer_ocsp(request.cert_ids(), &profile, |_| status).unwrap());
    let text = openssl.run("ocsp -respin response -noverify -resp_text").text;
    for line in [
        "OCSP Response Status: successful (0x0)",
        "Response Type: Basic OCSP Response",
        "Version: 1 (0x0)",
        "Responder Id: CN = Root EcdsaP256",
        "Produced At: Apr  5 06:07:08 2003 GMT",
        "Cert Status: revoked",
        "Revocation Time: Feb  3 04:05:06 2001 GMT",
        "OCSP Nonce: \n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("Reason") && !text.contains("critical"), "{text}");
}

#[test]
fn openssl_notices_a_changed_status_and_another_nonce() {
    let certificate = leaf(p256(), Vec::new());
    let leaves = [("leaf.pem", &certificate)];
    let openssl = asked(p256(), &leaves, "-cert leaf.pem");
    let der = openssl.read("request");
    let request = OcspRequest::from_der(&der).unwrap();
    let answer = |nonce| {
        let profile = OcspProfile { nonce, ..profile(&request) };
        p256().answer_ocsp(request.cert_ids(), &profile, |_| CertStatus::Good).unwrap()
    };

    let mut forged = answer(request.nonce());
    let good = forged.windows(2).position(|window| window == [0x80, 0x00]).unwrap();
    forged[good] = 0x82;
    openssl.write("response", &forged);
    let verdict = openssl.run(JUDGE);
    assert!(verdict.text.contains("Response Verify Failure"), "{verdict:?}");

    openssl.write("response", &answer(Some(b"another")));
    let verdict = openssl.run(JUDGE);
    assert!(verdict.text.contains("Nonce Verify error"), "{verdict:?}");

    openssl.write("response", &answer(None));
    let verdict = openssl.run(JUDGE);
    assert!(verdict.text.contains("WARNING: no nonce in response"), "{verdict:?}");
}

#[test]
fn an_intermediate_answers_for_itself() {
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP384).unwrap();
    let profile_of_ca = ca::CaProfile {
        common_name: "Intermediate".to_owned(),
        not_before: start(),
        not_after: end(),
        serial: ca::Serial::random().unwrap(),
        path_len: Some(0),
    };
    let intermediate = p256().subordinate(key, &profile_of_ca).unwrap();
    let certificate = leaf(&intermediate, Vec::new());
    let openssl = asked(&intermediate, &[("leaf.pem", &certificate)], "-cert leaf.pem");
    let der = openssl.read("request");
    let request = OcspRequest::from_der(&der).unwrap();
    let profile = OcspProfile { next_update: None, ..profile(&request) };
    let response = intermediate.answer_ocsp(request.cert_ids(), &profile, |_| CertStatus::Good).unwrap();
    openssl.write("response", &response);
    openssl.write("root.pem", own_certificate(p256()).to_pem().as_bytes());
    // The responder's certificate is not in the response: the client has it, and trusts the root alone.
    let verdict = openssl.run(
        "ocsp -respin response -no_nonce -issuer ca.pem -CAfile root.pem -verify_other ca.pem -cert leaf.pem",
    );
    assert_eq!(verdict.text, "leaf.pem: good\n\tThis Update: Feb  3 04:05:06 2001 GMT\nResponse verify OK\n");
}

#[test]
fn what_another_issued_is_unknown_and_nobody_is_asked_about_it() {
    // One has this authority's name, the other its key.
    let namesake = authority(SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap(), "Root EcdsaP256");
    let same_key = p256().key().to_pkcs8_pem().unwrap();
    let renamed = authority(SigningKey::from_pem(same_key.as_bytes()).unwrap(), "Renamed");
    let own = leaf(p256(), Vec::new());
    let leaves = [
        ("own.pem", &own),
        ("namesake.pem", own_certificate(&namesake)),
        ("renamed.pem", own_certificate(&renamed)),
    ];
    let certificates = "-cert own.pem -sha384 -cert own.pem -sha512 -cert own.pem -md5 -cert own.pem -sha1 \
                        -issuer namesake.pem -cert own.pem -issuer renamed.pem -serial 1";
    let openssl = asked(p256(), &leaves, certificates);
    let der = openssl.read("request");
    let request = OcspRequest::from_der(&der).unwrap();
    let hashes: Vec<_> = request.cert_ids().iter().map(ca::CertId::hash_algorithm).collect();
    let [sha1, .., sha384, sha512] = HashAlgorithm::ALL.map(Some);
    assert_eq!(hashes, [sha1, sha384, sha512, None, sha1, sha1]);
    let named: Vec<_> = request.cert_ids().iter().map(|id| id.names_issuer(p256()).unwrap()).collect();
    assert_eq!(named, [true, true, true, false, false, false]);

    let calls = Cell::new(0);
    let response = p256()
        .answer_ocsp(request.cert_ids(), &profile(&request), |_| {
            calls.set(calls.get() + 1);
            CertStatus::Good
        })
        .unwrap();
    assert_eq!(calls.get(), 3);
    openssl.write("response", &response);
    for (certificate, status) in [
        ("-cert own.pem", "own.pem: good"),
        ("-sha512 -cert own.pem", "own.pem: good"),
        ("-md5 -cert own.pem", "own.pem: unknown"),
        ("-issuer namesake.pem -cert own.pem", "own.pem: unknown"),
        ("-issuer renamed.pem -serial 1", "1: unknown"),
    ] {
        let verdict = openssl.run(&format!("{STATUS} {certificate}"));
        assert!(verdict.text.contains(status), "{status}: {verdict:?}");
        assert!(verdict.text.contains("Response verify OK"), "{verdict:?}");
    }
}

#[test]
fn a_signed_request_with_its_requestors_name_is_read() {
    let certificate = leaf(p256(), Vec::new());
    let key = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let pem = key.to_pkcs8_pem().unwrap();
    let client = authority(key, "Client");
    let openssl = asked(p256(), &[("leaf.pem", &certificate)], "-cert leaf.pem");
    assert!(!OcspRequest::from_der(&openssl.read("request")).unwrap().is_signed());
    openssl.write("client.pem", own_certificate(&client).to_pem().as_bytes());
    openssl.write("client.key", pem.as_bytes());
    let verdict = openssl
        .run("ocsp -issuer ca.pem -cert leaf.pem -signer client.pem -signkey client.key -reqout request");
    assert!(verdict.success, "{verdict:?}");
    let der = openssl.read("request");
    let request = OcspRequest::from_der(&der).unwrap();
    assert!(request.is_signed());
    assert_eq!(request.cert_ids()[0].serial(), certificate.serial());
}

#[test]
fn every_failure_is_five_bytes_that_openssl_names() {
    assert_eq!(OcspFailure::MalformedRequest.to_der(), *b"\x30\x03\x0a\x01\x01");
    for (failure, name) in [
        (OcspFailure::MalformedRequest, "malformedrequest (1)"),
        (OcspFailure::InternalError, "internalerror (2)"),
        (OcspFailure::TryLater, "trylater (3)"),
        (OcspFailure::SigRequired, "sigrequired (5)"),
        (OcspFailure::Unauthorized, "unauthorized (6)"),
    ] {
        let openssl = OpenSsl::with([("response", failure.to_der().as_slice())]);
        let verdict = openssl.run("ocsp -respin response -noverify");
        assert!(verdict.text.contains(&format!("Responder Error: {name}")), "{verdict:?}");
    }
}

#[test]
fn a_time_before_1970_is_no_answer() {
    let certificate = leaf(p256(), Vec::new());
    let openssl = asked(p256(), &[("leaf.pem", &certificate)], "-cert leaf.pem");
    let der = openssl.read("request");
    let request = OcspRequest::from_der(&der).unwrap();
    let at = jiff::Timestamp::from_second(-1).unwrap();
    let error = p256()
        .answer_ocsp(request.cert_ids(), &profile(&request), |_| CertStatus::Revoked { at, reason: None })
        .unwrap_err();
    assert!(matches!(error, ca::CaError::Time(_)), "{error}");
}
