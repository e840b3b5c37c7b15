//! A real control plane as processes of this machine, and the controller as one more.
//!
//! ```text
//! control-plane up ──> CRDs, RBAC (ours) ──> token of our ServiceAccount ──> external-issuer run
//!                                                                   bao server -dev, mock-pki beside it
//! ```

mod control_plane;
mod controller;
mod identity;
mod mock_pki;
mod openbao;
pub mod suite;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use external_issuer::clock::SystemClock;
use futures::future::BoxFuture;
use kube::Client;
use tokio::sync::OnceCell;

use self::control_plane::ControlPlane;
use self::controller::Processes;
use crate::Result;
use crate::audit::AuditLog;
use crate::controller::Controller as _;
use crate::line::Line;
use crate::manifest;
use crate::pki::{self, MockPki, OpenBao, Pkis, VaultServer};
use crate::world::{Ground, Pictures};

/// What runs on this machine. It ends when this is dropped; [`Local::stop`] is the orderly way.
pub struct Local {
    control_plane: ControlPlane,
    controller: Arc<Processes>,
    /// What scenarios stand on.
    pub ground: Ground,
}

/// The folder of the programs that were built together with this one: `target/<profile>`.
fn programs() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().context("no folder above this program's")?;
    // A test is in target/<profile>/deps, a program in target/<profile>.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

/// A program of ours, put into `folder`: a build meanwhile must not replace what is being tested.
fn program(name: &str, folder: &Path) -> Result<String> {
    let (built, kept) = (programs()?.join(name), folder.join(name));
    ensure!(built.exists(), "{} is missing: run scripts/e2e-local.sh, which builds it", built.display());
    if !kept.exists() && std::fs::hard_link(&built, &kept).is_err() {
        std::fs::copy(&built, &kept).with_context(|| kept.display().to_string())?;
    }
    Ok(kept.display().to_string())
}

impl Local {
    /// Brings everything up; `note` hears how far it has come.
    pub async fn up(folder: &Path, pictures: Pictures, note: impl Fn(&str)) -> Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        std::fs::create_dir_all(folder)?;
        let controller_program = program("external-issuer", folder)?;
        let mock_pki_program = program("mock-pki", folder)?;
        note("starting the control plane");
        let control_plane = ControlPlane::up(folder).await?;
        let client = control_plane.admin().await?;
        note("applying our CRDs and RBAC");
        let deploy = manifest::repository().join("deploy");
        let system = "external-issuer-system";
        manifest::apply_all(&client, manifest::folder(&deploy.join("crds"))?, "").await?;
        manifest::apply_all(&client, manifest::folder(&deploy.join("rbac"))?, system).await?;
        let kubeconfig = identity::kubeconfig(&client, &control_plane, folder).await?;
        note("starting the controller");
        let controller = Arc::new(Processes::new(controller_program, kubeconfig, folder));
        controller.restore().await?;
        let ground = Ground {
            client,
            controller: Arc::clone(&controller) as _,
            pkis: Arc::new(LocalPkis {
                folder: folder.to_owned(),
                mock_pki: mock_pki_program,
                openbao: OnceCell::new(),
                root_tokens: Mutex::default(),
            }),
            audit: Arc::new(AuditLog::at(Path::new(&control_plane.facts.audit))),
            judged: Arc::default(),
            clock: Arc::new(SystemClock),
            pictures,
            controller_user: identity::USER.to_owned(),
            system: system.to_owned(),
            tenant_role: manifest::folder(&deploy.join("rbac/tenant"))?,
        };
        Ok(Self { control_plane, controller, ground })
    }

    /// Ends everything in order.
    pub async fn stop(&self) -> Result {
        self.controller.stop_all().await?;
        self.control_plane.stop().await
    }
}

/// Whether the controller's clock can be made wrong on this machine; scripts/e2e-local.sh fetches what it takes.
#[must_use]
pub fn clocks_can_be_wrong() -> bool {
    controller::faketime().is_some()
}

/// Our folder among a user's caches.
#[expect(clippy::disallowed_methods, reason = "where a user's caches are is only said by the environment")]
fn cache() -> Result<PathBuf> {
    let caches = match (std::env::var("XDG_CACHE_HOME"), std::env::var("HOME")) {
        (Ok(caches), _) if !caches.is_empty() => PathBuf::from(caches),
        (_, Ok(home)) => PathBuf::from(home).join(".cache"),
        _ => bail!("neither XDG_CACHE_HOME nor HOME is set"),
    };
    Ok(caches.join("external-issuer"))
}

/// PKIs as processes of this machine.
struct LocalPkis {
    folder: PathBuf,
    mock_pki: String,
    openbao: OnceCell<OpenBao>,
    root_tokens: Mutex<Vec<String>>,
}

impl LocalPkis {
    fn root_token(&self) -> Result<String> {
        let token = random_token()?;
        self.root_tokens.lock().unwrap_or_else(PoisonError::into_inner).push(token.clone());
        Ok(token)
    }
}

impl Pkis for LocalPkis {
    fn openbao(&self) -> BoxFuture<'_, Result<VaultServer>> {
        Box::pin(async {
            let shared = self.openbao.get_or_try_init(|| self.own_openbao()).await?;
            Ok(shared.server.clone())
        })
    }

    fn own_openbao(&self) -> BoxFuture<'_, Result<OpenBao>> {
        Box::pin(async { openbao::start(&self.folder, self.root_token()?).await })
    }

    fn mock(&self) -> BoxFuture<'_, Result<MockPki>> {
        Box::pin(async { mock_pki::start(&self.mock_pki, &self.folder, self.root_token()?).await })
    }

    fn line(&self, to: &VaultServer, by: Duration) -> BoxFuture<'_, Result<Box<dyn pki::Line>>> {
        let to = to.url.trim_start_matches("http://").to_owned();
        Box::pin(async move {
            let line = Line::to(&to, by).await.context("a line to the PKI")?;
            Ok(Box::new(line) as Box<dyn pki::Line>)
        })
    }

    fn root_tokens(&self) -> Vec<String> {
        self.root_tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A token that nobody knows, so that its appearance anywhere is a leak.
pub(super) fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("no random numbers"))?;
    Ok(format!("root-{:032x}", u128::from_le_bytes(bytes)))
}

/// An administrator's client, or the controller's.
async fn client_of(kubeconfig: &Path) -> Result<Client> {
    let file = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let config =
        kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
