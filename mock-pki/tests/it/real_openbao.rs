//! The real product as a client of the mock, and beside it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step of a test is a failed test")]

use std::{path::Path, process::Command};

use crate::common::{Real, Vault, bao, csr, mock};
use serde_json::{Value, json};

/// Runs `bao`; gives what it prints.
fn run(binary: &Path, address: &str, arguments: &[&str]) -> Result<String, String> {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(binary)
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("BAO_ADDR", address)
        .env("VAULT_ADDR", address)
        .env("BAO_TOKEN", "root")
        .env("VAULT_TOKEN", "root")
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("bao {arguments:?}: {}{}", text(&output.stdout), text(&output.stderr)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bao_cli_makes_its_whole_round() {
    let Some(binary) = bao() else { return };
    let (running, control) = mock().await;
    let address = running.url("vault").to_owned();
    let round = move || {
        let bao = |arguments: &[&str]| run(&binary, &address, arguments).unwrap();
        assert!(bao(&["status"]).contains("2.7.2"));
        bao(&["secrets", "enable", "-path=corp", "-max-lease-ttl=8760h", "pki"]);
        assert!(bao(&["secrets", "list"]).contains("corp/"));
        bao(&["write", "corp/root/generate/internal", "common_name=Corp Root", "key_type=ec", "ttl=8000h"]);
        bao(&[
            "write",
            "corp/roles/web",
            "allowed_domains=example.com",
            "allow_subdomains=true",
            "key_type=ec",
        ]);
        assert!(bao(&["list", "corp/roles"]).contains("web"));
        assert!(bao(&["read", "corp/roles/web"]).contains("allow_subdomains"));
        let issued = bao(&["write", "-format=json", "corp/issue/web", "common_name=a.example.com", "ttl=1h"]);
        let issued: Value = serde_json::from_str(&issued).unwrap();
        let serial = issued["data"]["serial_number"].as_str().unwrap().to_owned();
        assert!(bao(&["read", &format!("corp/cert/{serial}")]).contains("BEGIN CERTIFICATE"));
        assert!(bao(&["write", "corp/revoke", &format!("serial_number={serial}")]).contains("revoked"));
        let refused =
            run(&binary, &address, &["write", "corp/issue/web", "common_name=evil.org"]).unwrap_err();
        assert!(refused.contains("common name evil.org not allowed by this role"), "{refused}");

        let policy = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(policy.path(), r#"path "corp/sign/web" { capabilities = ["update"] }"#).unwrap();
        bao(&["policy", "write", "signer", policy.path().to_str().unwrap()]);
        assert!(bao(&["policy", "list"]).contains("signer"));
        assert!(bao(&["policy", "read", "signer"]).contains("corp/sign/web"));
        bao(&["auth", "enable", "approle"]);
        assert!(bao(&["auth", "list"]).contains("approle/"));
        bao(&["write", "auth/approle/role/r1", "token_policies=signer", "token_ttl=20m"]);
        let role_id = bao(&["read", "-field=role_id", "auth/approle/role/r1/role-id"]);
        let secret_id = bao(&["write", "-f", "-field=secret_id", "auth/approle/role/r1/secret-id"]);
        let login = bao(&[
            "write",
            "-field=token",
            "auth/approle/login",
            &format!("role_id={}", role_id.trim()),
            &format!("secret_id={}", secret_id.trim()),
        ]);
        assert!(login.starts_with("s."));
        assert!(bao(&["token", "lookup", login.trim()]).contains("signer"));
        assert!(bao(&["token", "create", "-policy=signer", "-ttl=1h"]).contains("token_accessor"));
        assert!(bao(&["token", "capabilities", "corp/sign/web"]).contains("root"));
        bao(&["token", "revoke", login.trim()]);
        bao(&["delete", "corp/roles/web"]);
        bao(&["secrets", "disable", "corp"]);
    };
    tokio::task::spawn_blocking(round).await.unwrap();
    let ledger = control.ledger().await.unwrap();
    assert_eq!(ledger.len(), 1);
    assert!(ledger[0].revoked_at.is_some());
}

/// The keys of every object, as paths; errors and warnings with their texts.
fn shape(value: &Value, path: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(name, value)| shape(value, &format!("{path}.{name}"), into));
            into.push(format!("{path} object"));
        }
        Value::Array(items) if path.ends_with("errors") || path.ends_with("warnings") => {
            // Times differ in their nanoseconds.
            let text = format!("{path} {items:?}");
            let parts = text.split('.').map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
            into.push(parts.collect::<Vec<_>>().join("."));
        }
        Value::Array(items) => into.push(format!("{path} list of {}", items.len())),
        Value::String(_) => into.push(format!("{path} text")),
        Value::Number(_) => into.push(format!("{path} number")),
        other => into.push(format!("{path} {other}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mock_answers_signing_requests_as_the_real_product_does() {
    let Some(binary) = bao() else { return };
    let real = Real::start(&binary).await;
    let (running, _) = mock().await;
    let sides = [Vault::new(&real.address, "root"), Vault::new(running.url("vault"), "root")];
    for side in &sides {
        let setup = [
            ("sys/mounts/d", json!({ "type": "pki", "config": { "max_lease_ttl": "8760h" } })),
            (
                "d/root/generate/internal",
                json!({ "common_name": "Root CA", "key_type": "ec", "ttl": "8000h" }),
            ),
            (
                "d/roles/ec",
                json!({ "allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "max_ttl": "72h" }),
            ),
            (
                "d/roles/any",
                json!({ "allow_any_name": true, "key_type": "any", "require_cn": false, "allowed_uri_sans": "spiffe://*" }),
            ),
            (
                "d/roles/params",
                json!({ "allow_any_name": true, "key_type": "any", "use_csr_sans": false, "use_csr_common_name": false, "ou": "a,b", "organization": "Acme" }),
            ),
            (
                "d/roles/odd",
                json!({ "allow_any_name": true, "key_type": "ec", "allowed_other_sans": format!("{UPN};UTF8:*@example.com"), "allowed_serial_numbers": "web-*,exact" }),
            ),
            ("sys/auth/approle", json!({ "type": "approle" })),
            (
                "auth/approle/role/short",
                json!({ "token_explicit_max_ttl": "60s", "token_policies": "Maker,B" }),
            ),
            (
                "auth/approle/role/period",
                json!({ "token_explicit_max_ttl": "60s", "token_period": "10m", "role_id": "first" }),
            ),
            ("auth/approle/role/short", json!({ "role_id": "short" })),
            ("auth/approle/role/period", json!({ "role_id": "period" })),
            ("auth/approle/role/short/custom-secret-id", json!({ "secret_id": "secret" })),
            ("auth/approle/role/period/custom-secret-id", json!({ "secret_id": "secret" })),
        ];
        for (path, body) in setup {
            let answer = side.write(path, body).await;
            assert!(answer.status < 300, "{path}: {}", answer.text());
        }
    }
    let (good, _) = csr("app.example.com");
    let (evil, _) = csr("evil.org");
    let requests = requests(&good, &evil).into_iter().chain(odd_requests()).chain(other_requests());
    let mut different = Vec::new();
    for (path, body) in requests {
        let mut seen = Vec::new();
        for side in &sides {
            let answer = side.write(path, body.clone()).await;
            let mut lines = Vec::new();
            shape(&answer.json(), "", &mut lines);
            lines.sort();
            // Extensions and subject of what was issued, but not their values.
            let pem = answer.json()["data"]["certificate"].as_str().map(str::to_owned);
            if let Some(leaf) = pem.and_then(|pem| {
                let pem = pem
                    .rsplit_once("-----BEGIN PRIVATE KEY")
                    .map_or(pem.as_str(), |(_, rest)| rest)
                    .to_owned();
                x509::bundle::read_certificates(pem.as_bytes()).ok()
            }) {
                lines.push(format!("subject {}", leaf[0].subject()));
                lines.push(format!("names {:?}", leaf[0].subject_alt_names()));
                lines.push(format!("usages {}", leaf[0].usages()));
                let mut oids: Vec<_> =
                    leaf[0].extensions().map(|(oid, critical, _)| format!("{oid} {critical}")).collect();
                oids.sort();
                lines.extend(oids);
            }
            seen.push((answer.status, lines));
        }
        if seen[0] != seen[1] {
            let [real, mock] = [&seen[0], &seen[1]];
            let only = |one: &[String], other: &[String]| -> Vec<String> {
                one.iter().filter(|line| !other.contains(line)).cloned().collect()
            };
            let (left, right) = (only(&real.1, &mock.1), only(&mock.1, &real.1));
            different
                .push(format!("{path} {body:.60}\n real {} {left:#?}\n mock {} {right:#?}", real.0, mock.0));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Signing, allowed and refused.
fn requests(good: &str, evil: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("d/sign/ec", json!({ "csr": good })),
        ("d/sign/ec", json!({ "csr": evil })),
        ("d/sign/ec", json!({ "csr": good, "ttl": "100h", "common_name": "x", "alt_names": "y", "zzz": 1 })),
        ("d/sign/ec", json!({ "csr": good, "ttl": "banana" })),
        ("d/sign/ec", json!({ "csr": good, "ttl": true })),
        ("d/sign/ec", json!({ "csr": good, "format": "der" })),
        ("d/sign/ec", json!({ "csr": good, "format": "pem_bundle" })),
        ("d/sign/ec", json!({ "csr": good, "exclude_cn_from_sans": "maybe" })),
        ("d/sign/ec", json!({ "csr": [good] })),
        ("d/sign/ec", json!({ "csr": "" })),
        ("d/sign/any", json!({ "csr": evil, "ttl": "99999h" })),
        ("d/sign/any", crate::common::cert_managers_request("evil.org", evil)),
        ("d/sign/params", json!({ "csr": good })),
        (
            "d/sign/params",
            json!({ "csr": good, "common_name": "b.example.com", "alt_names": "c.example.com,u@x.org", "ip_sans": "10.0.0.1" }),
        ),
        ("d/sign/params", json!({ "csr": good, "common_name": "b.example.com", "uri_sans": "spiffe://x" })),
        ("d/sign/params", json!({ "csr": good, "common_name": "b.example.com", "ip_sans": "nope" })),
        ("d/sign-verbatim", json!({ "csr": evil })),
        ("d/sign-verbatim/ec", json!({ "csr": evil, "key_usage": "DigitalSignature" })),
        ("d/issue/ec", json!({ "common_name": "a.example.com" })),
        ("d/issue/any", json!({ "common_name": "a.example.com" })),
        (
            "d/issue/any",
            json!({ "common_name": "a.example.com", "key_type": "ec", "uri_sans": "spiffe://x" }),
        ),
        ("d/issue/ec", json!({ "common_name": "example.com" })),
        ("d/issue/ec", json!({})),
        ("d/revoke", json!({ "serial_number": "00:11" })),
        ("nowhere/sign/ec", json!({ "csr": good })),
    ]
}

const UPN: &str = "1.3.6.1.4.1.311.20.2.3";

/// Other names and serial numbers from the CSR, and names that are no host's.
fn odd_requests() -> Vec<(&'static str, Value)> {
    use ca::{
        AttributeType::{CommonName, SerialNumber},
        GeneralName::{Dns, OtherName},
    };
    let key = ca::SigningKey::generate(ca::KeyAlgorithm::EcdsaP256).unwrap();
    let csr = |name: &str, serial: &str, other: Option<(&str, &str)>| {
        let mut subject = vec![vec![(CommonName, name.to_owned())]];
        if !serial.is_empty() {
            subject.push(vec![(SerialNumber, serial.to_owned())]);
        }
        let other = other.map(|(oid, text)| OtherName { type_id: oid.to_owned(), value: text.to_owned() });
        let names: Vec<_> = std::iter::once(Dns(name.to_owned())).chain(other).collect();
        crate::common::csr_of(&key, &subject, &names)
    };
    let (good, evil) = (Some((UPN, "u@example.com")), Some((UPN, "u@evil.org")));
    vec![
        ("d/sign/odd", json!({ "csr": csr("a.example.com", "", good) })),
        ("d/sign/odd", json!({ "csr": csr("a.example.com", "", evil) })),
        ("d/sign/odd", json!({ "csr": csr("a.example.com", "", Some(("1.2.3.4", "u@example.com"))) })),
        (
            "d/sign/odd",
            json!({ "csr": csr("a.example.com", "", good), "other_sans": format!("{UPN};UTF8:u@example.com") }),
        ),
        (
            "d/sign/odd",
            json!({ "csr": csr("a.example.com", "", None), "other_sans": format!("{UPN};UTF8:u@evil.org") }),
        ),
        ("d/sign/odd", json!({ "csr": csr("a.example.com", "", None), "other_sans": "nonsense" })),
        ("d/sign/odd", json!({ "csr": csr("a.example.com", "", None), "other_sans": "1.2.3.4;IA5:x" })),
        ("d/sign/ec", json!({ "csr": csr("a.example.com", "", good) })),
        ("d/sign/params", json!({ "csr": csr("a.example.com", "", good), "common_name": "b.example.com" })),
        ("d/sign/ec", json!({ "csr": csr("a.example.com", "4711", None) })),
        ("d/sign/ec", json!({ "csr": csr("evil.org", "4711", None) })),
        ("d/sign/odd", json!({ "csr": csr("a.example.com", "4711", None) })),
        ("d/sign/odd", json!({ "csr": csr("a.example.com", "web-3", None) })),
        ("d/sign/odd", json!({ "csr": csr("a.example.com", "4711", None), "serial_number": "exact" })),
        ("d/sign-verbatim", json!({ "csr": csr("a.example.com", "4711", evil) })),
        ("d/issue/ec", json!({ "common_name": "a.example.com", "serial_number": "x" })),
        ("d/sign/odd", json!({ "csr": csr("my_host.example.com", "", None) })),
        ("d/sign/odd", json!({ "csr": csr("*.my_host.example.com", "", None) })),
        ("d/sign/odd", json!({ "csr": csr("a.example.com", "", None), "remove_roots_from_chain": true })),
        (
            "d/sign/odd",
            json!({ "csr": csr("a.example.com", "", None), "remove_roots_from_chain": true, "format": "pem_bundle" }),
        ),
        ("auth/approle/login", json!({ "role_id": "first", "secret_id": "secret" })),
        ("auth/approle/login", json!({ "role_id": "short", "secret_id": "secret" })),
        ("auth/approle/login", json!({ "role_id": "period", "secret_id": "secret" })),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_make_which_token_is_as_in_the_real_product() {
    let Some(binary) = bao() else { return };
    let real = Real::start(&binary).await;
    let (running, _) = mock().await;
    let mut seen = Vec::new();
    for side in [Vault::new(&real.address, "root"), Vault::new(running.url("vault"), "root")] {
        let paths = |capabilities: &str| {
            let on =
                |path: &str| format!("path \"auth/token/{path}\" {{ capabilities = [{capabilities}] }}\n");
            json!({ "policy": on("create") + &on("create-orphan") })
        };
        side.write("sys/policies/acl/maker", paths("\"create\", \"update\"")).await;
        side.write("sys/policies/acl/sudoer", paths("\"create\", \"update\", \"sudo\"")).await;
        let mut answers = Vec::new();
        for (caller, path, body) in [
            ("root", "create", json!({ "id": "maker", "policies": ["Maker"] })),
            ("root", "create", json!({ "id": "sudoer", "policies": ["sudoer"], "ttl": "1h" })),
            ("root", "create", json!({ "id": "maker" })),
            ("root", "create", json!({ "id": "root" })),
            ("root", "create", json!({ "id": "s.abc" })),
            ("root", "create", json!({ "id": "hvs.abc" })),
            ("root", "create", json!({ "id": "a.b" })),
            ("root", "create", json!({ "period": "1h", "explicit_max_ttl": "10m" })),
            ("root", "create", json!({ "ttl": "1h", "explicit_max_ttl": "10m" })),
            ("maker", "create", json!({})),
            ("maker", "create", json!({ "id": "root" })),
            ("maker", "create", json!({ "no_parent": true })),
            ("maker", "create", json!({ "period": "1h" })),
            ("maker", "create", json!({ "policies": ["other"] })),
            ("maker", "create-orphan", json!({})),
            ("maker", "create-orphan", json!({ "id": "x" })),
            ("maker", "create-orphan", json!({ "period": "1h" })),
            ("sudoer", "create", json!({ "id": "mine", "policies": ["other", "MiXed"] })),
            ("sudoer", "create", json!({ "id": "orphan", "no_parent": true })),
            ("root", "lookup", json!({ "token": "mine" })),
            ("root", "lookup", json!({ "token": "orphan" })),
            ("root", "revoke", json!({ "token": "sudoer" })),
            ("root", "lookup", json!({ "token": "mine" })),
            ("root", "lookup", json!({ "token": "orphan" })),
        ] {
            let answer =
                side.with_token(Some(caller)).write(&format!("auth/token/{path}"), body.clone()).await;
            let said = if answer.bytes.is_empty() { Value::Null } else { answer.json() };
            let told = json!({
                "asked": format!("{caller} {path} {body}"),
                "status": answer.status,
                "errors": said["errors"],
                "warnings": said["warnings"],
                "policies": [said["auth"]["policies"], said["data"]["policies"]],
                "orphan": [said["auth"]["orphan"], said["data"]["orphan"]],
                "lease": said["auth"]["lease_duration"],
                "renewable": said["auth"]["renewable"],
            });
            answers.push(told);
        }
        seen.push(answers);
    }
    for (real, mock) in seen[0].iter().zip(&seen[1]) {
        assert_eq!(real, mock);
    }
}

/// Everything else that can go wrong.
fn other_requests() -> Vec<(&'static str, Value)> {
    vec![
        ("d/roles/new", json!({ "key_type": "nope" })),
        ("d/roles/new", json!({ "key_type": "rsa", "key_bits": 1024 })),
        ("d/roles/new", json!({ "ttl": "10h", "max_ttl": "5h" })),
        ("d/roles/new", json!({ "allow_any_name": "maybe" })),
        (
            "d/roles/new",
            json!({ "name": "other", "bogus": 1, "key_usage": "", "ext_key_usage": ["ServerAuth"] }),
        ),
        ("d/roles", json!({})),
        ("d/root/generate/nope", json!({})),
        ("d/intermediate/set-signed", json!({ "certificate": "x" })),
        ("d/revoke", json!({ "certificate": "x" })),
        (
            "auth/token/create",
            json!({ "policies": "nope", "ttl": "1h", "display_name": "joe", "meta": { "a": "b" } }),
        ),
        ("auth/token/create", json!({ "ttl": "9999h" })),
        ("auth/token/create", json!({ "type": "batch" })),
        ("auth/token/lookup", json!({})),
        ("auth/token/lookup", json!({ "token": "x" })),
        ("auth/token/renew-self", json!({})),
        ("auth/approle/login", json!({ "role_id": "x" })),
        ("sys/auth/a", json!({ "type": "nope" })),
        ("sys/mounts/sys/x", json!({ "type": "pki" })),
        ("sys/mounts/d", json!({ "type": "pki" })),
        ("sys/capabilities-self", json!({ "path": "d/sign/ec" })),
        ("sys/capabilities-self", json!({})),
        ("sys/policies/acl/p", json!({})),
        ("sys/policies/acl/p", json!({ "policy": "path \"x\" { capabilities = [\"fly\"] }" })),
    ]
}

/// What `certs/detailed` says, without what differs from run to run, in the order of the common names.
fn details(answer: &Value) -> Vec<Value> {
    let info = answer["data"]["key_info"].as_object().unwrap();
    assert_eq!(info.len(), answer["data"]["keys"].as_array().unwrap().len());
    let mut details: Vec<Value> = info.values().cloned().collect();
    for detail in &mut details {
        for field in ["not_before", "not_after"] {
            let time = detail[field].as_str().unwrap();
            assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
            detail[field] = "time".into();
        }
    }
    details.sort_by_key(|detail| detail["common_name"].to_string());
    details
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_certificates_are_as_in_the_real_product() {
    let Some(binary) = bao() else { return };
    let real = Real::start(&binary).await;
    let (running, _) = mock().await;
    let mut seen = Vec::new();
    for side in [Vault::new(&real.address, "root"), Vault::new(running.url("vault"), "root")] {
        side.write("sys/mounts/l", json!({ "type": "pki" })).await;
        let mut answers = Vec::new();
        let tell = |answer: crate::common::Answer| json!([answer.status, answer.json()["errors"]]);
        for path in [
            "l/certs?list=true",
            "l/certs/revoked?list=true",
            "l/certs/detailed?list=true",
            "l/certs/detailed",
        ] {
            answers.push(tell(side.read(path).await));
        }
        side.write(
            "l/root/generate/internal",
            json!({ "common_name": "L", "ttl": "700h", "key_type": "ec" }),
        )
        .await;
        side.write("l/roles/r", json!({ "allow_any_name": true, "key_type": "any" })).await;
        for (name, key_type) in
            [("a.example.com", "ec"), ("b.example.com", "rsa"), ("c.example.com", "ed25519")]
        {
            side.write("l/roles/i", json!({ "allow_any_name": true, "key_type": key_type })).await;
            let asked = json!({ "common_name": name, "alt_names": "z.example.com", "ttl": "1h" });
            side.write("l/issue/i", asked).await;
        }
        answers.push(details(&side.read("l/certs/detailed?list=true").await.json()).into());
        let keys = side.read("l/certs?list=true").await.json()["data"]["keys"].clone();
        let first = keys[0].as_str().unwrap();
        // The page after a number with hyphens is the next one, and after all there is nothing.
        let after =
            side.read(&format!("l/certs?list=true&limit=2&after={}", first.replace(':', "-"))).await.json();
        assert_eq!(after["data"]["keys"], json!([keys[1], keys[2]]));
        let with_colons = side.read(&format!("l/certs/detailed?list=true&after={first}")).await;
        let skipped =
            keys.as_array().unwrap().iter().filter(|key| key.as_str().unwrap()[..2] > first[..2]).count();
        let listed = with_colons.json()["data"]["keys"].as_array().map_or(0, Vec::len);
        assert_eq!(listed, skipped, "with colons the page begins at the next first byte");
        answers.push(tell(side.read("l/certs?list=true&after=ff-ff").await));
        seen.push(answers);
    }
    for (real, mock) in seen[0].iter().zip(&seen[1]) {
        assert_eq!(real, mock);
    }
}
