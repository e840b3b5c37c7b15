//! The HTTPS skin: what kubectl and every other client in any language speak, over HTTP/1.1 and HTTP/2.
//!
//! A server makes its own certificate authority, and from it a certificate for itself and one for an
//! administrator. Who shows neither such a certificate nor a token is `system:anonymous`.

mod kubeconfig;
mod pki;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::authn::{Claims, ISSUER};
use crate::fault::Peer;
use crate::server::{ResponseBody, Server, failed};
use crate::{Cut, Failure, GroupResource, Identity};
use kubeconfig::Credentials;
use pki::Pki;

/// The real server's limit of a request's body.
const LARGEST_BODY: usize = 3 * 1024 * 1024;
/// How long a client may take to say hello.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests that are under way when the server stops may take.
const GRACE: Duration = Duration::from_secs(2);
/// How long a token in a kubeconfig is good for: a year, longer than any simulation.
const TOKEN_SECONDS: i64 = 365 * 24 * 60 * 60;

/// Why there is no HTTPS server, or no kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// The address is taken, or is not this machine's.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificates do not make a TLS server.
    #[error("cannot serve TLS: {0}")]
    Tls(String),
    /// The machine has no randomness to give.
    #[error("cannot make a secret: no randomness")]
    NoRandomness,
    /// A kubeconfig was asked for a ServiceAccount that is not there.
    #[error("ServiceAccount {namespace}/{name} not found")]
    NoServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// A cluster that is served over HTTPS.
#[derive(Debug)]
pub struct Https {
    address: SocketAddr,
    pki: Pki,
    server: Server,
    stop: watch::Sender<()>,
    serving: JoinHandle<()>,
}

impl Https {
    /// Serves a cluster at `address`; port 0 takes a free one. Must be called in a tokio runtime.
    pub async fn listen(server: Server, address: SocketAddr) -> Result<Self, HttpsError> {
        let pki = Pki::new(address.ip())?;
        let tls = TlsAcceptor::from(Arc::new(pki.server_config()?));
        let refused = |error| HttpsError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        server.with(|cluster, now| cluster.publish_root_ca(now, pki.ca_pem()));
        let (stop, stopped) = watch::channel(());
        let serving = tokio::spawn(serve(listener, tls, server.clone(), stopped));
        Ok(Self { address, pki, server, stop, serving })
    }

    /// Where it is served.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate authority, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.pki.ca_pem()
    }

    /// A kubeconfig for an administrator, with a client certificate.
    pub fn admin_kubeconfig(&self) -> Result<String, HttpsError> {
        let admin = Identity::admin();
        let (certificate, key) = self.pki.client(&admin.name, Identity::MASTERS)?;
        let credentials = Credentials::Certificate { certificate: &certificate, key: &key };
        Ok(kubeconfig::text(&self.url(), self.ca_pem(), &admin.name, &credentials))
    }

    /// A kubeconfig for any user, with a token that is believed as long as the cluster lives.
    pub fn kubeconfig(&self, user: &Identity) -> Result<String, HttpsError> {
        let token = pki::token()?;
        self.server.with(|cluster, _| cluster.authenticator_mut().add_token(&*token, user.clone()));
        Ok(kubeconfig::text(&self.url(), self.ca_pem(), &user.name, &Credentials::Token(&token)))
    }

    /// A kubeconfig for a ServiceAccount, with a token for it.
    pub fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<String, HttpsError> {
        let token = self.server.with(|cluster, now| {
            let account = cluster.store().get(&GroupResource::new("", "serviceaccounts"), namespace, name)?;
            Some(cluster.authenticator().issue(&Claims {
                account,
                audiences: &[ISSUER.to_owned()],
                bound: None,
                now,
                seconds: TOKEN_SECONDS,
                id: "kubeconfig",
            }))
        });
        let missing =
            || HttpsError::NoServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() };
        let token = token.ok_or_else(missing)?;
        Ok(kubeconfig::text(&self.url(), self.ca_pem(), name, &Credentials::Token(&token)))
    }

    /// Ends every watch, lets requests that are under way finish, and closes the connections.
    pub async fn stop(self) {
        self.stop.send_replace(());
        // A task that panicked serves no more either.
        let _ = self.serving.await;
    }
}

/// Takes connections until it is told to stop, or nobody can tell it any more.
async fn serve(listener: TcpListener, tls: TlsAcceptor, server: Server, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), server.clone(), stopped.clone()));
                }
                // Out of file descriptors, most likely: others must close theirs first.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
    drop(listener);
    server.with(|cluster, _| cluster.cut_watches(None, &Cut::End));
    let finished = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, finished).await;
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, server: Server, mut stopped: watch::Receiver<()>) {
    // A client that does not get this far tells its user why.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| pki::identity(chain.first()?));
    let certificate = Arc::new(certificate);
    let service = service_fn(move |request| {
        let (server, certificate) = (server.clone(), Arc::clone(&certificate));
        async move { respond(&server, request, certificate.as_ref().as_ref()).await }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // However it ended: it is over.
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Answers a request. An error breaks the connection, as a fault may want it.
async fn respond(
    server: &Server,
    request: Request<Incoming>,
    certificate: Option<&Identity>,
) -> io::Result<Response<ResponseBody>> {
    let (parts, body) = request.into_parts();
    let body: Bytes = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {LARGEST_BODY}");
            let failure = Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message);
            return Ok(failed(&failure));
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let asks_for_head = parts.method == Method::HEAD;
    let response = match server.authenticate(&parts.headers, certificate) {
        Ok(identity) => server.serve(Request::from_parts(parts, body), Peer::default(), &identity).await?,
        Err(failure) => failed(&failure),
    };
    Ok(if asks_for_head { head_of(response) } else { response })
}

/// The answer to a HEAD: what would have come is not sent, and its length is. Over HTTP/2 nobody else sees to that.
fn head_of(response: Response<ResponseBody>) -> Response<ResponseBody> {
    let length = response.body().size_hint().exact();
    let mut response = response.map(|_| Empty::new().boxed_unsync());
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}
