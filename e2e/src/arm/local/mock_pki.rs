//! mock-pki as a process: it starts in milliseconds, so each scenario has its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mock_pki::client::{Control, Network};
use serde::Deserialize;

use crate::Result;
use crate::pki::{MockPki, VaultServer};
use crate::process::{Process, Start};

#[derive(Deserialize)]
struct Ready {
    vault_url: String,
    control_url: String,
}

static STARTED: AtomicUsize = AtomicUsize::new(0);

pub(super) async fn start(program: &str, folder: &Path, root_token: String) -> Result<MockPki> {
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let ready_file = folder.join(format!("mock-pki-{number}.json"));
    let words = "--vault-listen 127.0.0.1:0 --ejbca-listen off --control-listen 127.0.0.1:0 --ready-file";
    let mut command = vec![program.to_owned()];
    command.extend(words.split(' ').map(str::to_owned));
    command.push(ready_file.display().to_string());
    let process = Process::start(Start {
        name: format!("mock-pki {number}"),
        command,
        environment: vec![("MOCK_PKI_ROOT_TOKEN".to_owned(), root_token.clone())],
        log: folder.join(format!("mock-pki-{number}.log")),
        stdout: None,
    })
    .await?;
    let ready: Ready =
        process.says(&ready_file, Duration::from_secs(30), |text| serde_json::from_str(text).ok()).await?;
    let vault = VaultServer::new(ready.vault_url, root_token, Arc::new(Network::new()));
    MockPki::new(vault, Control::new(&ready.control_url), Box::new(process)).await
}
