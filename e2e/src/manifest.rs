//! YAML manifests, applied as `kubectl apply --server-side` would.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, oneshot};
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use crate::Result;

/// Whose fields they are.
const MANAGER: &str = "e2e";

/// The checkout's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The documents of a YAML text, empty ones left out.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

/// The documents of every `.yaml` file in a folder, by name.
pub fn folder(path: &Path) -> Result<Vec<Value>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .with_context(|| path.display().to_string())?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        all.extend(documents(&text).with_context(|| file.display().to_string())?);
    }
    Ok(all)
}

/// Applies a document. `namespace` is for a namespaced object that names none.
pub async fn apply(client: &Client, document: Value, namespace: &str) -> Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(document)?;
    let types = object.types.clone().context("a document without apiVersion and kind")?;
    let what = format!("{} {}", types.kind, object.name_any());
    let kind = GroupVersionKind::try_from(&types)?;
    let (resource, capabilities) = oneshot::pinned_kind(client, &kind).await.with_context(|| what.clone())?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.namespace().unwrap_or_else(|| namespace.to_owned());
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    let params = PatchParams::apply(MANAGER).force();
    api.patch(&object.name_any(), &params, &Patch::Apply(&object)).await.context(what)
}

/// Applies documents in their order; after `CustomResourceDefinition`s, waits until they are established.
pub async fn apply_all(client: &Client, documents: Vec<Value>, namespace: &str) -> Result {
    let mut definitions = Vec::new();
    for document in documents {
        let is_definition = document.get("kind").is_some_and(|kind| kind == "CustomResourceDefinition");
        let object = apply(client, document, namespace).await?;
        if is_definition {
            definitions.push(object.name_any());
        }
    }
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for name in definitions {
        let established = kube::runtime::wait::conditions::is_crd_established();
        let wait = kube::runtime::wait::await_condition(api.clone(), &name, established);
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .with_context(|| format!("CustomResourceDefinition {name} was not established"))??;
    }
    Ok(())
}
