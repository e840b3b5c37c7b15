//! The only writer of status.
//!
//! Server-side apply, forced, with the resourceVersion that the decision saw. On `/status` the API server
//! ignores a uid; the resourceVersion alone keeps a result off an object that was made anew under its name, and
//! makes a decision on a stale read a conflict instead of a loss.

use std::sync::Arc;

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::MANAGER;
use super::issuers::Issuer;
use crate::api::{CertificateRequest, ExternalClusterIssuer, ExternalIssuer, IssuerKind, IssuerStatus};
use crate::decide::StatusPatch;
use crate::metrics::Metrics;

/// Writes status.
#[derive(Clone)]
pub struct StatusWriter {
    client: Client,
    metrics: Arc<Metrics>,
}

/// Why a status was not written, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The object changed since it was read: read it again and decide anew.
    #[error("the object has changed")]
    Conflict,
    /// The object is gone.
    #[error("the object is gone")]
    Gone,
    /// The API server will not take this write however often it is sent.
    #[error("the API server refused the status")]
    Refused(#[source] kube::Error),
    /// The API server could not be reached or is busy, or has not given us the right (yet).
    #[error("the status could not be written")]
    Failed(#[source] kube::Error),
}

impl StatusWriter {
    /// A writer.
    #[must_use]
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, metrics }
    }

    /// Writes our share of a request's status. `judged` is the object that the patch was decided on. Returns the
    /// object as it is then.
    pub async fn request(
        &self,
        judged: &CertificateRequest,
        patch: &StatusPatch,
    ) -> Result<CertificateRequest, WriteError> {
        let namespace = judged.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<CertificateRequest> = Api::namespaced(self.client.clone(), namespace);
        let body = body::<CertificateRequest>(
            judged.metadata.name.as_deref(),
            Some(namespace),
            judged.metadata.resource_version.as_deref(),
            &request_status(patch),
        );
        self.apply(&api, judged.metadata.name.as_deref().unwrap_or_default(), body).await
    }

    /// Writes an issuer's status.
    pub async fn issuer(&self, judged: &Issuer, status: &IssuerStatus) -> Result<Issuer, WriteError> {
        let key = &judged.key;
        let status = serde_json::to_value(status).unwrap_or_default();
        let version = judged.resource_version.as_deref();
        match key.kind {
            IssuerKind::Issuer => {
                let namespace = key.namespace.as_deref().unwrap_or_default();
                let api: Api<ExternalIssuer> = Api::namespaced(self.client.clone(), namespace);
                let body = body::<ExternalIssuer>(Some(&key.name), Some(namespace), version, &status);
                self.apply(&api, &key.name, body).await.map(Issuer::from)
            }
            IssuerKind::ClusterIssuer => {
                let api: Api<ExternalClusterIssuer> = Api::all(self.client.clone());
                let body = body::<ExternalClusterIssuer>(Some(&key.name), None, version, &status);
                self.apply(&api, &key.name, body).await.map(Issuer::from)
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one writer of status")]
    async fn apply<K>(&self, api: &Api<K>, name: &str, body: Value) -> Result<K, WriteError>
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let params = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(body);
        let written = api.patch_status(name, &params, &patch).await.map_err(sorted);
        self.metrics.status_write(match &written {
            Ok(_) => "written",
            Err(WriteError::Conflict) => "conflict",
            Err(WriteError::Gone) => "gone",
            Err(WriteError::Refused(_)) => "refused",
            Err(WriteError::Failed(_)) => "failed",
        });
        written
    }
}

fn sorted(error: kube::Error) -> WriteError {
    match &error {
        kube::Error::Api(status) => match status.code {
            409 => WriteError::Conflict,
            404 => WriteError::Gone,
            // An admission controller's no, or a status that the CRD does not know. A 500 is what apply answers
            // to an unknown field, but also what a passing fault looks like.
            400 | 413 | 422 => WriteError::Refused(error),
            _ => WriteError::Failed(error),
        },
        _ => WriteError::Failed(error),
    }
}

fn body<K: Resource<DynamicType = ()>>(
    name: Option<&str>,
    namespace: Option<&str>,
    resource_version: Option<&str>,
    status: &Value,
) -> Value {
    let mut metadata = json!({"name": name, "resourceVersion": resource_version});
    if let (Some(namespace), Some(fields)) = (namespace, metadata.as_object_mut()) {
        fields.insert("namespace".to_owned(), json!(namespace));
    }
    json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": metadata,
        "status": status,
    })
}

fn request_status(patch: &StatusPatch) -> Value {
    use base64::Engine as _;
    let encode = |text: &String| base64::engine::general_purpose::STANDARD.encode(text);
    let mut status = json!({ "conditions": patch.conditions });
    if let Some(fields) = status.as_object_mut() {
        if let Some(certificate) = &patch.certificate {
            fields.insert("certificate".to_owned(), json!(encode(certificate)));
        }
        if let Some(ca) = &patch.ca {
            fields.insert("ca".to_owned(), json!(encode(ca)));
        }
        if let Some(time) = patch.failure_time {
            fields.insert("failureTime".to_owned(), json!(time.to_string()));
        }
    }
    status
}
