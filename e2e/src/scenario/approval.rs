//! No approval, no signature.

use anyhow::ensure;
use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::world::{Csr, Kind, LONG, World};

scenarios!("approval":
    alone a_request_that_nobody_approves_says_why_and_is_signed_once_it_is_approved,
    alone a_denied_request_is_denied_and_never_signed,
    alone a_denied_certificate_fails_and_leaves_no_secret,
);

async fn a_request_that_nobody_approves_says_why_and_is_signed_once_it_is_approved(world: &World) -> Result {
    world.while_nobody_may_approve(Box::pin(async {
        for kind in Kind::BOTH {
            let issuer = world.issuer(kind, "mock", json!({"signerType": "mockca"})).await?;
            world.issuer_ready(&issuer).await?;
            world.certificate(&kind.as_str().to_ascii_lowercase(), &issuer.reference()).await?;
        }
        for kind in Kind::BOTH {
            let name = kind.as_str().to_ascii_lowercase();
            let request = format!("{name}-1");
            let signer = match kind {
                Kind::Issuer => format!("externalissuers.external-issuer.io/{}.mock", world.namespace),
                Kind::ClusterIssuer => format!("externalclusterissuers.external-issuer.io/{}-mock", world.namespace),
            };
            let waiting = world.until_there(&request).await?;
            let told = format!(
                "Normal WaitingForApproval: Not signing CertificateRequest until it is Approved. If nobody approves \
                 it: run `cmctl approve`, or let cert-manager approve requests for {} with a ClusterRole that grants \
                 verb approve on signers.cert-manager.io with resourceName {signer}, bound to cert-manager's \
                 ServiceAccount",
                kind.as_str(),
            );
            world.events_are_within(&waiting, &[&told], LONG).await?;
            // Nothing of ours is on the object, and nothing was sent.
            world.request_says(&request, &[]).await?;
            world.status_writes_are(&request, 0).await?;

            world.approve(&request).await?;
            world.certificate_ready(&name).await?;
            world.pair(&name).await?.judge()?;
            world
                .request_says(&request, &["Approved True/e2e: …", "Ready True/Issued: certificate issued: …"])
                .await?;
            world.events_are(&waiting, &[&told, "Normal Issued: certificate issued: …"]).await?;
        }
        Ok(())
    }))
    .await
}

const DENIED: [&str; 2] =
    ["Denied True/e2e: …", "Ready False/Denied: The CertificateRequest was denied by an approval controller"];

async fn a_denied_request_is_denied_and_never_signed(world: &World) -> Result {
    world
        .while_nobody_may_approve(Box::pin(async {
            let issuer = world.issuer(Kind::Issuer, "mock", json!({"signerType": "mockca"})).await?;
            world.issuer_ready(&issuer).await?;
            let csr = Csr::of(&["denied.example.com"])?;
            // A request is denied whatever becomes of its issuer.
            let missing = world.issuer_named(Kind::ClusterIssuer, "missing");
            for (name, issuer) in [("denied", &issuer), ("denied-without-an-issuer", &missing)] {
                world.request(name, &issuer.reference(), &csr).await?;
                world.deny(name).await?;
                let request = world.request_says(name, &DENIED).await?;
                let status = request.status.clone().unwrap_or_default();
                let created = request.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
                ensure!(
                    status.failure_time.map(jiff::Timestamp::as_second) >= created.map(|second| second + 1),
                    "failureTime {:?} is not after the creation {created:?}",
                    status.failure_time
                );
                ensure!(
                    status.certificate.is_none() && status.ca.is_none(),
                    "a denied request has a certificate"
                );
                world.status_writes_are(name, 1).await?;
                world
                    .events_are(
                        &request,
                        &["Warning Denied: an approval controller denied the request; it will not be signed"],
                    )
                    .await?;
            }
            Ok(())
        }))
        .await
}

async fn a_denied_certificate_fails_and_leaves_no_secret(world: &World) -> Result {
    world.while_nobody_may_approve(Box::pin(async {
        let issuer = world.issuer(Kind::Issuer, "mock", json!({"signerType": "mockca"})).await?;
        world.certificate("denied", &issuer.reference()).await?;
        world.until_there("denied-1").await?;
        world.deny("denied-1").await?;
        world.request_says("denied-1", &DENIED).await?;
        world
            .certificate_says(
                "denied",
                "Issuing",
                "Issuing False/e2e: The certificate request has failed to complete and will be retried: decided by the \
                 suite",
            )
            .await?;
        world.no_pair("denied").await
    }))
    .await?;
    // Tried again and approved, it is issued.
    world.certificate_ready("denied").await.map(drop)
}
