//! The HTTP client to a PKI: one call, one bounded answer.
//!
//! - **Bounded.** The timeout covers name lookup to last byte; an answer longer than [`MAX_BODY`] ends the call
//!   as soon as it shows, whatever it claims its length to be. Nothing is decompressed.
//! - **One call is one request.** Redirects are not followed (the credential would go along) and nothing is
//!   sent twice: a second signing request may be a second certificate.
//! - **Direct.** Proxy settings in the environment are not read: a proxy would see the credential, and is the
//!   issuer's business if anyone's.
//! - **Discreet.** No error, `Debug` or log line holds a body, a header or a query.

mod error;
mod retry_after;
#[cfg(test)]
pub(super) mod scripted;
mod tls;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url, redirect, retry};
use serde::de::DeserializeOwned;

pub use error::HttpError;
pub use tls::TlsError;
pub use transport::Transport;

use self::transport::Way;
use crate::config::{PkiUrl, TlsConfig};

/// The longest answer that is read. A certificate with a hundred names and five CAs above it has about 20 KiB
/// in PEM, a thousand names 60 KiB; what is longer than this comes from something else.
pub const MAX_BODY: usize = 1024 * 1024;

/// How long a connection may take, TLS included. A server that is there answers within a round trip or two; a
/// third attempt of TCP's SYN comes after 3 s, so this outlives two lost packets.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections are closed before the other side closes them (usual limits of load balancers begin at 60 s),
/// as a request sent into a closing connection fails with its fate unknown.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// More idle connections than ever sign at once would only be kept alive for nothing.
const MAX_IDLE: usize = 32;

/// A client for one PKI. Keeps its connections; cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    way: Way,
    headers: HeaderMap,
    timeout: Duration,
}

/// One request.
pub struct Call {
    /// What it is for, as a verb with its object: `sign the request`.
    pub operation: &'static str,
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Headers besides the usual. Mark credentials with [`HeaderValue::set_sensitive`].
    pub headers: HeaderMap,
    /// The body, JSON.
    pub body: Option<Vec<u8>>,
}

/// A whole answer.
pub struct Reply {
    /// The status; never a redirect.
    pub status: StatusCode,
    /// `Retry-After`, at most an hour.
    pub retry_after: Option<Duration>,
    content_type: Option<HeaderValue>,
    body: Vec<u8>,
}

impl HttpClient {
    /// A client for `url`. `timeout` bounds each call.
    pub fn new(url: &PkiUrl, tls: &TlsConfig, timeout: Duration) -> Result<Self, TlsError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(url, tls)?)
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build()
            .map_err(|error| TlsError::Client(error.without_url().to_string()))?;
        Ok(Self { way: Way::Network(client), headers: usual_headers(), timeout })
    }

    /// A client whose requests do not leave the process.
    #[must_use]
    pub fn in_process(transport: Arc<dyn Transport>, timeout: Duration) -> Self {
        Self { way: Way::InProcess(transport), headers: usual_headers(), timeout }
    }

    /// The bound on each call.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub async fn send(&self, call: Call) -> Result<Reply, HttpError> {
        let at = error::Place { operation: call.operation, url: call.url.clone(), timeout: self.timeout };
        let response = self.carry(call, &at).await?;
        let status = response.status();
        if status.is_redirection() {
            return Err(at.redirected(status, response.headers().get(header::LOCATION)));
        }
        let coding = response.headers().get(header::CONTENT_ENCODING);
        if let Some(coding) = coding.filter(|coding| *coding != "identity") {
            return Err(at.encoded(coding));
        }
        let retry_after = retry_after::read(response.headers());
        let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
        let body = read_body(response, &at).await?;
        Ok(Reply { status, retry_after, content_type, body })
    }
}

impl HttpClient {
    async fn carry(&self, call: Call, at: &error::Place) -> Result<Response, HttpError> {
        let mut headers = self.headers.clone();
        headers.extend(call.headers);
        if call.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        match &self.way {
            Way::Network(client) => {
                let request = client.request(call.method, call.url).headers(headers);
                let request = match call.body {
                    Some(body) => request.body(body),
                    None => request,
                };
                request.send().await.map_err(|error| at.sending(&error))
            }
            Way::InProcess(transport) => {
                let mut request = http::Request::new(call.body.unwrap_or_default().into());
                *request.method_mut() = call.method;
                *request.uri_mut() =
                    call.url.as_str().parse().map_err(|_| at.broken(std::io::ErrorKind::InvalidInput))?;
                *request.headers_mut() = headers;
                match tokio::time::timeout(self.timeout, transport.send(request)).await {
                    Ok(Ok(response)) => Ok(Response::from(response)),
                    Ok(Err(kind)) => Err(at.broken(kind)),
                    Err(_) => Err(at.silent()),
                }
            }
        }
    }
}

fn usual_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let agent = HeaderValue::from_static(concat!("external-issuer/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::USER_AGENT, agent);
    headers
}

async fn read_body(mut response: Response, at: &error::Place) -> Result<Vec<u8>, HttpError> {
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Err(at.too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| at.reading(&error))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(at.too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Reply {
    /// The body as JSON of this shape, judged by its content: what `Content-Type` claims is often wrong.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether there is no body, or nothing but white space.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.trim_ascii().is_empty()
    }

    /// What came, without what it says: `HTTP 200 with text/html`.
    #[must_use]
    pub fn summary(&self) -> String {
        let status = self.status.as_u16();
        if self.is_empty() {
            return format!("HTTP {status} without a body");
        }
        let content = self
            .content_type
            .as_ref()
            .map_or("no content type".into(), |value| error::shown(value.as_bytes()));
        format!("HTTP {status} with {content}")
    }
}

/// Neither headers nor body.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} {})", self.method, error::host(&self.url))
    }
}

/// The status, not the body.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({})", self.summary())
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
