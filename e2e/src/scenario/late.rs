//! What a request needs comes after it: watches wake it, and nobody restarts anything. No issuer here has a health
//! check that could wake it instead.

use anyhow::ensure;
use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::world::{Issuer, Kind, World};

scenarios!("late":
    beside a_request_waits_for_an_issuer_that_comes_later,
    beside a_request_waits_for_a_config_map_that_comes_later,
    beside a_request_waits_for_a_secret_that_comes_later,
    beside a_request_waits_for_a_key_of_a_secret_that_comes_later,
    beside a_request_waits_for_a_role_that_lets_the_controller_read,
    beside an_issuer_that_stops_being_ready_holds_new_requests,
);

async fn a_request_waits_for_an_issuer_that_comes_later(world: &World) -> Result {
    for kind in Kind::BOTH {
        let name = kind.as_str().to_ascii_lowercase();
        let issuer = world.issuer_named(kind, "mock");
        world.certificate(&name, &issuer.reference()).await?;
        waits(world, &name, "…does not exist; waiting for it to be created").await?;
        world.apply_issuer(&issuer, json!({"signerType": "mockca"})).await?;
        world.wakes(&name).await?;
    }
    Ok(())
}

/// A Certificate's first request is Pending with this message, without a failureTime.
async fn waits(world: &World, certificate: &str, message: &str) -> Result {
    let pending = format!("Ready False/Pending: {message}");
    let wanted = ["Approved True/cert-manager.io: …", &pending];
    let request = world.request_says(&format!("{certificate}-1"), &wanted).await?;
    ensure!(
        request.status.is_some_and(|status| status.failure_time.is_none()),
        "failureTime on a pending request"
    );
    Ok(())
}

async fn openbao_issuer(world: &World, kind: Kind) -> Result<(Issuer, crate::pki::Vault)> {
    let vault = world.pkis().openbao().await?.by_token().await?;
    let issuer = world.issuer(kind, "openbao", world.patient_spec(kind)).await?;
    Ok((issuer, vault))
}

async fn a_request_waits_for_a_config_map_that_comes_later(world: &World) -> Result {
    for kind in Kind::BOTH {
        let (issuer, vault) = openbao_issuer(world, kind).await?;
        let (key, value) = vault.credential();
        world.credential(kind, key, value).await?;
        let missing = format!(
            "ConfigMap {}/{} does not exist; waiting for it",
            world.settings_namespace(kind),
            world.config_name(kind)
        );
        world.issuer_says(&issuer, &format!("Ready False/ConfigMapNotFound: {missing}")).await?;
        let name = kind.as_str().to_ascii_lowercase();
        world.certificate(&name, &issuer.reference()).await?;
        waits(world, &name, &format!("… is not ready: {missing}")).await?;
        world.configure(kind, &vault.config()).await?;
        world.wakes(&name).await?;
    }
    Ok(())
}

async fn a_request_waits_for_a_secret_that_comes_later(world: &World) -> Result {
    for kind in Kind::BOTH {
        let (issuer, vault) = openbao_issuer(world, kind).await?;
        world.configure(kind, &vault.config()).await?;
        let missing = format!(
            "Secret {}/{} does not exist; waiting for it",
            world.settings_namespace(kind),
            world.credential_name(kind)
        );
        world.issuer_says(&issuer, &format!("Ready False/SecretNotFound: {missing}")).await?;
        let name = kind.as_str().to_ascii_lowercase();
        world.certificate(&name, &issuer.reference()).await?;
        waits(world, &name, &format!("… is not ready: {missing}")).await?;
        let (key, value) = vault.credential();
        world.credential(kind, key, value).await?;
        world.wakes(&name).await?;
    }
    Ok(())
}

async fn a_request_waits_for_a_key_of_a_secret_that_comes_later(world: &World) -> Result {
    let (issuer, vault) = openbao_issuer(world, Kind::Issuer).await?;
    world.configure(Kind::Issuer, &vault.config()).await?;
    world.credential(Kind::Issuer, "tokne", "a-typing-error").await?;
    let missing = format!("Secret {}/pki-credentials has no key token; its keys: tokne", world.namespace);
    world.issuer_says(&issuer, &format!("Ready False/SecretKeyMissing: {missing}")).await?;
    world.certificate("waits", &issuer.reference()).await?;
    waits(world, "waits", &format!("… is not ready: {missing}")).await?;
    let (key, value) = vault.credential();
    world.credential(Kind::Issuer, key, value).await?;
    world.wakes("waits").await
}

async fn a_request_waits_for_a_role_that_lets_the_controller_read(world: &World) -> Result {
    world.may_be_refused("configmaps");
    world.may_be_refused("secrets");
    world.withdraw_tenant_role().await?;
    let vault = world.pkis().openbao().await?.by_token().await?;
    world.vault_settings(Kind::Issuer, &vault).await?;
    let issuer = world.issuer(Kind::Issuer, "openbao", world.patient_spec(Kind::Issuer)).await?;
    world
        .issuer_says(&issuer, "Ready False/NotReadable: …cannot be read: the controller has no permission; grant its ServiceAccount …")
        .await?;
    world.certificate("waits", &issuer.reference()).await?;
    waits(world, "waits", "… is not ready: …the controller has no permission…").await?;
    // Nobody is told of a permission: the watch that was refused tries again, less and less often.
    world.grant_tenant_role(&world.namespace).await?;
    world.certificate_ready("waits").await?;
    world.pair("waits").await?.judge()?;
    Ok(())
}

async fn an_issuer_that_stops_being_ready_holds_new_requests(world: &World) -> Result {
    let vault = world.pkis().openbao().await?.by_token().await?;
    world.vault_settings(Kind::Issuer, &vault).await?;
    let issuer = world.issuer(Kind::Issuer, "openbao", world.patient_spec(Kind::Issuer)).await?;
    world.certificate("before", &issuer.reference()).await?;
    world.issued_well("before").await?;
    world
        .configure(
            Kind::Issuer,
            "type: vault\nvault: {url: 'https://x.example', path: pki/issue/web, auth: {method: token}}",
        )
        .await?;
    world.issuer_says(&issuer, "Ready False/ConfigInvalid: …vault.path…").await?;
    world.certificate("after", &issuer.reference()).await?;
    waits(world, "after", "… is not ready: …vault.path…").await?;
    // What was issued stays issued.
    world.certificate_ready("before").await?;
    world.configure(Kind::Issuer, &vault.config()).await?;
    world.wakes("after").await
}
