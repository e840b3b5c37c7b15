//! A real kube-apiserver, as an administrator.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::play::{Raw, Server};
use crate::sequence::Request;
use crate::sim::{compared, definitions};

/// How long something that is to come by itself is waited for.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long the server's authorizer takes to know of a role or a binding.
const AUTHORIZER: Duration = Duration::from_millis(60);
/// How long a watch is listened to after the last event that is expected.
const GRACE: Duration = Duration::from_millis(25);

/// The headers of a request.
pub(crate) fn headers(request: &Request) -> Vec<(&'static str, String)> {
    let accept = if request.accept.is_empty() { "application/json" } else { &request.accept };
    let mut headers = vec![("user-agent", "conformance/1".to_owned()), ("accept", accept.to_owned())];
    if !request.content_type.is_empty() {
        headers.push(("content-type", request.content_type.clone()));
    }
    if !request.user.is_empty() {
        headers.push(("impersonate-user", request.user.clone()));
    }
    headers
}

/// What a watch has received so far.
#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    ended: bool,
}

pub(crate) struct Real {
    runtime: Runtime,
    client: Client,
    run: String,
    plays: u32,
    watches: Vec<(Arc<Mutex<Received>>, JoinHandle<()>)>,
    waiting_since: Option<Instant>,
    /// How many requests were sent.
    pub(crate) requests: usize,
}

impl Real {
    /// The server of a kubeconfig, made ready: the definitions are there, and nothing else has a say.
    pub(crate) fn connect(kubeconfig: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let file = Kubeconfig::read_from(kubeconfig).unwrap();
            let config =
                kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
            Client::try_from(config).unwrap()
        });
        // Two letters of the time, and three of the play.
        let run = base36(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs(), 2);
        let mut real =
            Self { runtime, client, run, plays: 0, watches: Vec::new(), waiting_since: None, requests: 0 };
        real.prepare();
        real
    }

    /// The next play, with names of its own.
    pub(crate) fn next(&mut self) -> &mut Self {
        self.clear();
        self.plays += 1;
        for (_, listener) in self.watches.drain(..) {
            listener.abort();
        }
        self.waiting_since = None;
        self
    }

    fn prepare(&mut self) {
        for definition in definitions() {
            let name = definition["metadata"]["name"].as_str().unwrap();
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            let mut request = Request::new("PATCH", path)
                .json(&definition)
                .with("fieldManager", "conformance")
                .with("force", "true");
            "application/apply-patch+yaml".clone_into(&mut request.content_type);
            let raw = self.ask(&request);
            assert!(raw.code < 300, "{}", String::from_utf8_lossy(&raw.body));
        }
        for definition in definitions() {
            let spec = &definition["spec"];
            for version in spec["versions"].as_array().unwrap() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let path = format!(
                    "/apis/{}/{}/{}",
                    text(&spec["group"]),
                    text(&version["name"]),
                    text(&spec["names"]["plural"])
                );
                while self.ask(&Request::new("GET", path.as_str())).code != 200 {
                    assert!(self.wait(), "{path} is not served");
                }
            }
        }
        // Policies that stand in for a webhook of cert-manager's.
        for kind in ["validatingadmissionpolicybindings", "mutatingadmissionpolicybindings"] {
            let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}");
            self.ask(&Request::new("DELETE", path));
        }
        let probe = json!({"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": "probe"}, "spec": {"request": "eA==", "issuerRef": {"name": "i"}}});
        let path = "/apis/cert-manager.io/v1/namespaces/default/certificaterequests";
        loop {
            let raw = self.ask(&Request::new("POST", path).json(&probe).with("dryRun", "All"));
            let answer: Value = serde_json::from_slice(&raw.body).unwrap();
            if raw.code == 201 && answer["spec"].get("username").is_none() {
                break;
            }
            assert!(self.wait(), "a policy is still there: {answer}");
        }
        self.waiting_since = None;
    }

    /// Removes what the play left outside its namespaces; those are left to themselves.
    fn clear(&mut self) {
        for path in [
            "/apis/conformance.example.com/v1/gadgets",
            "/apis/external-issuer.io/v1alpha1/externalclusterissuers",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        ] {
            let prefix = self.prefix();
            let list = self.ask(&Request::new("GET", path));
            let list: Value = serde_json::from_slice(&list.body).unwrap();
            for item in list["items"].as_array().into_iter().flatten() {
                let name = item["metadata"]["name"].as_str().unwrap();
                if !name.starts_with(&prefix) {
                    continue;
                }
                let object = format!("{path}/{name}");
                let mut free =
                    Request::new("PATCH", object.as_str()).json(&json!({"metadata": {"finalizers": null}}));
                "application/merge-patch+json".clone_into(&mut free.content_type);
                self.ask(&free);
                self.ask(&Request::new("DELETE", object));
            }
        }
    }

    /// Listens to what comes for a while.
    fn pass(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    fn send(&self, request: &Request) -> http::Response<Body> {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
        let uri = if query.is_empty() { request.path.clone() } else { format!("{}?{query}", request.path) };
        // A connection that was just closed is opened anew.
        for _ in 0..3 {
            let mut http = http::Request::builder().method(request.method.as_str()).uri(uri.as_str());
            for (name, value) in headers(request) {
                http = http.header(name, value);
            }
            let http = http.body(Body::from(request.body.clone().into_bytes())).unwrap();
            match self.runtime.block_on(self.client.send(http)) {
                Ok(response) => return response,
                Err(error) => eprintln!("{}: {error}", request.shown()),
            }
        }
        panic!("no answer to {}", request.shown());
    }
}

impl Server for Real {
    fn prefix(&self) -> String {
        format!("q{}{}", self.run, base36(self.plays.into(), 3))
    }

    fn ask(&mut self, request: &Request) -> Raw {
        self.requests += 1;
        // Any revision will do for such a request, and the server may answer with an old one. After a read of the
        // newest it does not.
        let any = |(key, _): &(String, String)| key == "resourceVersion";
        if request.query.iter().any(any) {
            let path = request.path.rsplit_once('/').map_or("", |(collection, _)| collection);
            for path in [request.path.as_str(), path] {
                let newest = self.send(&Request::new("GET", path).with("limit", "1"));
                self.runtime.block_on(newest.into_body().collect()).unwrap();
            }
        }
        if !request.user.is_empty() {
            // The authorizer learns of roles by watching them.
            self.pass(AUTHORIZER);
        }
        let response = self.send(request);
        let (head, mut body) = response.into_parts();
        let mut raw = Raw { code: head.status.as_u16(), headers: compared(&head.headers), ..Raw::default() };
        if head.status.is_success() && request.watches() {
            let received = Arc::new(Mutex::new(Received::default()));
            let heard = Arc::clone(&received);
            let listener = self.runtime.spawn(async move {
                while let Some(Ok(frame)) = body.frame().await {
                    if let Ok(bytes) = frame.into_data() {
                        heard.lock().unwrap().bytes.extend_from_slice(&bytes);
                    }
                }
                heard.lock().unwrap().ended = true;
            });
            raw.watch = Some(self.watches.len());
            self.watches.push((received, listener));
            return raw;
        }
        raw.body = self.runtime.block_on(body.collect()).unwrap().to_bytes().to_vec();
        raw
    }

    fn settle(&mut self) -> bool {
        self.waiting_since = None;
        false
    }

    fn wait(&mut self) -> bool {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        self.pass(Duration::from_millis(20));
        since.elapsed() < PATIENCE
    }

    fn events(&mut self, watch: usize, expected: usize) -> Vec<Value> {
        let received = Arc::clone(&self.watches[watch].0);
        let begun = Instant::now();
        let count = || received.lock().unwrap().bytes.split(|byte| *byte == b'\n').count() - 1;
        while count() < expected && !received.lock().unwrap().ended && begun.elapsed() < PATIENCE {
            self.pass(Duration::from_millis(2));
        }
        // Nothing tells that there is no more to come; what is too much mostly comes before the last.
        self.pass(GRACE);
        let received = received.lock().unwrap();
        received
            .bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }
}

fn base36(mut number: u64, digits: usize) -> String {
    let mut text = String::new();
    for _ in 0..digits {
        text.insert(0, char::from_digit(u32::try_from(number % 36).unwrap(), 36).unwrap());
        number /= 36;
    }
    text
}
