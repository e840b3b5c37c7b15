//! How a test's requests get to a PKI: over the network, or by a call within the process.

use std::{error::Error, pin::Pin};

use bytes::Bytes;
use http::{Request, Response};

use crate::in_process::MockPki;

/// An answer that is on its way.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<Bytes>, NoAnswer>> + Send>>;

/// Brings requests to a PKI.
pub trait Transport: Send + Sync {
    /// The whole answer, whatever its status.
    fn send(&self, request: Request<Bytes>) -> Answer;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(String);

impl NoAnswer {
    /// An error and its causes in one line.
    pub fn new(error: impl Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self(text)
    }
}

/// Over the network.
#[derive(Clone, Debug)]
pub struct Network(reqwest::Client);

impl Network {
    /// For test servers on loopback, in the clear: a proxy from the environment has no business here, and no TLS is
    /// spoken. It is configured all the same, so that no process-wide rustls provider is needed to make the client.
    #[must_use]
    pub fn new() -> Self {
        let tls = crate::tls::no_trust();
        let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build();
        Self(client.unwrap_or_default())
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for Network {
    fn send(&self, request: Request<Bytes>) -> Answer {
        let client = self.0.clone();
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(NoAnswer::new)?;
            let answer = client.execute(request).await.map_err(NoAnswer::new)?;
            let mut whole = Response::new(Bytes::new());
            *whole.status_mut() = answer.status();
            whole.headers_mut().clone_from(answer.headers());
            *whole.body_mut() = answer.bytes().await.map_err(NoAnswer::new)?;
            Ok(whole)
        })
    }
}

/// The control port of a PKI in this process.
pub(super) struct ControlPort(pub(super) MockPki);

impl Transport for ControlPort {
    fn send(&self, request: Request<Bytes>) -> Answer {
        let pki = self.0.clone();
        Box::pin(async move { Ok(pki.control(request).await) })
    }
}
