//! A real OpenBao that is asked what it issued before: no kill makes it sign in vain, and what is in vain is revoked.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use super::crash::{IN_FLIGHT, KILLED, ON_THE_WAY, all_ready, ask};
use super::published::Published;
use super::scenarios;
use crate::Result;
use crate::api::CertificateRequest;
use crate::pki::OpenBao;
use crate::world::{Csr, Dice, Kind, LONG, SOON, World};

scenarios!("lookup":
    alone no_kill_makes_openbao_sign_in_vain,
    beside what_was_issued_for_a_request_that_went_is_revoked,
);

/// Certificates of a round.
const LOAD: usize = 30;
const ROUNDS: usize = 2;

/// Kills come while answers are on their way: what they carried must be found by the successor, and published.
async fn no_kill_makes_openbao_sign_in_vain(world: &World) -> Result {
    // What was found again hangs on the kills.
    world.undetermined("…", "");
    let mut replica = world.replace_controller(KILLED).await?;
    let openbao = world.pkis().own_openbao().await?;
    let line = world.pkis().line(&openbao.server, ON_THE_WAY).await?;
    world.vault_settings(Kind::ClusterIssuer, &openbao.server.kept().await?.behind(line.as_ref())).await?;
    let before = openbao.server.serials().await?;
    let issuer = world.issuer(Kind::ClusterIssuer, "openbao", world.pki_spec(Kind::ClusterIssuer)).await?;
    world.issuer_ready(&issuer).await?;
    let published = Published::watch(world);
    let mut dice = Dice::new(world.seed);
    for round in 0..ROUNDS {
        let least = before.len() + round * LOAD + usize::try_from(dice.below(LOAD as u64 / 2))? + 1;
        let kill = async {
            signed(world, &openbao, least).await?;
            world.controller.kill(&replica).await?;
            world.controller.start(KILLED).await
        };
        let ((), next) = tokio::try_join!(ask(world, round * LOAD..(round + 1) * LOAD, &issuer), kill)?;
        replica = next;
        all_ready(world, (round + 1) * LOAD).await?;
    }
    let signed: BTreeSet<String> = openbao.server.serials().await?.difference(&before).cloned().collect();
    // cert-manager's trigger now and then looks at a Secret before its cache has it, and issues once more; it may then
    // delete a request that is being signed. What came of that is no kill's doing, and was told.
    let is_told = |serial: &String| world.has_logged("a certificate was issued that is not used", serial);
    world
        .eventually("all that was signed to be published", SOON, async || {
            let published = published.serials()?;
            let in_vain = signed.difference(&published).filter(|serial| !is_told(serial)).count();
            let of = signed.len();
            Ok(if in_vain == 0 { Ok(()) } else { Err(format!("{in_vain} of {of} were signed in vain")) })
        })
        .await?;
    ensure!(
        published.serials()?.is_subset(&signed),
        "a certificate was published that OpenBao does not keep"
    );
    let requests = world.api::<CertificateRequest>().list(&ListParams::default()).await?;
    let ready = requests.iter().filter_map(|request| request.condition("Ready")?.message.as_deref());
    let found = ready.filter(|message| message.contains("found at the PKI")).count();
    ensure!(found > 0, "no kill has lost an answer: the kills came when nothing was in flight");
    ensure!(found <= ROUNDS * IN_FLIGHT, "{found} certificates were found again");
    world.note(&format!(
        "{} Certificates, {ROUNDS} kills, {found} certificates found again, none signed in vain",
        signed.len()
    ));
    Ok(())
}

/// Waits until so many certificates are kept.
async fn signed(world: &World, openbao: &OpenBao, least: usize) -> Result {
    world
        .eventually("certificates to be signed", LONG, async || {
            let count = openbao.server.serials().await?.len();
            Ok(if count >= least { Ok(()) } else { Err(format!("{count} of {least}")) })
        })
        .await
}

async fn what_was_issued_for_a_request_that_went_is_revoked(world: &World) -> Result {
    let openbao = world.pkis().own_openbao().await?;
    let line = world.pkis().line(&openbao.server, Duration::from_secs(3)).await?;
    world.vault_settings(Kind::Issuer, &openbao.server.kept().await?.behind(line.as_ref())).await?;
    let before = openbao.server.serials().await?;
    let spec = world.pki_spec_with(Kind::Issuer, json!({"revokeUnused": true, "healthCheckInterval": "1h"}));
    let issuer = world.issuer(Kind::Issuer, "openbao", spec).await?;
    world.issuer_ready(&issuer).await?;
    world.request("goes", &issuer.reference(), &Csr::of(&["goes.example.com"])?).await?;
    signed(world, &openbao, before.len() + 1).await?;
    world.api::<CertificateRequest>().delete("goes", &DeleteParams::default()).await?;
    let serial = openbao.server.serials().await?.difference(&before).next().cloned().context("no serial")?;
    world
        .eventually("the certificate to be revoked", SOON, async || {
            let revoked = openbao.server.revoked_serials().await?;
            Ok(if revoked.contains(&serial) { Ok(()) } else { Err(format!("{revoked:?} without {serial}")) })
        })
        .await?;
    world.logged("a certificate was issued that is not used", &serial).await?;
    for (metric, labels) in [
        ("certificates_unused_total", "why=\"gone\""),
        ("pki_calls_total", "operation=\"revoke\",result=\"revoked\""),
    ] {
        let of = format!(
            "issuer_kind=\"ExternalIssuer\",issuer_namespace=\"{}\",issuer_name=\"openbao\"",
            world.namespace
        );
        let series = format!("external_issuer_{metric}{{{of},{labels}}}");
        // The answer to the revocation is on its way for a while, too.
        world
            .eventually(&format!("{series} to be 1"), SOON, async || {
                let count = world.metric(&series).await?;
                Ok(if (count - 1.0).abs() < f64::EPSILON { Ok(()) } else { Err(format!("it is {count}")) })
            })
            .await?;
    }
    Ok(())
}
