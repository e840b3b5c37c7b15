//! A virtual year of many Certificates, with a PKI that has bad days. A test lets a part of it pass, an example all of it.

mod custody;
mod weather;

use std::time::Duration;

use sim_stage::Stage;

pub(crate) use self::custody::{Custody, Kept};
use crate::common::{certificate, check_rarely};

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) certificates: u32,
    pub(crate) days: u32,
}

/// What it came to.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) kept: Kept,
    /// Certificates that the PKI issued, the unfit ones among them.
    pub(crate) issued: usize,
    /// Signing calls that came to nothing.
    pub(crate) refused: usize,
}

/// Certificates of 90 days, to be renewed in their last 30.
const DURATION: &str = "2160h";
const RENEW_BEFORE: &str = "720h";
/// They come one after the other in this many days, until the first are renewed: so some renewal is always due.
const ARRIVAL_DAYS: u32 = 60;

/// Lets the time pass, and holds every moment of it against what must hold.
pub(crate) async fn pass(stage: &Stage, size: Size) -> Passed {
    let _cert_manager = stage.cert_manager();
    let _controller = stage.controller("one", &[]).unwrap();
    check_rarely(stage).await;
    let refused = weather::count_refused(stage);
    let ends = tokio::time::sleep(Duration::from_hours(u64::from(size.days) * 24));
    let custody = Custody::of(stage);
    tokio::select! {
        () = ends => {}
        never = async { tokio::join!(arrive(stage, size), weather::forever(stage), custody.keep()) } => {
            match never.1 {}
        }
    }
    let kept = custody.end();
    assert_eq!(kept.secrets, size.certificates as usize, "Secrets at the end");
    Passed {
        kept,
        issued: stage.pki.ledger().len(),
        refused: refused.load(std::sync::atomic::Ordering::Relaxed),
    }
}

async fn arrive(stage: &Stage, size: Size) {
    let days = size.days.min(ARRIVAL_DAYS);
    // The last comes early enough to be there at the end.
    let every = Duration::from_hours(u64::from(days) * 24 - 8) / size.certificates.max(1);
    for number in 0..size.certificates {
        certificate(stage, &format!("app-{number}"), DURATION, RENEW_BEFORE).await;
        tokio::time::sleep(every).await;
    }
}
