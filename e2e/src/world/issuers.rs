//! What administrators make: issuers and their settings.

use std::collections::BTreeMap;

use anyhow::ensure;
use external_issuer::api::GROUP;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ObjectMeta};
use kube::core::GroupVersionKind;
use kube::discovery::oneshot;
use serde_json::{Value, json};

use super::{World, lock};
use crate::Result;
use crate::api::IssuerReference;
use crate::manifest;
use crate::pki::Vault;

/// The two kinds of issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ExternalIssuer`.
    Issuer,
    /// `ExternalClusterIssuer`.
    ClusterIssuer,
}

impl Kind {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Issuer, Self::ClusterIssuer];

    /// The kind's name in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "ExternalIssuer",
            Self::ClusterIssuer => "ExternalClusterIssuer",
        }
    }
}

/// An issuer of ours, that is there or will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Which kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl Issuer {
    /// How Certificates and requests refer to it.
    #[must_use]
    pub fn reference(&self) -> IssuerReference {
        IssuerReference {
            name: self.name.clone(),
            kind: self.kind.as_str().to_owned(),
            group: GROUP.to_owned(),
        }
    }

    pub(super) fn api(&self, world: &World) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(GROUP, "v1alpha1", self.kind.as_str());
        let plural = format!("{}s", self.kind.as_str().to_ascii_lowercase());
        let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
        match self.kind {
            Kind::Issuer => Api::namespaced_with(world.client.clone(), &world.namespace, &resource),
            Kind::ClusterIssuer => Api::all_with(world.client.clone(), &resource),
        }
    }
}

impl World {
    /// The name of the ConfigMap of the scenario's issuers of this kind: the one that our sample Role names, or
    /// one of the scenario's own in the namespace that it shares.
    #[must_use]
    pub fn config_name(&self, kind: Kind) -> String {
        match kind {
            Kind::Issuer => "pki-config".to_owned(),
            Kind::ClusterIssuer => format!("{}-config", self.namespace),
        }
    }

    /// The name of the Secret with their credential.
    #[must_use]
    pub fn credential_name(&self, kind: Kind) -> String {
        match kind {
            Kind::Issuer => "pki-credentials".to_owned(),
            Kind::ClusterIssuer => format!("{}-credentials", self.namespace),
        }
    }

    /// The namespace of both.
    #[must_use]
    pub fn settings_namespace(&self, kind: Kind) -> &str {
        match kind {
            Kind::Issuer => &self.namespace,
            Kind::ClusterIssuer => &self.system,
        }
    }

    /// An issuer that is not applied yet.
    #[must_use]
    pub fn issuer_named(&self, kind: Kind, name: &str) -> Issuer {
        let name = match kind {
            Kind::Issuer => name.to_owned(),
            Kind::ClusterIssuer => format!("{}-{name}", self.namespace),
        };
        Issuer { kind, name }
    }

    /// Applies an issuer.
    pub async fn issuer(&self, kind: Kind, name: &str, spec: Value) -> Result<Issuer> {
        let issuer = self.issuer_named(kind, name);
        self.apply_issuer(&issuer, spec).await?;
        Ok(issuer)
    }

    /// Applies an issuer anew.
    pub async fn apply_issuer(&self, issuer: &Issuer, spec: Value) -> Result {
        let manifest = json!({
            "apiVersion": "external-issuer.io/v1alpha1", "kind": issuer.kind.as_str(),
            "metadata": {"name": issuer.name}, "spec": spec,
        });
        if issuer.kind == Kind::ClusterIssuer {
            self.clean_up_later(&manifest);
        }
        self.apply(manifest).await
    }

    /// Removes an issuer.
    pub async fn delete_issuer(&self, issuer: &Issuer) -> Result {
        issuer.api(self).delete(&issuer.name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The spec of an issuer whose ConfigMap and Secret are the scenario's own.
    #[must_use]
    pub fn pki_spec(&self, kind: Kind) -> Value {
        json!({
            "signerType": "pki",
            "configRef": {"name": self.config_name(kind)},
            "authSecretRef": {"name": self.credential_name(kind)},
            // A check that nobody waits for: recoveries below do not hang on the default minute.
            "healthCheckInterval": "2s",
        })
    }

    /// [`World::pki_spec`] with a health check that comes after the scenario: what changes is noticed by a watch,
    /// or not at all.
    #[must_use]
    pub fn patient_spec(&self, kind: Kind) -> Value {
        self.pki_spec_with(kind, json!({"healthCheckInterval": "1h"}))
    }

    /// [`World::pki_spec`] with further fields.
    #[must_use]
    pub fn pki_spec_with(&self, kind: Kind, more: Value) -> Value {
        let mut spec = self.pki_spec(kind);
        if let (Some(fields), Value::Object(more)) = (spec.as_object_mut(), more) {
            fields.extend(more);
        }
        spec
    }

    /// Writes the ConfigMap and the Secret for a Vault and applies an issuer that refers to them.
    pub async fn vault_issuer(&self, kind: Kind, name: &str, vault: &Vault) -> Result<Issuer> {
        self.vault_settings(kind, vault).await?;
        self.issuer(kind, name, self.pki_spec(kind)).await
    }

    /// Writes the ConfigMap and the Secret for a Vault.
    pub async fn vault_settings(&self, kind: Kind, vault: &Vault) -> Result {
        let (key, value) = vault.credential();
        self.credential(kind, key, value).await?;
        self.configure(kind, &vault.config()).await
    }

    /// Writes the configuration of the scenario's issuers of this kind.
    pub async fn configure(&self, kind: Kind, document: &str) -> Result {
        let name = self.config_name(kind);
        let map = ConfigMap {
            metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
            data: Some(BTreeMap::from([("pki.yaml".to_owned(), document.to_owned())])),
            ..ConfigMap::default()
        };
        self.put(kind, serde_json::to_value(map)?, "ConfigMap").await
    }

    /// Writes their credential, which must then not be seen anywhere.
    pub async fn credential(&self, kind: Kind, key: &str, value: &str) -> Result {
        self.keep_secret(value);
        let name = self.credential_name(kind);
        self.secret(kind, &name, &[(key, value)]).await
    }

    /// Writes a Secret where issuers of this kind look for theirs.
    pub async fn secret(&self, kind: Kind, name: &str, data: &[(&str, &str)]) -> Result {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            data: Some(data.collect()),
            ..Secret::default()
        };
        self.put(kind, serde_json::to_value(secret)?, "Secret").await
    }

    async fn put(&self, kind: Kind, mut object: Value, type_: &str) -> Result {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".to_owned(), json!("v1"));
            fields.insert("kind".to_owned(), json!(type_));
            if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("namespace".to_owned(), json!(self.settings_namespace(kind)));
            }
        }
        if kind == Kind::ClusterIssuer {
            self.clean_up_later(&object);
        }
        self.apply(object).await
    }

    /// Writes a Secret in the cluster resource namespace.
    pub async fn shared_secret(&self, name: &str, data: &[(&str, &str)]) -> Result {
        self.secret(Kind::ClusterIssuer, name, data).await
    }

    /// Applies a file of deploy/examples, with placeholders replaced.
    pub async fn apply_example(&self, file: &str, replace: &[(&str, &str)]) -> Result {
        let mut text = std::fs::read_to_string(manifest::repository().join("deploy/examples").join(file))?;
        for (placeholder, value) in replace {
            ensure!(text.contains(placeholder), "{file} does not contain {placeholder}");
            text = text.replace(placeholder, value);
        }
        for document in manifest::documents(&text)? {
            let elsewhere = document.pointer("/metadata/namespace").is_some()
                || document.get("kind").is_some_and(|kind| kind == "ExternalClusterIssuer");
            if elsewhere {
                self.clean_up_later(&document);
            }
            self.apply(document).await?;
        }
        Ok(())
    }

    /// Removes an object that a scenario made, if it is still there.
    pub(super) async fn delete(&self, object: &Value) -> Result {
        let object: DynamicObject = serde_json::from_value(object.clone())?;
        let api = dynamic(&self.client, &object).await?;
        match api.delete(object.metadata.name.as_deref().unwrap_or_default(), &DeleteParams::default()).await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    /// Removes an object that lies outside the scenario's namespace when the scenario has passed.
    pub(super) fn clean_up_later(&self, object: &Value) {
        lock(&self.cluster_objects).push(object.clone());
    }
}

async fn dynamic(client: &Client, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object.types.clone().unwrap_or_default();
    let (resource, _) = oneshot::pinned_kind(client, &GroupVersionKind::try_from(&types)?).await?;
    Ok(match &object.metadata.namespace {
        None => Api::all_with(client.clone(), &resource),
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
    })
}
