//! A PKI that is away, busy, sealed or slow, and comes back.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::pki::{Fault, MockPki};
use crate::world::{Csr, Issuer, Kind, World};

scenarios!("pki_down":
    beside a_certificate_from_mock_pki_by_token_becomes_a_secret,
    beside a_certificate_from_mock_pki_by_app_role_becomes_a_secret,
    beside a_request_outlives_a_pki_that_resets_connections,
    beside a_request_outlives_a_sealed_pki,
    beside a_request_outlives_an_openbao_that_is_not_there,
    beside a_request_outlives_an_openbao_that_is_sealed,
    beside a_request_outlives_a_pki_that_only_fails_to_sign,
    beside a_pki_that_is_away_when_the_issuer_is_made_is_found_when_it_comes_back,
    beside retries_end_when_the_issuer_says_so,
    beside a_lost_answer_is_asked_for_again_and_one_certificate_is_published,
);

async fn mock_issuer(world: &World, kind: Kind) -> Result<(MockPki, Issuer)> {
    let pki = world.pkis().mock().await?;
    let issuer = world.vault_issuer(kind, "mock-pki", &pki.vault.by_token().await?).await?;
    Ok((pki, issuer))
}

/// A sound certificate whose root is the PKI's, issued once.
async fn from_mock_pki(world: &World, pki: &MockPki, issuer: &Issuer) -> Result {
    world.issuer_ready(issuer).await?;
    let name = issuer.kind.as_str().to_ascii_lowercase();
    world.certificate(&name, &issuer.reference()).await?;
    let leaf = world.issued_well(&name).await?;
    pki.issued_once(&format!("{name}.example.com"), &leaf).await?;
    let root = pki.control.root_ca().await?;
    let ca = world.pair(&name).await?.ca;
    ensure!(crate::judge::blocks(&ca) == crate::judge::blocks(&root), "ca.crt is not the root:\n{ca}");
    Ok(())
}

async fn a_certificate_from_mock_pki_by_token_becomes_a_secret(world: &World) -> Result {
    for kind in Kind::BOTH {
        let (pki, issuer) = mock_issuer(world, kind).await?;
        from_mock_pki(world, &pki, &issuer).await?;
    }
    Ok(())
}

async fn a_certificate_from_mock_pki_by_app_role_becomes_a_secret(world: &World) -> Result {
    for kind in Kind::BOTH {
        let pki = world.pkis().mock().await?;
        let issuer = world.vault_issuer(kind, "mock-pki", &pki.vault.by_app_role().await?).await?;
        from_mock_pki(world, &pki, &issuer).await?;
    }
    Ok(())
}

/// While `fault` is in force a request waits and says why; then it is issued, once.
async fn outlives(world: &World, fault: Fault, told: &str) -> Result {
    let (pki, issuer) = mock_issuer(world, Kind::Issuer).await?;
    world.issuer_ready(&issuer).await?;
    let down = pki.always(fault).await?;
    world.issuer_says(&issuer, told).await?;
    world.certificate("outlives", &issuer.reference()).await?;
    let pending = world.request_pending("outlives-1").await?;
    ensure!(
        pending.status.is_some_and(|status| status.failure_time.is_none()),
        "failureTime on a pending request"
    );
    down.uninstall().await?;
    world.certificate_ready("outlives").await?;
    let leaf = world.pair("outlives").await?.judge()?;
    pki.issued_once("outlives.example.com", &leaf).await?;
    world
        .request_says(
            "outlives-1",
            &["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"],
        )
        .await?;
    world.issuer_ready(&issuer).await
}

async fn a_request_outlives_a_pki_that_resets_connections(world: &World) -> Result {
    outlives(world, Fault::new("reset"), "Ready False/PKIUnreachable: …").await
}

async fn a_request_outlives_a_sealed_pki(world: &World) -> Result {
    outlives(world, Fault::new("sealed"), "Ready False/PKIUnavailable: …sealed…").await
}

/// Nobody listens, neither when the request is made nor when the issuer is.
async fn a_request_outlives_an_openbao_that_is_not_there(world: &World) -> Result {
    let openbao = world.pkis().openbao().await?;
    let mut line = world.pkis().line(&openbao, Duration::ZERO).await?;
    let refused = "Ready False/PKIUnreachable: could not … at 127.0.0.1:…: connection refused";
    line.cut().await;
    let vault = openbao.by_token().await?.behind(line.as_ref());
    let issuer = world.vault_issuer(Kind::Issuer, "openbao", &vault).await?;
    for name in ["first", "second"] {
        world.issuer_says(&issuer, refused).await?;
        world.certificate(name, &issuer.reference()).await?;
        world.request_pending(&format!("{name}-1")).await?;
        line.mend().await?;
        world.certificate_ready(name).await?;
        world.pair(name).await?.judge()?;
        world.issuer_ready(&issuer).await?;
        line.cut().await;
    }
    Ok(())
}

/// Sealed by its administrator, as every Vault is after a restart.
async fn a_request_outlives_an_openbao_that_is_sealed(world: &World) -> Result {
    let openbao = world.pkis().own_openbao().await?;
    let issuer = world.vault_issuer(Kind::Issuer, "openbao", &openbao.server.by_token().await?).await?;
    world.issuer_ready(&issuer).await?;
    openbao.seal().await?;
    world.issuer_says(&issuer, "Ready False/PKIUnavailable: …sealed…").await?;
    world.certificate("outlives", &issuer.reference()).await?;
    let pending = world.request_pending("outlives-1").await?;
    ensure!(
        pending.status.is_some_and(|status| status.failure_time.is_none()),
        "failureTime on a pending request"
    );
    openbao.unseal().await?;
    world.certificate_ready("outlives").await?;
    world.pair("outlives").await?.judge()?;
    world.issuer_ready(&issuer).await
}

async fn a_request_outlives_a_pki_that_only_fails_to_sign(world: &World) -> Result {
    let (pki, issuer) = mock_issuer(world, Kind::Issuer).await?;
    world.issuer_ready(&issuer).await?;
    // For this name only, so that the health check, which also asks the signing path, finds nothing.
    let busy = pki
        .when_signing(Fault::new("status").with("status", 503).for_common_name("busy.example.com"))
        .await?;
    world.certificate("busy", &issuer.reference()).await?;
    let request = world
        .request_says(
            "busy-1",
            &[
                "Approved True/cert-manager.io: …",
                "Ready False/Pending: Vault refused pki_int/sign/web: injected fault: service unavailable; retrying until …",
                "external-issuer.io/Retrying True/RetryableError: transitionTime is when retries began",
            ],
        )
        .await?;
    ensure!(
        request.status.is_some_and(|status| status.failure_time.is_none()),
        "failureTime on a pending request"
    );
    world.issuer_ready(&issuer).await?;
    busy.uninstall().await?;
    world.certificate_ready("busy").await?;
    let leaf = world.pair("busy").await?.judge()?;
    pki.issued_once("busy.example.com", &leaf).await?;
    // Nothing of the retries is left on the object.
    world
        .request_says(
            "busy-1",
            &["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"],
        )
        .await?;
    Ok(())
}

async fn a_pki_that_is_away_when_the_issuer_is_made_is_found_when_it_comes_back(world: &World) -> Result {
    let pki = world.pkis().mock().await?;
    let vault = pki.vault.by_app_role().await?;
    let away = pki.always(Fault::new("empty-answer")).await?;
    let issuer = world.vault_issuer(Kind::ClusterIssuer, "mock-pki", &vault).await?;
    world.issuer_says(&issuer, "Ready False/PKIUnreachable: …").await?;
    world.certificate("found", &issuer.reference()).await?;
    world.request_pending("found-1").await?;
    away.uninstall().await?;
    world.certificate_ready("found").await?;
    world.pair("found").await?.judge().map(drop)
}

async fn retries_end_when_the_issuer_says_so(world: &World) -> Result {
    let pki = world.pkis().mock().await?;
    world.vault_settings(Kind::Issuer, &pki.vault.by_token().await?).await?;
    let spec = world.pki_spec_with(Kind::Issuer, json!({"maxRetryDuration": "4s"}));
    let issuer = world.issuer(Kind::Issuer, "impatient", spec).await?;
    world.issuer_ready(&issuer).await?;
    let busy = pki
        .when_signing(Fault::new("status").with("status", 500).for_common_name("never.example.com"))
        .await?;
    world.request("never", &issuer.reference(), &Csr::of(&["never.example.com"])?).await?;
    let failed = world
        .request_says(
            "never",
            &["Approved True/cert-manager.io: …", "Ready False/Failed: gave up after retrying for 4s: Vault refused pki_int/sign/web: injected fault: internal server error"],
        )
        .await?;
    ensure!(failed.status.is_some_and(|status| status.failure_time.is_some()), "Failed without failureTime");
    // Backed off: 0.5–1 s, 1–2 s, … within four seconds.
    let asked = pki.control.journal().await?.iter().filter(|entry| entry.status == Some(500)).count();
    ensure!((2..=6).contains(&asked), "the PKI was asked {asked} times within four seconds");
    busy.uninstall().await?;
    Ok(())
}

async fn a_lost_answer_is_asked_for_again_and_one_certificate_is_published(world: &World) -> Result {
    let (pki, issuer) = mock_issuer(world, Kind::Issuer).await?;
    world.issuer_ready(&issuer).await?;
    // The PKI issues, and the answer never arrives.
    let fault = Fault::new("reset").with("after", true).for_common_name("lost.example.com").times(1);
    let lost = pki.when_signing(fault).await?;
    world.certificate("lost", &issuer.reference()).await?;
    world.certificate_ready("lost").await?;
    let leaf = world.pair("lost").await?.judge()?;
    let signed = pki.issued_for("lost.example.com").await?;
    let serials: Vec<String> = signed.iter().map(|entry| entry.serial.to_ascii_uppercase()).collect();
    ensure!(
        serials.len() == 2 && serials.last() == Some(&leaf.serial),
        "{serials:?}, published {}",
        leaf.serial
    );
    lost.uninstall().await?;
    Ok(())
}
