//! Cut, bent and made-up input: an answer or an error, never a panic, and never a signature that still holds.

use proptest::prelude::*;
use x509::{Certificate, Csr, bundle::read_certificates, pem};

use crate::fixtures::{all, bytes, csr};

/// Everything there is to read in a request.
fn exercise(csr: &Csr) {
    let _ =
        (csr.verify(), csr.subject().to_string(), csr.subject_alt_names().map(|names| format!("{names:?}")));
    let _ = (
        csr.usages().map(|usages| usages.to_string()),
        csr.is_ca(),
        csr.to_pem(),
        csr.key_type().to_string(),
    );
}

fn exercise_certificate(certificate: &Certificate) {
    let _ = (certificate.is_self_signed(), certificate.usages().to_string(), certificate.serial_hex());
    let _ = (certificate.subject().to_string(), format!("{:?}", certificate.subject_alt_names()));
}

fn decoded(path: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes(path)).unwrap();
    pem::blocks(&text).next().unwrap().unwrap().decode().unwrap()
}

#[test]
fn every_truncation_is_an_error() {
    for path in all("csr", ".pem") {
        let der = decoded(&path);
        for length in 0..der.len() {
            assert!(Csr::from_der(&der[..length]).is_err(), "{path} cut at {length}");
        }
    }
    for path in all("chain", ".pem") {
        let der = decoded(&path);
        for length in 0..der.len() {
            assert!(Certificate::from_der(&der[..length]).is_err(), "{path} cut at {length}");
        }
    }
    for file in ["bundle/pkcs7.der", "bundle/signed.ber"] {
        let der = bytes(file);
        for length in 0..der.len() {
            assert!(read_certificates(&der[..length]).is_err(), "{file} cut at {length}");
        }
    }
}

#[test]
fn no_flipped_bit_leaves_a_valid_request() {
    for name in ["p256-sha256", "ed25519", "no-attributes"] {
        let der = csr(name).der().to_vec();
        for bit in 0..der.len() * 8 {
            let mut bent = der.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let verified = Csr::from_der(&bent).and_then(|csr| csr.verify());
            assert!(verified.is_err(), "{name}, bit {bit}");
        }
    }
}

/// An element: tag, length in three bytes, value.
fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    let length = match value.len() {
        0..0x80 => vec![length[3]],
        0x80..0x100 => vec![0x81, length[3]],
        0x100..0x1_0000 => vec![0x82, length[2], length[3]],
        _ => vec![0x83, length[1], length[2], length[3]],
    };
    [&[tag], length.as_slice(), value].concat()
}

#[test]
fn lists_of_nothing_are_cut_off() {
    for (parts, fine) in [(256, true), (257, false)] {
        let name = element(0x30, &[0x31, 0x00].repeat(parts));
        assert_eq!(x509::DistinguishedName::from_der(&name).is_ok(), fine, "{parts} empty relative names");
    }
    for (names, fine) in [(4096, true), (4097, false)] {
        let list = element(0x30, &[0x82, 0x00].repeat(names));
        let extension = element(0x30, &[element(0x06, &[0x55, 0x1d, 0x11]), element(0x04, &list)].concat());
        let attribute = [
            element(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e]),
            element(0x31, &element(0x30, &extension)),
        ];
        let csr = csr("no-extensions");
        let subject = csr.subject_der().to_vec();
        let info = [
            vec![2, 1, 0],
            subject,
            csr.spki_der().to_vec(),
            element(0xa0, &element(0x30, &attribute.concat())),
        ];
        let algorithm = element(0x30, &element(0x06, &[0x2b, 0x65, 0x70]));
        let request = [element(0x30, &info.concat()), algorithm, vec![3, 1, 0]].concat();
        let request = Csr::from_der(&element(0x30, &request)).unwrap();
        assert_eq!(request.subject_alt_names().is_ok(), fine, "{names} empty alternative names");
    }
}

proptest! {
    #[test]
    fn bent_requests_do_no_harm(
        path in prop::sample::select(all("csr", ".pem")),
        bends in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut der = decoded(&path);
        for (index, byte) in bends {
            *index.get_mut(&mut der) = byte;
        }
        if let Ok(csr) = Csr::from_der(&der) {
            exercise(&csr);
        }
    }

    #[test]
    fn bent_answers_do_no_harm(
        path in prop::sample::select([all("bundle", ""), all("chain", ".pem")].concat()),
        bends in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut answer = bytes(&path);
        for (index, byte) in bends {
            *index.get_mut(&mut answer) = byte;
        }
        for certificate in read_certificates(&answer).unwrap_or_default() {
            exercise_certificate(&certificate);
        }
    }

    #[test]
    fn noise_does_no_harm(noise in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = (Csr::from_der(&noise), Csr::from_pem(&noise), Certificate::from_der(&noise), read_certificates(&noise));
        let armoured = pem::encode("CERTIFICATE", &noise) + &pem::encode("CERTIFICATE REQUEST", &noise);
        let _ = (Csr::from_pem(armoured.as_bytes()), read_certificates(armoured.as_bytes()));
    }
}
