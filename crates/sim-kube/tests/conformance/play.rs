//! Plays a sequence on a server, and notes what it answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::compare::alike;
use crate::normal::Normal;
use crate::sequence::{Request, Transcript};

/// An answer as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Raw {
    pub(crate) code: u16,
    /// The headers that are compared.
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: Vec<u8>,
    /// The number of the watch, if this is the beginning of one.
    pub(crate) watch: Option<usize>,
}

/// The headers that are compared.
pub(crate) const HEADERS: [&str; 4] = ["content-type", "retry-after", "warning", "allow"];

/// A server to play on.
pub(crate) trait Server {
    /// What the names of this play begin with.
    fn prefix(&self) -> String;
    /// Sends a request that is filled in. A watch that opens is collected from then on.
    fn ask(&mut self, request: &Request) -> Raw;
    /// Whether the server's own controllers have written anything since the last request; lets them, if it can.
    fn settle(&mut self) -> bool;
    /// Waits a moment for what is to come by itself; whether there is any use in waiting longer.
    fn wait(&mut self) -> bool;
    /// The events of a watch so far, of which so many are expected.
    fn events(&mut self, watch: usize, expected: usize) -> Vec<Value>;
}

/// The collections that sequences write to, in the namespaces and outside.
pub(crate) const COLLECTIONS: [&str; 17] = [
    "/api/v1/namespaces/$P-x/configmaps",
    "/api/v1/namespaces/$P-x/secrets",
    "/api/v1/namespaces/$P-x/events",
    "/api/v1/namespaces/$P-x/serviceaccounts",
    "/apis/coordination.k8s.io/v1/namespaces/$P-x/leases",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/$P-x/roles",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/$P-x/rolebindings",
    "/apis/conformance.example.com/v1/namespaces/$P-x/things",
    "/apis/external-issuer.io/v1alpha1/namespaces/$P-x/externalissuers",
    "/apis/cert-manager.io/v1/namespaces/$P-x/certificaterequests",
    "/api/v1/namespaces/$P-y/configmaps",
    "/apis/conformance.example.com/v1/namespaces/$P-y/things",
    "/api/v1/namespaces",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/conformance.example.com/v1/gadgets",
    "/apis/external-issuer.io/v1alpha1/externalclusterissuers",
];

/// The namespaces that every play begins with.
const NAMESPACES: [&str; 2] = ["x", "y"];

/// Plays a sequence. `before` is what another server made of it: what to wait for. The first answer that differs is
/// the last.
pub(crate) fn play(server: &mut dyn Server, sequence: &[Request], before: Option<&Transcript>) -> Transcript {
    let mut player = Player {
        normal: Normal::new(&server.prefix()),
        prefix: server.prefix(),
        seen: Seen::default(),
        server,
    };
    player.begin();
    let mut transcript = Transcript::default();
    let mut watches = Vec::new();
    for (at, template) in sequence.iter().enumerate() {
        let raw = player.ask(template);
        watches.extend(raw.watch);
        transcript.answers.push(player.normal.answer(&raw));
        if before.is_some_and(|before| !alike(&before.answers[at], &transcript.answers[at])) {
            // From here on they only part further.
            return transcript;
        }
        let expected = before.and_then(|before| before.settled.get(at)?.as_ref());
        transcript.settled.push(player.settle(expected));
    }
    for (at, watch) in watches.into_iter().enumerate() {
        let expected = before.and_then(|before| before.watches.get(at)).map_or(0, Vec::len);
        let events = player.server.events(watch, expected);
        let events = events.into_iter().filter(|event| event["type"] != "BOOKMARK" || marks_the_end(event));
        let calm = transcript.settled.iter().all(Option::is_none);
        let mut events: Vec<Value> = events.collect();
        if !calm {
            // What controllers do to one object is in order, and to several in none.
            events.sort_by_key(|event| event["object"]["metadata"]["name"].to_string());
        }
        transcript.watches.push(events.into_iter().map(|event| player.event(&event)).collect());
    }
    transcript.left = player.left(before.map(|before| &before.left));
    transcript
}

fn marks_the_end(event: &Value) -> bool {
    !event["object"]["metadata"]["annotations"].is_null()
}

/// What a server said so far, by path.
#[derive(Debug, Default)]
struct Seen {
    newest: BTreeMap<String, String>,
    first: BTreeMap<String, String>,
    uids: BTreeMap<String, String>,
    tokens: BTreeMap<String, String>,
    list: String,
}

struct Player<'a> {
    server: &'a mut dyn Server,
    prefix: String,
    normal: Normal,
    seen: Seen,
}

impl Player<'_> {
    /// Makes the namespaces, and waits for what every namespace has.
    fn begin(&mut self) {
        for name in NAMESPACES {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": format!("$P-{name}"), "labels": {"seq": "$P"}}});
            let raw = self.ask(&Request::new("POST", "/api/v1/namespaces").json(&namespace));
            assert_eq!(raw.code, 201, "{}", String::from_utf8_lossy(&raw.body));
            self.server.settle();
            for path in ["serviceaccounts/default", "configmaps/kube-root-ca.crt"] {
                let path = format!("/api/v1/namespaces/$P-{name}/{path}");
                while self.ask(&Request::new("GET", path.as_str())).code != 200 && self.server.wait() {}
            }
        }
        self.seen = Seen::default();
    }

    fn ask(&mut self, template: &Request) -> Raw {
        let request = self.filled(template);
        let raw = self.server.ask(&request);
        self.note(template, &raw);
        raw
    }

    fn filled(&self, template: &Request) -> Request {
        let fill = |text: &str| self.fill(template, text);
        Request {
            path: fill(&template.path),
            query: template.query.iter().map(|(key, value)| (key.clone(), fill(value))).collect(),
            user: fill(&template.user),
            body: fill(&template.body),
            ..template.clone()
        }
    }

    fn fill(&self, template: &Request, text: &str) -> String {
        let path = Self::subject(template);
        let or = |map: &BTreeMap<String, String>, path: &str, nothing: &str| {
            map.get(path).cloned().unwrap_or_else(|| nothing.to_owned())
        };
        let nobody = "00000000-0000-0000-0000-000000000000";
        let owner = template.path.split("/namespaces/").nth(1).and_then(|rest| rest.split('/').next());
        let owner = format!("/api/v1/namespaces/{}/configmaps/a", owner.unwrap_or_default());
        text.replace("$RV", &or(&self.seen.newest, &path, ""))
            .replace("$OLD", &or(&self.seen.first, &path, ""))
            .replace("$UID", &or(&self.seen.uids, &path, nobody))
            .replace("$CONT", &or(&self.seen.tokens, &template.path, ""))
            .replace("$LIST", &self.seen.list)
            .replace("$OWNER", &or(&self.seen.uids, &owner, nobody))
            .replace("$P", &self.prefix)
    }

    /// The path of the object that a request is about, also of one that it makes.
    fn subject(template: &Request) -> String {
        let path = template.object_path();
        if template.method != "POST" {
            return path.to_owned();
        }
        let body: Value = serde_json::from_str(&template.body).unwrap_or_default();
        match body["metadata"]["name"].as_str() {
            Some(name) => format!("{path}/{name}"),
            None => path.to_owned(),
        }
    }

    /// Remembers what later requests may refer to.
    fn note(&mut self, template: &Request, raw: &Raw) {
        let Ok(body) = serde_json::from_slice::<Value>(&raw.body) else { return };
        let metadata = &body["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        if body["kind"] == "Status" || metadata.is_null() {
            return;
        }
        if body["items"].is_array() {
            if template.method != "GET" {
                return;
            }
            self.seen.list = text("resourceVersion");
            self.seen.tokens.insert(template.path.clone(), text("continue"));
            return;
        }
        let subject = Self::subject(template);
        let collection = subject.rsplit_once('/').map_or("", |(collection, _)| collection).to_owned();
        if !text("resourceVersion").is_empty() && !template.query.iter().any(|(key, _)| key == "dryRun") {
            for path in [collection, subject.clone()] {
                self.seen.newest.insert(path.clone(), text("resourceVersion"));
                self.seen.first.entry(path).or_insert_with(|| text("resourceVersion"));
            }
        }
        self.seen.uids.insert(subject, text("uid"));
    }

    fn event(&mut self, event: &Value) -> Value {
        let kind = event["type"].clone();
        let mut object = event["object"].clone();
        if kind == "BOOKMARK" {
            // Built-in kinds have the zero of their type beside the annotation.
            object = json!({"kind": object["kind"], "apiVersion": object["apiVersion"], "metadata": {
                "annotations": object["metadata"]["annotations"]}});
        }
        json!({"type": kind, "object": self.normal.object(object)})
    }

    /// Lets the server's controllers finish: until there is what is expected, or for as long as there is something
    /// to wait for. Returns what is there, if they did anything.
    fn settle(&mut self, expected: Option<&Value>) -> Option<Value> {
        if !self.server.settle() && expected.is_none() {
            return None;
        }
        Some(self.left(expected))
    }

    /// Everything that is there.
    fn left(&mut self, expected: Option<&Value>) -> Value {
        loop {
            // What is not what was waited for leaves no symbols.
            let mut normal = self.normal.clone();
            let mut left = json!({});
            for template in COLLECTIONS {
                let mut request = Request::new("GET", template);
                if !template.contains("$P") {
                    request = request.with("labelSelector", "seq=$P");
                }
                let raw = self.server.ask(&self.filled(&request));
                let list: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
                if list["items"].as_array().is_none_or(|items| !items.is_empty()) {
                    left[template] = normal.object(list["items"].clone());
                }
            }
            if expected.is_none_or(|expected| alike(expected, &left)) || !self.server.wait() {
                self.normal = normal;
                return left;
            }
        }
    }
}
