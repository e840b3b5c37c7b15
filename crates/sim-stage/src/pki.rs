//! mock-pki, called without a socket.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use bytes::Bytes;
use external_issuer::signer::http::Transport;
use futures::future::BoxFuture;
use http::Response;
use mock_pki::Fault;
use mock_pki::in_process::MockPki;
use mock_pki::ledger::Issued;
use mock_pki::server::{self, Running, StartError};
use serde_json::{Value, json};
use sim_kube::client::Server;

use crate::scenario::PkiFault;

/// A PKI. Whatever host a configuration names, it answers.
#[derive(Clone)]
pub struct Pki {
    mock: MockPki,
    ears: Ears,
    installed: Arc<Mutex<Vec<u64>>>,
    /// The first certificate that was issued.
    first: Arc<Mutex<Option<Value>>>,
}

type Ears = Arc<Mutex<Vec<Box<dyn Fn(&Call) + Send>>>>;

/// A call that was made to the PKI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `POST`.
    pub method: String,
    /// `/v1/pki_int/sign/web`.
    pub path: String,
    /// The answer's status; nothing if there was no answer.
    pub status: Option<u16>,
    /// Whether it asks for nothing: a check of health, or of the signing path without a CSR.
    pub is_check: bool,
}

impl Pki {
    /// A PKI by the clock of this server.
    pub(crate) fn new(server: Server, seed: u64) -> anyhow::Result<Self> {
        Self::of(server, &server::Config { seed: Some(seed), ..server::Config::default() })
    }

    pub(crate) fn with_root_token(server: Server, seed: u64, token: &str) -> anyhow::Result<Self> {
        let (root_token, seed) = (token.to_owned(), Some(seed));
        Self::of(server, &server::Config { root_token, seed, ..server::Config::default() })
    }

    fn of(server: Server, config: &server::Config) -> anyhow::Result<Self> {
        let mock = MockPki::new(config, Arc::new(move || server.now()))?;
        Ok(Self { mock, ears: Ears::default(), installed: Arc::default(), first: Arc::default() })
    }

    /// Opens it to clients with sockets as well: the Vault face, whose root token is `root`, and the control port.
    /// May be called in a runtime of its own.
    ///
    /// # Errors
    /// An address is taken, or is no loopback address.
    pub async fn listen(&self, vault: SocketAddr, control: SocketAddr) -> Result<Running, StartError> {
        let vault = server::Listen { address: vault, tls: false };
        let doors = server::Config {
            faces: [("vault", vault)].into(),
            control_listen: control,
            ..server::Config::default()
        };
        self.mock.listen(&doors).await
    }

    /// Installs a fault; gives its id.
    ///
    /// # Errors
    /// There is no such fault, or a parameter of it is wrong.
    pub fn install(&self, fault: Fault) -> anyhow::Result<u64> {
        self.mock.install(fault).map_err(|problem| anyhow!(problem))
    }

    /// Has [`Self::uninstall_all`] remove this fault as well.
    pub(crate) fn note_installed(&self, id: u64) {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// Removes the faults that were noted.
    pub(crate) fn uninstall_all(&self) {
        let installed = std::mem::take(&mut *self.installed.lock().unwrap_or_else(PoisonError::into_inner));
        for id in installed {
            self.mock.uninstall(id);
        }
    }

    /// An answer of this PKI, spoiled in a way that mock-pki does not know.
    pub(crate) fn garbled(
        &self,
        fault: PkiFault,
        answer: Response<Bytes>,
        mut body: Value,
    ) -> Response<Bytes> {
        let Some(certificate) = body.pointer_mut("/data/certificate") else { return answer };
        let pem = certificate.as_str().unwrap_or_default().to_owned();
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *certificate = match fault {
            PkiFault::TruncatedPem => json!(pem.get(..pem.len() / 2)),
            PkiFault::Der => json!(pem.lines().filter(|line| !line.starts_with("---")).collect::<String>()),
            PkiFault::Garbage => json!("\u{0}\u{7f}%PDF-1.7 not a certificate"),
            PkiFault::SomebodyElses => first.unwrap_or_default(),
            PkiFault::EchoesToken | PkiFault::Mock(_) => return answer,
        };
        answer.map(|_| Bytes::from(body.to_string()))
    }

    fn remember_first(&self, answer: &Response<Bytes>) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            *first = body.pointer("/data/certificate").cloned();
        }
    }

    /// Removes a fault.
    pub fn uninstall(&self, id: u64) {
        self.mock.uninstall(id);
    }

    /// What was issued, the oldest first.
    #[must_use]
    pub fn ledger(&self) -> Vec<Issued> {
        self.mock.ledger()
    }

    /// From now on `hear` is told of every call.
    pub fn on_call(&self, hear: impl Fn(&Call) + Send + 'static) {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(hear));
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }
}

impl Transport for Pki {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'static, Result<http::Response<Bytes>, io::ErrorKind>> {
        let this = self.clone();
        Box::pin(async move {
            let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
            let is_check = path == "/v1/sys/health" || request.body().as_ref() == b"{}";
            let answer = this.mock.vault(request).await;
            if let Ok(answer) = &answer {
                this.remember_first(answer);
            }
            let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            let call = Call { method, path, status, is_check };
            this.ears.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|hear| hear(&call));
            answer
        })
    }
}
