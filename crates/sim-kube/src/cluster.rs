//! The cluster: everything that the API server knows, and the one way in.

use bytes::Bytes;
use http::Response;
use jiff::Timestamp;

use crate::{Identity, Registry, Store};

/// How a cluster is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What uids and generated names follow from.
    pub seed: u64,
}

/// What a request comes to.
#[derive(Debug)]
pub enum Answer {
    /// An answer that is complete.
    Response(Response<Bytes>),
}

/// A Kubernetes API server and its storage.
#[derive(Debug)]
pub struct Cluster {
    /// The objects.
    pub store: Store,
    /// The kinds that are served.
    pub registry: Registry,
}

impl Cluster {
    /// A cluster with nothing in it.
    #[must_use]
    pub fn new(_options: &Options) -> Self {
        Self { store: Store::new(), registry: Registry::built_in() }
    }

    /// Carries out a request that `identity` makes at `now`.
    pub fn handle(
        &mut self,
        _now: Timestamp,
        _request: &http::Request<Bytes>,
        _identity: &Identity,
    ) -> Answer {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        Answer::Response(response)
    }
}
