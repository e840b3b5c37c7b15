//! Any bytes as a PKI's answer: reading, ordering and judging end, and do not depend on the order.
#![no_main]

use std::{sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use x509::{
    Asked, Certificate, Chain, Csr, Tolerance, Usages, bundle,
    judge::{SanTolerance, SubjectTolerance, UsageTolerance, ValidityTolerance, judge},
};

/// The request that the leaves among the seeds answer.
static CSR: LazyLock<Csr> = LazyLock::new(|| {
    Csr::from_pem(include_bytes!("../../fixtures/x509/csr/p256-sha256.pem")).expect("the fixture is a request")
});

fuzz_target!(|data: &[u8]| {
    let Ok(certificates) = bundle::read_certificates(data) else { return };
    assert!(!certificates.is_empty());
    for certificate in &certificates {
        check(certificate);
    }
    order(&certificates);
    decide(&certificates);
});

fn check(certificate: &Certificate) {
    let _ = (certificate.is_self_signed(), certificate.serial_hex(), certificate.usages().to_string());
    let _ = (certificate.subject().to_string(), certificate.issuer().to_string());
    let _ = (certificate.is_ca(), certificate.path_len(), certificate.key_type().to_string());
    certificate.subject_alt_names().iter().for_each(|name| drop(name.to_string()));
    let again = bundle::read_certificates(certificate.to_pem().as_bytes());
    assert_eq!(again, Ok(vec![certificate.clone()]));
}

fn order(certificates: &[Certificate]) {
    let spki = certificates[0].spki_der();
    let forward = Chain::order(spki, certificates.to_vec());
    let mut backward = certificates.to_vec();
    backward.reverse();
    backward.extend_from_slice(&certificates[..1]);
    assert_eq!(forward, Chain::order(spki, backward));
    if let Ok(chain) = forward {
        let published = bundle::read_certificates(chain.certificate_pem().as_bytes()).expect("PEM is PEM");
        assert_eq!(published.first(), Some(&chain.leaf));
        assert_eq!(published.len(), 1 + chain.intermediates.len());
    }
}

fn decide(certificates: &[Certificate]) {
    let strict = Tolerance {
        subject: SubjectTolerance::Exact,
        subject_alt_names: SanTolerance::Exact,
        usages: UsageTolerance::Exact,
        validity: ValidityTolerance::default(),
    };
    for (tolerance, is_ca) in [(Tolerance::default(), false), (strict, true)] {
        let asked = Asked {
            csr: &CSR,
            duration: Duration::from_secs(36500 * 24 * 3600),
            usages: Usages::default_for_leaf(),
            is_ca,
            now: certificates[0].not_before(),
        };
        for extra in [Vec::new(), certificates.to_vec()] {
            if let Err(mismatch) = judge(&asked, &tolerance, certificates.to_vec(), extra) {
                assert!(mismatch.to_string().len() <= 910);
            }
        }
    }
}
