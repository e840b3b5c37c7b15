//! The files under `fixtures/x509`.

use std::{fs, path::PathBuf};

use x509::{Certificate, Csr, bundle};

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/x509"))
}

pub(crate) fn bytes(path: &str) -> Vec<u8> {
    let path = folder().join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Paths below `folder` with this extension, sorted.
pub(crate) fn all(below: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(folder().join(&here)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{here}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.ends_with(extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {extension} below {below}");
    found
}

pub(crate) fn csr(name: &str) -> Csr {
    Csr::from_pem(&bytes(&format!("csr/{name}.pem"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn certificate(name: &str) -> Certificate {
    let mut certificates = bundle::read_certificates(&bytes(&format!("chain/{name}.pem"))).unwrap();
    assert_eq!(certificates.len(), 1, "{name}");
    certificates.remove(0)
}

pub(crate) fn certificates<const N: usize>(names: [&str; N]) -> Vec<Certificate> {
    names.map(certificate).to_vec()
}
