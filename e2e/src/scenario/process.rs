//! The process: what it tells about itself, how it ends, and who takes over.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::controller::{End, Settings};
use crate::pki::Fault;
use crate::world::{Csr, Kind, World};

scenarios!("process":
    beside health_and_metrics_tell_the_truth,
    alone sigterm_finishes_work_in_flight,
    alone a_standby_takes_over_at_once_when_the_leader_stops,
    alone a_standby_takes_over_when_the_leader_is_killed,
    alone a_standby_that_is_told_to_stop_ends_well,
    alone a_restart_loses_no_request,
);

async fn health_and_metrics_tell_the_truth(world: &World) -> Result {
    let issuer = world.issuer(Kind::Issuer, "counted", json!({"signerType": "mockca"})).await?;
    world.certificate("counted", &issuer.reference()).await?;
    world.issued_well("counted").await?;
    for replica in world.controller.replicas() {
        for path in ["/livez", "/readyz", "/healthz"] {
            let (status, body) = world.controller.get(&replica, path).await?;
            ensure!(status == 200, "{path}: {status} {body}");
        }
        let (status, _) = world.controller.get(&replica, "/nothing").await?;
        ensure!(status == 404, "/nothing: {status}");
    }
    let who = format!(
        "issuer_kind=\"ExternalIssuer\",issuer_namespace=\"{}\",issuer_name=\"counted\"",
        world.namespace
    );
    for (metric, wanted) in [
        (format!("external_issuer_issuer_ready{{{who}}}"), 1.0),
        (format!("external_issuer_requests_total{{{who},outcome=\"issued\"}}"), 1.0),
        (format!("external_issuer_issuance_duration_seconds_count{{{who}}}"), 1.0),
        (format!("external_issuer_pki_calls_total{{{who},operation=\"submit\",result=\"issued\"}}"), 1.0),
        ("external_issuer_leader".to_owned(), 1.0),
    ] {
        let value = world.metric(&metric).await?;
        ensure!((value - wanted).abs() < f64::EPSILON, "{metric} is {value}, not {wanted}");
    }
    // An issuer that is gone is no longer counted.
    world.delete_issuer(&issuer).await?;
    world
        .eventually("the issuer's metrics to be gone", Duration::from_secs(20), async || {
            let text = world.metrics().await?;
            Ok(if text.contains(&who) { Err("still there".to_owned()) } else { Ok(()) })
        })
        .await
}

async fn sigterm_finishes_work_in_flight(world: &World) -> Result {
    let pki = world.pkis().mock().await?;
    let issuer = world.vault_issuer(Kind::Issuer, "mock-pki", &pki.vault.by_token().await?).await?;
    world.issuer_ready(&issuer).await?;
    let slow = pki
        .when_signing(
            Fault::new("latency").with("milliseconds", 3000).for_common_name("in-flight.example.com"),
        )
        .await?;
    world.request("in-flight", &issuer.reference(), &Csr::of(&["in-flight.example.com"])?).await?;
    world.in_flight(&pki, &slow).await?;
    for replica in world.controller.replicas() {
        world.controller.ask_to_stop(&replica)?;
        let end = world.controller.ended(&replica, Duration::from_secs(25)).await?;
        ensure!(end == End::Exit(0), "{replica:?} ended with {end:?}");
    }
    // Nobody runs, and the answer is there.
    let request = world
        .request_says(
            "in-flight",
            &["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"],
        )
        .await?;
    let pem =
        request.status.clone().and_then(|status| status.certificate).map(|bytes| bytes.0).unwrap_or_default();
    let leaf = crate::judge::certificate(&String::from_utf8(pem)?)?;
    pki.issued_once("in-flight.example.com", &leaf).await?;
    world.events_are(&request, &["Normal Issued: certificate issued: …"]).await?;
    slow.uninstall().await?;
    Ok(())
}

async fn a_standby_takes_over_at_once_when_the_leader_stops(world: &World) -> Result {
    let issuer = world.issuer(Kind::Issuer, "mock", json!({"signerType": "mockca"})).await?;
    world.certificate("first", &issuer.reference()).await?;
    world.issued_well("first").await?;
    let leader = world.controller.replicas();
    let standby = world.controller.start(Settings::default()).await?;
    world.ready(&standby).await?;
    for replica in leader {
        let end = world.controller.stop(&replica, Duration::from_secs(25)).await?;
        ensure!(end == End::Exit(0), "{replica:?} ended with {end:?}");
    }
    // A mock CA lives in the leader's memory: a new leader has a new one, and says so in what it issues.
    let began = tokio::time::Instant::now();
    world.certificate("second", &issuer.reference()).await?;
    world.issued_well("second").await?;
    // The Lease was released: nobody waited for its fifteen seconds.
    ensure!(began.elapsed() < Duration::from_secs(12), "the standby took {:?}", began.elapsed());
    ensure!(world.controller.replicas() == [standby], "{:?} run", world.controller.replicas());
    Ok(())
}

async fn a_standby_takes_over_when_the_leader_is_killed(world: &World) -> Result {
    let short = Settings { short_lease: true, ..Settings::default() };
    world.replace_controller(short).await?;
    let issuer = world.issuer(Kind::Issuer, "mock", json!({"signerType": "mockca"})).await?;
    world.certificate("first", &issuer.reference()).await?;
    world.issued_well("first").await?;
    let leader = world.controller.replicas();
    let standby = world.controller.start(short).await?;
    world.ready(&standby).await?;
    for replica in leader {
        world.controller.kill(&replica).await?;
    }
    world.certificate("second", &issuer.reference()).await?;
    world.issued_well("second").await.map(drop)
}

async fn a_standby_that_is_told_to_stop_ends_well(world: &World) -> Result {
    let issuer = world.issuer(Kind::Issuer, "mock", json!({"signerType": "mockca"})).await?;
    world.issuer_ready(&issuer).await?;
    let leader = world.controller.replicas();
    let standby = world.controller.start(Settings::default()).await?;
    world.ready(&standby).await?;
    let end = world.controller.stop(&standby, Duration::from_secs(25)).await?;
    ensure!(end == End::Exit(0), "a standby ended with {end:?}");
    ensure!(world.controller.replicas() == leader, "{:?} run", world.controller.replicas());
    world.certificate("as-ever", &issuer.reference()).await?;
    world.issued_well("as-ever").await.map(drop)
}

async fn a_restart_loses_no_request(world: &World) -> Result {
    let pki = world.pkis().mock().await?;
    let issuer = world.vault_issuer(Kind::Issuer, "mock-pki", &pki.vault.by_token().await?).await?;
    world.certificate("before", &issuer.reference()).await?;
    world.issued_well("before").await?;
    for replica in world.controller.replicas() {
        world.controller.stop(&replica, Duration::from_secs(25)).await?;
    }
    // Made while nobody runs.
    world.certificate("meanwhile", &issuer.reference()).await?;
    world.until_there("meanwhile-1").await?;
    world.request_says("meanwhile-1", &["Approved True/cert-manager.io: …"]).await?;
    world.controller.start(Settings::default()).await?;
    world.issued_well("meanwhile").await?;
    // What was finished stays finished.
    world.status_writes_are("before-1", 1).await
}
