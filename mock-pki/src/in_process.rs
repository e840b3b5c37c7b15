//! Within another process, without a socket: the same faces, control port, faults, ledger and journal, by the caller's
//! clock.
//!
//! What a network adds is missing: TLS, and bodies that come bit by bit (an answer is handed over when it is whole,
//! or when more than [`MAX_ANSWER`] of it has come).

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;

use crate::{
    admin,
    clock::SharedClock,
    connection::Connection,
    face::{self, Face},
    fault::Fault,
    ledger::Issued,
    server::{self, Config, Running, StartError},
    service,
    store::World,
    vault,
};

/// Of an answer without end so much is handed over: more than any client should read.
pub const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// A mock PKI; clones are the same.
#[derive(Clone)]
pub struct MockPki(Arc<World>);

impl MockPki {
    /// A PKI with CAs of its own. Of `config` only keys, root token, capacities, seed and faults count.
    ///
    /// # Errors
    /// The CAs could not be made.
    pub fn new(config: &Config, clock: SharedClock) -> Result<Self, StartError> {
        Ok(Self(Arc::new(World::new(config, clock)?)))
    }

    /// One request to the Vault face, and its answer; or how the connection ended.
    ///
    /// # Errors
    /// A fault cut the connection.
    pub async fn vault(&self, request: Request<Bytes>) -> Result<Response<Bytes>, io::ErrorKind> {
        self.call(&vault::FACE, request).await
    }

    async fn call(
        &self,
        face: &'static Face,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, io::ErrorKind> {
        let connection = Connection::default();
        let (mut head, body) = request.into_parts();
        head.uri = origin_form(&head.uri);
        let answer = service::respond(face, &self.0, &connection, head, Ok(body)).await;
        let Ok(answer) = answer else {
            return Err(if connection.ending.is_reset() {
                io::ErrorKind::ConnectionReset
            } else {
                io::ErrorKind::UnexpectedEof
            });
        };
        let (head, mut body) = answer.into_parts();
        let announced = hyper::body::Body::size_hint(&body).exact();
        let mut whole = BytesMut::new();
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(chunk) = frame.into_data() {
                whole.extend_from_slice(&chunk);
            }
            if whole.len() > MAX_ANSWER {
                break;
            }
        }
        if announced.is_some_and(|announced| whole.len() <= MAX_ANSWER && (whole.len() as u64) < announced) {
            return Err(io::ErrorKind::UnexpectedEof);
        }
        Ok(Response::from_parts(head, whole.freeze()))
    }

    /// One request to the face of this name ([`server::faces`] has them), and its answer. No client shows a certificate
    /// here.
    ///
    /// # Errors
    /// A fault cut the connection; or [`io::ErrorKind::NotFound`], there is no such face.
    pub async fn face(&self, name: &str, request: Request<Bytes>) -> Result<Response<Bytes>, io::ErrorKind> {
        self.call(face::named(name).ok_or(io::ErrorKind::NotFound)?, request).await
    }

    /// One request to the control port, and its answer.
    pub async fn control(&self, request: Request<Bytes>) -> Response<Bytes> {
        let request = request.map(axum::body::Body::from);
        let mut router = admin::router(Arc::clone(&self.0));
        let Ok(answer) = tower_service::Service::call(&mut router, request).await;
        let (head, body) = answer.into_parts();
        // Bodies of this router are complete: none of them can fail half-way.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Response::from_parts(head, bytes)
    }

    /// Opens it to clients with sockets as well, where `config` says. May be called in another runtime than the one
    /// that it was made in; waits of faults that such clients meet are then that runtime's.
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way.
    pub async fn listen(&self, config: &Config) -> Result<Running, StartError> {
        server::open(&self.0, config, server::Doors::bind(config).await?)
    }

    /// Installs a fault. Gives its id.
    ///
    /// # Errors
    /// What is wrong with it, as the control port says it.
    pub fn install(&self, fault: Fault) -> Result<u64, String> {
        self.0.faults.install(fault)
    }

    /// Removes a fault, if it is still there.
    pub fn uninstall(&self, id: u64) {
        self.0.faults.remove(id);
    }

    /// What was issued, the oldest first.
    #[must_use]
    pub fn ledger(&self) -> Vec<Issued> {
        self.0.epoch().ledger.all()
    }
}

/// The target as a client writes it into a request line: without scheme and host.
fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().map_or_else(|| Uri::from_static("/"), |target| target.clone().into())
}
