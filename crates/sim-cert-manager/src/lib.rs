//! cert-manager's share of a certificate's life, over a plain `kube::Client` and on any clock.
//!
//! ```text
//! Certificate ─> next private key ─> CertificateRequest ─> approval ─> (the issuer) ─> Secret ─> renewal
//! ```
//!
//! Decide, then do: [`decide::decide`] says from what is in the cluster which one step is due, without waiting and
//! without a clock; [`run::run`] watches, does the step and asks again. So it may be stopped at any moment and
//! started anew. What it decides, and the objects it writes, are those of cert-manager 1.21; `fixtures/cert-manager`
//! holds what a real one wrote.
//!
//! Left out: ACME, `Ingress` and `Gateway` shims, key stores, temporary certificates, renewal windows, and the
//! webhook's rules for other kinds than `CertificateRequest` ([`admission`]).
//!
//! Invariants:
//! - no real time: `now` is an argument of what decides and a [`clock::Clock`] of what does, and waiting is tokio's;
//! - a Secret's key and certificate are written together and belong together;
//! - whatever is deleted is named by its uid, and a status is written only over the version that was judged.

pub mod admission;
pub mod api;
pub mod approver;
pub mod backoff;
pub mod clock;
pub mod csr;
pub mod decide;
mod der;
mod events;
pub mod key;
pub mod key_source;
pub mod names;
mod perform;
pub mod policies;
mod queue;
pub mod renewal;
pub mod request;
pub mod run;
pub mod secret;
mod store;
mod subject;
mod usages;
