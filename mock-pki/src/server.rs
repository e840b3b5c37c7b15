//! Starting and stopping: [`start`] runs everything inside the caller's tokio runtime.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    path::PathBuf,
    sync::Arc,
};

use ::ca::{CaError, KeyAlgorithm};
use hyper::service::service_fn;
use hyper_util::service::TowerToHyperService;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    admin, clock, connection, ejbca,
    face::{self, Face},
    fault::Fault,
    service,
    state::Directory,
    store::World,
    tls::{Front, TlsError},
    vault,
};

pub use crate::{
    ejbca::{CLIENT_ID as EJBCA_CLIENT_ID, ClientCertificate, TOKEN_PATH as EJBCA_TOKEN_PATH},
    tls::Tls,
};

/// What is started. [`Config::default`] is what tests want: all faces on free ports of loopback, TLS only where a face
/// needs it, a P-256 CA.
#[derive(Clone)]
pub struct Config {
    /// Where each face listens, by its name. One that is not named is not served.
    pub faces: BTreeMap<&'static str, Listen>,
    /// Where the control port listens; port 0 for a free one.
    pub control_listen: SocketAddr,
    /// The root token of the Vault face, and the secret of the EJBCA face's OAuth client.
    pub root_token: String,
    /// The keys of the CAs.
    pub ca_key_algorithm: KeyAlgorithm,
    /// The certificate of what is served with TLS.
    pub tls: Tls,
    /// Whether other addresses than loopback may be listened on. The tokens are known and faults can be
    /// installed without any, so this is for closed networks only.
    pub allow_non_loopback: bool,
    /// The most certificates the ledger remembers.
    pub ledger_capacity: usize,
    /// The most requests the journal remembers.
    pub journal_capacity: usize,
    /// What serial numbers, identifiers, keys and the chances of faults follow from (see the README for what does not
    /// repeat); chance if `None`.
    pub seed: Option<u64>,
    /// Where the state is kept from one run to the next; nowhere if `None`. With keys, so that only its owner can read it.
    pub state_dir: Option<PathBuf>,
    /// The faults that are installed at start, and again after every reset.
    pub faults: Vec<Fault>,
}

/// Where and how a face listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// The address; port 0 for a free one.
    pub address: SocketAddr,
    /// Whether it speaks TLS. A face whose clients speak nothing else does in any case.
    pub tls: bool,
}

/// A user of the Venafi face who may do everything, and the password of all its users.
pub const VENAFI_USER: &str = "tppadmin";
/// See [`VENAFI_USER`].
pub const VENAFI_PASSWORD: &str = "newPassw0rd!";

/// The faces there are, with the port of each unless told otherwise.
pub fn faces() -> impl Iterator<Item = (&'static str, u16)> {
    face::ALL.iter().map(|face| (face.name, face.port))
}

const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

impl Config {
    /// The same with this face served with TLS.
    #[must_use]
    pub fn with_tls(mut self, face: &str) -> Self {
        if let Some(listen) = self.faces.get_mut(face) {
            listen.tls = true;
        }
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            faces: faces().map(|(face, _)| (face, Listen { address: ANY_PORT, tls: false })).collect(),
            control_listen: ANY_PORT,
            root_token: "root".to_owned(),
            ca_key_algorithm: KeyAlgorithm::EcdsaP256,
            tls: Tls::default(),
            allow_non_loopback: false,
            ledger_capacity: 1_000_000,
            journal_capacity: 10_000,
            seed: None,
            state_dir: None,
            faults: Vec::new(),
        }
    }
}

/// The token is not shown.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("faces", &self.faces)
            .field("control_listen", &self.control_listen)
            .field("ca_key_algorithm", &self.ca_key_algorithm)
            .field("tls", &self.tls)
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
    /// A fault that cannot be installed.
    #[error("the faults to start with: {0}")]
    Fault(String),
    /// The state that was kept cannot be used.
    #[error("{0}")]
    State(String),
    /// The thread that made the CAs ended.
    #[error("making the CAs was interrupted")]
    Interrupted,
}

/// A running mock-pki. Dropping it stops it, without waiting.
pub struct Running {
    /// Base URLs of the faces that are served, by name.
    pub urls: BTreeMap<&'static str, String>,
    /// Base URL of the control port.
    pub control_url: String,
    /// The root token of the Vault face.
    pub root_token: String,
    /// What unseals the Vault face.
    pub unseal_key: String,
    /// What the administrator of the EJBCA face shows; nothing if that is not served.
    pub ejbca_client: Option<ClientCertificate>,
    /// PEM of the CA behind a generated TLS certificate; nothing if one was given.
    pub tls_ca: Option<String>,
    /// PEM of the root at the top of everything that is issued.
    pub root_ca: String,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    /// What is kept at the end, and where.
    keeps: Option<(Arc<World>, Directory)>,
}

/// The token is not shown.
impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("urls", &self.urls)
            .field("control_url", &self.control_url)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// The base URL of a face; empty if it is not served.
    #[must_use]
    pub fn url(&self, face: &str) -> &str {
        self.urls.get(face).map(String::as_str).unwrap_or_default()
    }

    /// Stops listening and waits for requests in flight, a few seconds at most; then keeps the state, where that was
    /// asked for. That it could not be kept is logged.
    pub async fn shutdown(self) {
        if let Err(error) = self.stop().await {
            tracing::error!("{error}");
        }
    }

    /// The same.
    ///
    /// # Errors
    /// A sentence that says why the state could not be kept.
    pub async fn stop(self) -> Result<(), String> {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        match self.keeps {
            Some((world, directory)) => directory.save(&world.export(true)?),
            None => Ok(()),
        }
    }
}

/// Starts everything. When this returns, all ports answer.
///
/// # Errors
/// [`StartError`] says what stands in the way.
pub async fn start(config: Config) -> Result<Running, StartError> {
    if config.root_token.is_empty() || !config.root_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(StartError::RootToken);
    }
    let doors = Doors::bind(&config).await?;
    let directory =
        config.state_dir.as_deref().map(Directory::open).transpose().map_err(StartError::State)?;
    let world = world(&config, directory.clone()).await?;
    let running = open(&world, &config, doors)?;
    Ok(Running { keeps: directory.map(|directory| (world, directory)), ..running })
}

/// Where clients come in.
pub(crate) struct Doors {
    faces: Vec<Door>,
    control: (TcpListener, SocketAddr),
}

struct Door {
    face: &'static Face,
    listener: TcpListener,
    address: SocketAddr,
    tls: bool,
}

impl Doors {
    /// Takes the addresses, so that nothing else is begun if one of them is in use.
    pub(crate) async fn bind(config: &Config) -> Result<Self, StartError> {
        let mut faces = Vec::new();
        for face in face::ALL {
            if let Some(Listen { address, tls }) = config.faces.get(face.name) {
                let (listener, address) = listen(*address, config.allow_non_loopback).await?;
                faces.push(Door { face, listener, address, tls: *tls || face.needs_tls });
            }
        }
        let control = listen(config.control_listen, config.allow_non_loopback).await?;
        Ok(Self { faces, control })
    }
}

/// Lets clients in.
pub(crate) fn open(world: &Arc<World>, config: &Config, doors: Doors) -> Result<Running, StartError> {
    let Doors { faces, control: (control, control_address) } = doors;
    let (stop, stopped) = watch::channel(false);
    let front = Arc::new(Front::new(&config.tls, clock::now())?);
    let tls_ca = front.ca();

    let serves_ejbca = faces.iter().any(|door| door.face.name == ejbca::FACE.name);
    let ejbca_client = serves_ejbca
        .then(|| ClientCertificate::of_administrator(&world.hierarchy(), world.epoch().now()))
        .transpose()?;
    let (mut urls, mut tasks) = (BTreeMap::new(), Vec::new());
    for Door { face, listener, address, tls } in faces {
        let scheme = if tls { "https" } else { "http" };
        urls.insert(face.name, format!("{scheme}://{address}"));
        let greeter = {
            let (world, front) = (Arc::clone(world), Arc::clone(&front));
            let greet = move || front.greet(world.faults.tls(face), clock::now());
            tls.then(|| Arc::new(greet) as connection::Greeter)
        };
        let world = Arc::clone(world);
        let served = connection::serve(listener, greeter, stopped.clone(), move |connection| {
            let world = Arc::clone(&world);
            service_fn(move |request| service::serve(face, Arc::clone(&world), connection.clone(), request))
        });
        tasks.push(tokio::spawn(served));
    }
    let router = admin::router(Arc::clone(world));
    let control = connection::serve(control, None, stopped, move |_| {
        TowerToHyperService::new(admin::Boxed::new(router.clone()))
    });
    let root_ca = world.root_ca();
    tasks.push(tokio::spawn(control));
    Ok(Running {
        urls,
        control_url: format!("http://{control_address}"),
        root_token: config.root_token.clone(),
        unseal_key: vault::unseal_key(&config.root_token),
        ejbca_client,
        tls_ca,
        root_ca,
        stop,
        tasks,
        keeps: None,
    })
}

async fn world(config: &Config, directory: Option<Directory>) -> Result<Arc<World>, StartError> {
    let config = config.clone();
    // RSA keys take their time.
    let made = tokio::task::spawn_blocking(move || {
        let kept = directory.map(|directory| directory.load()).transpose().map_err(StartError::State)?;
        World::of(&config, clock::machine(), kept.flatten().as_ref())
    });
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
