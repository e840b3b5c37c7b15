//! cert-manager's webhook for CertificateRequests, where the simulated API server asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use serde_json::Value;
use sim_cert_manager::admission::{self, Questions, SignerKind, User, Write};
use sim_kube::admission::{Admission, Attributes};
use sim_kube::rbac::{self, Resource, Target};
use sim_kube::{Failure, GroupResource, Verb};

/// Asks as long as it is told to read CSRs, and otherwise keeps only to what policies in the API server can check.
/// Clones are the same.
#[derive(Clone)]
pub(crate) struct CertManagerWebhook {
    pub(crate) reads_csr: Arc<AtomicBool>,
    /// Whether it lets everything through that is written into a status, as one that is not there.
    pub(crate) forgives: Arc<AtomicBool>,
}

impl Admission for CertManagerWebhook {
    fn admit(&self, attributes: &Attributes<'_>) -> Result<Option<Value>, Failure> {
        let kind = attributes.kind;
        let Some(new) = attributes.new.filter(|_| attributes.verb != Verb::Delete) else { return Ok(None) };
        if (kind.group.as_str(), kind.plural.as_str()) != ("cert-manager.io", "certificaterequests") {
            return Ok(None);
        }
        if attributes.subresource == "status" && self.forgives.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let user = User {
            name: attributes.user.name.clone(),
            uid: attributes.user.uid.clone(),
            groups: attributes.user.groups.clone(),
            extra: attributes.user.extra.clone(),
        };
        let write =
            Write { old: attributes.old, new, is_status: attributes.subresource == "status", user: &user };
        let questions = Questions {
            signer_kind: &|group, kind| signer_kind(attributes, group, kind),
            reads_csr: self.reads_csr.load(Ordering::Relaxed),
            may_approve: &|name| {
                let signers =
                    Resource { group: "cert-manager.io", resource: "signers", name, ..Resource::default() };
                let target = Target::Resource(signers);
                rbac::authorize(attributes.store, attributes.user, "approve", &target).allowed
            },
        };
        admission::admit(&write, &questions)
            .map_err(|denied| Failure::new(StatusCode::FORBIDDEN, "Forbidden", denied.to_string()))
    }
}

/// The kind of issuer that a request names, as its CRD says it.
fn signer_kind(attributes: &Attributes<'_>, group: &str, kind: &str) -> Option<SignerKind> {
    let definitions = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
    let text =
        |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    attributes.store.list(&definitions, "").find_map(|(_, definition)| {
        let found = text(definition, "/spec/group").as_deref() == Some(group)
            && text(definition, "/spec/names/kind").as_deref() == Some(kind);
        let plural = found.then(|| text(definition, "/spec/names/plural")).flatten()?;
        let is_namespaced = text(definition, "/spec/scope").as_deref() == Some("Namespaced");
        Some(SignerKind { plural, is_namespaced })
    })
}
