//! cert-manager's own Vault issuer beside ours: it issues from mock-pki, which shows that mock-pki speaks Vault,
//! and we leave its requests alone.

use anyhow::ensure;
use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::api::IssuerReference;
use crate::world::{Kind, World};

scenarios!("in_tree":
    beside cert_managers_own_vault_issuer_issues_from_mock_pki_and_we_leave_it_alone,
);

async fn cert_managers_own_vault_issuer_issues_from_mock_pki_and_we_leave_it_alone(world: &World) -> Result {
    let pki = world.pkis().mock().await?;
    let vault = pki.vault.by_token().await?;
    let (key, token) = vault.credential();
    world.credential(Kind::Issuer, key, token).await?;
    world
        .apply(json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "vault"},
            "spec": {"vault": {
                "server": vault.url, "path": vault.path,
                "auth": {"tokenSecretRef": {"name": world.credential_name(Kind::Issuer), "key": key}},
            }},
        }))
        .await?;
    let reference = IssuerReference {
        name: "vault".to_owned(),
        kind: "Issuer".to_owned(),
        group: "cert-manager.io".to_owned(),
    };
    // Ours has the same name, and is not meant.
    world.issuer(Kind::Issuer, "vault", json!({"signerType": "mockca"})).await?;
    world.certificate("in-tree", &reference).await?;
    world.certificate_ready("in-tree").await?;
    let leaf = world.pair("in-tree").await?.judge()?;
    pki.issued_once("in-tree.example.com", &leaf).await?;
    let request = world.request_of("in-tree").await?;
    let name = request.metadata.name.clone().unwrap_or_default();
    world
        .request_says(
            &name,
            &[
                "Approved True/cert-manager.io: …",
                "Ready True/Issued: Certificate fetched from issuer successfully",
            ],
        )
        .await?;
    let touched = world.controller_calls(|call| call.name == name)?;
    ensure!(touched.is_empty(), "not ours, and yet touched: {touched:#?}");
    world.events_are(&request, &[]).await?;
    Ok(())
}
