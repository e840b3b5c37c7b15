//! Bad answers: each ends in a bounded, clear message on the request, and never in a Secret.

use anyhow::ensure;
use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::api::CertificateRequest;
use crate::pki::{Fault, MockPki};
use crate::world::{Csr, Issuer, Kind, World};

scenarios!("answers":
    beside a_bad_certificate_is_rejected_with_what_is_wrong_with_it,
    beside a_shuffled_chain_is_put_in_order,
    beside a_missing_chain_still_gives_a_certificate_that_openssl_accepts,
    beside an_answer_that_is_none_is_retried_with_a_clear_message,
    beside a_credential_never_follows_a_redirect,
);

async fn mock_issuer(world: &World) -> Result<(MockPki, Issuer)> {
    let pki = world.pkis().mock().await?;
    world.vault_settings(Kind::Issuer, &pki.vault.by_token().await?).await?;
    // A slow answer shall not be waited for long.
    let spec = world.pki_spec_with(Kind::Issuer, json!({"requestTimeout": "3s"}));
    let issuer = world.issuer(Kind::Issuer, "mock-pki", spec).await?;
    world.issuer_ready(&issuer).await?;
    Ok((pki, issuer))
}

/// What the controller says must fit on a screen, whatever the PKI sent.
fn bounded(request: &CertificateRequest) -> Result {
    for condition in request.conditions() {
        let message = condition.message.clone().unwrap_or_default();
        ensure!(message.len() <= 1000, "a message of {} bytes", message.len());
        ensure!(!message.contains('\n') && !message.contains("BEGIN CERTIFICATE"), "{message}");
    }
    let status = request.status.clone().unwrap_or_default();
    ensure!(status.certificate.is_none() && status.ca.is_none(), "a rejected certificate was published");
    Ok(())
}

async fn a_bad_certificate_is_rejected_with_what_is_wrong_with_it(world: &World) -> Result {
    let (pki, issuer) = mock_issuer(world).await?;
    let bad = [
        (
            "wrong-key",
            Fault::new("wrong-key"),
            "no certificate has the public key of the request; the answer holds: …",
        ),
        (
            "extra-san",
            Fault::new("extra-san"),
            "…subject alternative names: not asked, got DNS:extra.example.com…",
        ),
        ("expired", Fault::new("expired-leaf"), "…validity: notAfter … has passed…"),
        ("future", Fault::new("future-leaf"), "…validity: notBefore …"),
        (
            "stranger",
            Fault::new("unrelated-certificate"),
            "not part of the chain of CN=stranger.example.com: CN=Unrelated CA (serial …)",
        ),
        (
            "stranger-first",
            Fault::new("unrelated-certificate").with("first", true),
            "not part of the chain of CN=stranger-first.example.com: CN=Unrelated CA (serial …)",
        ),
    ];
    for (name, fault, told) in bad {
        let common_name = format!("{name}.example.com");
        let fault = pki.when_signing(fault.for_common_name(&common_name)).await?;
        world.request(name, &issuer.reference(), &Csr::of(&[&common_name])?).await?;
        let told = format!("Ready False/Failed: the PKI's certificate was rejected: {told}");
        let failed = world.request_says(name, &["Approved True/cert-manager.io: …", &told]).await?;
        bounded(&failed)?;
        ensure!(failed.status.as_ref().is_some_and(|status| status.failure_time.is_some()), "no failureTime");
        world.status_writes_are(name, 1).await?;
        world
            .events_are(
                &failed,
                &[
                    "Warning Failed: the PKI's certificate was rejected: …",
                    "Warning CertificateUnused: the PKI issued a certificate with serial … that is not used: …",
                ],
            )
            .await?;
        fault.uninstall().await?;
    }
    // Through cert-manager: no Secret.
    let fault = pki.when_signing(Fault::new("wrong-key")).await?;
    world.certificate("certificate", &issuer.reference()).await?;
    world
        .certificate_says(
            "certificate",
            "Issuing",
            "Issuing False/Failed: The certificate request has failed to complete and will be retried: the PKI's \
             certificate was rejected: …",
        )
        .await?;
    world.no_pair("certificate").await?;
    fault.uninstall().await?;
    world.certificate_ready("certificate").await?;
    world.pair("certificate").await?.judge().map(drop)
}

async fn a_shuffled_chain_is_put_in_order(world: &World) -> Result {
    let (pki, issuer) = mock_issuer(world).await?;
    let fault = pki.when_signing(Fault::new("shuffled-chain")).await?;
    world.certificate("shuffled", &issuer.reference()).await?;
    world.issued_well("shuffled").await?;
    fault.uninstall().await?;
    Ok(())
}

async fn a_missing_chain_still_gives_a_certificate_that_openssl_accepts(world: &World) -> Result {
    let (pki, issuer) = mock_issuer(world).await?;
    // The issuing CA alone: it is in the chain and, for want of a root, in ca.crt.
    let fault = pki.when_signing(Fault::new("missing-chain").with("keep_issuing_ca", true)).await?;
    world.certificate("short-chain", &issuer.reference()).await?;
    world.issued_well("short-chain").await?;
    fault.uninstall().await?;
    // Nothing at all: a leaf is still what was asked for; what is missing is ca.crt.
    let fault = pki.when_signing(Fault::new("missing-chain")).await?;
    world.request("no-chain", &issuer.reference(), &Csr::of(&["no-chain.example.com"])?).await?;
    let request = world
        .request_says(
            "no-chain",
            &["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"],
        )
        .await?;
    let status = request.status.unwrap_or_default();
    ensure!(status.ca.is_none(), "a CA out of nowhere");
    let pem = String::from_utf8(status.certificate.unwrap_or_default().0)?;
    ensure!(crate::judge::blocks(&pem).len() == 1, "{pem}");
    // Whoever knows the issuing CA accepts it.
    crate::judge::verify(&pem, &world.pair("short-chain").await?.ca, world.now())?;
    pki.issued_once("no-chain.example.com", &crate::judge::certificate(&pem)?).await?;
    fault.uninstall().await?;
    Ok(())
}

async fn an_answer_that_is_none_is_retried_with_a_clear_message(world: &World) -> Result {
    let (pki, issuer) = mock_issuer(world).await?;
    let none = [
        ("huge", Fault::new("oversized-body"), "…the answer is longer than 1048576 bytes; retrying until …"),
        (
            "huge-declared",
            Fault::new("oversized-body").with("declare", true),
            "…the answer is longer than 1048576 bytes; retrying until …",
        ),
        (
            "bomb",
            Fault::new("gzip-bomb"),
            "…the answer is compressed (gzip), though that was declined; retrying until …",
        ),
        ("drip", Fault::new("slow-drip").with("bytes", 100_000), "…within 3s; retrying until …"),
        (
            "html",
            Fault::new("wrong-content-type"),
            "…HTTP 200 with text/html; charset=utf-8, but without Vault's data.certificate…",
        ),
        (
            "redirect",
            Fault::new("redirect"),
            "…HTTP 307 to http://elsewhere.invalid; redirects are not followed, as the credential would go along: …",
        ),
        ("empty", Fault::new("empty-answer"), "…connection …closed…; retrying until …"),
    ];
    let mut guards = Vec::new();
    for (name, fault, _) in &none {
        let common_name = format!("{name}.example.com");
        guards.push(pki.when_signing(fault.clone().for_common_name(&common_name)).await?);
        world.request(name, &issuer.reference(), &Csr::of(&[&common_name])?).await?;
    }
    for (name, _, told) in &none {
        let pending = format!("Ready False/Pending: {told}");
        let request = world.request_pending(name).await?;
        bounded(&request)?;
        let ready = request.condition("Ready").and_then(|ready| ready.message.clone()).unwrap_or_default();
        ensure!(crate::world::matches(&pending, &format!("Ready False/Pending: {ready}")), "{name}: {ready}");
    }
    for guard in guards {
        guard.uninstall().await?;
    }
    for (name, _, _) in &none {
        world
            .request_says(
                name,
                &["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"],
            )
            .await?;
    }
    Ok(())
}

/// The other host is a second mock-pki, which remembers who came.
async fn a_credential_never_follows_a_redirect(world: &World) -> Result {
    let (pki, issuer) = mock_issuer(world).await?;
    let other = world.pkis().mock().await?;
    let before = other.control.journal().await?.len();
    let away = Fault::new("redirect").with("to", other.vault.url.clone()).for_common_name("away.example.com");
    let fault = pki.when_signing(away).await?;
    world.request("away", &issuer.reference(), &Csr::of(&["away.example.com"])?).await?;
    let request = world.request_pending("away").await?;
    bounded(&request)?;
    let after = other.control.journal().await?.len();
    ensure!(before == after, "the controller followed a redirect to another host with its token");
    fault.uninstall().await?;
    Ok(())
}
