//! Wrapped answers, and a server that is sealed and unsealed, as in the real product.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step of a test is a failed test")]

use crate::common::{Answer, Real, Vault, bao, mock};
use serde_json::{Value, json};

#[tokio::test]
async fn a_wrapped_answer_comes_once_and_a_sealed_server_opens_with_its_key() {
    let (running, _) = mock().await;
    let told = tell(&Vault::new(running.url("vault"), "root"), &running.unseal_key).await;
    let status = |asked: &str| told[asked][0].clone();
    assert_eq!((status("unwrap"), status("unwrap twice")), (json!(200), json!(400)));
    assert_eq!((status("sealed: lookup-self"), status("unsealed: lookup-self")), (json!(503), json!(200)));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrapping_and_sealing_are_as_in_the_real_product() {
    let Some(binary) = bao() else { return };
    let real = Real::start(&binary).await;
    let (running, _) = mock().await;
    let key = real.unseal_key().await;
    let real = tell(&Vault::new(&real.address, "root"), &key).await;
    let mock = tell(&Vault::new(running.url("vault"), "root"), &running.unseal_key).await;
    let differ = real.as_object().unwrap().iter().filter(|(asked, said)| **said != mock[*asked]);
    let differ: Vec<String> =
        differ.map(|(asked, said)| format!("{asked}\n  real: {said}\n  mock: {}", mock[asked])).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

async fn tell(vault: &Vault, key: &str) -> Value {
    let mut told = json!({});
    let wrap = async |path: &str, body: Value, ttl: &str| {
        let request = vault.client.post(format!("{}/v1/{path}", vault.base)).json(&body);
        let request = request.header("x-vault-token", "root").header("x-vault-wrap-ttl", ttl);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
    };
    let token_of =
        |answer: &Answer| answer.json()["wrap_info"]["token"].as_str().unwrap_or_default().to_owned();
    let wrapped = wrap("auth/token/create", json!({ "policies": "default" }), "60s").await;
    note(&mut told, "wrapped", &wrapped);
    let token = token_of(&wrapped);
    note(&mut told, "lookup", &vault.write("sys/wrapping/lookup", json!({ "token": token })).await);
    note(&mut told, "unwrap", &vault.with_token(Some(&token)).write("sys/wrapping/unwrap", json!({})).await);
    note(
        &mut told,
        "unwrap twice",
        &vault.with_token(Some(&token)).write("sys/wrapping/unwrap", json!({})).await,
    );
    note(&mut told, "lookup too late", &vault.write("sys/wrapping/lookup", json!({ "token": token })).await);
    let second = token_of(&wrap("auth/token/create", json!({}), "5m").await);
    note(&mut told, "unwrap by body", &vault.write("sys/wrapping/unwrap", json!({ "token": second })).await);
    note(&mut told, "ttl of words", &wrap("auth/token/create", json!({}), "soon").await);
    note(&mut told, "no answer to wrap", &wrap("sys/policies/acl/p", json!({ "policy": "" }), "60s").await);
    note(&mut told, "an empty list", &vault.call("LIST", "sys/namespaces", None).await);
    note(&mut told, "no token", &vault.with_token(None).write("sys/wrapping/lookup", json!({})).await);

    let nobody = vault.with_token(None);
    note(&mut told, "seal without a token", &nobody.call("PUT", "sys/seal", None).await);
    note(&mut told, "init again", &nobody.call("PUT", "sys/init", Some(json!({ "secret_shares": 1 }))).await);
    note(&mut told, "seal", &vault.call("PUT", "sys/seal", None).await);
    for path in ["sys/health", "sys/seal-status", "sys/leader", "sys/init"] {
        note(&mut told, &format!("sealed: {path}"), &nobody.read(path).await);
    }
    note(&mut told, "sealed: lookup-self", &vault.read("auth/token/lookup-self").await);
    for (what, body) in [
        ("no key", json!({})),
        ("a key of words", json!({ "key": "open sesame!" })),
        ("a short key", json!({ "key": "AAAA" })),
        ("a wrong key", json!({ "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" })),
        ("reset", json!({ "reset": true })),
    ] {
        note(&mut told, &format!("unseal: {what}"), &nobody.call("PUT", "sys/unseal", Some(body)).await);
    }
    note(&mut told, "unseal", &nobody.call("PUT", "sys/unseal", Some(json!({ "key": key }))).await);
    // The real one takes a moment to be itself again.
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while vault.read("sys/health").await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "it does not come back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    note(&mut told, "unsealed: lookup-self", &vault.read("auth/token/lookup-self").await);
    told
}

fn note(told: &mut Value, asked: &str, answer: &Answer) {
    let mut body = serde_json::from_slice(&answer.bytes).unwrap_or_else(|_| json!(answer.text()));
    without_values(&mut body, "");
    told[asked] = json!([answer.status, body]);
}

/// Without what differs between any two servers.
fn without_values(value: &mut Value, name: &str) {
    let differs = [
        "accessor",
        "client_token",
        "cluster_id",
        "cluster_name",
        "creation_time",
        "entity_id",
        "id",
        "issue_time",
        "nonce",
        "request_id",
        "server_time_utc",
        "token",
        "wrapped_accessor",
    ];
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| without_values(value, name)),
        Value::Array(items) => items.iter_mut().for_each(|item| without_values(item, name)),
        Value::String(text) if text.is_empty() => {}
        Value::String(_) | Value::Number(_) if differs.contains(&name) => *value = json!("<…>"),
        _ => {}
    }
}
