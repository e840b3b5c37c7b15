//! A cluster on which everything is installed, made once in a process: what scenarios begin with.
//!
//! Two tenants, `shop` and `other`, each with an `ExternalIssuer` and its settings, and an `ExternalClusterIssuer`. Every
//! credential but that of `shop` is one that the PKI does not know in that place: who uses it has read what is not
//! theirs.

use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Context as _;
use jiff::Timestamp;
use sim_kube::client::{Clock, Server};
use sim_kube::{Cluster, Identity};

use crate::{SYSTEM, manifests};

/// The token of the tenant `shop` at first; nobody may ever read it in a log or a status.
pub const TOKEN: &str = "canary-7Q2mshop0Z9xKd4LwPt";
/// The token of the cluster issuer.
pub(crate) const CLUSTER_TOKEN: &str = "canary-3N8rsystem5VbHc1YgEu";
/// A token in a namespace where no request is made.
pub(crate) const FOREIGN_TOKEN: &str = "canary-1F6jother8TqSa0MnRz";
/// The namespace that scenarios are about.
pub(crate) const NAMESPACE: &str = "shop";

static TEMPLATE: OnceLock<Mutex<Cluster>> = OnceLock::new();

/// When scenarios begin: late in a second, so that what is tried again at once is tried in another one, which is what
/// statuses count in.
pub(crate) fn begins() -> Timestamp {
    Timestamp::new(1_893_456_000, 600_000_000).unwrap_or_default()
}

/// A cluster of one's own. Must not be called in a tokio runtime.
///
/// # Errors
/// A manifest that is shipped is refused.
pub(crate) fn fork(seed: u64) -> anyhow::Result<Cluster> {
    if TEMPLATE.get().is_none() {
        let _ = TEMPLATE.set(Mutex::new(build()?));
    }
    let template = TEMPLATE.get().context("the template was just made")?;
    Ok(template.lock().unwrap_or_else(PoisonError::into_inner).fork(seed))
}

fn build() -> anyhow::Result<Cluster> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let cluster = Cluster::new(sim_kube::Options::default(), begins());
        let server = Server::new(cluster, Clock::starting_at(begins()));
        let admin = server.client(Identity::admin());
        manifests::install(&admin).await?;
        for (namespace, token) in [(NAMESPACE, TOKEN), ("other", FOREIGN_TOKEN)] {
            manifests::tenant(&admin, namespace).await?;
            manifests::create(&admin, &settings(token), namespace).await?;
        }
        manifests::create(&admin, issuer(), NAMESPACE).await?;
        manifests::create(&admin, &settings(CLUSTER_TOKEN), SYSTEM).await?;
        manifests::create(&admin, CLUSTER_ISSUER, "").await?;
        Ok(server.with(|cluster, _| cluster.fork(0)))
    })
}

/// A ConfigMap and a Secret that make an issuer of a namespace.
fn settings(token: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: pki-config}}, data: {{pki.yaml: \"type: vault\\nvault: \
         {{url: 'http://mock-pki.invalid:8200', path: pki_int/sign/web, auth: {{method: token}}}}\\n\"}}}}\n---\n\
         {{apiVersion: v1, kind: Secret, metadata: {{name: pki-credentials}}, stringData: {{token: {token}}}}}\n"
    )
}

/// The issuer of the tenant. It is checked rarely: an outage is noticed by the requests that meet it.
pub(crate) const fn issuer() -> &'static str {
    "{apiVersion: external-issuer.io/v1alpha1, kind: ExternalIssuer, metadata: {name: company-pki}, spec: \
     {signerType: pki, configRef: {name: pki-config}, authSecretRef: {name: pki-credentials}, \
     healthCheckInterval: 20m}}"
}

const CLUSTER_ISSUER: &str = "{apiVersion: external-issuer.io/v1alpha1, kind: ExternalClusterIssuer, metadata: \
                              {name: company-wide}, spec: {signerType: pki, configRef: {name: pki-config}, \
                              authSecretRef: {name: pki-credentials}, healthCheckInterval: 20m}}";
