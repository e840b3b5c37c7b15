//! mock-pki as its clients see it.

mod cli;
mod common;
mod config;
mod console;
mod control;
mod custom;
mod ejbca;
mod faults;
mod in_process;
mod logins;
mod real_openbao;
mod replay;
mod revocation;
mod state;
mod tls;
mod vault_face;
mod vaultrs;
mod venafi;
mod wrapping_and_seal;
