//! What a real OpenBao answered, given again by mock-pki: every capture but those in [`NOT_YET`].
//!
//! The captures' server is rebuilt by the same calls, in the same order; then each captured request is sent and
//! the whole answer is compared: status, the headers clients read, and the body, value by value. What differs from
//! run to run (identifiers, times, keys, certificates) is replaced by its name first, so what is in a certificate is
//! not compared here; `real_openbao.rs` does that.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::common::{Answer, Vault};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mock_pki::{
    Fault,
    server::{self, Config},
};
use serde_json::{Map, Value, json};

/// In the order in which the server's state needs them.
const REPLAYED: &[&str] = &[
    "sys_health_active",
    "sys_seal_status_unsealed",
    "sys_leader",
    "auth_token_lookup_self",
    "mounts_enable_pki",
    "sys_mounts_list",
    "pki_ca_pem_before_root",
    "pki_root_generate",
    "pki_config_urls",
    "pki_int_generate",
    "+intermediate",
    "+roles",
    "pki_role_create",
    "pki_role_read",
    "pki_role_list_get",
    "pki_role_delete",
    "+more_roles",
    "pki_sign_ok_ec",
    "pki_sign_form_urlencoded",
    "pki_sign_ok_rsa",
    "pki_sign_ok_root_single_chain",
    "pki_sign_ok_nocn",
    "pki_sign_format_der",
    "pki_sign_format_bad",
    "pki_sign_exclude_cn_ttl_notafter",
    "pki_sign_cert_manager_shape",
    "pki_sign_err_csr_malformed",
    "pki_sign_err_csr_missing",
    "pki_sign_err_json_malformed",
    "pki_sign_err_body_empty",
    "pki_sign_err_role_missing",
    "pki_sign_err_domain",
    "pki_sign_err_cn_required",
    "pki_sign_err_ip_not_allowed",
    "pki_sign_unknown_field",
    "pki_sign_json_wrong_type",
    "pki_sign_json_array",
    "pki_sign_ttl_over_max",
    "pki_sign_ttl_over_ca",
    "pki_sign_err_ttl_bad",
    "pki_sign_err_keytype_ec_on_rsa",
    "pki_sign_err_keytype_rsa_on_ec",
    "pki_sign_ed25519_any",
    "pki_sign_err_rsa1024",
    "pki_sign_p384_on_p256_role",
    "pki_sign_err_no_token",
    "pki_sign_err_bad_token",
    "pki_sign_err_mount_missing",
    "pki_sign_err_method_GET",
    "pki_sign_err_method_DELETE",
    "pki_sign_issuer_ref",
    "pki_sign_issuer_ref_missing",
    "pki_sign_nostore",
    "pki_sign_generate_lease",
    "pki_sign_verbatim",
    "pki_sign_verbatim_role",
    "pki_sign_verbatim_bad",
    "pki_issue_ok",
    "pki_issue_pem_bundle",
    "pki_issue_err_cn",
    "pki_cert_by_serial",
    "pki_cert_by_serial_raw_der",
    "pki_cert_by_serial_raw_pem",
    "pki_cert_missing",
    "pki_cert_ca",
    "pki_cert_ca_chain",
    "pki_certs_list_noauth",
    "pki_certs_list_paged",
    "pki_revoke_ok",
    "pki_revoke_again",
    "pki_revoke_by_cert",
    "pki_revoke_missing",
    "pki_revoke_noserial",
    "pki_certs_revoked_list",
    "pki_cert_crl",
    "pki_ocsp_good",
    "pki_ocsp_get",
    "pki_crl_pem",
    "pki_delta_crl",
    "pki_crl_rotate",
    "pki_ca_pem",
    "pki_ca_der",
    "pki_ca_chain",
    "pki_issuers_list",
    "pki_issuer_default",
    "pki_issuer_default_json",
    "pki_unknown_path",
    "outside_v1",
    "v1_root",
    "pki_wrapped_issue",
    "wrapping_unwrap",
    "wrapping_unwrap_twice",
    "auth_token_lookup_self_notoken",
    "auth_token_lookup_self_bad",
    "+policy",
    "auth_token_create",
    "auth_token_renew_self",
    "pki_sign_ok_child_token",
    "pki_sign_err_policy_denied",
    "auth_token_revoke_self",
    "+approle",
    "approle_secret_id",
    "approle_login_ok",
    "approle_login_bad_secret",
    "approle_login_missing",
    "+userpass",
    "userpass_login_ok",
    "userpass_login_bad",
    "+kubernetes",
    "kubernetes_login_unconfigured",
    "kubernetes_login_no_jwt",
    "kubernetes_login_sa_denied",
    "+cert",
    "auth_cert_enable",
    "auth_cert_role",
    "cert_login_no_cert",
    "namespace_missing",
    "+standby",
    "sys_health_standby",
    "sys_health_standbyok",
    "+sealed",
    "sys_health_sealed",
    "pki_sign_err_sealed",
    "pki_ca_pem_sealed",
];

/// What is not replayed, and why.
const NOT_YET: &[(&str, &[&str])] = &[
    (
        "the captures' server refused it because its stand-in for a cluster did; logins.rs logs in",
        &["kubernetes_login_ok"],
    ),
    (
        "the client's certificate is not in the capture; logins.rs sends its own",
        &["cert_login_ok", "cert_login_ok_noname", "cert_login_wrong_cn"],
    ),
    (
        "namespaces besides root come with the full mock",
        &["namespace_list", "namespace_mount_header", "namespace_path_sign"],
    ),
    (
        "ACME, tidy and importing a CA come with the full mock",
        &["pki_acme_directory_disabled", "pki_config_ca_bad", "pki_tidy", "pki_tidy_status"],
    ),
    (
        "of a cluster on Raft, whose addresses, index and keys are its own",
        &[
            "standby_forwarded_lookup_self",
            "standby_no_forward",
            "sys_leader_standby",
            "sys_seal_status_standby",
            "sys_unseal",
        ],
    ),
    ("not an HTTP exchange; tests/tls.rs has it", &["plain_http_to_tls"]),
];

/// The root token of the captures' server.
const ROOT: &str = "root-token";

#[tokio::test]
async fn every_capture_of_what_is_there_is_given_again() {
    let running = server::start(Config { root_token: ROOT.to_owned(), ..Config::default() }).await.unwrap();
    let vault = Vault::new(running.url("vault"), ROOT);
    for mount in ["pki", "pki_int"] {
        vault.call("DELETE", &format!("sys/mounts/{mount}"), None).await;
    }
    let mut replay = Replay { vault, seen: Map::new(), learnt: Vec::new() };
    let control = mock_pki::client::Control::new(&running.control_url);
    let mut wrong = Vec::new();
    for name in REPLAYED {
        match name.strip_prefix('+') {
            Some(state @ ("sealed" | "standby")) => control.install(Fault::new(state)).await.unwrap().keep(),
            Some(step) => replay.prepare(step).await,
            None => wrong.extend(replay.check(name).await),
        }
    }
    assert!(wrong.is_empty(), "{} answers differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn every_capture_is_replayed_or_says_why_not() {
    let mut named: Vec<&str> = REPLAYED.iter().copied().filter(|name| !name.starts_with('+')).collect();
    named.extend(NOT_YET.iter().flat_map(|(_, names)| names.iter().copied()));
    let set: BTreeSet<String> = named.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(set.len(), named.len(), "a capture is named twice");
    let files =
        fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> =
        files.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    assert_eq!(set, files);
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/openbao")
}

fn load(name: &str) -> Value {
    let path = fixtures().join(format!("{name}.json"));
    serde_json::from_slice(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .unwrap()
}

struct Replay {
    vault: Vault,
    /// Our answers, by the capture's name.
    seen: Map<String, Value>,
    /// What the captures' server made up, and what ours did instead.
    learnt: Vec<(String, String)>,
}

impl Replay {
    async fn prepare(&mut self, step: &str) {
        let vault = self.vault.clone();
        let ec = json!({
            "allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "ttl": "24h",
            "max_ttl": "72h",
        });
        let any = json!({
            "allow_any_name": true, "key_type": "any", "max_ttl": "8760h", "require_cn": false,
            "allowed_uri_sans": "*",
        });
        let with = |base: &Value, name: &str, value: Value| {
            let mut role = base.clone();
            role[name] = value;
            role
        };
        let ok = |answer: Answer| assert!(answer.status < 300, "{step}: {}", answer.text());
        match step {
            "intermediate" => {
                let csr = self.seen["pki_int_generate"]["data"]["csr"].clone();
                let signed = vault
                    .write(
                        "pki/root/sign-intermediate",
                        json!({ "csr": csr, "use_csr_values": true, "ttl": "43800h" }),
                    )
                    .await;
                let chain = signed.json()["data"]["ca_chain"].clone();
                let chain: Vec<&str> = chain.as_array().unwrap().iter().filter_map(Value::as_str).collect();
                ok(vault
                    .write("pki_int/intermediate/set-signed", json!({ "certificate": chain.join("\n") }))
                    .await);
                let urls = json!({
                    "issuing_certificates": "http://127.0.0.1:18200/v1/pki_int/ca",
                    "crl_distribution_points": "http://127.0.0.1:18200/v1/pki_int/crl",
                    "ocsp_servers": "http://127.0.0.1:18200/v1/pki_int/ocsp",
                });
                ok(vault.write("pki_int/config/urls", urls).await);
            }
            "roles" => {
                for (name, role) in [
                    ("ec", ec.clone()),
                    ("rsa", with(&ec, "key_type", json!("rsa"))),
                    ("any", any.clone()),
                    ("lease", with(&any, "generate_lease", json!(true))),
                    ("nostore", with(&any, "no_store", json!(true))),
                ] {
                    ok(vault.write(&format!("pki_int/roles/{name}"), role).await);
                }
                ok(vault.write("pki/roles/ec", ec).await);
            }
            "more_roles" => {
                ok(vault.write("pki_int/roles/noip", with(&ec, "allow_ip_sans", json!(false))).await);
                let mut role = with(&ec, "use_csr_sans", json!(false));
                role["use_csr_common_name"] = json!(false);
                ok(vault.write("pki_int/roles/nocsrsan", role).await);
            }
            "policy" => {
                let policy = r#"path "pki_int/sign/ec" { capabilities = ["create", "update"] }"#;
                ok(vault.call("PUT", "sys/policies/acl/signer", Some(json!({ "policy": policy }))).await);
            }
            "approle" => {
                ok(vault.write("sys/auth/approle", json!({ "type": "approle" })).await);
                let role = json!({ "token_policies": "signer", "token_ttl": "20m" });
                ok(vault.write("auth/approle/role/r1", role).await);
                let role_id =
                    vault.read("auth/approle/role/r1/role-id").await.json()["data"]["role_id"].clone();
                let captured = load("approle_login_ok")["request"]["body"]["role_id"].clone();
                self.learn(&captured, &role_id);
            }
            "userpass" => {
                ok(vault.write("sys/auth/userpass", json!({ "type": "userpass" })).await);
                let user = json!({ "password": "p", "token_policies": "signer" });
                ok(vault.write("auth/userpass/users/u", user).await);
            }
            "kubernetes" => {
                ok(vault.write("sys/auth/kubernetes", json!({ "type": "kubernetes" })).await);
                let config = json!({ "kubernetes_host": "https://127.0.0.1:1" });
                ok(vault.write("auth/kubernetes/config", config).await);
                for (role, account) in [("app", "*"), ("other", "somebody-else")] {
                    let role_of = json!({
                        "bound_service_account_names": account, "bound_service_account_namespaces": "*",
                    });
                    ok(vault.write(&format!("auth/kubernetes/role/{role}"), role_of).await);
                }
            }
            // These captures are of another server, with another root token.
            "cert" => {
                let token = load("auth_cert_enable")["request"]["headers"]["x-vault-token"].clone();
                self.learn(&token, &json!(ROOT));
            }
            other => panic!("unknown step {other}"),
        }
    }

    fn learn(&mut self, captured: &Value, ours: &Value) {
        let (Some(captured), Some(ours)) = (captured.as_str(), ours.as_str()) else { return };
        self.learnt.push((captured.to_owned(), ours.to_owned()));
    }

    fn translate(&self, text: &str) -> String {
        self.learnt.iter().fold(text.to_owned(), |text, (captured, ours)| text.replace(captured, ours))
    }

    /// Sends a captured request. Gives the difference, if there is any.
    async fn check(&mut self, name: &str) -> Option<String> {
        let capture = load(name);
        if name == "pki_int_generate" {
            let enable = json!({ "type": "pki", "config": { "max_lease_ttl": "43800h" } });
            self.vault.write("sys/mounts/pki_int", enable).await;
        }
        let answer = self.send(&capture["request"]).await;
        let expected = &capture["response"];
        for (pointer, of) in [
            ("serial_number", "data"),
            ("client_token", "auth"),
            ("secret_id", "data"),
            ("token", "wrap_info"),
        ] {
            if answer.headers["content-type"] == "application/json" && answer.status == 200 {
                let captured = expected["body"][of][pointer].clone();
                let ours = answer.json()[of][pointer].clone();
                self.learn(&captured, &ours);
            }
        }
        if expected["body"]["data"]["certificate"].is_string() && answer.status == 200 {
            self.learn(&expected["body"]["data"]["certificate"], &answer.json()["data"]["certificate"]);
        }
        let ours = observed(&answer, expected);
        if let Ok(json) = serde_json::from_slice(&answer.bytes) {
            self.seen.insert(name.to_owned(), json);
        }
        let theirs = captured(expected);
        (ours != theirs).then(|| {
            let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
            format!("{name}:\n{}", first_difference(&pretty(&theirs), &pretty(&ours)))
        })
    }

    async fn send(&self, request: &Value) -> Answer {
        let method = request["method"].as_str().unwrap().parse().unwrap();
        let path = self.translate(request["path"].as_str().unwrap());
        let mut sent = self.vault.client.request(method, format!("{}{path}", self.vault.base));
        for (name, value) in request["headers"].as_object().unwrap() {
            if !["host", "content-length", "user-agent", "accept"].contains(&name.to_lowercase().as_str()) {
                sent = sent.header(name, self.translate(value.as_str().unwrap()));
            }
        }
        let length = request["headers"]["Content-Length"].as_str();
        sent = match (request["body_kind"].as_str().unwrap(), &request["body"]) {
            // An empty object is recorded as null.
            ("json", Value::Null) if length == Some("2") => sent.body("{}"),
            ("json", body) => sent.body(self.translate_json(body)),
            ("text", Value::String(text)) => sent.body(text.clone()),
            ("base64", Value::String(text)) => sent.body(STANDARD.decode(text).unwrap()),
            _ => sent,
        };
        let response = sent.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
    }

    fn translate_json(&self, body: &Value) -> String {
        match body {
            Value::Object(map) => {
                let translated: Map<String, Value> = map
                    .iter()
                    .map(|(name, value)| {
                        let value = value.as_str().map_or(value.clone(), |text| json!(self.translate(text)));
                        (name.clone(), value)
                    })
                    .collect();
                Value::Object(translated).to_string()
            }
            other => other.to_string(),
        }
    }
}

const HEADERS: [&str; 4] =
    ["Cache-Control", "Content-Type", "Strict-Transport-Security", "X-Vault-Namespace"];

fn captured(response: &Value) -> Value {
    let headers: Map<String, Value> = HEADERS
        .iter()
        .filter_map(|name| {
            // Over HTTP/2 the names came in lower case.
            let all = response["headers"].as_object()?;
            let (_, value) = all.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?;
            Some(((*name).to_owned(), value.clone()))
        })
        .collect();
    let mut body = response["body"].clone();
    normalise(&mut body, "");
    json!({
        "status": response["status"],
        "headers": headers,
        "body": body,
        "ends_in_newline": response["raw_ends_newline"],
    })
}

fn observed(answer: &Answer, like: &Value) -> Value {
    let headers: Map<String, Value> = HEADERS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), json!(answer.headers.get(*name)?.to_str().ok()?))))
        .collect();
    let mut body = match like["body_kind"].as_str().unwrap() {
        "empty" if answer.bytes.is_empty() => Value::Null,
        "json" => serde_json::from_slice(&answer.bytes).unwrap_or_else(|_| json!(answer.text())),
        "base64" => json!(STANDARD.encode(&answer.bytes)),
        _ => json!(answer.text()),
    };
    normalise(&mut body, "");
    json!({
        "status": answer.status,
        "headers": headers,
        "body": body,
        "ends_in_newline": answer.bytes.last() == Some(&b'\n') && like["body_kind"] != "base64",
    })
}

/// Fields whose value is another every time; what is left of them is whether they are filled.
const VOLATILE: &[&str] = &[
    "accessor",
    "client_token",
    "cluster_id",
    "cluster_name",
    "creation_time",
    "entity_id",
    "expiration",
    "id",
    "issue_time",
    "issuer_id",
    "key_id",
    "lease_id",
    "not_before",
    "private_key",
    "request_id",
    "revocation_time",
    "revocation_time_rfc3339",
    "secret_id",
    "secret_id_accessor",
    "serial_number",
    "server_time_utc",
    "token",
    "uuid",
    "csr",
];

fn normalise(value: &mut Value, name: &str) {
    match value {
        Value::Object(map) => {
            // Objects keyed by an identifier.
            if name == "key_info" {
                *map = map.values().enumerate().map(|(at, value)| (at.to_string(), value.clone())).collect();
                let mut infos: Vec<Value> = map.values().cloned().collect();
                infos.sort_by_key(|info| info["is_default"].as_bool());
                *map = infos.into_iter().enumerate().map(|(at, info)| (at.to_string(), info)).collect();
            }
            map.iter_mut().for_each(|(name, value)| normalise(value, name));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| normalise(item, name)),
        Value::String(text) => {
            let volatile = VOLATILE.contains(&name) && !text.is_empty();
            *text = if volatile { format!("<{name}>") } else { without_certificates(text) };
        }
        Value::Number(number) if VOLATILE.contains(&name) && number.as_i64() != Some(0) => {
            *value = json!(format!("<{name}>"));
        }
        _ => {}
    }
}

/// Certificates, serial numbers and identifiers inside of text.
fn without_certificates(text: &str) -> String {
    let mut shown = text.replace("<redacted key>", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----");
    while let (Some(start), Some(end)) = (shown.find("-----BEGIN "), shown.find("-----END ")) {
        let label: String = shown[start + 11..].chars().take_while(|c| *c != '-').collect();
        let after = end + "-----END ".len() + label.len() + "-----".len();
        shown.replace_range(start..after, &format!("<{label}>"));
    }
    if shown.len() > 300 && shown.starts_with("MI") && !shown.contains(' ') {
        return "<DER>".to_owned();
    }
    let serial = shown.len() > 30 && shown.split(':').all(|byte| byte.len() == 2);
    let uuid = shown.len() == 36 && shown.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    match (serial, uuid) {
        (true, _) => "<serial>".to_owned(),
        (_, true) => "<uuid>".to_owned(),
        _ => shown,
    }
}

fn first_difference(expected: &str, actual: &str) -> String {
    let lines = expected.lines().zip(actual.lines().chain(std::iter::repeat("")));
    let different = lines.filter(|(expected, actual)| expected != actual).take(6);
    let shown: Vec<String> =
        different.map(|(expected, actual)| format!("  real: {expected}\n  mock: {actual}")).collect();
    if shown.is_empty() { format!("the mock says more:\n{actual}") } else { shown.join("\n") }
}
