//! As much of an API server as the runner's tests need: four kinds in a map, watches, and a crash on demand. What
//! a real API server does is tested elsewhere.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

type Key = (String, String, String);

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Value>,
    history: Vec<(u64, &'static str, Value)>,
    requests: Vec<String>,
    crash: Option<Crash>,
    refused: Option<fn(&Method, &str) -> bool>,
}

/// When the caller dies: at its so-manyth write, before or after the server has done it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    pub(crate) at: usize,
    pub(crate) after: bool,
}

/// The server. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    revision: Arc<watch::Sender<u64>>,
    crashed: Arc<watch::Sender<bool>>,
    started: Instant,
}

/// When the tests begin.
pub(crate) const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::default(),
            revision: Arc::new(watch::channel(0).0),
            crashed: Arc::new(watch::channel(false).0),
            started: Instant::now(),
        }
    }

    /// Tokio's time, since [`START`].
    pub(crate) fn now(&self) -> Timestamp {
        START + SignedDuration::try_from(self.started.elapsed()).unwrap()
    }

    pub(crate) fn client(&self) -> kube::Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { fake.answer(request).await }
        });
        kube::Client::new(service, "default")
    }

    /// The writes so far: `POST secrets`, ….
    pub(crate) fn writes(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    pub(crate) fn crash(&self, crash: Option<Crash>) {
        self.state.lock().unwrap().crash = crash;
        self.crashed.send_replace(false);
    }

    /// Refuses what the function names, with 403.
    pub(crate) fn refuse(&self, refused: Option<fn(&Method, &str) -> bool>) {
        self.state.lock().unwrap().refused = refused;
    }

    pub(crate) async fn crashed(&self) {
        self.crashed.subscribe().wait_for(|crashed| *crashed).await.unwrap();
    }

    /// Ends after the next change.
    pub(crate) async fn changed(&self) {
        self.revision.subscribe().changed().await.unwrap();
    }

    pub(crate) fn all(&self, plural: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        state.objects.iter().filter(|((of, ..), _)| of == plural).map(|(_, object)| object.clone()).collect()
    }

    pub(crate) fn one(&self, plural: &str, name: &str) -> Option<Value> {
        self.all(plural).into_iter().find(|object| object["metadata"]["name"] == name)
    }

    /// Stores an object as it is, with a new version.
    pub(crate) fn put(&self, plural: &str, mut object: Value) -> Value {
        let mut state = self.state.lock().unwrap();
        let revision = *self.revision.borrow() + 1;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key =
            (plural.to_owned(), text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let verb = if state.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        if verb == "ADDED" {
            object["metadata"]["uid"] = json!(format!("uid-{revision}"));
            object["metadata"]["creationTimestamp"] = json!(self.now().to_string());
        }
        state.objects.insert(key, object.clone());
        state.history.push((revision, verb, tagged(plural, &object)));
        drop(state);
        self.revision.send_replace(revision);
        object
    }

    fn remove(&self, key: &Key) -> Option<Value> {
        let mut state = self.state.lock().unwrap();
        let mut object = state.objects.remove(key)?;
        let revision = *self.revision.borrow() + 1;
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        state.history.push((revision, "DELETED", tagged(&key.0, &object)));
        drop(state);
        self.revision.send_replace(revision);
        Some(object)
    }

    async fn answer(
        &self,
        request: Request<Body>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap_or_default();
        let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
        // /api/v1/… or /apis/<group>/<version>/…
        let mut rest = path.iter().skip(if path.first() == Some(&"api") { 2 } else { 3 });
        let (mut namespace, mut plural) = ("", rest.next().copied().unwrap_or_default());
        if plural == "namespaces" {
            namespace = rest.next().unwrap();
            plural = rest.next().unwrap();
        }
        let (name, subresource) =
            (rest.next().copied().unwrap_or_default(), rest.next().copied().unwrap_or_default());
        let query = head.uri.query().unwrap_or_default();
        if head.method == Method::GET {
            return Ok(if query.contains("watch=true") {
                self.watch(plural, query)
            } else {
                self.list(plural)
            });
        }
        let what =
            format!("{} {plural}{}{subresource}", head.method, if subresource.is_empty() { "" } else { "/" });
        let crash = {
            let mut state = self.state.lock().unwrap();
            state.requests.push(what.clone());
            let count = state.requests.len();
            if state.refused.is_some_and(|refused| refused(&head.method, &what)) {
                return Ok(failure(StatusCode::FORBIDDEN, "refused"));
            }
            state.crash.filter(|crash| crash.at == count)
        };
        if crash.is_some_and(|crash| !crash.after) {
            self.die().await;
        }
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        let response = match head.method {
            Method::POST => self.create(plural, sent),
            Method::PUT => self.put_status(&key, &sent),
            Method::PATCH => Ok(self.apply(&key, sent)),
            Method::DELETE => match self.remove(&key) {
                Some(_) => Ok(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
                None => Err(StatusCode::NOT_FOUND),
            },
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        };
        if crash.is_some() {
            self.die().await;
        }
        Ok(match response {
            Ok(object) => json_body(&object),
            Err(code) => failure(code, &what),
        })
    }

    async fn die(&self) {
        self.crashed.send_replace(true);
        std::future::pending::<()>().await;
    }

    fn create(&self, plural: &str, mut object: Value) -> Result<Value, StatusCode> {
        if let Some(prefix) = object["metadata"]["generateName"].as_str() {
            object["metadata"]["name"] = json!(format!("{prefix}{}", *self.revision.borrow()));
        }
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        if self.one(plural, &name).is_some() {
            return Err(StatusCode::CONFLICT);
        }
        Ok(self.put(plural, object))
    }

    fn put_status(&self, key: &Key, sent: &Value) -> Result<Value, StatusCode> {
        let mut object = self.state.lock().unwrap().objects.get(key).cloned().ok_or(StatusCode::NOT_FOUND)?;
        if object["metadata"]["resourceVersion"] != sent["metadata"]["resourceVersion"] {
            return Err(StatusCode::CONFLICT);
        }
        object["status"] = sent["status"].clone();
        Ok(self.put(&key.0, object))
    }

    /// The one applier owns everything.
    fn apply(&self, key: &Key, mut sent: Value) -> Value {
        let owned = |map: &Value| -> Value {
            map.as_object().into_iter().flatten().map(|(key, _)| (format!("f:{key}"), json!({}))).collect()
        };
        let fields = json!({
            "f:data": owned(&sent["data"]),
            "f:metadata": {
                "f:labels": owned(&sent["metadata"]["labels"]),
                "f:annotations": owned(&sent["metadata"]["annotations"]),
            },
        });
        sent["metadata"]["managedFields"] = json!([{
            "manager": "cert-manager-certificates-issuing", "operation": "Apply", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        }]);
        let old = self.state.lock().unwrap().objects.get(key).cloned();
        if let Some(old) = old {
            for field in ["uid", "creationTimestamp", "resourceVersion"] {
                sent["metadata"][field] = old["metadata"][field].clone();
            }
            if old == sent {
                return old;
            }
        }
        self.put(&key.0, sent)
    }

    fn list(&self, plural: &str) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        let items = self.all(plural);
        let revision = self.revision.borrow().to_string();
        json_body(
            &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": revision}, "items": items}),
        )
    }

    fn watch(&self, plural: &str, query: &str) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")).unwrap_or("0");
        let from: u64 = from.parse().unwrap();
        let (fake, plural) = (self.clone(), plural.to_owned());
        let lines = stream::unfold((from, self.revision.subscribe()), move |(from, mut revision)| {
            let (fake, plural) = (fake.clone(), plural.clone());
            async move {
                loop {
                    let current = *revision.borrow_and_update();
                    let lines: String = {
                        let state = fake.state.lock().unwrap();
                        let start = state.history.partition_point(|(at, ..)| *at <= from);
                        let new = state.history[start..].iter().filter(|(at, ..)| *at <= current);
                        let ours = new.filter(|(.., tagged)| tagged["plural"] == plural.as_str());
                        let lines =
                            ours.map(|(_, verb, tagged)| json!({"type": verb, "object": tagged["object"]}));
                        lines.flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
                    };
                    if !lines.is_empty() {
                        return Some((lines, (current, revision)));
                    }
                    revision.changed().await.ok()?;
                }
            }
        });
        let frames = lines.map(|lines| Ok(http_body::Frame::data(Bytes::from(lines))));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }
}

fn tagged(plural: &str, object: &Value) -> Value {
    json!({"plural": plural, "object": object})
}

fn json_body(object: &Value) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    Response::new(Full::new(Bytes::from(object.to_string())).boxed_unsync())
}

fn failure(code: StatusCode, message: &str) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": "Test", "code": code.as_u16(),
    });
    let mut response = json_body(&status);
    *response.status_mut() = code;
    response
}
