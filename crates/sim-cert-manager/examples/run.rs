//! Runs the simulated cert-manager on the cluster of a kubeconfig, in real time.
//!
//! `cargo run -p sim-cert-manager --example run -- <kubeconfig> [<minimum back-off in seconds>]`

use std::{error::Error, sync::Arc, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use sim_cert_manager::{
    backoff::Backoff,
    clock::Clock,
    run::{Options, run},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which kubeconfig?")?;
    let seconds: Option<u64> = arguments.next().map(|seconds| seconds.parse()).transpose()?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().map_err(|_| "another cryptographic provider is in place")?;
    let kubeconfig = Kubeconfig::read_from(path)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let minimum = seconds.map_or(Backoff::default().minimum, Duration::from_secs);
    let options = Options { backoff: Backoff { minimum, ..Backoff::default() }, ..Options::default() };
    #[expect(clippy::disallowed_methods, reason = "this is the real clock")]
    let clock: Arc<dyn Clock> = Arc::new(jiff::Timestamp::now);
    match run(client, clock, options).await {}
}
