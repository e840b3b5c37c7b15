//! The program as it is started: what it says, how it ends, what it leaves.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is what it is for"
)]

mod process;
mod story;
mod terminal;
mod up;
