//! The calls to the API server. No throttle, no retries: what is slow or fails shall be seen.

use std::path::Path;

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::args::Write;
use super::error::{LoadError, Result};
use super::request::{Canned, approval, resource};

/// The name by which our own calls are told from the issuer's in the audit log.
pub const USER_AGENT: &str = "issue-load";

/// A client from a kubeconfig.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client> {
    // Fails only if one was installed before, which then serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let options = KubeConfigOptions::default();
    let wrong = |error: kube::config::KubeconfigError| LoadError::Kubeconfig(error.into());
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(wrong)?;
            kube::Config::from_custom_kubeconfig(file, &options).await.map_err(wrong)?
        }
        None => kube::Config::from_kubeconfig(&options).await.map_err(wrong)?,
    };
    config.default_retry = false;
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(USER_AGENT)));
    Client::try_from(config).map_err(LoadError::api("make a client"))
}

/// The requests of one namespace.
#[derive(Clone)]
pub struct Requests {
    api: Api<DynamicObject>,
}

impl Requests {
    /// The requests of `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced_with(client, namespace, &resource()) }
    }

    /// Creates a request.
    pub async fn create(&self, request: &DynamicObject) -> Result<DynamicObject> {
        let name = request.metadata.name.as_deref().unwrap_or_default();
        self.api
            .create(&PostParams::default(), request)
            .await
            .map_err(LoadError::api(format!("create CertificateRequest {name}")))
    }

    /// Approves a request, as an approver does.
    #[expect(clippy::disallowed_methods, reason = "the load generator plays the approver")]
    pub async fn approve(&self, name: &str) -> Result<DynamicObject> {
        let params = PatchParams::apply("issue-load-approver").force();
        self.api
            .patch_status(name, &params, &Patch::Apply(approval(name)))
            .await
            .map_err(LoadError::api(format!("approve CertificateRequest {name}")))
    }

    /// Writes the canned status of the null writer.
    #[expect(
        clippy::disallowed_methods,
        reason = "the load generator plays an issuer that does nothing else"
    )]
    pub async fn write(&self, request: &DynamicObject, canned: &Canned, write: Write) -> Result<()> {
        let name = request.metadata.name.as_deref().unwrap_or_default();
        let written = match write {
            Write::Apply => {
                let params = PatchParams::apply("issue-load-null").force();
                self.api.patch_status(name, &params, &Patch::Apply(canned.apply(request))).await
            }
            Write::Update => {
                self.api.replace_status(name, &PostParams::default(), &canned.update(request)).await
            }
        };
        written.map(drop).map_err(LoadError::api(format!("write the status of CertificateRequest {name}")))
    }

    /// Deletes a request; one that is gone is no error.
    pub async fn delete(&self, name: &str) -> Result<()> {
        match self.api.delete(name, &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(LoadError::api(format!("delete CertificateRequest {name}"))(error)),
        }
    }
}
