//! Permissions that a scenario takes away and gives back.

use std::future::Future;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::Value;

use super::{SOON, World, lock};
use crate::Result;
use crate::manifest;

/// Of deploy/rbac.
const APPROVER: &str = "external-issuer-approver";
/// Of deploy/rbac/tenant.
const TENANT: &str = "external-issuer-controller";

impl World {
    /// Runs `scenario` while cert-manager's approver may not approve for our issuers. Only for a scenario that
    /// runs alone.
    pub async fn while_nobody_may_approve(&self, scenario: impl Future<Output = Result>) -> Result {
        let bindings: Api<ClusterRoleBinding> = self.cluster_api();
        let binding = bindings.get(APPROVER).await?;
        *lock(&self.withdrawn) = Some(binding);
        bindings.delete(APPROVER, &DeleteParams::default()).await?;
        self.approver_is_allowed(false).await?;

        let ended = scenario.await;
        ended.and(self.give_back().await)
    }

    /// Gives back what [`World::while_nobody_may_approve`] took, unless it has.
    pub(super) async fn give_back(&self) -> Result {
        let Some(mut binding) = lock(&self.withdrawn).take() else { return Ok(()) };
        binding.metadata.resource_version = None;
        binding.metadata.uid = None;
        binding.metadata.managed_fields = None;
        let bindings: Api<ClusterRoleBinding> = self.cluster_api();
        match bindings.create(&PostParams::default(), &binding).await {
            // It was never taken.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => drop(other?),
        }
        self.approver_is_allowed(true).await
    }

    /// Waits until the API server knows about the change of cert-manager's permission.
    async fn approver_is_allowed(&self, wanted: bool) -> Result {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some("system:serviceaccount:cert-manager:cert-manager".to_owned()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some("cert-manager.io".to_owned()),
                    resource: Some("signers".to_owned()),
                    verb: Some("approve".to_owned()),
                    name: Some("externalissuers.external-issuer.io/*".to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = self.cluster_api();
        self.eventually("cert-manager's permission to approve", SOON, async || {
            let answer = reviews.create(&PostParams::default(), &review).await?;
            let allowed = answer.status.is_some_and(|status| status.allowed);
            Ok(if allowed == wanted { Ok(()) } else { Err(format!("allowed: {allowed}")) })
        })
        .await
    }

    /// Takes away the controller's permission to read the scenario's ConfigMaps and Secrets.
    pub async fn withdraw_tenant_role(&self) -> Result {
        self.api::<Role>().delete(TENANT, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Lets the controller read the ConfigMaps and Secrets of a namespace, as a tenant's administrator would.
    pub async fn grant_tenant_role(&self, namespace: &str) -> Result {
        for document in &self.ground.tenant_role {
            let mut document = document.clone();
            if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("namespace".to_owned(), serde_json::json!(namespace));
            }
            manifest::apply(&self.client, document, namespace).await?;
        }
        Ok(())
    }
}
