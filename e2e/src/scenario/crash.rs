//! SIGKILL at random instants under load.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{bail, ensure};
use external_issuer::clock::{Clock as _, SystemClock};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};

use super::scenarios;
use crate::Result;
use crate::api::{Certificate, CertificateRequest};
use crate::controller::{Replica, Settings};
use crate::judge;
use crate::pki::{Fault, MockPki};
use crate::world::{Dice, Issuer, Kind, LONG, Pair, World};

scenarios!("crash":
    alone two_hundred_certificates_survive_ten_kills_at_random_instants,
);

const CERTIFICATES: usize = 200;
const KILLS: u64 = 10;
/// How many requests the controller works on at once: as many as a kill can lose, and few enough for the load to
/// last for all kills.
const IN_FLIGHT: usize = 12;
/// How many calls the suite itself makes at once.
const AT_ONCE: usize = 16;

/// The controller is killed whenever a random number of certificates was issued. Every Certificate must get its
/// Secret, nothing may be published twice, and what the PKI issued twice must be explained by a kill between the
/// two.
async fn two_hundred_certificates_survive_ten_kills_at_random_instants(world: &World) -> Result {
    let settings = Settings { short_lease: true, requests_at_once: Some(IN_FLIGHT), ..Settings::default() };
    let mut replica = world.replace_controller(settings).await?;
    let pki = world.pkis().mock().await?;
    let issuer = world.vault_issuer(Kind::ClusterIssuer, "mock-pki", &pki.vault.by_token().await?).await?;
    world.issuer_ready(&issuer).await?;
    // A PKI that takes a moment: at any instant there are answers on their way.
    let slow = pki.when_signing(Fault::new("latency").with("milliseconds", 150)).await?;
    let published = Published::watch(world);
    let mut dice = Dice::new(world.seed);
    let mut kills = Vec::new();
    ask_for_all(world, &issuer).await?;
    for left in (1..=KILLS).rev() {
        // So many that the load lasts for all kills, and no more than are left.
        let waiting = waiting(world).await?;
        let count =
            issued(world, &replica).await + dice.below((waiting * 3 / 2 / left).min(waiting * 4 / 5) + 1);
        wait_until_issued(world, &replica, count).await?;
        let before = SystemClock.now();
        world.controller.kill(&replica).await?;
        kills.push((before, SystemClock.now()));
        replica = world.controller.start(settings).await?;
        ensure!(waiting > 0, "the load ended before the kills: {left} were left");
    }
    all_ready(world).await?;
    slow.uninstall().await?;
    published.nothing_twice()?;
    let duplicates = duplicates_are_explained(&pki, &kills).await?;
    world.note(&format!(
        "{CERTIFICATES} Certificates, {KILLS} kills, {duplicates} certificates issued in vain: a kill lost the answer",
    ));
    secrets_hold_what_the_ledger_has(world, &pki, &mut dice).await
}

fn name(number: usize) -> String {
    format!("load-{number}")
}

/// Makes all Certificates.
async fn ask_for_all(world: &World, issuer: &Issuer) -> Result {
    let reference = issuer.reference();
    let asked: Vec<Result> = futures::stream::iter((0..CERTIFICATES).map(name))
        .map(|name| {
            let reference = &reference;
            async move { world.certificate(&name, reference).await.map(drop) }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    asked.into_iter().collect()
}

/// How many requests are not issued yet, or not even made.
async fn waiting(world: &World) -> Result<u64> {
    let all = world.api::<CertificateRequest>().list(&ListParams::default()).await?;
    let done = |request: &CertificateRequest| {
        request.status.as_ref().is_some_and(|status| status.certificate.is_some())
    };
    Ok((CERTIFICATES - all.iter().filter(|request| done(request)).count()) as u64)
}

/// Waits until a replica has got so many certificates from the PKI; asks as fast as it can, so that the instant
/// is as random as the count.
async fn wait_until_issued(world: &World, replica: &Replica, count: u64) -> Result {
    let deadline = tokio::time::Instant::now() + LONG;
    while issued(world, replica).await < count {
        if tokio::time::Instant::now() > deadline {
            bail!("{replica:?} has not got {count} certificates within {LONG:?}{}", world.story().await);
        }
    }
    Ok(())
}

/// How many certificates a replica has got from the PKI, by its own count.
async fn issued(world: &World, replica: &Replica) -> u64 {
    let Ok((_, text)) = world.controller.get(replica, "/metrics").await else { return 0 };
    let calls = text.lines().filter(|line| {
        line.starts_with("external_issuer_pki_calls_total")
            && line.contains("operation=\"submit\",result=\"issued\"")
    });
    calls.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Waits until every Certificate is Ready.
async fn all_ready(world: &World) -> Result {
    let api = world.api::<Certificate>();
    world
        .eventually("all Certificates to be Ready", LONG, async || {
            let all = api.list(&ListParams::default()).await?;
            let ready = all.iter().filter(|certificate| {
                certificate.condition("Issuing").is_none()
                    && certificate
                        .condition("Ready")
                        .is_some_and(|ready| ready.reason.as_deref() == Some("Ready"))
            });
            let ready = ready.count();
            Ok(if ready == CERTIFICATES { Ok(()) } else { Err(format!("{ready} of {CERTIFICATES} are")) })
        })
        .await
}

/// What was seen in `status.certificate`, by request.
struct Published {
    seen: Arc<Mutex<BTreeMap<String, BTreeSet<Vec<u8>>>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Published {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Published {
    fn watch(world: &World) -> Self {
        let seen: Arc<Mutex<BTreeMap<String, BTreeSet<Vec<u8>>>>> = Arc::default();
        let (api, sink) = (world.api::<CertificateRequest>(), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            let requests = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
            let mut requests = std::pin::pin!(requests);
            while let Some(request) = requests.next().await {
                let Ok(request) = request else { continue };
                let certificate = request.status.and_then(|status| status.certificate);
                if let (Some(uid), Some(certificate)) = (request.metadata.uid, certificate) {
                    let mut seen = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.entry(uid).or_default().insert(certificate.0);
                }
            }
        });
        Self { seen, task }
    }

    /// No request had two certificates, and no certificate two requests.
    fn nothing_twice(&self) -> Result {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // cert-manager's trigger now and then looks at a Secret before its cache has it and issues once more.
        ensure!(seen.len() >= CERTIFICATES, "{} requests were seen with a certificate", seen.len());
        let mut all = BTreeSet::new();
        for (uid, certificates) in seen.iter() {
            ensure!(certificates.len() == 1, "request {uid} had {} certificates", certificates.len());
            for certificate in certificates {
                ensure!(all.insert(certificate), "request {uid} has another's certificate");
            }
        }
        Ok(())
    }
}

/// Each CSR was signed once, and once more for each kill that lost an answer. Returns how many were too many.
async fn duplicates_are_explained(pki: &MockPki, kills: &[(Timestamp, Timestamp)]) -> Result<usize> {
    let mut by_csr: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for issued in pki.control.ledger().await? {
        by_csr.entry(issued.csr_sha256.unwrap_or_default()).or_default().push(issued.issued_at);
    }
    let mut duplicates = 0;
    for (csr, times) in &by_csr {
        for pair in times.windows(2) {
            let [first, second] = pair else { continue };
            duplicates += 1;
            let explained = kills.iter().any(|(before, after)| first <= after && second >= before);
            ensure!(
                explained,
                "CSR {csr} was signed at {first} and again at {second}, and no kill lay between"
            );
        }
    }
    ensure!(by_csr.len() >= CERTIFICATES, "{} CSRs were signed", by_csr.len());
    Ok(duplicates)
}

/// Each Secret's leaf is in the ledger; some pairs, drawn, are judged by openssl.
async fn secrets_hold_what_the_ledger_has(world: &World, pki: &MockPki, dice: &mut Dice) -> Result {
    let serials: BTreeSet<String> =
        pki.control.ledger().await?.into_iter().map(|issued| issued.serial.to_ascii_uppercase()).collect();
    let judged: BTreeSet<u64> = (0..10).map(|_| dice.below(CERTIFICATES as u64)).collect();
    let secrets = world.api::<k8s_openapi::api::core::v1::Secret>();
    for number in 0..CERTIFICATES {
        let pair = Pair::of(&secrets.get(&name(number)).await?)?;
        let leaf = if judged.contains(&(number as u64)) {
            pair.judge()?
        } else {
            judge::certificate(&pair.certificate)?
        };
        ensure!(
            serials.contains(&leaf.serial),
            "{}: serial {} is not in the PKI's ledger",
            name(number),
            leaf.serial
        );
    }
    Ok(())
}
