//! What requests were published with: seen by a watch, since cert-manager deletes requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::watch;
use x509::bundle;

use crate::Result;
use crate::api::CertificateRequest;
use crate::world::{LONG, World};

/// What was seen in `status.certificate`, by the request's name and uid: cert-manager may delete a request and make
/// another of the same name.
type Seen = BTreeMap<(String, String), BTreeSet<Vec<u8>>>;

/// All that was published since it began to watch. It ends when this is dropped.
pub(super) struct Published {
    seen: Arc<Mutex<Seen>>,
    count: watch::Receiver<usize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Published {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Published {
    pub(super) fn watch(world: &World) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (tell, count) = watch::channel(0);
        let (api, sink) = (world.api::<CertificateRequest>(), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            let requests = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
            let mut requests = std::pin::pin!(requests);
            while let Some(request) = requests.next().await {
                let Ok(request) = request else { continue };
                let certificate = request.status.and_then(|status| status.certificate);
                let metadata = request.metadata;
                if let (Some(name), Some(uid), Some(certificate)) = (metadata.name, metadata.uid, certificate)
                {
                    let mut seen = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.entry((name, uid)).or_default().insert(certificate.0);
                    tell.send_replace(seen.len());
                }
            }
        });
        Self { seen, count, task }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until so many requests are published.
    pub(super) async fn reach(&self, wanted: usize) -> Result {
        let mut count = self.count.clone();
        let reached = tokio::time::timeout(LONG, count.wait_for(|count| *count >= wanted)).await;
        reached.with_context(|| format!("{} of {wanted} were published within {LONG:?}", self.count()))??;
        Ok(())
    }

    /// No request had two certificates, no certificate two requests, and each took one write: a watch may join
    /// two, the audit log does not.
    pub(super) fn nothing_twice(&self, world: &World, wanted: usize) -> Result {
        let seen = self.seen();
        // cert-manager's trigger now and then looks at a Secret before its cache has it and issues once more.
        ensure!(seen.len() >= wanted, "{} requests were seen with a certificate", seen.len());
        let mut all = BTreeSet::new();
        for ((request, _), certificates) in seen.iter() {
            ensure!(certificates.len() == 1, "{request} had {} certificates", certificates.len());
            for certificate in certificates {
                ensure!(all.insert(certificate), "{request} has another's certificate");
            }
        }
        let mut writes: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for call in world.controller_calls(|call| call.resource == "certificaterequests/status")? {
            let (answered, broken_off) = writes.entry(call.name).or_default();
            match call.code {
                200..300 => *answered += 1,
                // Whoever wrote was killed before the answer; it may have taken effect.
                504 => *broken_off += 1,
                _ => {}
            }
        }
        let mut objects: BTreeMap<&str, usize> = BTreeMap::new();
        for (request, _) in seen.keys() {
            *objects.entry(request).or_default() += 1;
        }
        for (request, objects) in objects {
            let (answered, broken_off) = writes.get(request).copied().unwrap_or_default();
            ensure!(
                answered == objects || answered < objects && answered + broken_off >= objects,
                "{request}: the status of {objects} was written {answered} times, and {broken_off} times without an answer"
            );
        }
        Ok(())
    }

    /// The serial numbers that were published, as the ledger writes them.
    pub(super) fn serials(&self) -> Result<BTreeSet<String>> {
        self.seen().values().flatten().map(|pem| serial(pem)).collect()
    }
}

/// The serial number of the first certificate of a PEM text. Not by openssl, which would take minutes for so many.
pub(super) fn serial(pem: &[u8]) -> Result<String> {
    let leaf = bundle::read_certificates(pem)?.into_iter().next().context("no certificate")?;
    Ok(leaf.serial_hex())
}
