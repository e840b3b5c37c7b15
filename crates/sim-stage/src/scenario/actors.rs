//! What people and other programs do to the cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use ca::{GeneralName, KeyAlgorithm, SigningKey};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sim_kube::client::Server;
use sim_kube::fault::Peer;
use sim_kube::{GroupResource, Identity};

use super::approver::{is_finished, requests};
use crate::SYSTEM;
use crate::pki::Pki;
use crate::template::{self, NAMESPACE, TOKEN};

/// The Certificate that scenarios are about.
pub(super) const CERTIFICATE: &str = "web";

/// An administrator.
#[derive(Clone)]
pub(super) struct Admin {
    server: Server,
    pki: Pki,
    /// The CSRs of requests that users made, by their number.
    csrs: Arc<Mutex<BTreeMap<u8, String>>>,
    token: Arc<Mutex<String>>,
}

fn namespaced(group: &str, plural: &str, name: &str) -> String {
    let group = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}") };
    let end = if name.is_empty() { String::new() } else { format!("/{name}") };
    format!("{group}/namespaces/{NAMESPACE}/{plural}{end}")
}

fn request_path(name: &str) -> String {
    namespaced("cert-manager.io/v1", "certificaterequests", name)
}

fn certificate_path() -> String {
    namespaced("cert-manager.io/v1", "certificates", CERTIFICATE)
}

fn issuer_path(name: &str) -> String {
    namespaced("external-issuer.io/v1alpha1", "externalissuers", name)
}

fn lease_path() -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/external-issuer.io")
}

impl Admin {
    pub(super) fn new(server: Server, pki: Pki) -> Self {
        Self { server, pki, csrs: Arc::default(), token: Arc::new(Mutex::new(TOKEN.to_owned())) }
    }

    async fn call(&self, method: Method, path: &str, content_type: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request =
            Request::builder().method(method).uri(path).header("Content-Type", content_type).body(body);
        let Ok(request) = request else { return (0, Value::Null) };
        let Ok(answer) = self.server.serve(request, Peer("admin".into()), &Identity::admin()).await else {
            return (0, Value::Null);
        };
        let code = answer.status().as_u16();
        let Ok(body) = answer.into_body().collect().await;
        (code, serde_json::from_slice(&body.to_bytes()).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, "application/json", body).await
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let (code, object) = self.call(Method::GET, path, "application/json", Value::Null).await;
        (code == 200).then_some(object)
    }

    async fn put(&self, path: &str, body: Value) -> u16 {
        self.call(Method::PUT, path, "application/json", body).await.0
    }

    async fn merge(&self, path: &str, body: Value) -> u16 {
        self.call(Method::PATCH, path, "application/merge-patch+json", body).await.0
    }

    async fn delete(&self, path: &str) {
        self.call(Method::DELETE, path, "application/json", Value::Null).await;
    }

    fn time(&self) -> String {
        self.server.clock().now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Sets a condition of a request by a manager of its own.
    pub(super) async fn condition(&self, request: &Value, type_: &str) {
        let text =
            |pointer: &str| request.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let manager = type_.replace('/', "-").to_lowercase();
        let path =
            format!("{}/status?fieldManager={manager}&force=true", request_path(&text("/metadata/name")));
        let body = json!({
            "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": text("/metadata/name"), "namespace": NAMESPACE, "uid": text("/metadata/uid")},
            "status": {"conditions": [{
                "type": type_, "status": "True", "reason": "scenario", "message": "said so",
                "lastTransitionTime": self.time(),
            }]},
        });
        self.call(Method::PATCH, &path, "application/apply-patch+yaml", body).await;
    }

    pub(super) async fn meddle(&self) {
        for request in requests(&self.server) {
            if !is_finished(&request) {
                self.condition(&request, "example.com/Seen").await;
            }
        }
    }

    pub(super) async fn make_certificate(&self) {
        let body = json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": CERTIFICATE},
            "spec": {
                "secretName": "web-tls", "dnsNames": ["web.example.com"], "duration": "24h", "renewBefore": "8h",
                "privateKey": {"algorithm": "Ed25519"},
                "issuerRef": {"group": "external-issuer.io", "kind": "ExternalIssuer", "name": "company-pki"},
            },
        });
        self.post(&namespaced("cert-manager.io/v1", "certificates", ""), body).await;
    }

    pub(super) async fn remake_certificate(&self) {
        self.delete(&certificate_path()).await;
        self.make_certificate().await;
    }

    pub(super) async fn edit_certificate(&self) {
        let at = self.server.clock().now().as_millisecond();
        let names = json!(["web.example.com", format!("n{at}.example.com")]);
        self.merge(&certificate_path(), json!({"spec": {"dnsNames": names}})).await;
    }

    /// What `cmctl renew` does.
    pub(super) async fn renew(&self) {
        let Some(mut certificate) = self.get(&certificate_path()).await else { return };
        let condition = json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
            "message": "Certificate re-issuance manually triggered", "lastTransitionTime": self.time(),
            "observedGeneration": certificate.pointer("/metadata/generation").cloned().unwrap_or_default(),
        });
        let Some(conditions) = certificate.pointer_mut("/status/conditions").and_then(Value::as_array_mut)
        else {
            return;
        };
        conditions.retain(|condition| condition.get("type") != Some(&json!("Issuing")));
        conditions.push(condition);
        self.put(&format!("{}/status", certificate_path()), certificate).await;
    }

    pub(super) async fn delete_requests(&self) {
        for request in requests(&self.server) {
            let name = request.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            if name.starts_with(CERTIFICATE) {
                self.delete(&request_path(name)).await;
            }
        }
    }

    pub(super) async fn delete_secret(&self) {
        self.delete(&namespaced("", "secrets", "web-tls")).await;
    }

    /// Odd numbers ask the cluster issuer.
    pub(super) async fn ask(&self, which: u8) -> anyhow::Result<()> {
        let csr = {
            let mut csrs = self.csrs.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(csr) = csrs.get(&which) {
                csr.clone()
            } else {
                let csr = csr(which)?;
                csrs.insert(which, csr.clone());
                csr
            }
        };
        let (kind, name) = if which.is_multiple_of(2) {
            ("ExternalIssuer", "company-pki")
        } else {
            ("ExternalClusterIssuer", "company-wide")
        };
        let body = json!({
            "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": format!("ask-{which}")},
            "spec": {
                "request": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, csr),
                "duration": "12h0m0s", "usages": ["digital signature", "server auth"],
                "issuerRef": {"group": "external-issuer.io", "kind": kind, "name": name},
            },
        });
        self.post(&request_path(""), body).await;
        Ok(())
    }

    pub(super) async fn unask(&self, which: u8) {
        self.delete(&request_path(&format!("ask-{which}"))).await;
    }

    pub(super) async fn edit_issuer(&self) {
        let minutes = 20 + self.server.clock().now().as_millisecond() % 7;
        let patch = json!({"spec": {"healthCheckInterval": format!("{minutes}m")}});
        self.merge(&issuer_path("company-pki"), patch).await;
    }

    pub(super) async fn delete_issuer(&self) {
        self.delete(&issuer_path("company-pki")).await;
    }

    /// Issuer and credential are there, as they should be.
    pub(super) async fn restore(&self) -> anyhow::Result<()> {
        if self.get(&issuer_path("company-pki")).await.is_none() {
            let issuer: Value =
                serde_saphyr::from_str(template::issuer()).context("the issuer's manifest")?;
            self.post(&issuer_path(""), issuer).await;
        }
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let secret = self.get(&namespaced("", "secrets", "pki-credentials")).await;
        let now = secret.as_ref().and_then(|secret| secret.pointer("/data/token")?.as_str());
        if now != Some(encoded(&token).as_str()) {
            self.set_token(&token).await;
        }
        Ok(())
    }

    async fn set_token(&self, token: &str) {
        let path = namespaced("", "secrets", "pki-credentials");
        let code = self.merge(&path, json!({"data": {"token": encoded(token)}})).await;
        if code == 404 {
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pki-credentials"},
                "data": {"token": encoded(token)},
            });
            self.post(&namespaced("", "secrets", ""), secret).await;
        }
    }

    pub(super) async fn drop_credential(&self) {
        self.delete(&namespaced("", "secrets", "pki-credentials")).await;
    }

    /// Another token for the tenant; the one before is revoked. Gives the new one.
    pub(super) async fn rotate(&self) -> Option<String> {
        let made = self.vault("/v1/auth/token/create", json!({"policies": ["root"]})).await?;
        let token = made.pointer("/auth/client_token")?.as_str()?.to_owned();
        let old = {
            let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *held, token.clone())
        };
        self.set_token(&token).await;
        if old != TOKEN {
            self.vault("/v1/auth/token/revoke", json!({"token": old})).await;
        }
        Some(token)
    }

    async fn vault(&self, path: &str, body: Value) -> Option<Value> {
        let request = Request::post(format!("http://pki{path}"))
            .header("X-Vault-Token", TOKEN)
            .body(Bytes::from(body.to_string()))
            .ok()?;
        let answer = self.pki.transport().send(request).await.ok()?;
        Some(serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    /// The cluster issuer's token, which the PKI must know.
    pub(super) async fn introduce(&self, token: &str) {
        self.vault("/v1/auth/token/create", json!({"id": token, "policies": ["root"]})).await;
    }

    pub(super) async fn steal_lease(&self) {
        let Some(mut lease) = self.get(&lease_path()).await else { return };
        let now = self.server.clock().now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("holderIdentity".to_owned(), json!("thief"));
            spec.insert("acquireTime".to_owned(), json!(now));
            spec.insert("renewTime".to_owned(), json!(now));
        }
        self.put(&lease_path(), lease).await;
    }

    pub(super) async fn delete_lease(&self) {
        self.delete(&lease_path()).await;
    }

    pub(super) async fn delete_namespace(&self) {
        self.delete(&format!("/api/v1/namespaces/{NAMESPACE}")).await;
    }
}

fn encoded(token: &str) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, token)
}

fn csr(which: u8) -> anyhow::Result<String> {
    let key = SigningKey::generate(KeyAlgorithm::Ed25519)?;
    let names = ca::general_names(&[GeneralName::Dns(format!("ask-{which}.example.com"))])?;
    // An empty subject; the names are the certificate's.
    let extension = ca::Extra { oid: "2.5.29.17".to_owned(), critical: true, value: names };
    let der = key.request(&[0x30, 0x00], vec![extension])?;
    Ok(x509::pem::encode("CERTIFICATE REQUEST", &der))
}

/// The objects that have not come to rest; nothing when all have.
pub(super) fn restless(server: &Server) -> Vec<String> {
    use super::approver::{condition, is};
    let list = |group: &str, plural: &str| -> Vec<(String, Arc<Value>)> {
        let resource = GroupResource::new(group, plural);
        server.with(|cluster, _| {
            let all = cluster.store().list(&resource, "");
            all.map(|(path, object)| (path.clone(), Arc::clone(object))).collect()
        })
    };
    let mut restless = Vec::new();
    let mut requests_of_certificate = Vec::new();
    for (path, request) in list("cert-manager.io", "certificaterequests") {
        if path.starts_with(&format!("{NAMESPACE}/{CERTIFICATE}-")) {
            requests_of_certificate.push(Arc::clone(&request));
        }
        let decided = is(&request, "Approved") || is(&request, "Denied");
        if !is_finished(&request) && decided {
            let ready = condition(&request, "Ready").map(ToString::to_string).unwrap_or_default();
            restless.push(format!("CertificateRequest {path} is not finished: {ready}"));
        }
    }
    let any_unused = |request: &Arc<Value>| {
        let reason = condition(request, "Ready").and_then(|ready| ready.get("reason")?.as_str());
        matches!(reason, Some("Failed" | "Denied"))
    };
    for (path, certificate) in list("cert-manager.io", "certificates") {
        let failed = certificate.pointer("/status/lastFailureTime").is_some();
        if (!is(&certificate, "Ready") || is(&certificate, "Issuing"))
            && !failed
            && !requests_of_certificate.iter().any(any_unused)
        {
            let conditions =
                certificate.pointer("/status/conditions").map(ToString::to_string).unwrap_or_default();
            restless.push(format!("Certificate {path} is not Ready: {conditions}"));
        }
    }
    for (path, issuer) in list("external-issuer.io", "externalissuers")
        .into_iter()
        .chain(list("external-issuer.io", "externalclusterissuers"))
    {
        if !is(&issuer, "Ready") {
            let ready = condition(&issuer, "Ready").map(ToString::to_string).unwrap_or_default();
            restless.push(format!("issuer {path} is not Ready although all is well: {ready}"));
        }
    }
    for (path, namespace) in list("", "namespaces") {
        if namespace.pointer("/metadata/deletionTimestamp").is_some() {
            restless.push(format!("namespace {path} is still there"));
        }
    }
    restless
}
