//! From a Certificate to its Secret.

use sim_stage::Ended;

use crate::common::{certificate, on_stage, pair, until_revision};

#[test]
fn a_certificate_becomes_a_secret_under_the_permissions_that_are_shipped() {
    on_stage(1, async |stage| {
        let cert_manager = stage.cert_manager();
        let controller = stage.controller("one", &["--leader-elect"]).unwrap();
        certificate(&stage, "web", "24h", "8h").await;
        until_revision(&stage, "web", 1).await;
        let leaf = pair(&stage, "web").await;
        let [issued] = stage.pki.ledger().try_into().unwrap();
        assert!(issued.serial.eq_ignore_ascii_case(&leaf.serial_hex()), "{issued:?} {}", leaf.serial_hex());
        cert_manager.abort();
        let ended = controller.stop().await;
        assert!(matches!(ended, Ended::Well), "{ended:?}");
    });
}

#[test]
fn a_standby_that_is_told_to_stop_ends_well_and_one_that_takes_over_signs() {
    on_stage(2, async |stage| {
        let _cert_manager = stage.cert_manager();
        let leader = stage.controller("one", &["--leader-elect"]).unwrap();
        certificate(&stage, "first", "24h", "8h").await;
        until_revision(&stage, "first", 1).await;
        let standby = stage.controller("two", &["--leader-elect"]).unwrap();
        let other = stage.controller("three", &["--leader-elect"]).unwrap();
        tokio::time::sleep(std::time::Duration::from_mins(1)).await;
        let ended = standby.stop().await;
        assert!(matches!(ended, Ended::Well), "{ended:?}");
        leader.kill().await;
        certificate(&stage, "second", "24h", "8h").await;
        until_revision(&stage, "second", 1).await;
        assert_eq!(stage.pki.ledger().len(), 2);
        let ended = other.stop().await;
        assert!(matches!(ended, Ended::Well), "{ended:?}");
    });
}
