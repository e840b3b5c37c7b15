//! Starting and stopping: [`start`] runs everything inside the caller's tokio runtime.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use ::ca::{CaError, KeyAlgorithm};
use hyper::service::service_fn;
use hyper_util::service::TowerToHyperService;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    admin, clock, connection,
    store::World,
    tls::{self, TlsError},
    vault,
};

pub use crate::tls::Tls;

/// What is started. [`Config::default`] is what tests want: free ports on loopback, no TLS, a P-256 CA.
#[derive(Clone)]
pub struct Config {
    /// Where the Vault face listens; port 0 for a free one.
    pub vault_listen: SocketAddr,
    /// Where the control port listens; port 0 for a free one.
    pub control_listen: SocketAddr,
    /// The root token of the Vault face.
    pub root_token: String,
    /// The keys of the CAs.
    pub ca_key_algorithm: KeyAlgorithm,
    /// TLS of the Vault face.
    pub vault_tls: Tls,
    /// Whether other addresses than loopback may be listened on. The tokens are known and faults can be
    /// installed without any, so this is for closed networks only.
    pub allow_non_loopback: bool,
    /// The most certificates the ledger remembers.
    pub ledger_capacity: usize,
    /// The most requests the journal remembers.
    pub journal_capacity: usize,
    /// What the serial numbers of end entities follow from; random ones if `None`.
    pub serial_seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            vault_listen: any_port,
            control_listen: any_port,
            root_token: "root".to_owned(),
            ca_key_algorithm: KeyAlgorithm::EcdsaP256,
            vault_tls: Tls::Off,
            allow_non_loopback: false,
            ledger_capacity: 1_000_000,
            journal_capacity: 10_000,
            serial_seed: None,
        }
    }
}

/// The token is not shown.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("vault_listen", &self.vault_listen)
            .field("control_listen", &self.control_listen)
            .field("ca_key_algorithm", &self.ca_key_algorithm)
            .field("vault_tls", &self.vault_tls)
            .finish_non_exhaustive()
    }
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that others could reach.
    #[error(
        "{0} is not a loopback address: whoever reaches it can issue certificates and install faults; if that is \
         what you want, allow it with --allow-non-loopback"
    )]
    NotLoopback(IpAddr),
    /// The address is taken, or not this machine's.
    #[error("listening on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The CAs could not be made.
    #[error("making the CAs: {0}")]
    Ca(#[from] CaError),
    /// TLS cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The root token is one that clients cannot send.
    #[error("the root token must be visible ASCII and not empty")]
    RootToken,
    /// The thread that made the CAs ended.
    #[error("making the CAs was interrupted")]
    Interrupted,
}

/// A running mock-pki. Dropping it stops it, without waiting.
pub struct Running {
    /// Base URL of the Vault face.
    pub vault_url: String,
    /// Base URL of the control port.
    pub control_url: String,
    /// The root token of the Vault face.
    pub root_token: String,
    /// PEM of the CA behind a generated TLS certificate.
    pub tls_ca: Option<String>,
    /// PEM of the root at the top of everything that is issued.
    pub root_ca: String,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// The token is not shown.
impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("vault_url", &self.vault_url)
            .field("control_url", &self.control_url)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// Stops listening and waits for requests in flight, a few seconds at most.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Starts everything. When this returns, both ports answer.
///
/// # Errors
/// [`StartError`] says what stands in the way.
pub async fn start(config: Config) -> Result<Running, StartError> {
    if config.root_token.is_empty() || !config.root_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(StartError::RootToken);
    }
    let doors = Doors::bind(&config).await?;
    let world = world(&config).await?;
    open(world, &config, doors)
}

/// Where clients come in.
pub(crate) struct Doors {
    vault: (TcpListener, SocketAddr),
    control: (TcpListener, SocketAddr),
}

impl Doors {
    /// Takes the addresses, so that nothing else is begun if one of them is in use.
    pub(crate) async fn bind(config: &Config) -> Result<Self, StartError> {
        let vault = listen(config.vault_listen, config.allow_non_loopback).await?;
        let control = listen(config.control_listen, config.allow_non_loopback).await?;
        Ok(Self { vault, control })
    }
}

/// Lets clients in.
pub(crate) fn open(world: Arc<World>, config: &Config, doors: Doors) -> Result<Running, StartError> {
    let Doors { vault: (vault, vault_address), control: (control, control_address) } = doors;
    let (stop, stopped) = watch::channel(false);
    let (acceptor, tls_ca) = match tls::acceptor(&config.vault_tls, clock::now())? {
        Some((acceptor, ca)) => (Some(acceptor), ca),
        None => (None, None),
    };
    let scheme = if acceptor.is_some() { "https" } else { "http" };

    let faced = Arc::clone(&world);
    let vault = connection::serve(vault, acceptor, stopped.clone(), move |ending| {
        let world = Arc::clone(&faced);
        service_fn(move |request| vault::service::serve(Arc::clone(&world), ending.clone(), request))
    });
    let router = admin::router(Arc::clone(&world));
    let control = connection::serve(control, None, stopped, move |_| {
        TowerToHyperService::new(admin::Boxed::new(router.clone()))
    });
    let root_ca = world.hierarchy.root.certificates.iter().map(x509::Certificate::to_pem).collect();
    Ok(Running {
        vault_url: format!("{scheme}://{vault_address}"),
        control_url: format!("http://{control_address}"),
        root_token: config.root_token.clone(),
        tls_ca,
        root_ca,
        stop,
        tasks: vec![tokio::spawn(vault), tokio::spawn(control)],
    })
}

async fn world(config: &Config) -> Result<Arc<World>, StartError> {
    let config = config.clone();
    // RSA keys take their time.
    let made = tokio::task::spawn_blocking(move || World::new(&config, clock::machine()));
    Ok(Arc::new(made.await.map_err(|_| StartError::Interrupted)??))
}

async fn listen(
    address: SocketAddr,
    allow_non_loopback: bool,
) -> Result<(TcpListener, SocketAddr), StartError> {
    if !address.ip().is_loopback() && !allow_non_loopback {
        return Err(StartError::NotLoopback(address.ip()));
    }
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
