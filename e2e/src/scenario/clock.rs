//! Clocks that do not agree.

use anyhow::ensure;

use super::scenarios;
use crate::Result;
use crate::controller::Settings;
use crate::pki::Login;
use crate::world::{Kind, World};

scenarios!("clock":
    alone a_controller_whose_clock_is_behind_makes_no_storm_of_requests,
    alone a_controller_whose_clock_is_ahead_issues_all_the_same,
);

/// A clock behind cert-manager's makes a failure look older than the issuance it ends. cert-manager then deletes
/// the request and makes another at once, without any back-off, unless failureTime is bounded by the request's
/// creation.
async fn a_controller_whose_clock_is_behind_makes_no_storm_of_requests(world: &World) -> Result {
    world.replace_controller(Settings { clock_offset_secs: -90, ..Settings::default() }).await?;
    let openbao = world.pkis().openbao().await?;
    let role = world.namespace.clone();
    openbao.role(&role, &["elsewhere.example"]).await?;
    let vault = openbao.access(&role, Login::Token(openbao.token().await?));
    let issuer = world.vault_issuer(Kind::Issuer, "openbao", &vault).await?;
    world.issuer_ready(&issuer).await?;
    world.certificate("refused", &issuer.reference()).await?;
    // Two failures, which is enough to see whether cert-manager waits between them: 2 s, then 4 s.
    let failing = world.certificate_failed_times("refused", 2).await?;
    let made = world.calls(|call| {
        call.verb == "create" && call.resource == "certificaterequests" && (200..300).contains(&call.code)
    })?;
    let failures = failing.status.and_then(|status| status.failed_issuance_attempts).unwrap_or_default();
    let allowed = usize::try_from(failures)? + 1;
    ensure!(made.len() <= allowed, "{} CertificateRequests were made for {failures} failures", made.len());

    // And it still issues, with the clock as it is.
    openbao.role(&role, &["example.com"]).await?;
    world.certificate_ready("refused").await?;
    world.pair("refused").await?.judge().map(drop)
}

async fn a_controller_whose_clock_is_ahead_issues_all_the_same(world: &World) -> Result {
    world.replace_controller(Settings { clock_offset_secs: 90, ..Settings::default() }).await?;
    let vault = world.pkis().openbao().await?.by_token().await?;
    let issuer = world.vault_issuer(Kind::Issuer, "openbao", &vault).await?;
    world.issuer_ready(&issuer).await?;
    world.certificate("ahead", &issuer.reference()).await?;
    world.issued_well("ahead").await.map(drop)
}
