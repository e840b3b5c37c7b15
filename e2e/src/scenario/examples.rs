//! The examples that we ship, applied as they are but for addresses and credentials. Their names are fixed, so no two
//! runs stand beside each other.

use anyhow::{bail, ensure};

use super::scenarios;
use crate::Result;
use crate::pki::Login;
use crate::world::{Authority, World};

scenarios!("examples":
    alone every_example_that_we_ship_issues,
);

async fn every_example_that_we_ship_issues(world: &World) -> Result {
    world.apply_example("mockca-issuer.yaml", &[]).await?;
    issued(world, "mock-example").await?;

    let authority = Authority::new("Mock CA")?;
    world.shared_secret("mock-ca", &authority.secret()).await?;
    world.apply_example("mockca-cluster-issuer.yaml", &[]).await?;
    issued(world, "mock-cluster-example").await?;

    let pki = world.pkis().mock().await?;
    let address = "https://vault.example.com:8200";
    let vault = pki.vault.by_token().await?;
    let (_, token) = vault.credential();
    world.keep_secret(token);
    world.apply_example("vault-token.yaml", &[(address, &vault.url), ("put-the-token-here", token)]).await?;
    issued(world, "vault-token-example").await?;

    let vault = pki.vault.by_app_role().await?;
    let Login::AppRole { role_id, secret_id } = &vault.login else { bail!("no AppRole: {:?}", vault.login) };
    world.keep_secret(secret_id);
    world
        .apply_example(
            "vault-approle.yaml",
            &[
                (address, &vault.url),
                ("put-the-role-id-here", role_id),
                ("put-the-secret-id-here", secret_id),
            ],
        )
        .await?;
    issued(world, "vault-approle-example").await
}

async fn issued(world: &World, certificate: &str) -> Result {
    world.certificate_ready(certificate).await?;
    let leaf = world.pair(&format!("{certificate}-tls")).await?.judge()?;
    ensure!(leaf.subject_alt_names == "DNS:app.example.com", "{certificate}: {}", leaf.subject_alt_names);
    let request = world.request_of(certificate).await?;
    world
        .request_says(
            request.metadata.name.as_deref().unwrap_or_default(),
            &["Approved True/cert-manager.io: …", "Ready True/Issued: certificate issued: …"],
        )
        .await
        .map(drop)
}
