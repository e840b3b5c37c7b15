//! Listeners and connections: HTTP/1.1 over TCP or TLS, cut short where a fault says so.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    fault::{Body, Cut},
    tls::Greeting,
};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A client that sends no complete head in this time is let go.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests in flight may take after shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// What Go's server says to HTTP on its HTTPS port.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Says how TLS of a new connection goes.
pub(crate) type Greeter = Arc<dyn Fn() -> Greeting + Send + Sync>;

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut by a fault")]
pub(crate) struct CutShort;

/// What a service knows of the connection that its requests come by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    pub(crate) ending: Ending,
    /// The certificates that the client showed, its own first; none without TLS. That it has the key was verified, who
    /// issued them was not.
    pub(crate) client: Arc<[CertificateDer<'static>]>,
}

/// The switch by which a service resets its own connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// Ends the connection in this way once the service returns the error.
    pub(crate) fn cut(&self, how: Cut) -> CutShort {
        self.0.store(how == Cut::Reset, Ordering::Relaxed);
        CutShort
    }

    /// Whether it ended in a reset, not in good order.
    pub(crate) fn is_reset(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serves a listener until shutdown, then lets what is in flight finish.
pub(crate) async fn serve<S, F>(
    listener: TcpListener,
    tls: Option<Greeter>,
    mut shutdown: watch::Receiver<bool>,
    service: F,
) where
    F: Fn(Connection) -> S + Send + Sync + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut connections, service) = (JoinSet::new(), Arc::new(service));
    let stopped = shutdown.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let service = Arc::clone(&service);
                    connections.spawn(connection(stream, tls.clone(), stopped.clone(), service));
                }
                // Out of file descriptors, most likely: wait for some to become free.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
            () = ended(&mut shutdown) => break,
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
}

async fn connection<S, F>(
    stream: TcpStream,
    tls: Option<Greeter>,
    shutdown: watch::Receiver<bool>,
    service: Arc<F>,
) where
    F: Fn(Connection) -> S,
    S: Service<Request<Incoming>, Response = Response<Body>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = stream.set_nodelay(true);
    let ending = Ending::default();
    let Some(greet) = tls else {
        let service = service(Connection { ending: ending.clone(), ..Connection::default() });
        return http(Socket { stream, ending }, shutdown, service).await;
    };
    let mut first = [0];
    let handshake = async {
        // 22 is a TLS handshake; anything else is most likely plain HTTP.
        if stream.peek(&mut first).await? != 1 || first != [22] {
            let mut stream = stream;
            stream.write_all(NOT_TLS).await?;
            stream.shutdown().await?;
            return Err(io::Error::other("not TLS"));
        }
        match greet() {
            Greeting::Accept(acceptor) => acceptor.accept(Socket { stream, ending: ending.clone() }).await,
            Greeting::HangUp => {
                let mut stream = stream;
                // What is not read would turn the end into a reset.
                let _ = stream.read(&mut vec![0; 16 * 1024]).await?;
                stream.shutdown().await?;
                Err(io::Error::other("a fault of TLS"))
            }
        }
    };
    if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIMEOUT, handshake).await {
        let client = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let client = client.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let service = service(Connection { ending, client });
        http(stream, shutdown, service).await;
    }
}

async fn http<T, S>(stream: T, mut shutdown: watch::Receiver<bool>, service: S)
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connection = http1::Builder::new()
        .title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A broken connection is the client's affair, a cut one is what was asked for.
        _ = connection.as_mut() => return,
        () = ended(&mut shutdown) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Until shutdown is asked for, or nobody is left who could ask.
async fn ended(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|ended| *ended).await;
}

/// A socket that can end in a reset.
struct Socket {
    stream: TcpStream,
    ending: Ending,
}

impl Socket {
    fn resets(&self) -> bool {
        self.ending.0.load(Ordering::Relaxed)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.resets() {
            // Closing with data unsent and no time to linger is a reset.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.resets() {
            // No FIN before the reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
