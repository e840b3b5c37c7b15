//! A stage with one issuer, and what is looked at.

use std::time::Duration;

use base64::Engine as _;
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use sim_stage::{Options, Stage, apply, create};
use x509::Certificate;

pub(crate) const NAMESPACE: &str = "shop";

/// Runs a test on a stage with an issuer, the clock paused.
pub(crate) fn on_stage<T>(seed: u64, test: impl AsyncFnOnce(Stage) -> T) -> T {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // Late in a second: what is tried again is tried in another one, which is what statuses count in.
        let begins: Timestamp = "2030-01-01T00:00:00.6Z".parse().unwrap();
        let stage = Stage::set(Options { seed, begins }).await.unwrap();
        stage.tenant(NAMESPACE).await.unwrap();
        apply(&stage.admin(), include_str!("../../../../fixtures/playground/issuer.yaml"), NAMESPACE)
            .await
            .unwrap();
        test(stage).await
    })
}

/// Has the issuer's PKI checked rarely: a check a minute is half a million writes in a year, and an outage is noticed by
/// the requests that meet it.
pub(crate) async fn check_rarely(stage: &Stage) {
    let rare =
        "{apiVersion: external-issuer.io/v1alpha1, kind: ExternalIssuer, metadata: {name: company-pki},
        spec: {signerType: pki, configRef: {name: pki-config}, authSecretRef: {name: pki-credentials},
            healthCheckInterval: 6h}}";
    apply(&stage.admin(), rare, NAMESPACE).await.unwrap();
}

pub(crate) async fn certificate(stage: &Stage, name: &str, duration: &str, renew_before: &str) {
    let manifest = json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": name},
        "spec": {
            "secretName": format!("{name}-tls"), "dnsNames": [format!("{name}.example.com")],
            "duration": duration, "renewBefore": renew_before,
            "privateKey": {"algorithm": "ECDSA", "size": 256},
            "issuerRef": {"group": "external-issuer.io", "kind": "ExternalIssuer", "name": "company-pki"},
        },
    });
    create(&stage.admin(), &manifest.to_string(), NAMESPACE).await.unwrap();
}

pub(crate) fn api(stage: &Stage, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(stage.admin(), NAMESPACE, &resource)
}

/// Waits until the Certificate is Ready at this revision.
pub(crate) async fn until_revision(stage: &Stage, name: &str, revision: i64) {
    let at = |object: Option<&DynamicObject>| {
        object.is_some_and(|object| {
            let status = &object.data["status"];
            let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
            status["revision"] == revision
                && status["conditions"].as_array().is_some_and(|conditions| conditions.iter().any(ready))
        })
    };
    let waited = await_condition(api(stage, "cert-manager.io", "v1", "Certificate"), name, at);
    let Ok(found) = tokio::time::timeout(Duration::from_hours(24 * 400), waited).await else {
        let found = api(stage, "cert-manager.io", "v1", "Certificate").get(name).await.unwrap();
        panic!("{name} is not Ready at revision {revision}: {}", found.data["status"]);
    };
    found.unwrap();
}

/// The leaf in the Certificate's Secret, which must answer the key beside it and be valid now.
pub(crate) async fn pair(stage: &Stage, name: &str) -> Certificate {
    let secret = api(stage, "", "v1", "Secret").get(&format!("{name}-tls")).await.unwrap();
    let leaf = leaf(name, &secret.data);
    let now = stage.clock().now();
    assert!(leaf.not_before() <= now && now < leaf.not_after(), "{name}: not valid at {now}");
    leaf
}

/// The leaf in a Secret, which must belong to the key beside it.
pub(crate) fn leaf(name: &str, secret: &Value) -> Certificate {
    let field = |key: &str| {
        let text = secret["data"][key].as_str().unwrap_or_else(|| panic!("{name}: no {key}"));
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    };
    let leaf = x509::bundle::read_certificates(&field("tls.crt")).unwrap().remove(0);
    let key = ca::SigningKey::from_pem(&field("tls.key")).unwrap();
    assert!(leaf.has_key(key.spki_der()), "{name}: key and certificate do not belong together");
    leaf
}
