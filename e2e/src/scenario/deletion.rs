//! Objects that go away while the PKI is still thinking.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams};

use super::scenarios;
use crate::Result;
use crate::api::CertificateRequest;
use crate::pki::{Fault, MockPki};
use crate::world::{Csr, Issuer, Kind, LONG, World};

scenarios!("deletion":
    beside a_request_deleted_in_mid_flight_leaves_nothing_behind,
    beside a_request_made_anew_under_its_name_never_gets_the_old_answer,
    beside an_issuer_deleted_in_mid_flight_still_gets_its_answer_home,
    beside a_namespace_deleted_in_mid_flight_goes_away_and_its_answers_are_told_of,
);

/// What the log says of an answer that found nobody.
const UNUSED: &str = "a certificate was issued that is not used";

/// Long enough to do something meanwhile, short enough to wait for.
fn thinking_of(common_name: &str) -> Fault {
    thinking_for(3000, common_name)
}

fn thinking_for(milliseconds: u64, common_name: &str) -> Fault {
    Fault::new("latency").with("milliseconds", milliseconds).for_common_name(common_name)
}

async fn slow_pki(world: &World) -> Result<(MockPki, Issuer)> {
    let pki = world.pkis().mock().await?;
    let issuer = world.vault_issuer(Kind::Issuer, "mock-pki", &pki.vault.by_token().await?).await?;
    world.issuer_ready(&issuer).await?;
    Ok((pki, issuer))
}

async fn a_request_deleted_in_mid_flight_leaves_nothing_behind(world: &World) -> Result {
    let (pki, issuer) = slow_pki(world).await?;
    let slow = pki.when_signing(thinking_of("goes.example.com")).await?;
    world.request("goes", &issuer.reference(), &Csr::of(&["goes.example.com"])?).await?;
    world.in_flight(&pki, &slow).await?;
    let api = world.api::<CertificateRequest>();
    api.delete("goes", &DeleteParams::default()).await?;
    world.issued_in_ledger(&pki, "goes.example.com", 1).await?;
    // Its answer found nobody, and says so once.
    world.logged(UNUSED, "goes").await?;
    ensure!(api.get_opt("goes").await?.is_none(), "the request is back");
    world.status_writes_are("goes", 0).await?;
    slow.uninstall().await?;
    // Whoever comes next is served.
    world.certificate("next", &issuer.reference()).await?;
    world.issued_well("next").await.map(drop)
}

async fn a_request_made_anew_under_its_name_never_gets_the_old_answer(world: &World) -> Result {
    let (pki, issuer) = slow_pki(world).await?;
    let slow = pki.when_signing(thinking_of("old.example.com")).await?;
    world.request("again", &issuer.reference(), &Csr::of(&["old.example.com"])?).await?;
    world.in_flight(&pki, &slow).await?;
    world.api::<CertificateRequest>().delete("again", &DeleteParams::default()).await?;
    world.request("again", &issuer.reference(), &Csr::of(&["new.example.com"])?).await?;
    let request = world
        .request_says(
            "again",
            &["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"],
        )
        .await?;
    let pem = request.status.and_then(|status| status.certificate).map(|bytes| bytes.0).unwrap_or_default();
    let leaf = crate::judge::certificate(&String::from_utf8(pem)?)?;
    ensure!(leaf.subject == "CN=new.example.com", "the new request got {}", leaf.subject);
    pki.issued_once("new.example.com", &leaf).await?;
    slow.uninstall().await?;
    Ok(())
}

async fn an_issuer_deleted_in_mid_flight_still_gets_its_answer_home(world: &World) -> Result {
    let (pki, issuer) = slow_pki(world).await?;
    let slow = pki.when_signing(thinking_of("asked.example.com")).await?;
    world.request("asked", &issuer.reference(), &Csr::of(&["asked.example.com"])?).await?;
    world.in_flight(&pki, &slow).await?;
    world.delete_issuer(&issuer).await?;
    // The PKI issued it: throwing it away would only issue it twice.
    let request = world
        .request_says(
            "asked",
            &["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"],
        )
        .await?;
    world.status_writes_are("asked", 1).await?;
    ensure!(request.status.is_some_and(|status| status.certificate.is_some()), "no certificate");
    slow.uninstall().await?;
    // The next one waits for an issuer.
    world.request("late", &issuer.reference(), &Csr::of(&["late.example.com"])?).await?;
    world
        .request_says(
            "late",
            &[
                "Approved True/cert-manager.io: …",
                "Ready False/Pending: …does not exist; waiting for it to be created",
            ],
        )
        .await?;
    Ok(())
}

async fn a_namespace_deleted_in_mid_flight_goes_away_and_its_answers_are_told_of(world: &World) -> Result {
    let (pki, issuer) = slow_pki(world).await?;
    let names = ["one", "two", "three"];
    let mut slow = Vec::new();
    for name in names {
        let fault = pki.when_signing(thinking_for(10_000, &format!("{name}.example.com"))).await?;
        world.certificate(name, &issuer.reference()).await?;
        world.in_flight(&pki, &fault).await?;
        slow.push(fault);
    }
    // What there is to see is gone with the namespace.
    world.check().await?;
    // The API server creates nothing in a namespace that goes away, and says 403.
    world.may_be_refused("events");
    let namespaces: Api<Namespace> = world.cluster_api();
    namespaces.delete(&world.namespace, &DeleteParams::default()).await?;
    world
        .until(&namespaces, &world.namespace, "to be gone", LONG, |namespace: Option<&Namespace>| {
            match namespace {
                None => Ok(()),
                Some(namespace) => Err(format!("{:?}", namespace.status)),
            }
        })
        .await?;
    let answered = pki.control.ledger().await?;
    ensure!(answered.is_empty(), "the PKI had answered before the namespace was gone: {answered:#?}");
    // Each answer found nobody, and was told of; nothing was written.
    for name in names {
        world.issued_in_ledger(&pki, &format!("{name}.example.com"), 1).await?;
        let request = format!("{name}-1");
        world.logged(UNUSED, &request).await?;
        world.status_writes_are(&request, 0).await?;
    }
    for fault in slow {
        fault.uninstall().await?;
    }
    Ok(())
}
