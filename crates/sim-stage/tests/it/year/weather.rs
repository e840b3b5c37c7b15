//! The PKI's good and bad days.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mock_pki::Fault;
use sim_stage::Stage;

/// How long it is well between two troubles, which is no whole number of days: trouble comes at any hour.
const WELL: Duration = Duration::from_hours(53);
/// How long a trouble lasts, in turn. The longest is shorter than the time in which Certificates are renewed by more
/// than the longest wait of cert-manager after a failure.
const TROUBLE_HOURS: [u64; 5] = [1, 7, 26, 3, 120];

/// What goes wrong, in turn: no answers, answers that are lost, and answers that must not be used.
fn troubles() -> [Fault; 12] {
    [
        Fault::new("status").with("status", 503),
        Fault::new("sealed"),
        Fault::new("wrong-key").on_path("/sign/"),
        Fault::new("reset"),
        Fault::new("expired-leaf").on_path("/sign/"),
        Fault::new("status").with("status", 429).with("retry_after", 900),
        Fault::new("reset").with("after", true).on_path("/sign/"),
        Fault::new("wrong-content-type"),
        Fault::new("unfit-intermediate").with("why", "expired").on_path("/sign/"),
        Fault::new("status").with("status", 403).on_path("/sign/"),
        Fault::new("empty-answer"),
        Fault::new("latency").with("milliseconds", 3_600_000),
    ]
}

/// Brings one trouble after the other.
pub(crate) async fn forever(stage: &Stage) -> Infallible {
    let mut hours = TROUBLE_HOURS.into_iter().cycle();
    loop {
        for trouble in troubles() {
            tokio::time::sleep(WELL).await;
            let id = stage.pki.install(trouble).unwrap();
            tokio::time::sleep(Duration::from_hours(hours.next().unwrap_or_default())).await;
            stage.pki.uninstall(id);
        }
    }
}

/// How many signing calls come to nothing from now on.
pub(crate) fn count_refused(stage: &Stage) -> Arc<AtomicUsize> {
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    stage.pki.on_call(move |call| {
        if !call.is_check && call.status != Some(200) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    refused
}
