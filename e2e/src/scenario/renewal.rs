//! One certificate after another.

use anyhow::ensure;
use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::world::{Kind, Pair, World, revision_of};

scenarios!("renewal":
    beside a_certificate_of_short_life_is_renewed_in_time_with_a_new_key_and_serial,
    beside a_renewal_by_hand_brings_a_new_key_and_serial,
    beside a_changed_certificate_is_issued_again_as_it_is_now,
    beside another_issuer_issues_again,
    beside a_renewal_leaves_the_old_pair_while_the_pki_is_down,
);

/// Two pairs, one after the other: other key, other serial, both sound.
fn follows(before: &Pair, after: &Pair) -> Result {
    let (old, new) = (before.judge()?, after.judge()?);
    ensure!(old.serial != new.serial, "the serial is still {}", old.serial);
    ensure!(old.public_key != new.public_key, "the key is still the same");
    ensure!(old.subject == new.subject, "{} became {}", old.subject, new.subject);
    Ok(())
}

async fn a_certificate_of_short_life_is_renewed_in_time_with_a_new_key_and_serial(world: &World) -> Result {
    let issuer = world.issuer(Kind::Issuer, "mock", json!({"signerType": "mockca"})).await?;
    world.issuer_ready(&issuer).await?;
    // An hour is the least that cert-manager allows; it is renewed so many seconds after its beginning.
    let seconds = 8;
    let (life, renew_before) = ("1h".parse()?, format!("59m{}s", 60 - seconds).parse()?);
    world
        .certificate_with("short", &issuer.reference(), |spec| {
            spec.duration = Some(life);
            spec.renew_before = Some(renew_before);
        })
        .await?;
    let (mut revision, mut before) = settled(world, "short", 1).await?;
    for _ in 0..2 {
        let (next, after) = settled(world, "short", revision + 1).await?;
        follows(&before, &after)?;
        // When due, and not before: a busy machine may have had one more in between.
        let lived = after.judge()?.not_before_secs - before.judge()?.not_before_secs;
        let due = i64::try_from(next - revision)? * seconds;
        ensure!(lived >= due, "revision {next} came {lived} s after revision {revision}, {due} s were due");
        (revision, before) = (next, after);
    }
    Ok(())
}

/// The pair of a Certificate at this revision or a later one, and which.
async fn settled(world: &World, name: &str, revision: u64) -> Result<(u64, Pair)> {
    loop {
        let before = revision_of(&world.certificate_at_revision(name, revision).await?);
        let pair = world.pair(name).await?;
        // The Secret changes while the Certificate is being issued.
        let now = revision_of(&world.certificate_at_revision(name, revision).await?);
        if before == now {
            return Ok((now, pair));
        }
    }
}

async fn a_renewal_by_hand_brings_a_new_key_and_serial(world: &World) -> Result {
    let openbao = world.pkis().openbao().await?;
    for kind in Kind::BOTH {
        let issuer = world.vault_issuer(kind, "openbao", &openbao.by_token().await?).await?;
        let name = kind.as_str().to_ascii_lowercase();
        world.certificate(&name, &issuer.reference()).await?;
        world.issued_well(&name).await?;
        let before = world.pair(&name).await?;
        world.renew(&name).await?;
        world.certificate_at_revision(&name, 2).await?;
        follows(&before, &world.pair(&name).await?)?;
    }
    Ok(())
}

async fn a_changed_certificate_is_issued_again_as_it_is_now(world: &World) -> Result {
    let issuer = world.issuer(Kind::Issuer, "mock", json!({"signerType": "mockca"})).await?;
    world.certificate("changes", &issuer.reference()).await?;
    world.issued_well("changes").await?;
    let before = world.pair("changes").await?;
    world
        .certificate_with("changes", &issuer.reference(), |spec| {
            spec.dns_names.push("more.example.com".to_owned());
        })
        .await?;
    world.certificate_at_revision("changes", 2).await?;
    let after = world.pair("changes").await?;
    follows(&before, &after)?;
    let names = after.judge()?.subject_alt_names;
    ensure!(names == "DNS:changes.example.com, DNS:more.example.com", "{names}");
    Ok(())
}

async fn another_issuer_issues_again(world: &World) -> Result {
    let first = world.issuer(Kind::Issuer, "first", json!({"signerType": "mockca"})).await?;
    let second = world.issuer(Kind::ClusterIssuer, "second", json!({"signerType": "mockca"})).await?;
    world.certificate("moves", &first.reference()).await?;
    world.issued_well("moves").await?;
    let before = world.pair("moves").await?;
    world.certificate("moves", &second.reference()).await?;
    world.certificate_at_revision("moves", 2).await?;
    let after = world.pair("moves").await?;
    follows(&before, &after)?;
    ensure!(before.ca != after.ca, "both issuers have the same CA");
    Ok(())
}

async fn a_renewal_leaves_the_old_pair_while_the_pki_is_down(world: &World) -> Result {
    let pki = world.pkis().mock().await?;
    let issuer = world.vault_issuer(Kind::Issuer, "mock-pki", &pki.vault.by_token().await?).await?;
    world.certificate("stays", &issuer.reference()).await?;
    world.issued_well("stays").await?;
    let before = world.pair("stays").await?;
    let down = pki.always(crate::pki::Fault::new("status")).await?;
    world.renew("stays").await?;
    world.request_pending("stays-2").await?;
    let meanwhile = world.pair("stays").await?;
    ensure!(before == meanwhile, "the Secret changed while the PKI was down");
    down.uninstall().await?;
    world.certificate_at_revision("stays", 2).await?;
    follows(&before, &world.pair("stays").await?)
}
