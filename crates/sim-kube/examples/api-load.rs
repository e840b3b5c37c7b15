//! Asks an API server the same of two kinds, several clients at once, and says how fast it answers: to compare a
//! simulated one with a real one.
//!
//! usage: api-load KUBECONFIG LABEL [COUNT [CLIENTS]]; prints rows of a Markdown table

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench: what panics has failed, what it prints is what it is for, and it plays a controller"
)]

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

/// One certificate request of a Certificate with one name and an EC key; its content does not matter to the server.
const CSR_BYTES: usize = 600;
/// The label by which what was made is found.
const LABEL: &str = "api-load";
const NAMESPACE: &str = "default";
/// So many lists are asked for, each of everything that was made.
const LISTS: usize = 50;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let kubeconfig = Kubeconfig::read_from(arguments.next().unwrap()).unwrap();
    let label = arguments.next().unwrap();
    let count = arguments.next().map_or(1_000, |text| text.parse().unwrap());
    let clients = arguments.next().map_or(16, |text| text.parse().unwrap());
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    for kind in [&ConfigMaps as &dyn Load, &Requests] {
        Run { api: kind.api(&client), kind, label: &label, count, clients }.all().await;
    }
}

/// A kind to ask about.
trait Load {
    fn resource(&self) -> ApiResource;
    /// What is made, besides the metadata.
    fn content(&self) -> Value;
    /// What is applied to it, in its status if it has one.
    fn change(&self) -> (bool, Value);

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), NAMESPACE, &self.resource())
    }
}

struct ConfigMaps;

impl Load for ConfigMaps {
    fn resource(&self) -> ApiResource {
        ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"))
    }

    fn content(&self) -> Value {
        json!({"data": {"text": "x".repeat(1_000)}})
    }

    fn change(&self) -> (bool, Value) {
        (false, json!({"data": {"more": "y".repeat(1_000)}}))
    }
}

struct Requests;

impl Load for Requests {
    fn resource(&self) -> ApiResource {
        ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", "CertificateRequest"))
    }

    fn content(&self) -> Value {
        json!({"spec": {
            "issuerRef": {"group": "external-issuer.io", "kind": "ExternalIssuer", "name": "load"},
            "duration": "24h", "usages": ["digital signature", "server auth"],
            "request": base64(CSR_BYTES),
        }})
    }

    fn change(&self) -> (bool, Value) {
        let ready = json!({"type": "Ready", "status": "True", "reason": "Issued", "message": "certificate issued",
            "lastTransitionTime": "2030-01-01T00:00:00Z"});
        (true, json!({"status": {"certificate": base64(2_000), "ca": base64(800), "conditions": [ready]}}))
    }
}

fn base64(bytes: usize) -> String {
    "QUJD".repeat(bytes / 3)
}

struct Run<'a> {
    api: Api<DynamicObject>,
    kind: &'a dyn Load,
    label: &'a str,
    count: usize,
    clients: usize,
}

impl Run<'_> {
    async fn all(&self) {
        let (api, resource) = (&self.api, self.kind.resource());
        self.measure("create", self.count, |number| async move {
            let mut object = DynamicObject::new(&name(number), &self.kind.resource());
            object.metadata.labels = Some([(LABEL.to_owned(), "yes".to_owned())].into());
            object.data = self.kind.content();
            api.create(&PostParams::default(), &object).await.unwrap();
        })
        .await;
        self.measure("get", self.count, |number| async move {
            api.get(&name(number)).await.unwrap();
        })
        .await;
        let (in_status, change) = self.kind.change();
        let params = PatchParams::apply(LABEL).force();
        self.measure(if in_status { "apply status" } else { "apply" }, self.count, |number| {
            let mut applied = change.clone();
            applied["apiVersion"] = json!(resource.api_version);
            applied["kind"] = json!(resource.kind);
            applied["metadata"] = json!({"name": name(number)});
            let params = &params;
            async move {
                let patch = Patch::Apply(&applied);
                if in_status {
                    api.patch_status(&name(number), params, &patch).await.unwrap();
                } else {
                    api.patch(&name(number), params, &patch).await.unwrap();
                }
            }
        })
        .await;
        let labelled = ListParams::default().labels(LABEL);
        let labelled = &labelled;
        self.measure("list of all", LISTS, |_| async move {
            assert_eq!(api.list(labelled).await.unwrap().items.len(), self.count);
        })
        .await;
        self.measure("delete", self.count, |number| async move {
            api.delete(&name(number), &DeleteParams::default()).await.unwrap();
        })
        .await;
    }

    /// Does it so many times, from several clients at once, and prints a row.
    async fn measure<F: Future<Output = ()>>(&self, what: &str, times: usize, act: impl Fn(usize) -> F) {
        let began = Instant::now();
        let acts = stream::iter(0..times).map(|number| {
            let done = act(number);
            async move {
                let began = Instant::now();
                done.await;
                began.elapsed()
            }
        });
        let mut took: Vec<Duration> = acts.buffer_unordered(self.clients).collect().await;
        let all = began.elapsed().as_secs_f64();
        took.sort_unstable();
        let rank = |percent: usize| {
            let index = (took.len() * percent).div_ceil(100).saturating_sub(1);
            took.get(index).copied().unwrap_or_default().as_secs_f64() * 1_000.0
        };
        let per_second = f64::from(u32::try_from(times).unwrap()) / all;
        println!(
            "| {} | {}: {what} | {per_second:.0} | {:.1} / {:.1} |",
            self.label,
            self.kind.resource().kind,
            rank(50),
            rank(99)
        );
    }
}

fn name(number: usize) -> String {
    format!("api-load-{number:05}")
}
