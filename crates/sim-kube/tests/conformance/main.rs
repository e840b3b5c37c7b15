//! What this server answers to generated sequences of requests is what a real kube-apiserver answers.
//!
//! Plain `cargo test` replays the sequences of `fixtures/kubernetes/conformance`, with a real server's answers to
//! them. `scripts/conformance.sh` plays fresh ones on both, side by side, and records.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::similar_names,
    reason = "a test that cannot go on must fail, and one of thousands of sequences says how far it is"
)]

mod compare;
mod generate;
mod golden;
mod live;
mod normal;
mod play;
mod real;
mod sequence;
mod sim;
