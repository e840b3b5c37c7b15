//! The tower skin: a `kube::Client` that ends in this process, with no sockets.

use std::io;

use http::Request;
use kube::client::Body;

use crate::Identity;
use crate::fault::Peer;
pub use crate::server::{Clock, ResponseBody, Served, Server};

impl Server {
    /// A client that acts as `identity`.
    #[must_use]
    pub fn client(&self, identity: Identity) -> kube::Client {
        self.client_of(Peer::default(), identity)
    }

    /// A client that acts as `identity` and that faults can tell from others of the same identity.
    #[must_use]
    pub fn client_of(&self, peer: Peer, identity: Identity) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (server, peer, identity) = (server.clone(), peer.clone(), identity.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.map_err(io::Error::other)?;
                server.serve(Request::from_parts(parts, body), peer, &identity).await
            }
        });
        kube::Client::new(service, "default")
    }
}
