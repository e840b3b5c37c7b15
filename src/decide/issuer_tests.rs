//! Which objects an issuer may refer to, and what its condition says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::issuer::*;
use super::recipe::*;
use crate::api::{IssuerKey, IssuerKind, IssuerSpec, IssuerStatus};
use crate::config::Patience;
use crate::signer::outcome::{Unhealthy, UnhealthyReason};

const CONFIG: &str = include_str!("../../fixtures/config/vault-token.yaml");

fn spec(value: Value) -> IssuerSpec {
    serde_json::from_value(value).unwrap()
}

fn namespaced() -> IssuerKey {
    IssuerKey { kind: IssuerKind::Issuer, namespace: Some("shop".into()), name: "corp".into() }
}

fn cluster() -> IssuerKey {
    IssuerKey { kind: IssuerKind::ClusterIssuer, namespace: None, name: "corp".into() }
}

fn pki() -> Value {
    json!({"signerType": "pki", "configRef": {"name": "pki"}, "authSecretRef": {"name": "vault"}})
}

fn present(entries: &[(&str, &str)]) -> Content {
    let data: BTreeMap<String, Vec<u8>> =
        entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    Content::Present(Arc::new(data))
}

/// The plan with these contents of the ConfigMap and the Secret.
fn planned(spec_: &Value, map: &Content, secret: &Content) -> Result<Recipe, Unready> {
    plan(&namespaced(), &spec(spec_.clone()), "system", |reference| match reference.kind {
        ReferenceKind::ConfigMap => map.clone(),
        ReferenceKind::Secret => secret.clone(),
    })
}

#[test]
fn an_issuer_reads_its_own_namespace_and_a_cluster_issuer_the_resource_namespace() {
    let names = |key: &IssuerKey| {
        let found = references(key, &spec(pki()), "system").unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(&namespaced()), ["ConfigMap shop/pki", "Secret shop/vault"]);
    assert_eq!(names(&cluster()), ["ConfigMap system/pki", "Secret system/vault"]);
}

#[test]
fn no_reference_field_reaches_another_namespace() {
    let fields = [
        json!({"signerType": "pki", "configRef": {"name": "pki", "namespace": "kube-system"}}),
        json!({"signerType": "pki", "configRef": {"name": "pki"},
               "authSecretRef": {"name": "vault", "namespace": "kube-system"}}),
        json!({"signerType": "mockca", "mockca": {"caSecretRef": {"name": "ca", "namespace": "kube-system"}}}),
    ];
    for field in fields {
        for key in [namespaced(), cluster()] {
            let refused = references(&key, &spec(field.clone()), "system").unwrap_err();
            assert_eq!(refused.reason, "NamespaceNotAllowed");
            assert!(refused.message.contains("kube-system"), "{}", refused.message);
        }
    }
}

#[test]
fn each_thing_that_is_missing_has_its_reason() {
    let map = present(&[("pki.yaml", CONFIG)]);
    let secret = present(&[("token", "hvs.canary")]);
    let mut without_auth = pki();
    without_auth.as_object_mut().unwrap().remove("authSecretRef");
    let told: Vec<String> = [
        planned(&pki(), &Content::Absent, &secret),
        planned(&pki(), &present(&[("other", "x"), ("more", "y")]), &secret),
        planned(&pki(), &present(&[("pki.yaml", "type: vault")]), &secret),
        planned(&pki(), &map, &Content::Absent),
        planned(&pki(), &map, &present(&[("password", "hvs.canary")])),
        planned(&pki(), &map, &Content::Unreadable("no permission".into())),
        planned(&without_auth, &map, &secret),
        planned(&json!({"signerType": "mockca", "mockca": {"caSecretRef": {"name": "ca"}}}), &map, &secret),
    ]
    .into_iter()
    .map(|plan| plan.map_or_else(|no| format!("{}: {}", no.reason, no.message), |_| "planned".to_owned()))
    .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert!(!told.concat().contains("canary"));
}

#[test]
fn a_recipe_never_shows_its_credential() {
    let recipe =
        planned(&pki(), &present(&[("pki.yaml", CONFIG)]), &present(&[("token", "hvs.canary")])).unwrap();
    assert!(!format!("{recipe:?}").contains("canary"));
    let Ingredients::Pki { credential, .. } = recipe.ingredients else { panic!() };
    assert_eq!(credential, b"hvs.canary");
    assert!(!format!("{:?}", present(&[("token", "hvs.canary")])).contains("canary"));
}

#[test]
fn the_hash_is_that_of_the_text() {
    let secret = present(&[("token", "x")]);
    let hash = |text: &str| planned(&pki(), &present(&[("pki.yaml", text)]), &secret).unwrap().config_hash;
    assert_eq!(hash(CONFIG), hash(CONFIG));
    assert_ne!(hash(CONFIG), hash(&format!("{CONFIG}\n")));
    assert_eq!(hash(CONFIG).len(), 64);
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn healthy() -> Checked {
    Checked::Asked { config_hash: "abc".into(), health: Ok(()) }
}

fn unhealthy() -> Checked {
    let health = Err(Unhealthy {
        reason: UnhealthyReason::Unavailable,
        message: "Vault is sealed".into(),
        retry_after: None,
    });
    Checked::Asked { config_hash: "abc".into(), health }
}

#[test]
fn a_healthy_pki_makes_the_issuer_ready() {
    let concluded = conclude(now(), 0.0, 2, &IssuerStatus::default(), &Patience::default(), &healthy(), 3);
    assert!(concluded.ready && concluded.changed);
    assert_eq!(concluded.check_again, Some(now() + SignedDuration::from_secs(60)));
    insta::assert_json_snapshot!(concluded.write);
}

#[test]
fn an_unhealthy_pki_is_looked_for_more_often() {
    let patience = Patience::default();
    let concluded = conclude(now(), 0.0, 2, &IssuerStatus::default(), &patience, &unhealthy(), 0);
    assert!(!concluded.ready);
    assert!(concluded.check_again.unwrap() < now() + SignedDuration::from_secs(2));
    let later = conclude(now(), 1.0, 2, &IssuerStatus::default(), &patience, &unhealthy(), 90);
    assert_eq!(later.check_again, Some(now() + SignedDuration::from_secs(60)));
}

proptest! {
    #[test]
    fn the_same_answer_writes_nothing_but_the_time_of_the_check(seconds in 0_i64..600, well in any::<bool>()) {
        let checked = if well { healthy() } else { unhealthy() };
        let patience = Patience::default();
        let first = conclude(now(), 0.5, 2, &IssuerStatus::default(), &patience, &checked, 0).write.unwrap();
        let then = now() + SignedDuration::from_secs(seconds);
        let again = conclude(then, 0.5, 2, &first, &patience, &checked, 0);
        prop_assert!(!again.changed);
        prop_assert_eq!(again.write.is_some(), seconds >= 60);
        if let Some(status) = again.write {
            prop_assert_eq!(status.conditions, first.conditions);
        }
    }

    #[test]
    fn a_check_never_comes_too_often(failures in 0_u32..100, jitter in 0.0_f64..1.0, asked in 0_u64..10_000) {
        let health = Err(Unhealthy {
            reason: UnhealthyReason::Unavailable, message: String::new(),
            retry_after: Some(Duration::from_secs(asked)),
        });
        let checked = Checked::Asked { config_hash: "abc".into(), health };
        let concluded = conclude(now(), jitter, 2, &IssuerStatus::default(), &Patience::default(), &checked, failures);
        let wait = concluded.check_again.unwrap().duration_since(now());
        prop_assert!(wait >= SignedDuration::from_millis(500));
        prop_assert!(wait >= SignedDuration::from_secs(asked.min(3600).try_into().unwrap()));
    }
}
