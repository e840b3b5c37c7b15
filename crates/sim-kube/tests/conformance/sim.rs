//! The simulated server.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sim_kube::{Answer, Cluster, Identity, Options, WatchId};

use crate::play::{HEADERS, Raw, Server};
use crate::sequence::Request;

/// How long the cluster's own controllers are given.
const CONTROLLERS: SignedDuration = SignedDuration::from_secs(5);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The definitions that every play begins with: the test's own, the product's and cert-manager's.
pub(crate) fn definitions() -> Vec<Value> {
    let own = std::fs::read_to_string(root().join("fixtures/kubernetes/conformance/crds.yaml")).unwrap();
    let product = std::fs::read_to_string(root().join("deploy/crds/external-issuer.io.yaml")).unwrap();
    let packed = std::fs::File::open(root().join("fixtures/cert-manager/crds.yaml.gz")).unwrap();
    let mut cert_manager = String::new();
    GzDecoder::new(packed).read_to_string(&mut cert_manager).unwrap();
    [own, product, cert_manager]
        .iter()
        .flat_map(|file| file.split("\n---\n"))
        .filter_map(|document| serde_saphyr::from_str::<Value>(document).ok())
        .filter(Value::is_object)
        .collect()
}

/// A cluster of its own for every play.
pub(crate) struct Sim {
    cluster: Cluster,
    now: Timestamp,
    watches: Vec<WatchId>,
    revision: u64,
}

impl Sim {
    pub(crate) fn new(definitions: &[Value]) -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut sim =
            Self { cluster: Cluster::new(Options::default(), now), now, watches: Vec::new(), revision: 0 };
        sim.cluster.publish_root_ca(now, "an authority");
        for definition in definitions {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            let raw = sim.ask(&Request::new("POST", path).json(definition));
            assert_eq!(raw.code, 201, "{}", String::from_utf8_lossy(&raw.body));
        }
        sim.settle();
        sim
    }
}

impl Server for Sim {
    fn prefix(&self) -> String {
        "q00000".to_owned()
    }

    fn ask(&mut self, request: &Request) -> Raw {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
        let uri = if query.is_empty() { request.path.clone() } else { format!("{}?{query}", request.path) };
        let mut http = http::Request::builder().method(request.method.as_str()).uri(uri);
        for (name, value) in crate::real::headers(request) {
            http = http.header(name, value);
        }
        let http = http.body(Bytes::from(request.body.clone())).unwrap();
        let answer = self.cluster.handle(self.now, &http, &Identity::admin());
        self.revision = self.cluster.store().revision();
        match answer {
            Answer::Response(response) => Raw {
                code: response.status().as_u16(),
                headers: compared(response.headers()),
                body: response.body().to_vec(),
                watch: None,
            },
            Answer::Watch(head, id) => {
                self.watches.push(id);
                Raw {
                    code: head.status().as_u16(),
                    headers: compared(head.headers()),
                    body: Vec::new(),
                    watch: Some(self.watches.len() - 1),
                }
            }
        }
    }

    fn settle(&mut self) -> bool {
        let until = self.now + CONTROLLERS;
        while let Some(due) = self.cluster.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.cluster.tick(self.now);
        }
        let before = std::mem::replace(&mut self.revision, self.cluster.store().revision());
        self.revision != before
    }

    fn wait(&mut self) -> bool {
        false
    }

    fn events(&mut self, watch: usize, _expected: usize) -> Vec<Value> {
        let step = self.cluster.poll_watch(self.watches[watch], self.now);
        step.lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

/// The headers that are compared.
pub(crate) fn compared(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut compared = BTreeMap::new();
    for name in HEADERS {
        let values: Vec<String> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        if !values.is_empty() {
            compared.insert(name.to_owned(), values);
        }
    }
    compared
}
