//! How a request gets to a PKI: over the network, or, in a simulation, by a call within the process.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

/// Brings a request to a PKI within the process, without a socket. What is above it, time-outs and limits
/// included, is the same as over the network.
pub trait Transport: Send + Sync {
    /// The PKI's answer, or how the connection ended without one.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'static, Result<http::Response<Bytes>, io::ErrorKind>>;
}

/// The way of one client.
#[derive(Clone)]
pub(super) enum Way {
    Network(reqwest::Client),
    InProcess(Arc<dyn Transport>),
}
