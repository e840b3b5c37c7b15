//! SIGKILL at random instants under load.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;

use super::published::{Published, serial};
use super::scenarios;
use crate::Result;
use crate::api::Certificate;
use crate::controller::{Replica, Settings};
use crate::pki::MockPki;
use crate::world::{Dice, Issuer, Kind, LONG, Pair, World};

scenarios!("crash":
    alone a_load_of_two_hundred_certificates_survives_kills_at_random_instants,
);

/// How many Certificates are asked for and not issued when a round begins.
const LOAD: usize = 200;
/// Rounds: in each the controller is killed once, in every second one twice.
const ROUNDS: usize = 10;
/// How many requests the controller works on at once: as many as one kill can make the PKI sign in vain.
pub(super) const IN_FLIGHT: usize = 12;
/// How long an answer is on its way: it is signed already, so a kill meanwhile loses it.
pub(super) const ON_THE_WAY: Duration = Duration::from_millis(150);
/// A call ends within this, so a kill later than that after a signing did not lose its answer.
const CALL: Duration = Duration::from_secs(10);
/// Start, the wait for the Lease of the one that was killed, and the first signings.
const START: Duration = Duration::from_secs(8);
/// How many calls the suite itself makes at once.
const AT_ONCE: usize = 16;

pub(super) const KILLED: Settings =
    Settings { clock_offset_secs: 0, short_lease: true, requests_at_once: Some(IN_FLIGHT) };

/// Each of ten kills finds a load of two hundred: what was issued since the last one is asked for anew. It comes when
/// a random number of them was published; in every second round the successor is killed as well, at a random instant
/// of its start, its wait for the Lease and its first signings. (`--repeat 10` makes it ten runs of that.)
///
/// Every Certificate must get its Secret. No request may be published twice and none signed after it was published.
/// What the PKI signed twice must be explained: by the first kill after the first signing, which must have followed
/// while the answer could be on its way; and no kill explains more than was in flight.
async fn a_load_of_two_hundred_certificates_survives_kills_at_random_instants(world: &World) -> Result {
    // A thousand Certificates, and how often each was tried hangs on the kills.
    world.undetermined("…", "");
    let replica = world.replace_controller(KILLED).await?;
    let pki = world.pkis().mock().await?;
    let line = world.pkis().line(&pki.vault, ON_THE_WAY).await?;
    world.vault_settings(Kind::ClusterIssuer, &pki.vault.by_token().await?.behind(line.as_ref())).await?;
    let spec = world.pki_spec_with(Kind::ClusterIssuer, json!({"requestTimeout": "5s"}));
    let issuer = world.issuer(Kind::ClusterIssuer, "mock-pki", spec).await?;
    world.issuer_ready(&issuer).await?;
    let published = Published::watch(world);
    let dice = Dice::new(world.seed);
    let mut run = Run { world, issuer, replica, dice, asked: 0, kills: Vec::new() };
    for round in 0..ROUNDS {
        run.round(round, &published).await.with_context(|| format!("in round {round}"))?;
    }
    let Run { asked, kills, mut dice, .. } = run;
    all_ready(world, asked).await?;
    published.nothing_twice(world, asked)?;
    let in_vain = signed_in_vain(&pki, &published, &kills).await?;
    let worst = in_vain.iter().max().copied().unwrap_or_default();
    ensure!(worst > 0, "no kill has lost an answer: the kills came when nothing was in flight");
    world.note(&format!(
        "{asked} Certificates, {} kills, {} certificates signed in vain, {worst} by one kill at most: their answers were \
         on the way when it came",
        kills.len(),
        in_vain.iter().sum::<usize>(),
    ));
    secrets_hold_what_was_published(world, &published, asked, &mut dice).await
}

/// The load and the controller that is killed.
struct Run<'a> {
    world: &'a World,
    issuer: Issuer,
    replica: Replica,
    dice: Dice,
    /// How many Certificates so far.
    asked: usize,
    /// Just before and just after each.
    kills: Vec<(Timestamp, Timestamp)>,
}

impl Run<'_> {
    async fn round(&mut self, round: usize, published: &Published) -> Result {
        let (world, issuer, before) = (self.world, self.issuer.clone(), published.count());
        let new = self.asked..before + LOAD;
        self.asked = self.asked.max(new.end);
        // Never all of them: something is left for the successor.
        let count = before + usize::try_from(self.dice.below(LOAD as u64 / 2))?;
        let kills = async {
            published.reach(count).await?;
            // So that the instant does not hang on what a publication sets off.
            self.kill_within(ON_THE_WAY).await?;
            if !round.is_multiple_of(2) {
                self.kill_within(START).await?;
            }
            Ok(())
        };
        tokio::try_join!(ask(world, new, &issuer), kills).map(drop)
    }

    /// Kills the controller at a random instant before `most` has passed, and starts its successor.
    async fn kill_within(&mut self, most: Duration) -> Result {
        let milliseconds = self.dice.below(u64::try_from(most.as_millis())?);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        let running = self.world.controller.replicas();
        ensure!(running == [self.replica], "before the kill {running:?} run: one ended by itself");
        let before = self.world.now();
        self.world.controller.kill(&self.replica).await?;
        self.kills.push((before, self.world.now()));
        self.replica = self.world.controller.start(KILLED).await?;
        Ok(())
    }
}

pub(super) fn name(number: usize) -> String {
    format!("load-{number}")
}

/// Makes Certificates.
pub(super) async fn ask(world: &World, numbers: Range<usize>, issuer: &Issuer) -> Result {
    let reference = issuer.reference();
    let asked: Vec<Result> = futures::stream::iter(numbers.map(name))
        .map(|name| {
            let reference = &reference;
            async move { world.certificate(&name, reference).await.map(drop) }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    asked.into_iter().collect()
}

/// Waits until every Certificate is Ready.
pub(super) async fn all_ready(world: &World, wanted: usize) -> Result {
    let mut ready = BTreeSet::new();
    let certificates = watcher(world.api::<Certificate>(), watcher::Config::default());
    let mut certificates = std::pin::pin!(certificates.default_backoff().applied_objects());
    let all = async {
        while ready.len() < wanted {
            let Some(Ok(certificate)) = certificates.next().await else { continue };
            let is_ready = certificate.condition("Issuing").is_none()
                && certificate.condition("Ready").is_some_and(|ready| ready.reason == "Ready");
            let name = certificate.metadata.name.unwrap_or_default();
            if is_ready {
                ready.insert(name)
            } else {
                ready.remove(&name)
            };
        }
    };
    match tokio::time::timeout(LONG, all).await {
        Ok(()) => Ok(()),
        Err(_) => {
            bail!("{} of {wanted} Certificates are Ready after {LONG:?}{}", ready.len(), world.story().await)
        }
    }
}

/// How many certificates each kill made the PKI sign in vain. Of each CSR the last signing is the one that was
/// published, so that nothing was signed after its publication.
async fn signed_in_vain(
    pki: &MockPki,
    published: &Published,
    kills: &[(Timestamp, Timestamp)],
) -> Result<Vec<usize>> {
    let mut by_csr: BTreeMap<String, Vec<(Timestamp, String)>> = BTreeMap::new();
    for issued in pki.control.ledger().await? {
        by_csr
            .entry(issued.csr_sha256.unwrap_or_default())
            .or_default()
            .push((issued.issued_at, issued.serial));
    }
    let serials = published.serials()?;
    let mut in_vain = vec![0; kills.len()];
    for (csr, signings) in &by_csr {
        let home: Vec<bool> = signings.iter().map(|(_, serial)| serials.contains(serial)).collect();
        let last_only = home.iter().rev().enumerate().all(|(from_last, home)| *home == (from_last == 0));
        ensure!(last_only, "CSR {csr}: of {signings:?} these were published: {home:?}");
        for pair in signings.windows(2) {
            let [(first, _), (second, _)] = pair else { continue };
            let explained = kills.iter().position(|(_, after)| first <= after);
            let lost = explained.and_then(|at| Some((kills.get(at)?, in_vain.get_mut(at)?)));
            let Some(((before, _), count)) = lost else {
                bail!("CSR {csr} was signed at {first} and again at {second}, after the last kill");
            };
            ensure!(
                second >= before && before.duration_since(*first) <= jiff::SignedDuration::try_from(CALL)?,
                "CSR {csr} was signed at {first} and again at {second}, and the kill at {before} does not explain it"
            );
            *count += 1;
        }
    }
    for ((before, _), count) in kills.iter().zip(&in_vain) {
        ensure!(*count <= IN_FLIGHT, "the kill at {before} lost {count} answers of {IN_FLIGHT} in flight");
    }
    Ok(in_vain)
}

/// Each Secret's leaf was published by a request; some pairs, drawn, are judged by openssl.
async fn secrets_hold_what_was_published(
    world: &World,
    published: &Published,
    asked: usize,
    dice: &mut Dice,
) -> Result {
    let serials = published.serials()?;
    let judged: BTreeSet<u64> = (0..10).map(|_| dice.below(asked as u64)).collect();
    let secrets = world.api::<k8s_openapi::api::core::v1::Secret>();
    for number in 0..asked {
        let name = name(number);
        let pair = Pair::of(&secrets.get(&name).await?, world.now())?;
        let serial = serial(pair.certificate.as_bytes())?;
        ensure!(serials.contains(&serial), "{name}: serial {serial} was published by no request");
        if judged.contains(&(number as u64)) {
            pair.judge()?;
        }
    }
    Ok(())
}
