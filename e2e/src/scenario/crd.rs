//! What the API server itself says about our issuers: the CRD's rules and its printer columns.

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::scenarios;
use crate::Result;
use crate::world::{Kind, World};

scenarios!("crd":
    beside every_contradiction_in_an_issuer_is_refused_with_its_message,
    beside an_issuer_that_names_another_namespace_never_reads_it,
    beside every_printer_column_says_what_its_title_promises,
);

/// A spec, and what is wrong with it.
const CONTRADICTIONS: [(&str, &str); 11] = [
    (
        r#"{"signerType": "pki"}"#,
        "signerType pki needs configRef: the ConfigMap with the PKI's configuration",
    ),
    (
        r#"{"signerType": "pki", "configRef": {"name": "c"}, "mockca": {}}"#,
        "mockca is only for signerType mockca: remove it, or change signerType",
    ),
    (
        r#"{"signerType": "mockca", "configRef": {"name": "c"}}"#,
        "configRef is only for signerType pki: a mock CA has no PKI configuration",
    ),
    (
        r#"{"signerType": "mockca", "authSecretRef": {"name": "c"}}"#,
        "authSecretRef is only for signerType pki: a mock CA needs no credentials",
    ),
    (
        r#"{"signerType": "mockca", "mockca": {"keyAlgorithm": "ed25519", "caSecretRef": {"name": "c"}}}"#,
        "keyAlgorithm and caSecretRef exclude each other: the Secret's own key decides",
    ),
    (
        r#"{"signerType": "mockca", "revokeUnused": true}"#,
        "revokeUnused is only for signerType pki: a mock CA revokes nothing",
    ),
    (r#"{"signerType": "automatic"}"#, "spec.signerType: Unsupported value"),
    (r#"{"mockca": {}}"#, "spec.signerType: Required value"),
    (r#"{"signerType": "pki", "configRef": {"name": ""}}"#, "spec.configRef.name"),
    (r#"{"signerType": "mockca", "pollInterval": "soon"}"#, "spec.pollInterval"),
    (
        r#"{"signerType": "mockca", "mockca": {"keyAlgorithm": "dsa"}}"#,
        "spec.mockca.keyAlgorithm: Unsupported value",
    ),
];

/// These hold for the namespaced kind only.
const NAMESPACES: [(&str, &str); 3] = [
    (
        r#"{"signerType": "pki", "configRef": {"name": "c", "namespace": "other"}}"#,
        "spec.configRef.namespace: an ExternalIssuer reads the ConfigMap of its own namespace; remove the field, or use an ExternalClusterIssuer",
    ),
    (
        r#"{"signerType": "pki", "configRef": {"name": "c"}, "authSecretRef": {"name": "s", "namespace": "other"}}"#,
        "spec.authSecretRef.namespace: an ExternalIssuer reads the Secret of its own namespace; remove the field, or use an ExternalClusterIssuer",
    ),
    (
        r#"{"signerType": "mockca", "mockca": {"caSecretRef": {"name": "s", "namespace": "other"}}}"#,
        "spec.mockca.caSecretRef.namespace: an ExternalIssuer reads the Secret of its own namespace; remove the field, or use an ExternalClusterIssuer",
    ),
];

async fn every_contradiction_in_an_issuer_is_refused_with_its_message(world: &World) -> Result {
    for kind in Kind::BOTH {
        for (spec, message) in CONTRADICTIONS {
            refused(world, kind, spec, message).await?;
        }
    }
    for (spec, message) in NAMESPACES {
        refused(world, Kind::Issuer, spec, message).await?;
    }
    // The cluster kind may name a namespace; which one, the controller judges.
    for (spec, _) in NAMESPACES {
        let name = format!("named-{}", spec.len());
        world.issuer(Kind::ClusterIssuer, &name, serde_json::from_str(spec)?).await?;
    }
    Ok(())
}

async fn refused(world: &World, kind: Kind, spec: &str, message: &str) -> Result {
    let value: Value = serde_json::from_str(spec)?;
    match world.issuer(kind, "contradiction", value).await {
        Ok(_) => bail!("{} {spec} was accepted", kind.as_str()),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(text.contains(message), "{} {spec}: {text}\nshould say: {message}", kind.as_str());
            Ok(())
        }
    }
}

async fn an_issuer_that_names_another_namespace_never_reads_it(world: &World) -> Result {
    // An ExternalClusterIssuer may only name the cluster resource namespace; this one names a tenant's.
    let vault = world.pkis().openbao().await?.by_token().await?;
    world.vault_settings(Kind::Issuer, &vault).await?;
    let spec = json!({
        "signerType": "pki",
        "configRef": {"name": world.config_name(Kind::Issuer), "namespace": world.namespace},
        "authSecretRef": {"name": world.credential_name(Kind::Issuer), "namespace": world.namespace},
    });
    let issuer = world.issuer(Kind::ClusterIssuer, "thief", spec).await?;
    let told = format!(
        "Ready False/NamespaceNotAllowed: spec.configRef names namespace {}: an ExternalClusterIssuer reads the \
         cluster resource namespace {} only",
        world.namespace, world.system
    );
    world.issuer_says(&issuer, &told).await?;
    let reads = world.controller_calls(|call| ["configmaps", "secrets"].contains(&call.resource.as_str()))?;
    ensure!(reads.is_empty(), "the controller read in a tenant's namespace: {reads:#?}");
    Ok(())
}

async fn every_printer_column_says_what_its_title_promises(world: &World) -> Result {
    for kind in Kind::BOTH {
        let good = world.issuer(kind, "good", json!({"signerType": "mockca"})).await?;
        let bad = world
            .issuer(kind, "bad", json!({"signerType": "pki", "configRef": {"name": "pki-config"}}))
            .await?;
        world.issuer_ready(&good).await?;
        world.issuer_says(&bad, "Ready False/ConfigMapNotFound: …").await?;
        let rows = [(&good, ["True", "Checked", "mockca"]), (&bad, ["False", "ConfigMapNotFound", "pki"])];
        for (issuer, wanted) in rows {
            let (titles, cells) = world.printed(issuer).await?;
            ensure!(titles == ["Name", "Ready", "Reason", "Type", "Age"], "{titles:?}");
            ensure!(
                cells.get(1..4) == Some(&wanted.map(str::to_owned)[..]),
                "{cells:?} instead of {wanted:?}"
            );
            let age = cells.last().cloned().unwrap_or_default();
            ensure!(age.ends_with(['s', 'm']), "an age of {age}");
        }
    }
    Ok(())
}
