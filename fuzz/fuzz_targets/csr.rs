//! Any bytes as a certificate request: reading ends, and what is read is consistent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use x509::Csr;

fuzz_target!(|data: &[u8]| {
    for csr in [Csr::from_pem(data), Csr::from_der(data)].into_iter().flatten() {
        check(&csr);
    }
});

fn check(csr: &Csr) {
    let _ = csr.verify();
    let _ = csr.subject_alt_names().map(|names| names.iter().for_each(|name| drop(name.to_string())));
    let _ = (csr.usages().map(|usages| usages.to_string()), csr.is_ca(), csr.key_type().to_string());
    assert!(csr.subject().rdns().is_empty() == (csr.subject_der().len() == 2));
    let _ = csr.subject().to_string();
    for (oid, _, value) in csr.extensions() {
        let dotted = oid.to_string();
        assert!(dotted.starts_with("oid#") || csr.extension(&dotted) == Some(value));
    }
    let again = Csr::from_pem(csr.to_pem().as_bytes()).expect("what was read is written so that it can be read");
    assert_eq!(again.sha256(), csr.sha256());
    assert!(x509::key::same_key(csr.spki_der(), again.spki_der()));
}
