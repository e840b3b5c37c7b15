//! Behaviour of the crate, against what openssl writes (`fixtures/x509`) and what rcgen issues.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail")]

mod bundles;
mod certificates;
mod chains;
mod fixtures;
mod go;
mod hostile;
mod issue;
mod judging;
mod requests;
