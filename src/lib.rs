//! External Issuer: takes approved `CertificateRequest`s to the company's PKI and brings the certificate back.
//!
//! ```text
//! watch ──> load ──> decide ──> sign ──> conclude ──> write status
//! (stores)  Snapshot  Action     Outcome  StatusPatch   (one apply patch, one event)
//!   IO        IO       PURE        IO       PURE           IO
//! ```
//!
//! * [`api`]: the typed resources. Pure data.
//! * [`config`]: the PKI's configuration, parsed once into types that cannot be wrong.
//! * [`decide`]: every rule, as functions from a snapshot to a value.
//! * [`signer`]: the one trait to the outside world, and a file for each backend.
//! * [`controller`]: watching, loading, doing what was decided, and the only writer of status.
//! * [`run`]: wiring and shutdown; [`args`], [`admin`], [`bounded`], [`lease`], [`metrics`] and [`telemetry`] around it.

pub mod admin;
pub mod api;
pub mod args;
pub mod bounded;
pub mod clock;
pub mod config;
pub mod controller;
pub mod decide;
pub mod lease;
pub mod metrics;
pub mod random;
pub mod run;
pub mod signer;
pub mod telemetry;
