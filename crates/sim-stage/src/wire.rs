//! A process's way to the rest of the world: every request passes here, is counted, meets what the weather holds for
//! it, and is recorded.
//!
//! - What has left a process arrives, even if the process has given up or died meanwhile.
//! - What a process that has died sends after that does not leave it: tasks that outlive it are not heard.
//! - Between the controller and this wire may be a shim that breaks a promise in its place (`mutant`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use external_issuer::signer::http::Transport;
use futures::future::{BoxFuture, pending};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};
use sim_kube::client::{ResponseBody, Server};
use sim_kube::fault::Peer;
use sim_kube::{Call, Identity};
use tokio::sync::Notify;

use crate::mutant::Mutant;
use crate::pki::Pki;
use crate::record::{ApiCall, PkiCall, Record};
use crate::scenario::weather::Weather;
use crate::scenario::{Blow, PkiFault, Replica};

/// The client library asks again so often when it is told 429, 503 or 504 (kube's default policy for a client that
/// comes from a configuration).
const RETRIES: u32 = 15;
/// What it waits first.
const FIRST_RETRY: Duration = Duration::from_millis(5);

/// The wire of one process; clones are the same.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    process: String,
    replica: Replica,
    server: Server,
    pki: Pki,
    weather: Weather,
    record: Record,
    dead: AtomicBool,
    died: Notify,
    mutant: Option<Mutant>,
}

impl Wire {
    pub(crate) fn new(
        process: String,
        replica: Replica,
        server: Server,
        pki: Pki,
        weather: Weather,
        record: Record,
        mutant: Option<Mutant>,
    ) -> Self {
        let (dead, died) = (AtomicBool::new(false), Notify::new());
        Self(Arc::new(Inner { process, replica, server, pki, weather, record, dead, died, mutant }))
    }

    /// A client that acts as `identity` over this wire.
    pub(crate) fn client(&self, identity: &Identity) -> kube::Client {
        let (wire, identity) = (self.clone(), identity.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (wire, identity) = (wire.clone(), identity.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.map_err(io::Error::other)?;
                wire.ask(&Request::from_parts(parts, body), &identity).await
            }
        });
        kube::Client::new(service, "default")
    }

    /// Waits until a blow has killed the process.
    pub(crate) async fn died(&self) {
        self.0.died.notified().await;
    }

    /// From now on nothing leaves.
    pub(crate) fn cut_off(&self) {
        self.0.dead.store(true, Ordering::SeqCst);
    }

    async fn die<T>(&self) -> T {
        self.cut_off();
        self.0.died.notify_one();
        pending().await
    }

    fn now(&self) -> Timestamp {
        self.0.server.clock().now()
    }

    fn lag(&self) -> Duration {
        self.0.weather.lag(self.0.replica)
    }

    /// A request as the client library sends it: again, if the server asks for that.
    async fn ask(&self, request: &Request<Bytes>, identity: &Identity) -> io::Result<Response<ResponseBody>> {
        let mut backoff = FIRST_RETRY;
        for _ in 0..RETRIES {
            let answer = self.send(request.clone(), identity).await?;
            if !matches!(answer.status().as_u16(), 429 | 503 | 504) {
                return Ok(answer);
            }
            let asked = answer.headers().get("Retry-After");
            let asked = asked.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or_default();
            tokio::time::sleep(backoff.max(Duration::from_secs(asked))).await;
            backoff *= 2;
        }
        self.send(request.clone(), identity).await
    }

    async fn send(&self, request: Request<Bytes>, identity: &Identity) -> io::Result<Response<ResponseBody>> {
        let inner = &self.0;
        if inner.dead.load(Ordering::SeqCst) {
            return pending().await;
        }
        let request = match &inner.mutant {
            Some(mutant) => mutant.api_request(&inner.process, request),
            None => request,
        };
        let mut request = request;
        if inner.weather.withholds_bookmarks(inner.replica) {
            withhold_bookmarks(&mut request);
        }
        let call = Call::read(request.method(), request.uri()).ok().flatten();
        let blow = inner.weather.strike(inner.replica);
        let is_event = call.as_ref().is_some_and(|call| call.plural == "events");
        let refused = (is_event && inner.weather.refuses_events()).then_some(Blow::Status(403));
        let blow = blow.or(refused);
        let place = inner.record.call(ApiCall {
            number: inner.record.number(),
            process: inner.process.clone(),
            sent: self.now(),
            arrived: None,
            method: request.method().clone(),
            uri: request.uri().clone(),
            call,
            body: request.body().clone(),
            blow,
            code: None,
            revision: None,
            answered: None,
        });
        let mut lag = self.lag();
        match blow {
            Some(Blow::CrashBefore) => return self.die().await,
            Some(Blow::Lost) => return Err(reset()),
            Some(Blow::Silent) => return pending().await,
            Some(Blow::Status(code)) => return self.refuse(place, code, None).await,
            Some(Blow::Busy(seconds)) => return self.refuse(place, 429, Some(seconds)).await,
            Some(Blow::Slow(milliseconds)) => lag += Duration::from_millis(u64::from(milliseconds)),
            _ => self.shake(blow),
        }
        let carried = {
            let (wire, identity) = (self.clone(), identity.clone());
            async move {
                if !lag.is_zero() {
                    tokio::time::sleep(lag).await;
                }
                wire.arrive(place, request, &identity).await
            }
        };
        // What has left arrives, whoever has given up waiting for it.
        let answer = if lag.is_zero() {
            carried.await?
        } else {
            tokio::spawn(carried).await.map_err(io::Error::other)??
        };
        self.way_back(blow).await?;
        inner.record.with_call(place, |call| call.answered = Some(self.now()));
        self.seen(place, answer).await
    }

    async fn arrive(
        &self,
        place: usize,
        request: Request<Bytes>,
        identity: &Identity,
    ) -> io::Result<Response<ResponseBody>> {
        let inner = &self.0;
        let arrived = self.now();
        let answer = inner.server.serve(request, Peer(inner.process.as_str().into()), identity).await?;
        let revision = inner.server.with(|cluster, _| cluster.store().revision());
        inner.record.with_call(place, |call| {
            call.arrived = Some(arrived);
            call.code = Some(answer.status().as_u16());
            call.revision = Some(revision);
        });
        Ok(answer)
    }

    /// What a blow does besides, before the request arrives.
    fn shake(&self, blow: Option<Blow>) {
        let inner = &self.0;
        match blow {
            Some(Blow::Stale(seconds)) => {
                inner.weather.freeze(&inner.server, &inner.process, seconds, &inner.record);
            }
            Some(Blow::Cut(kind)) => {
                let peer = Peer(inner.process.as_str().into());
                inner.server.with(|cluster, _| cluster.cut_watches(Some(&peer), &kind.cut()));
            }
            _ => {}
        }
    }

    /// What a blow does to an answer.
    async fn way_back(&self, blow: Option<Blow>) -> io::Result<()> {
        match blow {
            Some(Blow::CrashAfter) => return self.die().await,
            Some(Blow::AnswerLost) => return Err(reset()),
            Some(Blow::AnswerSilent) => return pending().await,
            Some(Blow::SlowAnswer(milliseconds)) => {
                tokio::time::sleep(Duration::from_millis(u64::from(milliseconds))).await;
            }
            _ => {}
        }
        let lag = self.lag();
        if !lag.is_zero() {
            tokio::time::sleep(lag).await;
        }
        if self.0.dead.load(Ordering::SeqCst) { pending().await } else { Ok(()) }
    }

    async fn refuse(
        &self,
        place: usize,
        code: u16,
        retry_after: Option<u16>,
    ) -> io::Result<Response<ResponseBody>> {
        let now = self.now();
        self.0.record.with_call(place, |call| {
            call.code = Some(code);
            call.answered = Some(now);
        });
        self.seen(place, refusal(code, retry_after)).await
    }

    /// An answer as the process sees it.
    async fn seen(&self, place: usize, answer: Response<ResponseBody>) -> io::Result<Response<ResponseBody>> {
        match &self.0.mutant {
            Some(mutant) => mutant.api_answer(&self.0.process, place, &self.0.record, answer).await,
            None => Ok(answer),
        }
    }
}

impl Transport for Wire {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'static, Result<Response<Bytes>, io::ErrorKind>> {
        let wire = self.clone();
        Box::pin(async move {
            if let Some(mutant) = &wire.0.mutant {
                return mutant.pki(&wire.0.process, request, |request| wire.clone().call_pki(request)).await;
            }
            wire.call_pki(request).await
        })
    }
}

impl Wire {
    async fn call_pki(self, request: Request<Bytes>) -> Result<Response<Bytes>, io::ErrorKind> {
        let inner = &self.0;
        if inner.dead.load(Ordering::SeqCst) {
            return pending().await;
        }
        let blow = inner.weather.strike(inner.replica);
        let token = request.headers().get("X-Vault-Token").and_then(|value| value.to_str().ok());
        let place = inner.record.pki_call(PkiCall {
            number: inner.record.number(),
            process: inner.process.clone(),
            sent: self.now(),
            arrived: None,
            path: request.uri().path().to_owned(),
            token: token.unwrap_or_default().to_owned(),
            csr: csr(request.body()),
            blow,
            status: None,
            retry_after: None,
            request_id: None,
            answered: None,
            answer_number: None,
            ended: None,
        });
        let _waiting = Waiting { wire: self.clone(), place };
        let mut lag = self.lag();
        match blow {
            Some(Blow::CrashBefore) => return self.die().await,
            Some(Blow::Lost) => return Err(io::ErrorKind::ConnectionReset),
            Some(Blow::Silent) => return pending().await,
            Some(Blow::Status(code)) => return Ok(self.pki_refuses(place, code, None)),
            Some(Blow::Busy(seconds)) => return Ok(self.pki_refuses(place, 429, Some(seconds))),
            Some(Blow::Slow(milliseconds)) => lag += Duration::from_millis(u64::from(milliseconds)),
            _ => self.shake(blow),
        }
        let carried = {
            let wire = self.clone();
            async move {
                if !lag.is_zero() {
                    tokio::time::sleep(lag).await;
                }
                wire.pki_answers(place, request).await
            }
        };
        let answer = tokio::spawn(carried).await.map_err(|_| io::ErrorKind::BrokenPipe)??;
        self.way_back(blow).await.map_err(|error| error.kind())?;
        let (now, number) = (self.now(), inner.record.number());
        inner.record.with_pki_call(place, |call| {
            call.answered = Some(now);
            call.answer_number = Some(number);
        });
        Ok(answer)
    }

    async fn pki_answers(
        &self,
        place: usize,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, io::ErrorKind> {
        let inner = &self.0;
        inner.record.with_pki_call(place, |call| call.arrived = Some(self.now()));
        if inner.weather.garbles() == Some(PkiFault::EchoesToken) {
            let token = request.headers().get("X-Vault-Token").and_then(|value| value.to_str().ok());
            let body = json!({"errors": [format!("bad token {}", token.unwrap_or_default())]}).to_string();
            inner.record.with_pki_call(place, |call| call.status = Some(400));
            let mut answer = Response::new(Bytes::from(body));
            *answer.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(answer);
        }
        let answer = inner.pki.transport().send(request).await?;
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        inner.record.with_pki_call(place, |call| {
            call.status = Some(answer.status().as_u16());
            let header = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok());
            call.retry_after = header.and_then(|value| value.parse().ok());
            call.request_id = body.get("request_id").and_then(Value::as_str).map(str::to_owned);
        });
        Ok(match inner.weather.garbles() {
            Some(fault) => inner.pki.garbled(fault, answer, body),
            None => answer,
        })
    }

    fn pki_refuses(&self, place: usize, code: u16, retry_after: Option<u16>) -> Response<Bytes> {
        let now = self.now();
        self.0.record.with_pki_call(place, |call| {
            call.status = Some(code);
            call.retry_after = retry_after.map(u64::from);
            call.answered = Some(now);
        });
        let body = json!({"errors": ["a fault of the scenario"]}).to_string();
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
        set_retry_after(answer.headers_mut(), retry_after);
        answer
    }
}

/// Notes when a process no longer waits for the PKI.
struct Waiting {
    wire: Wire,
    place: usize,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let now = self.wire.now();
        self.wire.0.record.with_pki_call(self.place, |call| call.ended = Some(now));
    }
}

fn reset() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke")
}

/// The SHA-256 of the CSR in a request to sign, as mock-pki's ledger writes it.
fn csr(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let csr = x509::Csr::from_pem(body.get("csr")?.as_str()?.as_bytes()).ok()?;
    Some(x509::hex(&csr.sha256()))
}

/// What a server without bookmarks would be asked. A streaming list needs one, and is left alone.
fn withhold_bookmarks(request: &mut Request<Bytes>) {
    let uri = request.uri().to_string();
    if uri.contains("sendInitialEvents") {
        return;
    }
    if let Ok(uri) = uri.replace("allowWatchBookmarks=true", "").parse() {
        *request.uri_mut() = uri;
    }
}

fn set_retry_after(headers: &mut http::HeaderMap, seconds: Option<u16>) {
    if let Some(seconds) = seconds {
        headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from(seconds));
    }
}

/// A failure as the API server says it.
pub(crate) fn refusal(code: u16, retry_after: Option<u16>) -> Response<ResponseBody> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        _ => "",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "a fault of the scenario", "reason": reason, "code": code,
    });
    let mut answer = Response::new(body_of(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    set_retry_after(answer.headers_mut(), retry_after);
    answer
}

/// A body that is complete.
pub(crate) fn body_of(text: impl Into<Bytes>) -> ResponseBody {
    http_body_util::Full::new(text.into()).boxed_unsync()
}
