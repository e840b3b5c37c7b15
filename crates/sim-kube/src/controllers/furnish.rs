//! What every namespace has: a ServiceAccount, and the authority of the server's certificate.

use jiff::Timestamp;
use serde_json::json;

use crate::apply::Scope;
use crate::cluster::Cluster;
use crate::watch::after;
use crate::{GroupResource, meta, object};

/// The ServiceAccount of what names none.
const SERVICE_ACCOUNT: &str = "default";
/// The ConfigMap that holds the authority.
pub(super) const ROOT_CA: &str = "kube-root-ca.crt";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
                           endpoints such as the internal service IP or kubernetes.default.svc. No other usage is \
                           guaranteed across distributions of Kubernetes clusters.";

impl Cluster {
    /// Tells the authority of the server's certificate, in PEM: from then on every namespace has it in a ConfigMap.
    pub fn publish_root_ca(&mut self, now: Timestamp, pem: impl Into<String>) {
        self.controllers.root_ca = Some(pem.into());
        self.controllers.sweep = Some(after(now, self.options.controllers_delay));
    }

    /// Makes in every namespace what is missing.
    pub(super) fn furnish_namespaces(&mut self, now: Timestamp) {
        let namespaces: Vec<String> = self
            .store
            .list(&GroupResource::new("", "namespaces"), "")
            .filter(|(_, namespace)| !object::is_deleting(namespace))
            .map(|(_, namespace)| object::name(namespace).to_owned())
            .collect();
        for namespace in namespaces {
            let accounts = GroupResource::new("", "serviceaccounts");
            if self.store.get(&accounts, &namespace, SERVICE_ACCOUNT).is_none() {
                let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
                    "name": SERVICE_ACCOUNT, "namespace": namespace,
                    "uid": self.chance.uid(), "creationTimestamp": meta::time(now)}});
                self.store.put(now, &accounts, &namespace, SERVICE_ACCOUNT, account);
            }
            self.put_root_ca(now, &namespace);
        }
    }

    fn put_root_ca(&mut self, now: Timestamp, namespace: &str) {
        let Some(kind) = self.registry.find("", "v1", "configmaps").cloned() else { return };
        let Some(pem) = self.controllers.root_ca.clone() else { return };
        let old = self.store.get(&kind.storage, namespace, ROOT_CA).cloned();
        let data = json!({"ca.crt": pem});
        if old.as_ref().is_some_and(|old| old.get("data") == Some(&data)) {
            return;
        }
        let mut new = old.as_deref().cloned().unwrap_or_else(|| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                "name": ROOT_CA, "namespace": namespace,
                "uid": self.chance.uid(), "creationTimestamp": meta::time(now)}})
        });
        object::put(&mut new, "data", Some(data));
        object::edit_metadata(&mut new, |metadata| {
            metadata.insert("annotations".to_owned(), json!({"kubernetes.io/description": DESCRIPTION}));
        });
        let schema = self.schemas.of(&kind);
        let scope = Scope {
            schema: &schema,
            api_version: "v1",
            kind: &kind.kind,
            subresource: "",
            ignored: &[],
            now,
        };
        let new = scope.track(old.as_deref(), new, "kube-controller-manager");
        self.store.put(now, &kind.storage, namespace, ROOT_CA, new);
    }
}
