//! A PKI that decides later: the request is polled with the handle that is kept on the object, by whoever runs.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::api::CertificateRequest;
use crate::controller::Settings;
use crate::judge;
use crate::world::{Authority, Csr, Kind, World};

scenarios!("pending":
    beside a_pending_request_keeps_its_handle_until_it_is_issued,
    alone a_pending_request_survives_the_controller_with_its_handle,
    alone a_ca_in_a_secret_survives_the_controller,
);

const PENDING: [&str; 3] = [
    "Approved True/cert-manager.io: …",
    "Ready False/Pending: the PKI has not decided yet: the mock CA answers at …",
    "external-issuer.io/Submitted True/PendingAtPKI: …",
];
const ISSUED: [&str; 2] = ["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"];

/// The handle on the object.
fn handle(request: &CertificateRequest) -> Result<String> {
    let submitted = request.condition("external-issuer.io/Submitted");
    submitted.and_then(|submitted| submitted.message.clone()).context("no handle on the request")
}

/// The request's certificate.
fn leaf(request: &CertificateRequest) -> Result<judge::Seen> {
    let bytes =
        request.status.as_ref().and_then(|status| status.certificate.as_ref()).context("no certificate")?;
    judge::certificate(std::str::from_utf8(&bytes.0)?)
}

async fn a_pending_request_keeps_its_handle_until_it_is_issued(world: &World) -> Result {
    let spec = json!({"signerType": "mockca", "pollInterval": "1s", "mockca": {"pendingFor": "4s"}});
    let issuer = world.issuer(Kind::Issuer, "slow", spec).await?;
    world.issuer_ready(&issuer).await?;
    world.request("slow", &issuer.reference(), &Csr::of(&["slow.example.com"])?).await?;
    let pending = world.request_says("slow", &PENDING).await?;
    ensure!(
        pending.status.as_ref().is_some_and(|status| status.failure_time.is_none()),
        "failureTime while pending"
    );
    // "<when> <of which request>": the answer is not before its time.
    let handle = handle(&pending)?;
    let due: jiff::Timestamp = handle.split(' ').next().unwrap_or_default().parse()?;
    let done = world.request_says("slow", &ISSUED).await?;
    ensure!(leaf(&done)?.not_before_secs >= due.as_second(), "issued before {due}");
    // Four polls in between wrote nothing and told nothing.
    world.status_writes_are("slow", 2).await?;
    world
        .events_are(
            &done,
            &[
                "Normal Pending: the PKI has not decided yet: the mock CA answers at …",
                "Normal Issued: certificate issued: …",
            ],
        )
        .await?;
    // A Certificate waits with it and becomes a Secret.
    world.certificate("waits", &issuer.reference()).await?;
    world.certificate_ready("waits").await?;
    world.pair("waits").await?.judge().map(drop)
}

async fn a_pending_request_survives_the_controller_with_its_handle(world: &World) -> Result {
    let authority = Authority::new("CA of a Secret")?;
    world.secret(Kind::Issuer, "mock-ca", &authority.secret()).await?;
    let spec = json!({
        "signerType": "mockca", "pollInterval": "1s",
        "mockca": {"pendingFor": "12s", "caSecretRef": {"name": "mock-ca"}},
    });
    let issuer = world.issuer(Kind::Issuer, "slow", spec).await?;
    world.issuer_ready(&issuer).await?;
    world.request("slow", &issuer.reference(), &Csr::of(&["slow.example.com"])?).await?;
    let pending = world.request_says("slow", &PENDING).await?;
    for replica in world.controller.replicas() {
        world.controller.stop(&replica, Duration::from_secs(25)).await?;
    }
    world.controller.start(Settings::default()).await?;
    let done = world.request_says("slow", &ISSUED).await?;
    // Had the new process submitted it anew, its answer would be due later and there would be a third write.
    world.status_writes_are("slow", 2).await?;
    let due: jiff::Timestamp = handle(&pending)?.split(' ').next().unwrap_or_default().parse()?;
    let leaf = leaf(&done)?;
    ensure!(leaf.not_before_secs >= due.as_second(), "issued before {due}");
    ensure!(leaf.issuer == "CN=CA of a Secret", "issued by {}", leaf.issuer);
    Ok(())
}

async fn a_ca_in_a_secret_survives_the_controller(world: &World) -> Result {
    let settings = Settings { short_lease: true, ..Settings::default() };
    world.replace_controller(settings).await?;
    let authority = Authority::new("CA of a Secret")?;
    for kind in Kind::BOTH {
        let name = match kind {
            Kind::Issuer => "mock-ca".to_owned(),
            Kind::ClusterIssuer => world.credential_name(kind),
        };
        world.secret(kind, &name, &authority.secret()).await?;
        let spec = json!({"signerType": "mockca", "mockca": {"caSecretRef": {"name": name}}});
        let issuer = world.issuer(kind, "stable", spec).await?;
        let name = |when: &str| format!("{}-{when}", kind.as_str().to_ascii_lowercase());
        world.certificate(&name("before"), &issuer.reference()).await?;
        world.issued_well(&name("before")).await?;
        for replica in world.controller.replicas() {
            world.controller.kill(&replica).await?;
        }
        world.controller.start(settings).await?;
        world.certificate(&name("after"), &issuer.reference()).await?;
        world.issued_well(&name("after")).await?;
        let (before, after) = (world.pair(&name("before")).await?, world.pair(&name("after")).await?);
        ensure!(before.ca == after.ca, "the CA has changed");
        ensure!(judge::blocks(&after.ca) == judge::blocks(&authority.certificate), "it is not the Secret's");
    }
    Ok(())
}
