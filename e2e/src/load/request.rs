//! What is sent: requests, approvals and the null writer's status.

use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};

use super::args::Target;
use super::error::{LoadError, Result};

/// The label by which a run's requests are found.
pub const RUN_LABEL: &str = "issue-load/run";
/// Distinct keys: an issuer that caches by key would not be caught by one, and thousands would only take time.
const KEYS: usize = 8;

/// `certificaterequests.cert-manager.io`.
#[must_use]
pub fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("cert-manager.io", "v1", "CertificateRequest");
    ApiResource::from_gvk_with_plural(&kind, "certificaterequests")
}

/// One run: its name is part of every request's name.
#[derive(Clone, Debug)]
pub struct Run {
    name: String,
}

impl Run {
    /// A run that no other run is confused with.
    #[must_use]
    pub fn new() -> Self {
        let now = now();
        let tail = now.as_second().unsigned_abs() % 10_000_000;
        Self { name: format!("load-{tail}-{}", now.subsec_millisecond()) }
    }

    /// The run's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of a request.
    #[must_use]
    pub fn request(&self, index: usize) -> String {
        format!("{}-{index:05}", self.name)
    }

    /// The number of a request of this run.
    #[must_use]
    pub fn index(&self, request: &str) -> Option<usize> {
        request.strip_prefix(&self.name)?.strip_prefix('-')?.parse().ok()
    }

    /// The selector of the run's requests.
    #[must_use]
    pub fn selector(&self) -> String {
        format!("{RUN_LABEL}={}", self.name)
    }
}

impl Default for Run {
    fn default() -> Self {
        Self::new()
    }
}

/// The requests of a run, each with a CSR of its own (EC P-256).
pub fn requests(run: &Run, target: &Target, duration: &str, count: usize) -> Result<Vec<DynamicObject>> {
    let keys: Vec<KeyPair> =
        (0..KEYS.min(count)).map(|_| KeyPair::generate().map_err(LoadError::Csr)).collect::<Result<_>>()?;
    keys.iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(index, key)| request(run, target, duration, index, key))
        .collect()
}

fn request(run: &Run, target: &Target, duration: &str, index: usize, key: &KeyPair) -> Result<DynamicObject> {
    let name = run.request(index);
    let dns = format!("{name}.example.com");
    let mut params = CertificateParams::new(vec![dns.clone()]).map_err(LoadError::Csr)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, dns);
    let csr = params.serialize_request(key).and_then(|csr| csr.pem()).map_err(LoadError::Csr)?;
    let mut object = DynamicObject::new(&name, &resource()).within(&target.namespace);
    object.metadata.labels = Some([(RUN_LABEL.to_owned(), run.name().to_owned())].into());
    object.data = json!({"spec": {
        "issuerRef": {"group": target.group, "kind": target.kind, "name": target.name},
        "duration": duration,
        "usages": ["digital signature", "server auth"],
        "request": ByteString(csr.into_bytes()),
    }});
    Ok(object)
}

/// The approval of a request, for server-side apply.
#[must_use]
pub fn approval(name: &str) -> Value {
    json!({
        "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest", "metadata": {"name": name},
        "status": {"conditions": [approved()]},
    })
}

fn approved() -> Value {
    json!({"type": "Approved", "status": "True", "reason": "issue-load", "message": "Approved by issue-load",
           "lastTransitionTime": seconds()})
}

/// What the null writer writes: a status as an issuer writes it, of the same size.
#[derive(Clone, Debug)]
pub struct Canned {
    chain: String,
    root: String,
}

impl Canned {
    /// A chain of two certificates and a root, made once.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate().map_err(LoadError::Csr)?;
        let certificate = |name: &str| -> Result<String> {
            let params = CertificateParams::new(vec![name.to_owned()]).map_err(LoadError::Csr)?;
            params.self_signed(&key).map(|certificate| certificate.pem()).map_err(LoadError::Csr)
        };
        let chain = certificate("null.example.com")? + &certificate("intermediate.example.com")?;
        Ok(Self { chain, root: certificate("root.example.com")? })
    }

    fn status(&self, conditions: &[Value]) -> Value {
        json!({
            "certificate": ByteString(self.chain.clone().into_bytes()),
            "ca": ByteString(self.root.clone().into_bytes()),
            "conditions": conditions,
        })
    }

    /// For server-side apply: our share alone.
    #[must_use]
    pub fn apply(&self, request: &DynamicObject) -> Value {
        let (name, version) = (&request.metadata.name, &request.metadata.resource_version);
        json!({
            "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": name, "resourceVersion": version},
            "status": self.status(&[ready()]),
        })
    }

    /// For an update: the whole object.
    #[must_use]
    pub fn update(&self, request: &DynamicObject) -> DynamicObject {
        let mut object = request.clone();
        let status = self.status(&[conditions(request), vec![ready()]].concat());
        if let Some(fields) = object.data.as_object_mut() {
            fields.insert("status".to_owned(), status);
        }
        object
    }
}

fn conditions(request: &DynamicObject) -> Vec<Value> {
    request.data.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn ready() -> Value {
    json!({"type": "Ready", "status": "True", "reason": "Issued", "lastTransitionTime": seconds(),
           "message": "certificate issued: serial 6f0c1c0f4f9d5f1a4b1a2c3d4e5f6071, valid until 2030-01-01T00:00:00Z"})
}

fn seconds() -> String {
    let now = now();
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load generator measures real time and writes it into conditions"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            kubeconfig: None,
            group: "example.io".into(),
            kind: "Kind".into(),
            name: "name".into(),
            namespace: "ns".into(),
        }
    }

    #[test]
    fn each_request_has_a_csr_of_its_own_and_is_found_by_its_name() {
        let run = Run::new();
        let made = requests(&run, &target(), "24h", 20).unwrap();
        let csrs: std::collections::HashSet<String> =
            made.iter().map(|request| request.data["spec"]["request"].to_string()).collect();
        assert_eq!(csrs.len(), 20);
        let name = made[19].metadata.name.as_deref().unwrap();
        assert_eq!(run.index(name), Some(19));
        assert_eq!(run.index("other-00001"), None);
    }

    #[test]
    fn only_apply_leaves_the_approval_to_its_owner() {
        let mut request = requests(&Run::new(), &target(), "24h", 1).unwrap().remove(0);
        request.data["status"] = json!({"conditions": [approved()]});
        let canned = Canned::new().unwrap();
        let count = |status: &Value| status["status"]["conditions"].as_array().map_or(0, Vec::len);
        assert_eq!(count(&canned.apply(&request)), 1);
        assert_eq!(count(&canned.update(&request).data), 2);
    }
}
