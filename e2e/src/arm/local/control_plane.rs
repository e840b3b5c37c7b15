//! `control-plane up`: etcd, the API server, the controller manager and cert-manager.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::Client;
use serde::Deserialize;

use super::client_of;
use crate::Result;
use crate::manifest;
use crate::process::{Process, Start};

/// The running control plane.
pub(super) struct ControlPlane {
    process: Process,
    /// What it said when it was up.
    pub(super) facts: Facts,
}

/// What `control-plane up` prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Facts {
    /// An administrator's.
    pub(super) kubeconfig: PathBuf,
    /// `https://…`
    pub(super) api_server: String,
    /// The PEM of the authority of its certificate.
    pub(super) ca_file: PathBuf,
    /// The audit log.
    pub(super) audit: String,
}

impl ControlPlane {
    pub(super) async fn up(folder: &Path) -> Result<Self> {
        let program = built().await?;
        let state = folder.join("control-plane");
        let stdout = folder.join("control-plane.json");
        let process = Process::start(Start {
            name: "control-plane".to_owned(),
            command: vec![
                program,
                "up".to_owned(),
                "--exit-on-stdin-close".to_owned(),
                "--state-dir".to_owned(),
                state.display().to_string(),
            ],
            environment: Vec::new(),
            log: folder.join("control-plane.log"),
            stdout: Some(stdout.clone()),
        })
        .await?;
        let facts = process
            .says(&stdout, Duration::from_secs(150), |text| {
                text.lines().find_map(|line| serde_json::from_str(line).ok())
            })
            .await?;
        Ok(Self { process, facts })
    }

    pub(super) async fn admin(&self) -> Result<Client> {
        client_of(&self.facts.kubeconfig).await
    }

    pub(super) async fn stop(&self) -> Result {
        self.process.stop(Duration::from_secs(30)).await.map(drop)
    }
}

/// Builds the program, which is there already when scripts/e2e-local.sh started us.
async fn built() -> Result<String> {
    let script = manifest::repository().join("e2e/control-plane/build.sh");
    let output = tokio::task::spawn_blocking(move || {
        Command::new(script).stderr(std::process::Stdio::inherit()).output()
    })
    .await??;
    ensure!(output.status.success(), "e2e/control-plane/build.sh failed");
    let text = String::from_utf8(output.stdout)?;
    text.lines().last().map(str::to_owned).context("build.sh printed no path")
}
