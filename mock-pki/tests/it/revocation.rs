//! What a client that checks for revocation sees: openssl believes it, and the real product says the same.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step of a test is a failed test")]

use std::path::Path;

use crate::common::{Answer, Real, Vault, bao, csr, mock, openssl};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_is_on_the_lists_and_openssl_refuses_it() {
    let (running, control) = mock().await;
    let folder = tempfile::tempdir().unwrap();
    let told = tell(&Vault::new(running.url("vault"), "root"), folder.path()).await;
    let fate = |name: &str| verify(folder.path(), name);
    assert!(fate("kept").is_ok(), "{:?}", fate("kept"));
    let refused = fate("gone").unwrap_err();
    assert!(refused.contains("certificate revoked"), "{refused}");
    assert!(told["ocsp of the revoked one"].to_string().contains("Cert Status: revoked"), "{told:#}");
    let revoked: Vec<bool> =
        control.ledger().await.unwrap().iter().map(|issued| issued.revoked_at.is_some()).collect();
    assert_eq!(revoked, [false, true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_ocsp_answers_say_what_the_real_product_says() {
    let Some(binary) = bao() else { return };
    let real = Real::start(&binary).await;
    let (running, _) = mock().await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let real = tell(&Vault::new(&real.address, "root"), folders[0].path()).await;
    let mock = tell(&Vault::new(running.url("vault"), "root"), folders[1].path()).await;
    let differ = real.as_object().unwrap().iter().filter(|(asked, said)| **said != mock[*asked]);
    let differ: Vec<String> =
        differ.map(|(asked, said)| format!("{asked}\n  real: {said}\n  mock: {}", mock[asked])).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// Sets up a CA, issues two certificates, revokes one, and notes everything that is said of it. Files that openssl
/// needs are left in the folder.
async fn tell(vault: &Vault, folder: &Path) -> Value {
    let mut told = json!({});
    vault.write("sys/mounts/r", json!({ "type": "pki", "config": { "max_lease_ttl": "8760h" } })).await;
    note(&mut told, "no issuer: crl", &vault.read("r/crl").await);
    note(&mut told, "no issuer: delta", &vault.read("r/crl/delta").await);
    note(&mut told, "no issuer: crl as certificate", &vault.read("r/cert/crl").await);
    note(&mut told, "no issuer: ocsp", &ocsp_post(vault, b"x").await);
    let root = vault
        .write("r/root/generate/internal", json!({ "common_name": "R", "key_type": "rsa", "ttl": "8000h" }))
        .await;
    let issuer = root.json()["data"]["certificate"].as_str().unwrap().to_owned();
    std::fs::write(folder.join("ca.pem"), format!("{issuer}\n")).unwrap();
    vault.write("r/roles/web", json!({ "allow_any_name": true, "key_type": "ec" })).await;
    note(&mut told, "config", &vault.read("r/config/crl").await);
    for name in ["kept", "gone"] {
        let (csr, _) = csr(&format!("{name}.example.com"));
        let signed = vault.write("r/sign/web", json!({ "csr": csr, "ttl": "1h" })).await.json();
        let pem = signed["data"]["certificate"].as_str().unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), format!("{pem}\n")).unwrap();
        if name == "gone" {
            let serial = &signed["data"]["serial_number"];
            vault.write("r/revoke", json!({ "serial_number": serial })).await;
            vault.write("r/revoke", json!({ "serial_number": serial })).await;
        }
    }
    for path in ["crl", "crl/pem", "crl/delta", "crl/delta/pem"] {
        note_crl(&mut told, folder, path, &vault.read(&format!("r/{path}")).await);
    }
    for path in
        ["cert/crl", "cert/delta-crl", "issuer/default/crl", "issuer/default/crl/delta", "issuer/nope/crl"]
    {
        note(&mut told, path, &vault.read(&format!("r/{path}")).await);
    }
    for path in ["issuer/default/crl/der", "issuer/default/crl/pem", "issuer/default/crl/delta/der"] {
        note_crl(&mut told, folder, path, &vault.read(&format!("r/{path}")).await);
    }
    let crl = vault.read("r/crl/pem").await;
    std::fs::write(folder.join("crl.pem"), &crl.bytes).unwrap();

    let asked = |name: &str| ocsp_request(folder, name);
    for (what, name) in [("ocsp of a good one", "kept"), ("ocsp of the revoked one", "gone")] {
        let answer = ocsp_post(vault, &asked(name)).await;
        note_ocsp(&mut told, folder, what, &answer);
        let got = vault.read(&format!("r/ocsp/{}", STANDARD.encode(asked(name)).replace('/', "%2F"))).await;
        note_ocsp(&mut told, folder, &format!("{what} by GET"), &got);
    }
    note(&mut told, "ocsp: junk", &ocsp_post(vault, b"junk").await);
    note(&mut told, "ocsp: junk by GET", &vault.read("r/ocsp/AAAA").await);
    note(&mut told, "ocsp: no base64", &vault.read("r/ocsp/%25").await);
    note(&mut told, "ocsp: too long", &ocsp_post(vault, &[0x30; 3000]).await);
    note(&mut told, "ocsp: JSON", &vault.write("r/ocsp", json!({ "a": 1 })).await);
    note(&mut told, "ocsp: GET of nothing", &vault.read("r/ocsp").await);

    note(&mut told, "rotate", &vault.read("r/crl/rotate").await);
    note_crl(&mut told, folder, "after rotate", &vault.read("r/crl").await);
    note(&mut told, "rotate-delta", &vault.read("r/crl/rotate-delta").await);
    let without_token = vault.with_token(None);
    note(&mut told, "rotate without a token", &without_token.read("r/crl/rotate").await);
    note_crl(&mut told, folder, "crl without a token", &without_token.read("r/crl").await);
    for (what, body) in [
        ("delta without auto_rebuild", json!({ "enable_delta": true })),
        ("a bad expiry", json!({ "expiry": "soon" })),
        ("auto_rebuild and delta", json!({ "auto_rebuild": true, "enable_delta": true, "bogus": 1 })),
    ] {
        note(&mut told, what, &vault.write("r/config/crl", body).await);
    }
    note(&mut told, "rotate-delta, enabled", &vault.read("r/crl/rotate-delta").await);
    note_crl(&mut told, folder, "delta after rotate-delta", &vault.read("r/crl/delta").await);
    note(&mut told, "disable", &vault.write("r/config/crl", json!({ "disable": true })).await);
    note_crl(&mut told, folder, "disabled", &vault.read("r/crl").await);
    note(&mut told, "no ocsp", &vault.write("r/config/crl", json!({ "ocsp_disable": true })).await);
    note(&mut told, "ocsp: disabled", &ocsp_post(vault, &asked("kept")).await);
    told
}

async fn ocsp_post(vault: &Vault, body: &[u8]) -> Answer {
    let request = vault.client.post(format!("{}/v1/r/ocsp", vault.base));
    let request = request.header("content-type", "application/ocsp-request").body(body.to_vec());
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
}

fn head(answer: &Answer) -> Value {
    let content_type = answer.headers.get("content-type").map(|value| value.to_str().unwrap());
    json!({ "status": answer.status, "content type": content_type })
}

fn note(told: &mut Value, asked: &str, answer: &Answer) {
    let body = serde_json::from_slice::<Value>(&answer.bytes).map_or_else(
        |_| json!(STANDARD.encode(&answer.bytes)),
        |mut body| {
            body.as_object_mut().map(|object| object.remove("request_id"));
            for name in ["certificate", "crl"] {
                if let Some(text) = body["data"][name].as_str() {
                    body["data"][name] = json!([text.lines().next(), text.ends_with('\n')]);
                }
            }
            body
        },
    );
    told[asked] = json!([head(answer), body]);
}

fn note_crl(told: &mut Value, folder: &Path, asked: &str, answer: &Answer) {
    let file = folder.join("list");
    std::fs::write(&file, &answer.bytes).unwrap();
    let form = if answer.bytes.starts_with(b"-----") { "PEM" } else { "DER" };
    let text = openssl(folder, &["crl", "-inform", form, "-in", "list", "-noout", "-text"]).unwrap();
    told[asked] = json!([head(answer), form, answer.bytes.ends_with(b"\n"), without_values(&text)]);
}

fn note_ocsp(told: &mut Value, folder: &Path, asked: &str, answer: &Answer) {
    std::fs::write(folder.join("response"), &answer.bytes).unwrap();
    let arguments = ["ocsp", "-respin", "response", "-resp_text", "-noverify"];
    let text = openssl(folder, &arguments).unwrap();
    // Its own verdict: signed by the issuer whose file this is.
    let verified =
        openssl(folder, &["ocsp", "-respin", "response", "-VAfile", "ca.pem", "-CAfile", "ca.pem"]);
    // OpenBao writes an empty list of extensions, which RFC 5280 forbids; openssl prints nothing of it.
    told[asked] = json!([head(answer), without_values(&text), verified.is_ok()]);
}

fn ocsp_request(folder: &Path, name: &str) -> Vec<u8> {
    let file = format!("{name}.pem");
    openssl(folder, &["ocsp", "-no_nonce", "-issuer", "ca.pem", "-cert", &file, "-reqout", "request"])
        .unwrap();
    std::fs::read(folder.join("request")).unwrap()
}

fn verify(folder: &Path, name: &str) -> Result<String, String> {
    let file = format!("{name}.pem");
    openssl(folder, &["verify", "-crl_check", "-CAfile", "ca.pem", "-CRLfile", "crl.pem", &file])
}

/// What openssl prints, without what differs between any two CAs: numbers in hexadecimal, signatures and times.
fn without_values(text: &str) -> Vec<String> {
    let is_hex = |word: &str| word.len() >= 20 && word.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
    let is_signature =
        |line: &str| line.contains(':') && line.split(':').all(|byte| byte.len() == 2 || byte.is_empty());
    let lines = text.lines().map(str::trim).filter(|line| !is_signature(line));
    let shown = lines.map(|line| {
        let timed = ["Update:", "Date:", "Time:", "Produced At:"];
        let dated = timed.iter().find_map(|word| Some(format!("{}{word} <time>", line.split_once(word)?.0)));
        dated.unwrap_or_else(|| {
            let words = line.split(' ').map(|word| if is_hex(word) { "<hex>" } else { word });
            words.collect::<Vec<_>>().join(" ")
        })
    });
    shown.collect()
}
