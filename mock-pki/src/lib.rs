//! mock-pki: a PKI that clients cannot tell from the real product, and that misbehaves on demand.
//!
//! ```text
//! client ──> listener ──> fault plan ──> face (vault, ejbca) ──> ledger ──> fault spoils the answer ──> client
//! test ────> control port: ledger, journal, faults, reset
//! ```
//!
//! A face is a folder (`vault/`, `ejbca/`): routes, wire types and error texts of one product, shared with nobody, least of
//! all with the controller that is tested against it. What faces share is in `store`: one clock, one
//! ledger, one journal, one CA hierarchy. Everything is in memory.
//!
//! As a library: [`server::start`] runs it inside a test on free ports, [`in_process`] without any; with the feature `client`,
//! `client::Control` speaks to the control port.

mod admin;
pub mod approval;
mod archive;
pub mod args;
mod ca;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
mod connection;
mod crl;
mod custom;
mod der;
mod ejbca;
mod face;
mod fault;
pub mod in_process;
mod issue;
pub mod journal;
pub mod ledger;
mod metrics;
pub mod near_miss;
mod pem_list;
mod pkcs7;
mod proof;
mod random;
mod serial;
pub mod server;
mod service;
mod state;
mod store;
mod sync;
mod tls;
mod vault;
mod venafi;

pub use admin::wire;
pub use fault::{Fault, Installed};

/// Compares a file that is checked in with what it shall be; `UPDATE=1` writes it.
#[cfg(test)]
fn checked_in(path: &str, said: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, said).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == said, "{path} is not what the program says: run this test again with UPDATE=1");
}
