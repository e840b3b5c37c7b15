//! Where clients come in: the Kubernetes API over HTTPS, and the mock PKI.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context as _, anyhow};
use mock_pki::server::{Running, StartError};
use serde_json::{Value, json};
use sim_kube::https::{Https, HttpsError};
use sim_stage::Stage;
use tokio::runtime::Handle;

use crate::args::Up;
use crate::scene::NAMESPACE;

/// Open doors.
pub(super) struct Doors {
    /// The URL of the Kubernetes API.
    pub(super) kubernetes: String,
    /// An administrator's kubeconfig, whose namespace is [`NAMESPACE`].
    pub(super) kubeconfig: String,
    /// The URL of the PKI.
    pub(super) vault: String,
    /// The URL of the PKI's control port.
    pub(super) control: String,
    /// The PKI's root token.
    pub(super) root_token: String,
    https: Https,
    pki: Running,
}

impl Doors {
    /// Opens them; what is read from them is read in the runtime `network`.
    pub(super) async fn open(stage: &Stage, up: &Up, network: &Handle) -> anyhow::Result<Self> {
        let (server, pki) = (stage.server().clone(), stage.pki.clone());
        let &Up { listen, vault_listen, control_listen } = up;
        let https = network.spawn(Https::listen(server, listen)).await?.map_err(|error| match error {
            HttpsError::Listen { address, error } => in_use("--listen", address, &error),
            other => other.into(),
        })?;
        let opened = network.spawn(async move { pki.listen(vault_listen, control_listen).await }).await?;
        let pki = opened.map_err(|error| match error {
            StartError::Listen { address, source } => {
                let flag = if address == vault_listen { "--vault-listen" } else { "--control-listen" };
                in_use(flag, address, &source)
            }
            other => other.into(),
        })?;
        Ok(Self {
            kubernetes: https.url(),
            kubeconfig: in_namespace(&https.admin_kubeconfig()?)?,
            vault: pki.url("vault").to_owned(),
            control: pki.control_url.clone(),
            root_token: pki.root_token.clone(),
            https,
            pki,
        })
    }

    /// Ends every watch, and lets requests that are under way finish.
    pub(super) async fn close(self, network: &Handle) {
        let Self { https, pki, .. } = self;
        let closed = network.spawn(async { tokio::join!(https.stop(), pki.shutdown()) });
        // Whoever panics serves no more either.
        let _ = closed.await;
    }
}

/// What to do about an address that cannot be listened on.
fn in_use(flag: &str, address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let free = SocketAddr::new(address.ip(), 0);
    anyhow!("cannot listen on {address}: {error}; give {flag} another address, or {free} for a free port")
}

/// The kubeconfig with a namespace, so that commands need not name it.
fn in_namespace(kubeconfig: &str) -> anyhow::Result<String> {
    let mut config: Value = serde_json::from_str(kubeconfig).context("the kubeconfig")?;
    let contexts = config.get_mut("contexts").and_then(Value::as_array_mut);
    for context in contexts.into_iter().flatten() {
        if let Some(context) = context.get_mut("context").and_then(Value::as_object_mut) {
            context.insert("namespace".to_owned(), json!(NAMESPACE));
        }
    }
    Ok(format!("{config:#}\n"))
}
