//! Controllers that break a promise: the real one, with a shim between it and its wire that makes it look so.
//!
//! The oracle must notice each. What a shim does is done before the wire records, so that in the record the process did
//! it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sim_kube::client::{ResponseBody, Server};

use crate::record::Record;
use crate::wire::body_of;

macro_rules! broken {
    ($($(#[doc = $doc:literal])* $variant:ident = $invariant:literal;)*) => {
        /// A promise that is broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Broken { $($(#[doc = $doc])* $variant),* }

        impl Broken {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The invariant that must catch it.
            #[must_use]
            pub const fn invariant(self) -> &'static str {
                match self { $(Self::$variant => $invariant),* }
            }
        }
    };
}

broken! {
    /// Has every certificate signed twice.
    SignsTwice = "I1";
    /// Publishes the certificate of the first request on every later one.
    PublishesAnothers = "I2";
    /// Signs what nobody approved.
    IgnoresApproval = "I3";
    /// Signs what was denied.
    IgnoresDenial = "I3";
    /// Writes again into what is finished.
    WritesAfterTheEnd = "I4";
    /// Signs again when it sees a request that is finished already.
    SignsTheFinished = "I5";
    /// Writes status without a resourceVersion.
    WritesBlindly = "I6";
    /// Takes the Lease for its own, whoever holds it.
    SkipsTheLease = "I7";
    /// Never looks at a request that it did not see made.
    ForgetsWhatWasThere = "I9";
    /// Takes every 503 of the PKI for a refusal.
    GivesUpAtOnce = "I10";
    /// Does not see what the PKI says in `Retry-After`.
    SwallowsRetryAfter = "I11";
    /// Calls the PKI again and again when it fails.
    Hammers = "I11";
    /// Writes its token into the log.
    LogsTheToken = "I12";
    /// Writes its token into the status.
    PublishesTheToken = "I12";
    /// Puts a finalizer on requests, and never takes it off.
    LeavesAFinalizer = "I13";
    /// Goes on with the first credential it ever had.
    KeepsTheOldCredential = "I14";
    /// Reads the credential of another namespace.
    ReadsElsewhere = "I15";
    /// Stops writing status when an event is refused.
    StopsWithoutEvents = "I16";
    /// Does not open a watch again that has ended.
    GoesDeaf = "I18";
    /// Calls the PKI before it has listed anything.
    ActsTooEarly = "I19";
}

/// A shim; clones are the same.
#[derive(Clone)]
pub(crate) struct Mutant {
    broken: Broken,
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The first certificate that was published.
    certificate: Option<Value>,
    /// The first credential that was used.
    token: Option<http::HeaderValue>,
    /// Whether an event was refused.
    refused: bool,
    /// Which processes have opened a watch of requests.
    watching: BTreeMap<String, u32>,
    /// The last body of a request to sign.
    signed: Option<Bytes>,
    /// Which processes were seen.
    seen: Vec<String>,
}

fn is_requests(path: &str) -> bool {
    path.contains("/certificaterequests")
}

fn is_status_of_request(request: &Request<Bytes>) -> bool {
    is_requests(request.uri().path()) && request.uri().path().ends_with("/status")
}

impl Mutant {
    pub(crate) fn new(broken: Broken, server: Server) -> Self {
        Self { broken, server, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is sent to the API server instead.
    pub(crate) fn api_request(&self, process: &str, mut request: Request<Bytes>) -> Request<Bytes> {
        let path = request.uri().path().to_owned();
        match self.broken {
            Broken::WritesBlindly if path.ends_with("/status") => {
                edit(&mut request, |body| {
                    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
                        metadata.remove("resourceVersion");
                    }
                });
            }
            Broken::PublishesAnothers if is_status_of_request(&request) => {
                let state = &self.state;
                edit(&mut request, |body| {
                    let Some(certificate) = body.pointer_mut("/status/certificate") else { return };
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    *certificate = state.certificate.get_or_insert_with(|| certificate.clone()).clone();
                });
            }
            Broken::PublishesTheToken if is_status_of_request(&request) => {
                edit(&mut request, |body| {
                    if let Some(message) = body.pointer_mut("/status/conditions/0/message") {
                        *message = json!(format!("signed with {}", crate::TOKEN));
                    }
                });
            }
            Broken::ReadsElsewhere if path.ends_with("/namespaces/shop/secrets") => {
                let uri = request.uri().to_string().replace("/namespaces/shop/", "/namespaces/other/");
                if let Ok(uri) = uri.parse() {
                    *request.uri_mut() = uri;
                }
            }
            Broken::StopsWithoutEvents if path.ends_with("/status") && self.state().refused => {
                // Nobody answers there.
                *request.uri_mut() = http::Uri::from_static("/healthz");
            }
            Broken::GoesDeaf if is_requests(&path) && request.method() == Method::GET => {
                let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
                let mut state = self.state();
                let watches = state.watching.entry(process.to_owned()).or_default();
                *watches += u32::from(is_watch);
                if *watches > 1 || (*watches == 1 && !is_watch) {
                    // A page that says nothing.
                    *request.uri_mut() = http::Uri::from_static("/healthz");
                }
            }
            _ => {}
        }
        request
    }

    /// What the process sees of the API server's answer.
    pub(crate) async fn api_answer(
        &self,
        process: &str,
        place: usize,
        record: &Record,
        answer: Response<ResponseBody>,
    ) -> io::Result<Response<ResponseBody>> {
        let Some(call) = record.lock().calls.get(place).cloned() else { return Ok(answer) };
        let reads_requests = call.method == Method::GET && call.plural() == "certificaterequests";
        let is_watch = call.call.as_ref().is_some_and(|call| call.verb == sim_kube::Verb::Watch);
        match self.broken {
            Broken::IgnoresApproval | Broken::IgnoresDenial | Broken::SignsTheFinished if reads_requests => {
                let edit: fn(&mut Value) = match self.broken {
                    Broken::IgnoresApproval => approve,
                    Broken::IgnoresDenial => undeny,
                    _ => unfinish,
                };
                if is_watch {
                    return Ok(answer.map(|body| each_line(body, move |line| edit_event(line, edit))));
                }
                edit_body(answer, |body| each_object(body, edit)).await
            }
            Broken::ForgetsWhatWasThere if reads_requests && !is_watch => {
                edit_body(answer, |body| {
                    if let Some(items) = body.get_mut("items").and_then(Value::as_array_mut) {
                        items.clear();
                    }
                })
                .await
            }
            Broken::SkipsTheLease if call.plural() == "leases" => Self::always_won(&call.body, answer),
            Broken::StopsWithoutEvents if call.plural() == "events" && answer.status().is_client_error() => {
                self.state().refused = true;
                Ok(answer)
            }
            Broken::WritesAfterTheEnd if call.writes() && call.subresource() == "status" => {
                self.write_again(process, &call.uri.to_string(), &call.body, record).await;
                Ok(answer)
            }
            Broken::LeavesAFinalizer if call.writes() && call.plural() == "certificaterequests" => {
                self.add_finalizer(call.uri.path()).await;
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    /// A call to the PKI, with `send` for what is sent instead.
    pub(crate) async fn pki<F>(
        &self,
        process: &str,
        mut request: Request<Bytes>,
        send: impl Fn(Request<Bytes>) -> F,
    ) -> Result<Response<Bytes>, io::ErrorKind>
    where
        F: Future<Output = Result<Response<Bytes>, io::ErrorKind>>,
    {
        let signs = request.uri().path().contains("/sign/") && request.body().as_ref() != b"{}";
        match self.broken {
            Broken::SignsTwice if signs => {
                send(request.clone()).await?;
            }
            Broken::LogsTheToken => {
                let token = request.headers().get("X-Vault-Token").and_then(|token| token.to_str().ok());
                tracing::info!(target: "external_issuer", token, "calling");
            }
            Broken::KeepsTheOldCredential => {
                if let Some(token) = request.headers_mut().get_mut("X-Vault-Token") {
                    *token = self.state().token.get_or_insert_with(|| token.clone()).clone();
                }
            }
            Broken::ActsTooEarly => {
                let again = {
                    let mut state = self.state();
                    if signs {
                        state.signed = Some(request.body().clone());
                    }
                    let is_new = !state.seen.iter().any(|seen| seen == process);
                    state.seen.push(process.to_owned());
                    state.signed.clone().filter(|_| is_new)
                };
                if let Some(body) = again {
                    let mut early = Request::new(body);
                    *early.method_mut() = Method::POST;
                    *early.uri_mut() =
                        http::Uri::from_static("http://mock-pki.invalid:8200/v1/pki_int/sign/web");
                    *early.headers_mut() = request.headers().clone();
                    let _ = send(early).await;
                }
            }
            _ => {}
        }
        let mut answer = send(request.clone()).await;
        if let Ok(answer) = &mut answer {
            match self.broken {
                Broken::SwallowsRetryAfter => {
                    answer.headers_mut().remove(http::header::RETRY_AFTER);
                }
                Broken::GivesUpAtOnce if signs && answer.status() == 503 => {
                    *answer.status_mut() = http::StatusCode::BAD_REQUEST;
                }
                _ => {}
            }
        }
        if self.broken == Broken::Hammers
            && signs
            && !answer.as_ref().is_ok_and(|answer| answer.status() == 200)
        {
            for _ in 0..60 {
                answer = send(request.clone()).await;
                if answer.as_ref().is_ok_and(|answer| answer.status() == 200) {
                    break;
                }
            }
        }
        answer
    }

    /// A Lease that is always ours.
    fn always_won(sent: &Bytes, answer: Response<ResponseBody>) -> io::Result<Response<ResponseBody>> {
        if answer.status().is_success() && !sent.is_empty() {
            return Ok(answer);
        }
        let claimed = if sent.is_empty() {
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "external-issuer.io", "namespace": crate::SYSTEM, "resourceVersion": "1"},
                "spec": {"holderIdentity": "", "leaseDurationSeconds": 15},
            })
        } else {
            serde_json::from_slice(sent).map_err(io::Error::other)?
        };
        let mut won = Response::new(body_of(claimed.to_string()));
        won.headers_mut()
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        Ok(won)
    }

    /// The same status once more, with another message, and whatever its version.
    async fn write_again(&self, process: &str, uri: &str, body: &Bytes, record: &Record) {
        let Ok(mut body) = serde_json::from_slice::<Value>(body) else { return };
        if body.pointer("/status/certificate").is_none() {
            return;
        }
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
        if let Some(message) = body.pointer_mut("/status/conditions/0/message") {
            *message = json!("issued, as I said");
        }
        self.write(process, uri, &body, record).await;
    }

    async fn add_finalizer(&self, path: &str) {
        let uri = path.trim_end_matches("/status").to_owned();
        let body = json!({"metadata": {"finalizers": ["external-issuer.io/hold"]}});
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(uri)
            .header("Content-Type", "application/merge-patch+json")
            .body(Bytes::from(body.to_string()));
        if let Ok(request) = request {
            // The permissions that are shipped would not allow it.
            let admin = sim_kube::Identity::admin();
            let _ = self.server.serve(request, sim_kube::fault::Peer::default(), &admin).await;
        }
    }

    async fn write(&self, process: &str, uri: &str, body: &Value, record: &Record) {
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(uri)
            .header("Content-Type", "application/apply-patch+yaml")
            .body(Bytes::from(body.to_string()));
        let Ok(request) = request else { return };
        let now = self.server.clock().now();
        let identity = sim_kube::Identity::service_account(crate::SYSTEM, "external-issuer-controller");
        let place = record.call(crate::record::ApiCall {
            number: record.number(),
            process: process.to_owned(),
            sent: now,
            arrived: Some(now),
            method: Method::PATCH,
            uri: request.uri().clone(),
            call: sim_kube::Call::read(request.method(), request.uri()).ok().flatten(),
            body: request.body().clone(),
            blow: None,
            code: None,
            revision: None,
            answered: Some(now),
        });
        let answer = self.server.serve(request, sim_kube::fault::Peer::default(), &identity).await;
        let revision = self.server.with(|cluster, _| cluster.store().revision());
        record.with_call(place, |call| {
            call.code = answer.ok().map(|answer| answer.status().as_u16());
            call.revision = Some(revision);
        });
    }
}

fn edit(request: &mut Request<Bytes>, change: impl FnOnce(&mut Value)) {
    let Ok(mut body) = serde_json::from_slice::<Value>(request.body()) else { return };
    change(&mut body);
    *request.body_mut() = Bytes::from(body.to_string());
}

async fn edit_body(
    answer: Response<ResponseBody>,
    change: impl FnOnce(&mut Value),
) -> io::Result<Response<ResponseBody>> {
    let (head, body) = answer.into_parts();
    let Ok(body) = body.collect().await;
    let mut value: Value = serde_json::from_slice(&body.to_bytes()).map_err(io::Error::other)?;
    change(&mut value);
    Ok(Response::from_parts(head, body_of(value.to_string())))
}

/// A watch whose lines are other ones. Whole lines come in whole frames.
fn each_line(body: ResponseBody, change: impl Fn(&mut Value) + Send + 'static) -> ResponseBody {
    let body = body.map_frame(move |frame| {
        frame.map_data(|data| {
            let text = String::from_utf8_lossy(&data);
            let lines = text.split_inclusive('\n').map(|line| {
                let Ok(mut event) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
                change(&mut event);
                format!("{event}\n")
            });
            Bytes::from(lines.collect::<String>())
        })
    });
    body.boxed_unsync()
}

fn edit_event(event: &mut Value, change: fn(&mut Value)) {
    if matches!(event.get("type").and_then(Value::as_str), Some("ADDED" | "MODIFIED"))
        && let Some(object) = event.get_mut("object")
    {
        change(object);
    }
}

fn each_object(body: &mut Value, change: fn(&mut Value)) {
    match body.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().for_each(change),
        None => change(body),
    }
}

fn conditions(object: &mut Value) -> Option<&mut Vec<Value>> {
    let status = object.as_object_mut()?.entry("status").or_insert_with(|| json!({}));
    let conditions = status.as_object_mut()?.entry("conditions").or_insert_with(|| json!([]));
    conditions.as_array_mut()
}

fn approve(object: &mut Value) {
    let Some(conditions) = conditions(object) else { return };
    conditions.retain(|condition| condition.get("type") != Some(&json!("Denied")));
    if !conditions.iter().any(|condition| condition.get("type") == Some(&json!("Approved"))) {
        conditions
            .push(json!({"type": "Approved", "status": "True", "reason": "me", "message": "I think so"}));
    }
}

/// As if a denial were an approval.
fn undeny(object: &mut Value) {
    let denied = json!("Denied");
    if conditions(object)
        .is_some_and(|all| all.iter().any(|condition| condition.get("type") == Some(&denied)))
    {
        approve(object);
    }
}

/// As if nothing had come of it yet.
fn unfinish(object: &mut Value) {
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("certificate");
        status.remove("failureTime");
    }
    if let Some(conditions) = conditions(object) {
        conditions.retain(|condition| condition.get("type") != Some(&json!("Ready")));
    }
}
