//! What users make: Certificates and requests. What `cmctl` does to them: renew, approve, deny.

use anyhow::ensure;
use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use sim_cert_manager::api::{Condition, ConditionStatus, GoDuration};

use super::{Csr, World};
use crate::Result;
use crate::api::{
    Certificate, CertificatePrivateKey, CertificateRequest, CertificateRequestSpec, CertificateSpec,
    IssuerReference,
};

impl World {
    /// A Certificate as most users would write it: one DNS name, one day, an ECDSA key, and a Secret of its own
    /// name.
    pub async fn certificate(&self, name: &str, issuer: &IssuerReference) -> Result<Certificate> {
        self.certificate_with(name, issuer, |_| {}).await
    }

    /// [`World::certificate`], changed.
    pub async fn certificate_with(
        &self,
        name: &str,
        issuer: &IssuerReference,
        change: impl FnOnce(&mut CertificateSpec),
    ) -> Result<Certificate> {
        let mut spec = CertificateSpec {
            secret_name: name.to_owned(),
            issuer_ref: sim_cert_manager::api::IssuerReference {
                name: issuer.name.clone(),
                kind: issuer.kind.clone(),
                group: issuer.group.clone(),
            },
            common_name: format!("{name}.example.com"),
            dns_names: vec![format!("{name}.example.com")],
            duration: Some(GoDuration::from_hours(24)),
            private_key: Some(key("ECDSA", 256, "Always")),
            ..CertificateSpec::default()
        };
        change(&mut spec);
        let api = self.api::<Certificate>();
        Ok(api
            .patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(&Certificate::new(name, spec)))
            .await?)
    }

    /// What `cmctl renew` does: says in the Certificate's status that it is to be issued.
    #[expect(clippy::disallowed_methods, reason = "the suite plays cmctl")]
    pub async fn renew(&self, name: &str) -> Result {
        let now = self.now();
        let api = self.api::<Certificate>();
        loop {
            let mut certificate = api.get(name).await?;
            let issuing = Condition {
                last_transition_time: Some(now),
                observed_generation: certificate.metadata.generation,
                ..Condition::new(
                    "Issuing",
                    ConditionStatus::True,
                    "ManuallyTriggered",
                    "Certificate re-issuance manually triggered".to_owned(),
                )
            };
            let status = certificate.status.get_or_insert_default();
            status.conditions.retain(|condition| condition.type_ != "Issuing");
            status.conditions.push(issuing);
            match api.replace_status(name, &PostParams::default(), &certificate).await {
                // cert-manager wrote in between.
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                other => return Ok(other.map(drop)?),
            }
        }
    }

    /// A request made without cert-manager's help, as other tools make them.
    pub async fn request(
        &self,
        name: &str,
        issuer: &IssuerReference,
        csr: &Csr,
    ) -> Result<CertificateRequest> {
        self.request_with(name, issuer, csr.pem.as_bytes(), |_| {}).await
    }

    /// [`World::request`], with any bytes and a changed spec.
    pub async fn request_with(
        &self,
        name: &str,
        issuer: &IssuerReference,
        csr: &[u8],
        change: impl FnOnce(&mut CertificateRequestSpec),
    ) -> Result<CertificateRequest> {
        let mut spec = CertificateRequestSpec {
            issuer_ref: issuer.clone(),
            request: ByteString(csr.to_vec()),
            duration: Some("24h".to_owned()),
            ..CertificateRequestSpec::default()
        };
        change(&mut spec);
        let request = CertificateRequest::new(name, spec);
        Ok(self.api::<CertificateRequest>().create(&PostParams::default(), &request).await?)
    }

    /// Approves a request, as `cmctl approve` does.
    pub async fn approve(&self, name: &str) -> Result {
        self.decide(name, "Approved").await
    }

    /// Denies a request, as `cmctl deny` does.
    pub async fn deny(&self, name: &str) -> Result {
        self.decide(name, "Denied").await
    }

    #[expect(clippy::disallowed_methods, reason = "the suite plays the approver")]
    async fn decide(&self, name: &str, type_: &str) -> Result {
        let now = self.now();
        let condition = json!({
            "type": type_, "status": "True", "reason": "e2e", "message": "decided by the suite",
            "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        let body = json!({
            "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": name}, "status": {"conditions": [condition]},
        });
        let params = PatchParams::apply("e2e-approver").force();
        self.api::<CertificateRequest>().patch_status(name, &params, &Patch::Apply(body)).await?;
        Ok(())
    }

    /// The requests that cert-manager made for a Certificate, the oldest revision first.
    pub async fn requests_of(&self, certificate: &str) -> Result<Vec<CertificateRequest>> {
        let annotation = |request: &CertificateRequest, key: &str| {
            request.metadata.annotations.as_ref().and_then(|all| all.get(key).cloned()).unwrap_or_default()
        };
        let all = self.api::<CertificateRequest>().list(&kube::api::ListParams::default()).await?;
        let mut ours: Vec<CertificateRequest> = all
            .into_iter()
            .filter(|request| annotation(request, "cert-manager.io/certificate-name") == certificate)
            .collect();
        ours.sort_by_key(|request| {
            annotation(request, "cert-manager.io/certificate-revision").parse::<u64>().unwrap_or_default()
        });
        Ok(ours)
    }

    /// The one request of a Certificate.
    pub async fn request_of(&self, certificate: &str) -> Result<CertificateRequest> {
        let mut all = self.requests_of(certificate).await?;
        ensure!(all.len() == 1, "Certificate {certificate} has {} CertificateRequests", all.len());
        Ok(all.remove(0))
    }
}

/// `spec.privateKey` of a Certificate; a size of 0 leaves it to cert-manager.
#[must_use]
pub fn key(algorithm: &str, size: u32, rotation_policy: &str) -> CertificatePrivateKey {
    CertificatePrivateKey {
        algorithm: algorithm.to_owned(),
        size,
        rotation_policy: rotation_policy.to_owned(),
        ..CertificatePrivateKey::default()
    }
}
