//! A simulated API server with cert-manager's kinds, an administrator, and a client of cert-manager's that can be
//! refused and can die.

use std::{
    io::Read as _,
    sync::{Arc, Mutex},
};

use http::StatusCode;
use jiff::Timestamp;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, PostParams},
    core::GroupVersionKind,
};
use serde_json::Value;
use sim_kube::{
    Call, Cluster, Failure, GroupResource, Identity, Options, Verb,
    client::{Clock, Server},
    fault::{Effect, Guard, Peer, Rule, Seen},
};
use tokio::sync::watch;

/// The CRDs of cert-manager.
const CRDS: &[u8] = include_bytes!("../../../../fixtures/cert-manager/crds.yaml.gz");
/// Those that are needed.
const NEEDED: [&str; 2] = ["certificates.cert-manager.io", "certificaterequests.cert-manager.io"];
/// Where everything is.
pub(crate) const NAMESPACE: &str = "shop";
/// When the tests begin.
pub(crate) const START: Timestamp = Timestamp::constant(1_800_000_000, 0);
/// Whom faults strike.
const PEER: &str = "cert-manager";

/// When cert-manager dies: at its so-manyth write, before or after the server has done it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    pub(crate) at: usize,
    pub(crate) after: bool,
}

/// The cluster. Clones are the same one.
#[derive(Clone)]
pub(crate) struct World {
    server: Server,
    writes: Arc<Mutex<Vec<String>>>,
    changes: watch::Receiver<u64>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Clock::starting_at(START);
        let server = Server::new(Cluster::new(Options::default(), START), clock);
        let writes: Arc<Mutex<Vec<String>>> = Arc::default();
        let (tell, changes) = watch::channel(0);
        let sink = Arc::clone(&writes);
        server.on_call(move |served| {
            let Some(call) = served.call.as_ref().filter(|call| writes_something(call)) else { return };
            tell.send_modify(|changes| *changes += 1);
            if &*served.peer.0 == PEER {
                let slash = if call.subresource.is_empty() { "" } else { "/" };
                let what = format!("{} {}{slash}{}", call.verb, call.plural, call.subresource);
                sink.lock().unwrap().push(what);
            }
        });
        let world = Self { server, writes, changes };
        let mut crds = String::new();
        flate2::read::GzDecoder::new(CRDS).read_to_string(&mut crds).unwrap();
        let crds: Vec<Value> = serde_saphyr::from_multiple(&crds).unwrap();
        for crd in crds {
            if NEEDED.iter().any(|needed| crd["metadata"]["name"] == *needed) {
                world.make("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "", crd).await;
            }
        }
        let namespace = serde_json::json!({"metadata": {"name": NAMESPACE}});
        world.make("", "v1", "Namespace", "", namespace).await;
        world
    }

    /// By tokio's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.server.clock().now()
    }

    /// cert-manager's.
    pub(crate) fn client(&self) -> kube::Client {
        self.server.client_of(Peer(PEER.into()), Identity::admin())
    }

    pub(crate) fn admin(&self) -> kube::Client {
        self.server.client(Identity::admin())
    }

    /// What cert-manager wrote so far: `create secrets`, ….
    pub(crate) fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap().clone()
    }

    /// From now on the connection breaks where cert-manager dies, which is told by the receiver.
    pub(crate) fn crash(&self, crash: Crash) -> (Guard, watch::Receiver<bool>) {
        let (tell, died) = watch::channel(false);
        let effect = if crash.after { Effect::DropAnswer } else { Effect::Drop };
        let so_far = Mutex::new(0);
        let rule = Rule::new(effect, move |seen| {
            if !is_write(seen) {
                return false;
            }
            let mut count = so_far.lock().unwrap();
            *count += 1;
            let is_last = *count == crash.at;
            if is_last {
                tell.send_replace(true);
            }
            is_last
        });
        (self.install(rule), died)
    }

    /// Refuses cert-manager's writes of this subresource, as long as the guard lives.
    pub(crate) fn refuse(&self, plural: &'static str, subresource: &'static str) -> Guard {
        let failure = Failure::new(StatusCode::FORBIDDEN, "Forbidden", "refused");
        self.install(Rule::new(Effect::Fail(failure), move |seen| {
            let is_it = |call: &Call| call.plural == plural && call.subresource == subresource;
            is_write(seen) && seen.call.is_some_and(is_it)
        }))
    }

    fn install(&self, rule: Rule) -> Guard {
        self.server.with(|cluster, _| cluster.faults().install(rule))
    }

    /// Changes with every write, whoever writes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// The objects of a resource: of cert-manager's, or Secrets.
    pub(crate) fn all(&self, plural: &str) -> Vec<Value> {
        let group = if plural == "secrets" { "" } else { "cert-manager.io" };
        self.server.with(|cluster, _| {
            let all = cluster.store().list(&GroupResource::new(group, plural), NAMESPACE);
            all.map(|(_, object)| (**object).clone()).collect()
        })
    }

    pub(crate) fn one(&self, plural: &str, name: &str) -> Option<Value> {
        self.all(plural).into_iter().find(|object| object["metadata"]["name"] == name)
    }

    pub(crate) async fn certificate(&self, object: Value) {
        self.make("cert-manager.io", "v1", "Certificate", NAMESPACE, object).await;
    }

    async fn make(&self, group: &str, version: &str, kind: &str, namespace: &str, object: Value) {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let mut object: DynamicObject = serde_json::from_value(object).unwrap();
        object.types =
            Some(kube::api::TypeMeta { api_version: resource.api_version.clone(), kind: kind.to_owned() });
        let api: Api<DynamicObject> = if namespace.is_empty() {
            Api::all_with(self.admin(), &resource)
        } else {
            Api::namespaced_with(self.admin(), namespace, &resource)
        };
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}

fn is_write(seen: &Seen<'_>) -> bool {
    &*seen.peer.0 == PEER && seen.call.is_some_and(writes_something)
}

fn writes_something(call: &Call) -> bool {
    !matches!(call.verb, Verb::Get | Verb::List | Verb::Watch)
}
