//! A cluster and a clock that is turned by hand.

use bytes::Bytes;
use http::{Method, Request, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sim_kube::{Answer, Cluster, Identity, Options, WatchId};

/// When every test begins.
pub(crate) const START: &str = "2026-01-01T00:00:00Z";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";
pub(crate) const JSON: &str = "application/json-patch+json";

pub(crate) struct Driver {
    pub(crate) cluster: Cluster,
    pub(crate) now: Timestamp,
    pub(crate) identity: Identity,
    /// The form that answers are asked for in.
    pub(crate) accept: &'static str,
}

impl Driver {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let now: Timestamp = START.parse().unwrap();
        Self {
            cluster: Cluster::new(options, now),
            now,
            identity: Identity::admin(),
            accept: "application/json",
        }
    }

    /// Turns the clock, and lets the cluster's own controllers do what is due on the way.
    pub(crate) fn pass(&mut self, time: SignedDuration) {
        let until = self.now + time;
        while let Some(due) = self.cluster.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.cluster.tick(self.now);
        }
        self.now = until;
        self.cluster.tick(self.now);
    }

    pub(crate) fn answer(&mut self, method: Method, path: &str, media_type: &str, body: &Value) -> Answer {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::USER_AGENT, "test/1")
            .header(header::ACCEPT, self.accept);
        if !media_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, media_type);
        }
        self.cluster.handle(self.now, &request.body(body).unwrap(), &self.identity)
    }

    fn value(&mut self, method: Method, path: &str, media_type: &str, body: &Value) -> (u16, Value) {
        match self.answer(method, path, media_type, body) {
            Answer::Response(response) => {
                let code = response.status().as_u16();
                (code, serde_json::from_slice(response.body()).unwrap_or_default())
            }
            Answer::Watch(..) => panic!("{path} is a watch"),
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> (u16, Value) {
        self.value(Method::GET, path, "", &Value::Null)
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        self.value(Method::POST, path, "application/json", body)
    }

    pub(crate) fn put(&mut self, path: &str, body: &Value) -> (u16, Value) {
        self.value(Method::PUT, path, "application/json", body)
    }

    pub(crate) fn patch(&mut self, media_type: &str, path: &str, body: &Value) -> (u16, Value) {
        self.value(Method::PATCH, path, media_type, body)
    }

    pub(crate) fn delete(&mut self, path: &str, options: &Value) -> (u16, Value) {
        self.value(Method::DELETE, path, "application/json", options)
    }

    /// Makes an object, which must work.
    pub(crate) fn make(&mut self, path: &str, body: &Value) -> Value {
        let (code, object) = self.post(path, body);
        assert_eq!(code, 201, "{object}");
        object
    }

    pub(crate) fn watch(&mut self, path: &str) -> WatchId {
        match self.answer(Method::GET, path, "", &Value::Null) {
            Answer::Watch(head, id) => {
                assert_eq!(head.status(), 200);
                id
            }
            Answer::Response(response) => panic!("{path} is no watch: {response:?}"),
        }
    }

    /// What a watch has to say: each event's type, its object's name and its revision; and whether it has ended.
    pub(crate) fn heard(&mut self, id: WatchId) -> (Vec<String>, bool) {
        let step = self.cluster.poll_watch(id, self.now);
        let events = step.lines.iter().map(|line| {
            let event: Value = serde_json::from_slice(line).unwrap();
            let text =
                |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let parts = [text("/type"), text("/object/metadata/name"), text("/object/message")];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
        });
        (events.collect(), step.ended)
    }
}

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

pub(crate) fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const FOOS: &str = "/apis/ex.io/v1/namespaces/default/foos";

/// A definition of Foos, which have a status and count.
pub(crate) fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "foos.ex.io"},
        "spec": {"group": "ex.io", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}}, "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1, "default": 5}}},
                    "status": {"type": "object", "properties": {"conditions": {
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                        "items": {"type": "object", "required": ["type"], "properties": {
                            "type": {"type": "string"}, "status": {"type": "string"}}}}}}}}}}]}})
}

pub(crate) fn foo(name: &str) -> Value {
    json!({"apiVersion": "ex.io/v1", "kind": "Foo", "metadata": {"name": name}, "spec": {}})
}

/// One text of an object.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
