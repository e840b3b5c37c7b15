//! What is applied before anybody starts: namespaces, CRDs, RBAC, as users apply them.

use std::io::Read as _;

use anyhow::{Context as _, ensure};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde_json::Value;

/// The CRDs of cert-manager 1.21.1.
const CERT_MANAGER_CRDS: &[u8] = include_bytes!("../../../fixtures/cert-manager/crds.yaml.gz");
/// Everything that is shipped, in the order in which it is applied.
const SHIPPED: [&str; 6] = [
    include_str!("../../../deploy/crds/external-issuer.io.yaml"),
    include_str!("../../../deploy/rbac/00-namespace.yaml"),
    include_str!("../../../deploy/rbac/10-controller.yaml"),
    include_str!("../../../deploy/rbac/20-cluster-resources.yaml"),
    include_str!("../../../deploy/rbac/30-leader-election.yaml"),
    include_str!("../../../deploy/rbac/40-approver.yaml"),
];
/// The Role by which a tenant lets the controller read the settings of its issuers, and its binding.
const TENANT: &str = include_str!("../../../deploy/rbac/tenant/role.yaml");
/// What cert-manager's chart brings, as far as its certificate controllers need it.
const CERT_MANAGER: &str = include_str!("../../../fixtures/cert-manager/rbac.yaml");

pub(crate) async fn install(client: &Client) -> anyhow::Result<()> {
    let mut crds = String::new();
    flate2::read::GzDecoder::new(CERT_MANAGER_CRDS).read_to_string(&mut crds)?;
    create(client, &crds, "").await?;
    create(client, CERT_MANAGER, "").await?;
    for text in SHIPPED {
        create(client, text, "").await?;
    }
    Ok(())
}

/// Makes a namespace in which issuers may have their settings, as its owner would.
pub(crate) async fn tenant(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let made = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
    create(client, &made, "").await?;
    create(client, TENANT, namespace).await
}

/// Makes the objects of a manifest; one that names no namespace goes to this one.
///
/// # Errors
/// The manifest cannot be read, or the API server refuses an object.
pub async fn create(client: &Client, manifest: &str, namespace: &str) -> anyhow::Result<()> {
    for object in documents(manifest)? {
        let (api, name) = api(client, &object, namespace).await?;
        let object: DynamicObject = serde_json::from_value(object)?;
        api.create(&PostParams::default(), &object).await.with_context(|| format!("making {name}"))?;
    }
    Ok(())
}

/// Applies the objects of a manifest, as `kubectl apply --server-side` does.
///
/// # Errors
/// The manifest cannot be read, or the API server refuses an object.
pub async fn apply(client: &Client, manifest: &str, namespace: &str) -> anyhow::Result<()> {
    for object in documents(manifest)? {
        let (api, name) = api(client, &object, namespace).await?;
        let params = PatchParams::apply("kubectl");
        api.patch(&name, &params, &Patch::Apply(&object))
            .await
            .with_context(|| format!("applying {name}"))?;
    }
    Ok(())
}

fn documents(manifest: &str) -> anyhow::Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(manifest).context("the manifest is no YAML")?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

async fn api(
    client: &Client,
    object: &Value,
    namespace: &str,
) -> anyhow::Result<(Api<DynamicObject>, String)> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (Some(version), Some(kind), Some(name)) =
        (text("/apiVersion"), text("/kind"), text("/metadata/name"))
    else {
        anyhow::bail!("an object without apiVersion, kind or metadata.name");
    };
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let (resource, capabilities) = pinned_kind(client, &GroupVersionKind::gvk(group, version, kind)).await?;
    let namespace = text("/metadata/namespace").unwrap_or(namespace);
    let api = scoped(client, &resource, &capabilities.scope, namespace)?;
    Ok((api, name.to_owned()))
}

fn scoped(
    client: &Client,
    resource: &ApiResource,
    scope: &Scope,
    namespace: &str,
) -> anyhow::Result<Api<DynamicObject>> {
    if *scope == Scope::Cluster {
        return Ok(Api::all_with(client.clone(), resource));
    }
    ensure!(!namespace.is_empty(), "a {} without a namespace", resource.kind);
    Ok(Api::namespaced_with(client.clone(), namespace, resource))
}
