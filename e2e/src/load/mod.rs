//! A load generator: creates and approves `CertificateRequest`s for any issuer, and measures what comes back.
//!
//! ```text
//! make CSRs ──> create ──> approve ──> watch until Ready ──> report ──> delete
//!                             │
//!                             └─ instead of an issuer: the null writer, one canned status for each request
//! ```
//!
//! * `args.rs`: the command line.
//! * `request.rs`: what is sent. `api.rs`: sending it.
//! * `board.rs`: when each request was approved and Ready; `watch.rs` fills it.
//! * `process.rs`: memory and CPU time of processes. `audit.rs`: who wrote what, from the audit log.
//! * `session.rs`: a run's course. `backlog.rs`, `open.rs`, `null.rs`: the modes that make requests; `run.rs`: all modes.
//! * `interrupt.rs`: Ctrl-C. `report.rs`: the figures. `table.rs`: several reports as a Markdown table.
//!
//! It knows no issuer: group, kind and name are flags, so that any two can be measured on the same cluster.

pub mod api;
pub mod args;
pub mod audit;
mod backlog;
pub mod board;
pub mod error;
pub mod interrupt;
mod null;
mod open;
pub mod process;
pub mod progress;
pub mod report;
pub mod request;
pub mod run;
mod session;
pub mod table;
pub mod watch;
