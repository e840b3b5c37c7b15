//! A month of a cluster, with a PKI that has bad hours.

use std::collections::BTreeMap;
use std::time::Duration;

use mock_pki::Fault;

use crate::common::{certificate, check_rarely, on_stage, pair, until_revision};

const CERTIFICATES: usize = 5;
const DAYS: u64 = 30;

#[test]
fn in_a_month_with_outages_no_secret_is_ever_without_a_valid_pair() {
    on_stage(3, async |stage| {
        let _cert_manager = stage.cert_manager();
        let _controller = stage.controller("one", &[]).unwrap();
        check_rarely(&stage).await;
        let names: Vec<String> = (0..CERTIFICATES).map(|number| format!("app-{number}")).collect();
        for name in &names {
            certificate(&stage, name, "144h", "72h").await;
        }
        for name in &names {
            until_revision(&stage, name, 1).await;
        }
        let mut serials: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for day in 0..DAYS {
            // Eight hours of every fourth day nothing is answered, or nothing good.
            let kind = ["status", "reset", "sealed", "wrong_key"][usize::try_from(day / 4 % 4).unwrap()];
            let fault = (day % 4 == 0).then(|| match kind {
                "status" => Fault::new("status").with("status", 503),
                other => Fault::new(&other.replace('_', "-")),
            });
            let installed = fault.map(|fault| stage.pki.install(fault).unwrap());
            tokio::time::sleep(Duration::from_hours(8)).await;
            if let Some(id) = installed {
                stage.pki.uninstall(id);
            }
            tokio::time::sleep(Duration::from_hours(16)).await;
            for name in &names {
                let serial = pair(&stage, name).await.serial_hex();
                let seen = serials.entry(name).or_default();
                if seen.last() != Some(&serial) {
                    assert!(!seen.contains(&serial), "{name}: an old certificate came back");
                    seen.push(serial);
                }
            }
        }
        for (name, seen) in serials {
            // One every three days, give or take what the outages cost.
            assert!((7..=11).contains(&seen.len()), "{name} had {} certificates", seen.len());
        }
    });
}
