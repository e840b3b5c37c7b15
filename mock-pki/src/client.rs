//! The control port's client, for tests in Rust.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mock_pki::{Fault, client::Control, server};
//! let running = server::start(server::Config::default()).await?;
//! let control = Control::new(&running.control_url);
//! let down = control.install(Fault::new("status").with("status", 503).on_path("/sign/")).await?;
//! // … the PKI is down …
//! down.uninstall().await?;
//! assert_eq!(control.ledger().await?.len(), 0);
//! # Ok(())
//! # }
//! ```

mod transport;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, header};
use serde::{Serialize, de::DeserializeOwned};

use crate::in_process::MockPki;
pub use crate::{
    approval::{Decision, Pending},
    clock::{ClockChange, ClockState},
    fault::{Fault, Installed},
    journal::Entry,
    ledger::Issued,
    near_miss::{Difference, Expectation, NearMiss},
    wire::{
        ApprovalList, CertificateDetails, Count, Created, FaultKind, FaultKinds, FaultList,
        IssuedCertificate, Journal, JournalFilter, Ledger, LedgerFilter, NearMisses, SnapshotInfo,
        SnapshotList, Version,
    },
};
pub use transport::{Answer, Network, NoAnswer, Transport};

/// Why the control port did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It could not be reached.
    #[error("mock-pki's control port: {0}")]
    NoAnswer(#[from] NoAnswer),
    /// Its answer could not be read.
    #[error("mock-pki's control port answered what it should not: {0}")]
    Answer(#[from] serde_json::Error),
    /// It refused.
    #[error("mock-pki's control port refused: {status}: {text}")]
    Refused {
        /// The status.
        status: u16,
        /// What it said.
        text: String,
    },
}

/// A client of one control port. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    way: Arc<dyn Transport>,
    base: String,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Control {
    /// For the control port at this base URL ([`crate::server::Running::control_url`]).
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { way: Arc::new(Network::new()), base: base.trim_end_matches('/').to_owned() }
    }

    /// For the control port of one in this process.
    #[must_use]
    pub fn in_process(pki: MockPki) -> Self {
        Self { way: Arc::new(transport::ControlPort(pki)), base: "http://mock-pki".to_owned() }
    }

    /// All certificates issued since the last reset, oldest first.
    ///
    /// # Errors
    /// [`ControlError`], as all calls here.
    pub async fn ledger(&self) -> Result<Vec<Issued>, ControlError> {
        Ok(self.read::<Ledger>("/ledger").await?.issued)
    }

    /// Those of them that are wanted.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn find_issued(&self, wanted: &LedgerFilter) -> Result<Vec<Issued>, ControlError> {
        Ok(self.read::<Ledger>(&with_query("/ledger", wanted)).await?.issued)
    }

    /// One certificate, by its serial number in hexadecimal.
    ///
    /// # Errors
    /// [`ControlError::Refused`] with 404 where there is none.
    pub async fn certificate(&self, serial: &str) -> Result<IssuedCertificate, ControlError> {
        self.read(&format!("/ledger/{serial}")).await
    }

    /// The same, and what the certificate says.
    ///
    /// # Errors
    /// [`ControlError::Refused`] where it is not in the ledger.
    pub async fn certificate_details(&self, serial: &str) -> Result<CertificateDetails, ControlError> {
        self.read(&format!("/ledger/{serial}/details")).await
    }

    /// The last requests, oldest first.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn journal(&self) -> Result<Vec<Entry>, ControlError> {
        Ok(self.read::<Journal>("/journal").await?.requests)
    }

    /// Those of them that are wanted.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn find_requests(&self, wanted: &JournalFilter) -> Result<Vec<Entry>, ControlError> {
        Ok(self.read::<Journal>(&with_query("/journal", wanted)).await?.requests)
    }

    /// How many of them are wanted.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn count_requests(&self, wanted: &JournalFilter) -> Result<usize, ControlError> {
        Ok(self.read::<Count>(&with_query("/journal/count", wanted)).await?.count)
    }

    /// The requests closest to an expected one, the closest first.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn near_misses(&self, expected: &Expectation) -> Result<Vec<NearMiss>, ControlError> {
        let answer = self.send(Method::POST, "/journal/near-misses", Some(body(expected))).await?;
        Ok(serde_json::from_slice::<NearMisses>(answer.body())?.near_misses)
    }

    /// All kinds of faults.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn fault_kinds(&self) -> Result<Vec<FaultKind>, ControlError> {
        Ok(self.read::<FaultKinds>("/faults/kinds").await?.kinds)
    }

    /// The time of all faces.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn clock(&self) -> Result<ClockState, ControlError> {
        self.read("/clock").await
    }

    /// Sets, advances, stops or starts the clock; gives what it shows then.
    ///
    /// # Errors
    /// [`ControlError::Refused`] for a time that certificates cannot say.
    pub async fn change_clock(&self, change: &ClockChange) -> Result<ClockState, ControlError> {
        let answer = self.send(Method::PATCH, "/clock", Some(body(change))).await?;
        Ok(serde_json::from_slice(answer.body())?)
    }

    /// Lets the clock follow the machine's again.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn release_clock(&self) -> Result<ClockState, ControlError> {
        Ok(serde_json::from_slice(self.send(Method::DELETE, "/clock", None).await?.body())?)
    }

    /// Seals the Vault face.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn seal(&self) -> Result<(), ControlError> {
        self.send(Method::POST, "/seal", None).await.map(drop)
    }

    /// Unseals the Vault face.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn unseal(&self) -> Result<(), ControlError> {
        self.send(Method::POST, "/unseal", None).await.map(drop)
    }

    /// What Prometheus reads.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn metrics(&self) -> Result<String, ControlError> {
        Ok(String::from_utf8_lossy(self.send(Method::GET, "/metrics", None).await?.body()).into_owned())
    }

    /// The control port as an OpenAPI document.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn openapi(&self) -> Result<serde_json::Value, ControlError> {
        self.read("/openapi.json").await
    }

    /// Whether it lives.
    ///
    /// # Errors
    /// [`ControlError`] says why not.
    pub async fn health(&self) -> Result<(), ControlError> {
        self.send(Method::GET, "/healthz", None).await.map(drop)
    }

    /// Which version it is.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn version(&self) -> Result<String, ControlError> {
        Ok(self.read::<Version>("/version").await?.version)
    }

    /// The faults in force.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn faults(&self) -> Result<Vec<Installed>, ControlError> {
        Ok(self.read::<FaultList>("/faults").await?.faults)
    }

    /// The root of everything that is issued, PEM.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn root_ca(&self) -> Result<String, ControlError> {
        Ok(String::from_utf8_lossy(self.send(Method::GET, "/ca", None).await?.body()).into_owned())
    }

    /// Installs a fault. It is in force until the guard is dropped or [`Guard::uninstall`]ed.
    ///
    /// # Errors
    /// [`ControlError::Refused`] says what is wrong with the fault.
    pub async fn install(&self, fault: Fault) -> Result<Guard, ControlError> {
        let answer = self.send(Method::POST, "/faults", Some(body(&fault))).await?;
        let Created { id } = serde_json::from_slice(answer.body())?;
        Ok(Guard { control: self.clone(), id, armed: true })
    }

    /// Removes all faults, whoever installed them.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn clear_faults(&self) -> Result<(), ControlError> {
        self.send(Method::DELETE, "/faults", None).await.map(drop)
    }

    /// The requests that had to be approved, oldest first.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn approvals(&self) -> Result<Vec<Pending>, ControlError> {
        Ok(self.read::<ApprovalList>("/approvals").await?.approvals)
    }

    /// Lets a request that waits be issued.
    ///
    /// # Errors
    /// [`ControlError::Refused`] where it does not wait.
    pub async fn approve(&self, id: u64) -> Result<(), ControlError> {
        self.send(Method::POST, &format!("/approvals/{id}/approve"), None).await.map(drop)
    }

    /// Refuses a request that waits.
    ///
    /// # Errors
    /// [`ControlError::Refused`] where it does not wait.
    pub async fn reject(&self, id: u64) -> Result<(), ControlError> {
        self.send(Method::POST, &format!("/approvals/{id}/reject"), None).await.map(drop)
    }

    /// The snapshots that are kept in memory.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn snapshots(&self) -> Result<Vec<SnapshotInfo>, ControlError> {
        Ok(self.read::<SnapshotList>("/snapshots").await?.snapshots)
    }

    /// Takes a snapshot, in place of one of that name.
    ///
    /// # Errors
    /// [`ControlError::Refused`] where too many are kept.
    pub async fn take_snapshot(&self, name: &str) -> Result<SnapshotInfo, ControlError> {
        let answer = self.send(Method::PUT, &format!("/snapshots/{name}"), None).await?;
        Ok(serde_json::from_slice(answer.body())?)
    }

    /// Brings the state of a snapshot back.
    ///
    /// # Errors
    /// [`ControlError::Refused`] with 404 where there is none of that name.
    pub async fn restore_snapshot(&self, name: &str) -> Result<(), ControlError> {
        self.send(Method::POST, &format!("/snapshots/{name}/restore"), None).await.map(drop)
    }

    /// Forgets a snapshot.
    ///
    /// # Errors
    /// [`ControlError::Refused`] with 404 where there is none of that name.
    pub async fn forget_snapshot(&self, name: &str) -> Result<(), ControlError> {
        self.send(Method::DELETE, &format!("/snapshots/{name}"), None).await.map(drop)
    }

    /// Everything as one document; with keys, tokens and passwords if `secrets`.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn export(&self, secrets: bool) -> Result<serde_json::Value, ControlError> {
        self.read(&format!("/state?secrets={secrets}")).await
    }

    /// Makes everything what such a document says.
    ///
    /// # Errors
    /// [`ControlError::Refused`] says why that cannot be done; then nothing has changed.
    pub async fn import(&self, state: &serde_json::Value) -> Result<(), ControlError> {
        self.send(Method::PUT, "/state", Some(body(state))).await.map(drop)
    }

    /// Back to how it started: same CAs and root token; mounts, roles, tokens, ledger, journal and faults fresh.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn reset(&self) -> Result<(), ControlError> {
        self.send(Method::POST, "/reset", None).await.map(drop)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ControlError> {
        Ok(serde_json::from_slice(self.send(Method::GET, path, None).await?.body())?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Bytes>, ControlError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.unwrap_or_default().into()).map_err(NoAnswer::new)?;
        let response = self.way.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let text = String::from_utf8_lossy(response.body()).into_owned();
        Err(ControlError::Refused { status: response.status().as_u16(), text })
    }
}

fn body(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The path with an object's fields as its query.
fn with_query(path: &str, asked: &impl Serialize) -> String {
    let fields = serde_json::to_value(asked).unwrap_or_default();
    let pairs = fields.as_object().into_iter().flatten().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), text)
    });
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// A fault in force. Dropping it removes the fault in the background, on the runtime it is dropped in; where
/// the next step depends on it, [`Guard::uninstall`].
#[must_use = "a fault is uninstalled as soon as its guard is dropped"]
#[derive(Debug)]
pub struct Guard {
    control: Control,
    id: u64,
    armed: bool,
}

impl Guard {
    /// The fault's id.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Removes the fault; when this returns, it is no longer in force.
    ///
    /// # Errors
    /// [`ControlError`]; that the fault is gone already is none.
    pub async fn uninstall(mut self) -> Result<(), ControlError> {
        self.armed = false;
        remove(&self.control, self.id).await
    }

    /// Leaves the fault in force for ever.
    pub fn keep(mut self) {
        self.armed = false;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (control, id) = (self.control.clone(), self.id);
            runtime.spawn(async move { remove(&control, id).await });
        }
    }
}

async fn remove(control: &Control, id: u64) -> Result<(), ControlError> {
    match control.send(Method::DELETE, &format!("/faults/{id}"), None).await {
        Err(ControlError::Refused { status: 404, .. }) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}
