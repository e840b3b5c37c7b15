//! Lets a virtual year of many Certificates pass, and says what it took.
//!
//! usage: year [CERTIFICATES [DAYS]]

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench: what panics has failed, and what it prints is what it is for"
)]

#[path = "../tests/it/common.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod common;
#[path = "../tests/it/year/mod.rs"]
mod year;

use std::time::Instant;

use year::Size;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let size =
        Size { certificates: arguments.next().unwrap_or(1_000), days: arguments.next().unwrap_or(365) };
    let began = Instant::now();
    let passed = common::on_stage(3, async |stage| year::pass(&stage, size).await);
    let year::Passed { kept, issued, refused } = passed;
    println!(
        "{} Certificates for {} days in {:.1} s: {} certificates in {} Secrets, {issued} issued, {refused} calls came to \
         nothing",
        size.certificates,
        size.days,
        began.elapsed().as_secs_f64(),
        kept.certificates,
        kept.secrets,
    );
}
