//! Certificates from a real OpenBao.

use anyhow::ensure;

use super::scenarios;
use crate::Result;
use crate::api::CertificateSpec;
use crate::pki::Login;
use crate::world::{Csr, Kind, World, key};

scenarios!("vault":
    beside a_certificate_from_openbao_by_token_becomes_a_secret,
    beside a_certificate_from_openbao_by_app_role_becomes_a_secret,
    beside a_wrong_token_is_told_and_corrected_without_a_restart,
    beside a_wrong_secret_id_is_told_and_corrected_without_a_restart,
    beside a_refused_name_fails_once_with_the_pki_s_reason,
    beside a_renewal_with_the_same_key_is_refused_and_recovers,
    beside an_unknown_role_is_told_and_corrected_without_a_restart,
);

async fn a_certificate_from_openbao_by_token_becomes_a_secret(world: &World) -> Result {
    let openbao = world.pkis().openbao().await?;
    for kind in Kind::BOTH {
        let issuer = world.vault_issuer(kind, "openbao", &openbao.by_token().await?).await?;
        issues(world, &issuer, "OpenBao Intermediate").await?;
    }
    Ok(())
}

async fn a_certificate_from_openbao_by_app_role_becomes_a_secret(world: &World) -> Result {
    let openbao = world.pkis().openbao().await?;
    for kind in Kind::BOTH {
        let issuer = world.vault_issuer(kind, "openbao", &openbao.by_app_role().await?).await?;
        issues(world, &issuer, "OpenBao Intermediate").await?;
    }
    Ok(())
}

/// The issuer is Ready and issues, and the certificate comes from where it should.
pub(super) async fn issues(world: &World, issuer: &crate::world::Issuer, from: &str) -> Result {
    world.issuer_ready(issuer).await?;
    let name = issuer.kind.as_str().to_ascii_lowercase();
    world.certificate(&name, &issuer.reference()).await?;
    let leaf = world.issued_well(&name).await?;
    ensure!(leaf.issuer == format!("CN={from}"), "issued by {}", leaf.issuer);
    let (chain, ca) = {
        let pair = world.pair(&name).await?;
        (crate::judge::blocks(&pair.certificate).len(), crate::judge::certificate(&pair.ca)?)
    };
    // Leaf and intermediate; the root is in ca.crt and nowhere else.
    ensure!(
        chain == 2 && ca.subject == ca.issuer,
        "{chain} certificates in tls.crt, ca.crt is {}",
        ca.subject
    );
    Ok(())
}

async fn a_wrong_token_is_told_and_corrected_without_a_restart(world: &World) -> Result {
    let openbao = world.pkis().openbao().await?;
    let right = openbao.by_token().await?;
    let wrong = openbao.access("web", Login::Token("s.wrongWrongWrongWrongWrong".to_owned()));
    for kind in Kind::BOTH {
        world.vault_settings(kind, &wrong).await?;
        let issuer = world.issuer(kind, "openbao", world.patient_spec(kind)).await?;
        world
            .issuer_says(
                &issuer,
                "Ready False/CredentialsRefused: …the token is refused (…permission denied…)…",
            )
            .await?;
        let name = kind.as_str().to_ascii_lowercase();
        waits_for_its_issuer(world, &name, &issuer).await?;
        world.vault_settings(kind, &right).await?;
        world.wakes(&name).await?;
        world.issuer_ready(&issuer).await?;
    }
    Ok(())
}

async fn a_wrong_secret_id_is_told_and_corrected_without_a_restart(world: &World) -> Result {
    let right = world.pkis().openbao().await?.by_app_role().await?;
    let mut wrong = right.clone();
    if let Login::AppRole { secret_id, .. } = &mut wrong.login {
        "00000000-wrong-0000-0000-000000000000".clone_into(secret_id);
    }
    world.vault_settings(Kind::Issuer, &wrong).await?;
    let issuer = world.issuer(Kind::Issuer, "openbao", world.patient_spec(Kind::Issuer)).await?;
    world.issuer_says(&issuer, "Ready False/CredentialsRefused: …invalid role or secret ID…").await?;
    waits_for_its_issuer(world, "waits", &issuer).await?;
    world.vault_settings(Kind::Issuer, &right).await?;
    world.wakes("waits").await
}

/// A Certificate's request is Pending and says that its issuer is not ready.
async fn waits_for_its_issuer(world: &World, name: &str, issuer: &crate::world::Issuer) -> Result {
    world.certificate(name, &issuer.reference()).await?;
    let pending = format!("Ready False/Pending: {}… is not ready: …", issuer.kind.as_str());
    let request =
        world.request_says(&format!("{name}-1"), &["Approved True/cert-manager.io: …", &pending]).await?;
    ensure!(
        request.status.is_some_and(|status| status.failure_time.is_none()),
        "failureTime on a pending request"
    );
    Ok(())
}

async fn an_unknown_role_is_told_and_corrected_without_a_restart(world: &World) -> Result {
    let openbao = world.pkis().openbao().await?;
    let role = world.namespace.clone();
    let vault = openbao.access(&role, Login::Token(openbao.token().await?));
    let issuer = world.vault_issuer(Kind::Issuer, "openbao", &vault).await?;
    world.issuer_says(&issuer, "Ready False/ConfigurationRefused: …unknown role…").await?;
    waits_for_its_issuer(world, "waits", &issuer).await?;
    // Nothing in the cluster changes: the timer of the health check finds it out.
    openbao.role(&role, &["example.com"]).await?;
    world.certificate_ready("waits").await?;
    world.pair("waits").await?.judge()?;
    Ok(())
}

async fn a_refused_name_fails_once_with_the_pki_s_reason(world: &World) -> Result {
    let openbao = world.pkis().openbao().await?;
    let role = world.namespace.clone();
    openbao.role(&role, &["elsewhere.example"]).await?;
    let vault = openbao.access(&role, Login::Token(openbao.token().await?));
    let issuer = world.vault_issuer(Kind::Issuer, "openbao", &vault).await?;
    world.issuer_ready(&issuer).await?;

    let csr = Csr::of(&["a.example.com"])?;
    world.request("refused", &issuer.reference(), &csr).await?;
    let failed = world
        .request_says(
            "refused",
            &[
                "Approved True/cert-manager.io: …",
                "Ready False/Failed: the PKI refused the request: …a.example.com not allowed by this role…",
            ],
        )
        .await?;
    let status = failed.status.clone().unwrap_or_default();
    ensure!(status.failure_time.is_some() && status.certificate.is_none(), "{status:?}");
    world.status_writes_are("refused", 1).await?;
    world.events_are(&failed, &["Warning Failed: the PKI refused the request: …"]).await?;

    Ok(())
}

/// With `rotationPolicy: Never` every attempt has the same key, so cert-manager takes the request of a failed attempt
/// for the next one's, unless its failureTime tells that it is not.
async fn a_renewal_with_the_same_key_is_refused_and_recovers(world: &World) -> Result {
    let openbao = world.pkis().openbao().await?;
    let role = world.namespace.clone();
    openbao.role(&role, &["example.com"]).await?;
    let vault = openbao.access(&role, Login::Token(openbao.token().await?));
    let issuer = world.vault_issuer(Kind::Issuer, "openbao", &vault).await?;
    let never = |spec: &mut CertificateSpec| {
        spec.private_key = Some(key("ECDSA", 256, "Never"));
    };
    world.certificate_with("recovers", &issuer.reference(), never).await?;
    world.issued_well("recovers").await?;
    let before = world.pair("recovers").await?;

    // Another name, which the role does not allow: cert-manager tries again and again.
    let more = |spec: &mut CertificateSpec| {
        never(spec);
        spec.dns_names.push("recovers.elsewhere.example".to_owned());
    };
    world.certificate_with("recovers", &issuer.reference(), more).await?;
    world.certificate_failed_times("recovers", 2).await?;
    world
        .certificate_says(
            "recovers",
            "Issuing",
            "Issuing False/Failed: The certificate request has failed to complete and will be retried: the PKI refused \
             the request: …recovers.elsewhere.example not allowed by this role…",
        )
        .await?;
    ensure!(world.pair("recovers").await? == before, "the Secret changed though nothing was issued");

    openbao.role(&role, &["example.com", "elsewhere.example"]).await?;
    world.certificate_at_revision("recovers", 2).await?;
    let after = world.pair("recovers").await?;
    let (old, new) = (before.judge()?, after.judge()?);
    ensure!(before.key == after.key, "the key is another");
    ensure!(old.serial != new.serial, "the serial is still {}", old.serial);
    let names = new.subject_alt_names;
    ensure!(names == "DNS:recovers.example.com, DNS:recovers.elsewhere.example", "{names}");
    Ok(())
}
