//! Snapshots, export and import, and the state directory.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step of a test is a failed test")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use common::{Vault, certificate, csr, mock, mock_with};
use mock_pki::{
    Fault,
    client::{ClockChange, Control},
    server::{self, Config},
};
use serde_json::{Value, json};

/// Does a bit of everything that is to be kept; gives a token that may sign, and what an AppRole logs in with.
async fn populate(vault: &Vault, control: &Control) -> (String, Value) {
    let write = async |path: &str, body: Value| {
        let answer = vault.write(path, body).await;
        assert!(answer.status < 300, "{path}: {}", answer.text());
        if answer.bytes.is_empty() { Value::Null } else { answer.json() }
    };
    write("sys/mounts/pki_own", json!({ "type": "pki", "config": { "max_lease_ttl": "87600h" } })).await;
    write("pki_own/root/generate/internal", json!({ "common_name": "Own", "key_type": "ec" })).await;
    write("pki_own/config/urls", json!({ "issuing_certificates": "http://pki.example.com/ca" })).await;
    write("pki_own/roles/app", json!({ "allow_any_name": true, "key_type": "any", "ttl": "24h" })).await;
    write("pki_own/intermediate/generate/internal", json!({ "common_name": "Waits", "key_type": "ec" }))
        .await;
    write(
        "sys/policies/acl/signer",
        json!({ "policy": "path \"pki_own/sign/app\" { capabilities = [\"update\"] }" }),
    )
    .await;
    for method in ["approle", "userpass", "kubernetes", "cert"] {
        write(&format!("sys/auth/{method}"), json!({ "type": method })).await;
    }
    write("auth/approle/role/r", json!({ "token_policies": "signer" })).await;
    let role_id = vault.read("auth/approle/role/r/role-id").await.json()["data"]["role_id"].clone();
    let secret_id = write("auth/approle/role/r/secret-id", json!({})).await["data"]["secret_id"].clone();
    write("auth/userpass/users/u", json!({ "password": "a secret word", "token_policies": "signer" })).await;
    let token = write("auth/token/create", json!({ "policies": ["signer"] })).await;
    let one = write("pki_int/sign/web", json!({ "csr": csr("one.example.com").0 })).await;
    write("pki_own/sign/app", json!({ "csr": csr("two.example.com").0 })).await;
    write("pki_int/revoke", json!({ "serial_number": one["data"]["serial_number"] })).await;
    control.install(Fault::new("status").on_path("/leader").times(3)).await.unwrap().keep();
    vault.read("sys/leader").await;
    let token = token["auth"]["client_token"].as_str().unwrap().to_owned();
    (token, json!({ "role_id": role_id, "secret_id": secret_id }))
}

/// That it is all there, and goes on.
async fn look(vault: &Vault, control: &Control, (token, approle): &(String, Value)) {
    let ledger = control.ledger().await.unwrap();
    let names: Vec<_> = ledger.iter().filter_map(|issued| issued.common_name.as_deref()).collect();
    assert_eq!(names[..2], ["one.example.com", "two.example.com"]);
    assert!(ledger[0].revoked_at.is_some() && ledger[1].revoked_at.is_none());
    assert!(control.certificate(&ledger[1].serial).await.unwrap().pem.starts_with("-----BEGIN"));
    let own = vault.with_token(Some(token));
    let signed = own.write("pki_own/sign/app", json!({ "csr": csr("three.example.com").0 })).await;
    assert_eq!(signed.status, 200, "{}", signed.text());
    let issuer = vault.read("pki_own/cert/ca").await.json()["data"]["certificate"].clone();
    let issuer = x509::bundle::read_certificates(issuer.as_str().unwrap().as_bytes()).unwrap().remove(0);
    assert!(certificate(&signed).is_signed_by(&issuer));
    assert_eq!(own.write("pki_int/sign/web", json!({})).await.status, 403);
    assert_eq!(vault.write("auth/approle/login", approle.clone()).await.status, 200);
    let login = vault.write("auth/userpass/login/u", json!({ "password": "a secret word" })).await;
    assert_eq!(login.status, 200, "{}", login.text());
    let revoked = vault.call("LIST", "pki_int/certs/revoked", None).await.json();
    assert_eq!(revoked["data"]["keys"].as_array().unwrap().len(), 1);
    let faults = control.faults().await.unwrap();
    assert_eq!((faults[0].fault.kind.as_str(), faults[0].applied), ("status", 1));
    let auths = vault.read("sys/auth").await.json()["data"].clone();
    assert!(auths["kubernetes/"].is_object() && auths["cert/"].is_object());
    assert!(control.journal().await.unwrap().iter().any(|entry| entry.status == Some(503)));
}

#[tokio::test]
async fn a_snapshot_brings_everything_back() {
    let (running, control) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let known = populate(&vault, &control).await;
    let taken = control.take_snapshot("before").await.unwrap();
    assert_eq!((taken.name.as_str(), taken.issued), ("before", 2));
    let crl = vault.read("pki_int/crl/pem").await;
    control.reset().await.unwrap();
    assert_eq!(vault.read("pki_own/cert/ca").await.status, 404);
    control.change_clock(&ClockChange { stopped: Some(true), ..ClockChange::default() }).await.unwrap();
    control.restore_snapshot("before").await.unwrap();
    assert!(!control.clock().await.unwrap().stopped, "the clock is part of it");
    let again = vault.read("pki_int/crl/pem").await;
    assert_eq!(signed_part(&again.bytes), signed_part(&crl.bytes));
    look(&vault, &control, &known).await;
    assert_eq!(control.snapshots().await.unwrap(), [taken]);
    control.restore_snapshot("before").await.unwrap();
    look(&vault, &control, &known).await;
    control.forget_snapshot("before").await.unwrap();
    let absent = control.restore_snapshot("before").await.unwrap_err().to_string();
    assert!(absent.contains("404") && absent.contains("no snapshot"), "{absent}");
}

/// What is signed of a list: number, times, entries. The signature itself is as it falls.
fn signed_part(pem: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(pem);
    let der = x509::pem::blocks(&text).next().unwrap().unwrap().decode().unwrap();
    // Both are sequences, whose lengths have one byte, or as many as their first says.
    let head = |der: &[u8]| if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) };
    let inner = &der[head(&der)..];
    let length = if inner[1] < 0x80 {
        usize::from(inner[1])
    } else {
        inner[2..head(inner)].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    };
    inner[..head(inner) + length].to_vec()
}

#[tokio::test]
async fn a_document_makes_another_mock_the_same() {
    let (running, control) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let known = populate(&vault, &control).await;
    let document = control.export(true).await.unwrap();
    let (other, other_control) = mock().await;
    other_control.import(&document).await.unwrap();
    look(&Vault::new(other.url("vault"), "root"), &other_control, &known).await;
    assert_eq!(other_control.root_ca().await.unwrap(), control.root_ca().await.unwrap());
}

#[tokio::test]
async fn without_secrets_a_document_has_none_and_is_for_the_same_cas() {
    let (running, control) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let (token, approle) = populate(&vault, &control).await;
    let document = control.export(false).await.unwrap();
    let text = document.to_string();
    for secret in ["PRIVATE KEY", token.as_str(), approle["secret_id"].as_str().unwrap(), "a secret word"] {
        assert!(!text.contains(secret), "{secret} is in it");
        assert!(
            control.export(true).await.unwrap().to_string().contains(secret),
            "{secret} is not in the other"
        );
    }
    control.import(&document).await.unwrap();
    assert_eq!(vault.write("pki_int/sign/web", json!({ "csr": csr("a.example.com").0 })).await.status, 200);
    let keyless = vault.write("pki_own/sign/app", json!({ "csr": csr("a.example.com").0 })).await;
    assert!(keyless.error().contains("no private key"), "{}", keyless.text());
    assert_eq!(vault.with_token(Some(&token)).read("auth/token/lookup-self").await.status, 403);

    let (_other, other_control) = mock().await;
    let refused = other_control.import(&document).await.unwrap_err().to_string();
    assert!(refused.contains("export it with ?secrets=true"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_imported_changes_nothing() {
    let (running, control) = mock().await;
    let vault = Vault::new(running.url("vault"), "root");
    let known = populate(&vault, &control).await;
    let good = control.export(true).await.unwrap();
    for (pointer, value, said) in [
        ("/format", json!("something"), "no state of mock-pki"),
        ("/version", json!(2), "has version 2, and this mock-pki"),
        ("/ledger", json!(7), "cannot be read"),
        ("/faces/vault/policies/signer/text", json!("path"), "the policy signer"),
        ("/faults/0/fault/kind", json!("gone"), "unknown kind of fault"),
        ("/root/key", json!("gone"), "cannot be used"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        let refused = control.import(&bad).await.unwrap_err().to_string();
        assert!(refused.contains("400") && refused.contains(said), "{pointer}: {refused}");
    }
    look(&vault, &control, &known).await;
}

fn kept(directory: &Path) -> Config {
    Config { state_dir: Some(directory.to_owned()), ..Config::default() }
}

#[tokio::test]
async fn the_state_directory_keeps_everything_from_one_run_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let (running, control) = mock_with(kept(&path)).await;
    let vault = Vault::new(running.url("vault"), "root");
    let known = populate(&vault, &control).await;
    let root = running.root_ca.clone();
    running.stop().await.unwrap();
    let file = path.join("state.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "nothing half-written is left");
    for _ in 0..2 {
        let (running, control) = mock_with(kept(&path)).await;
        assert_eq!(running.root_ca, root);
        look(&Vault::new(running.url("vault"), "root"), &control, &known).await;
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_state_that_is_broken_or_newer_stops_the_start_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    for (text, said) in [
        ("{\"format\": \"mock-pki state\", \"vers", "this is no state of mock-pki"),
        ("{\"format\": \"mock-pki state\", \"version\": 9}", "has version 9"),
    ] {
        fs::write(&file, text).unwrap();
        let error = server::start(kept(directory.path())).await.unwrap_err().to_string();
        assert!(
            error.contains(said) && error.contains("state.json") && error.contains("move the file away"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}
