//! Clocks that do not agree.

use anyhow::{Context as _, ensure};
use external_issuer::api::conditions::Condition;
use jiff::SignedDuration;

use super::scenarios;
use crate::Result;
use crate::controller::Settings;
use crate::pki::Login;
use crate::world::{Csr, Issuer, Kind, World};

scenarios!("clock":
    wrong_clock a_controller_whose_clock_is_behind_makes_no_storm_of_requests,
    wrong_clock a_controller_whose_clock_is_ahead_issues_all_the_same,
);

/// How wrong the clock is, in seconds.
const OFF: i64 = 90;
/// How long an issuer may take from its creation to Ready.
const TAKES: i64 = 45;

/// The controller's clock really is off by so many seconds: it dates an issuer's Ready, the API server its creation.
async fn is_off(world: &World, issuer: &Issuer, by: i64) -> Result {
    let object = world.get_issuer(issuer).await?;
    let created = object.metadata.creation_timestamp.context("no creationTimestamp")?.0;
    let status =
        object.data.get("status").and_then(|status| status.get("conditions")).context("no conditions")?;
    let conditions: Vec<Condition> = serde_json::from_value(status.clone())?;
    let ready = Condition::find(&conditions, "Ready").and_then(|ready| ready.last_transition_time);
    let apart = ready.context("no Ready")?.duration_since(created).as_secs();
    ensure!((by - 1..by + TAKES).contains(&apart), "the clock should be off by {by} s, and is by {apart} s");
    Ok(())
}

/// A clock behind cert-manager's makes a failure look older than the issuance it ends. cert-manager then deletes
/// the request and makes another at once, without any back-off, unless failureTime is bounded by the request's
/// creation.
async fn a_controller_whose_clock_is_behind_makes_no_storm_of_requests(world: &World) -> Result {
    world.replace_controller(Settings { clock_offset_secs: -OFF, ..Settings::default() }).await?;
    let openbao = world.pkis().openbao().await?;
    let role = world.namespace.clone();
    openbao.role(&role, &["elsewhere.example"]).await?;
    let vault = openbao.access(&role, Login::Token(openbao.token().await?));
    let issuer = world.vault_issuer(Kind::Issuer, "openbao", &vault).await?;
    world.issuer_ready(&issuer).await?;
    is_off(world, &issuer, -OFF).await?;
    // By this clock the request failed before it was made, and failureTime is the first moment that is not.
    let made = world.request("dated", &issuer.reference(), &Csr::of(&["dated.example.com"])?).await?;
    let failed = world
        .request_says(
            "dated",
            &["Approved True/cert-manager.io: …", "Ready False/Failed: the PKI refused the request: …"],
        )
        .await?;
    let created = made.metadata.creation_timestamp.context("no creationTimestamp")?.0;
    let failed = failed.status.and_then(|status| status.failure_time).context("no failureTime")?;
    ensure!(
        failed.duration_since(created) == SignedDuration::from_secs(1),
        "created {created}, failed {failed}"
    );
    world.certificate("refused", &issuer.reference()).await?;
    // Two failures, which is enough to see whether cert-manager waits between them: 2 s, then 4 s.
    let failing = world.certificate_failed_times("refused", 2).await?;
    let made = world.calls(|call| {
        call.verb == "create" && call.resource == "certificaterequests" && (200..300).contains(&call.code)
    })?;
    let failures = failing.status.and_then(|status| status.failed_issuance_attempts).unwrap_or_default();
    // One for each, one that may be on its way, and the one by hand.
    let allowed = usize::try_from(failures)? + 2;
    ensure!(made.len() <= allowed, "{} CertificateRequests were made for {failures} failures", made.len());

    // And it still issues, with the clock as it is.
    openbao.role(&role, &["example.com"]).await?;
    world.certificate_ready("refused").await?;
    world.pair("refused").await?.judge().map(drop)
}

async fn a_controller_whose_clock_is_ahead_issues_all_the_same(world: &World) -> Result {
    world.replace_controller(Settings { clock_offset_secs: OFF, ..Settings::default() }).await?;
    let vault = world.pkis().openbao().await?.by_token().await?;
    let issuer = world.vault_issuer(Kind::Issuer, "openbao", &vault).await?;
    world.issuer_ready(&issuer).await?;
    is_off(world, &issuer, OFF).await?;
    world.certificate("ahead", &issuer.reference()).await?;
    world.issued_well("ahead").await.map(drop)
}
