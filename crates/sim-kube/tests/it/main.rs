//! The simulated API server, asked as clients ask it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

mod access;
mod client;
mod driver;
mod leaving;
mod objects;
mod owners;
mod reads;
mod total;
mod watches;
