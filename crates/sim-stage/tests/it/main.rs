//! The real controller on a simulated cluster, by a clock that is turned by hand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is what it is for"
)]

mod common;
mod duplicates;
mod faults;
mod flow;
mod month;
mod mutants;
mod told;
mod virtual_year;
mod year;
