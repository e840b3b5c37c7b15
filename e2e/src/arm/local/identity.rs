//! The controller's identity: the `ServiceAccount` that we ship, with a token as a pod would have it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::json;

use super::control_plane::ControlPlane;
use crate::Result;

const NAMESPACE: &str = "external-issuer-system";
const NAME: &str = "external-issuer-controller";
/// Its name in the audit log.
pub(super) const USER: &str = "system:serviceaccount:external-issuer-system:external-issuer-controller";

/// Writes a kubeconfig for the `ServiceAccount`.
pub(super) async fn kubeconfig(
    client: &Client,
    control_plane: &ControlPlane,
    folder: &Path,
) -> Result<PathBuf> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let wanted = TokenRequest {
        spec: Some(TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..TokenRequestSpec::default() }),
        ..TokenRequest::default()
    };
    let made: TokenRequest = accounts
        .create_subresource("token", NAME, &PostParams::default(), &wanted)
        .await
        .context("TokenRequest")?;
    let token = made.status.context("a TokenRequest without an answer")?.token;
    let authority = std::fs::read(&control_plane.facts.ca_file)?;
    let document = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "local",
        "clusters": [{"name": "local", "cluster": {
            "server": control_plane.facts.api_server,
            "certificate-authority-data": base64::engine::general_purpose::STANDARD.encode(authority),
        }}],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": NAME}}],
    });
    let path = folder.join("controller.kubeconfig");
    std::fs::write(&path, document.to_string())?;
    Ok(path)
}
