//! Who approves requests, and may be told to deny them or to leave them alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};
use sim_kube::GroupResource;
use sim_kube::client::Server;

use super::actors::Admin;

/// What is done with requests that nobody has decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Approve,
    Deny,
    Ignore,
}

/// The approver; clones are the same.
#[derive(Clone)]
pub(super) struct Approver {
    server: Server,
    admin: Admin,
    policy: Arc<AtomicU8>,
}

impl Approver {
    pub(super) fn new(server: Server, admin: Admin) -> Self {
        Self { server, admin, policy: Arc::new(AtomicU8::new(0)) }
    }

    pub(super) fn set(&self, policy: Policy) {
        self.policy.store(policy as u8, Ordering::SeqCst);
    }

    /// Decides about what comes, for ever.
    pub(super) async fn run(self) {
        loop {
            self.server.changed().await;
            // Not at once: what is seen in between is a request that nobody has decided about.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            self.decide().await;
        }
    }

    /// Decides about everything that is undecided now.
    pub(super) async fn decide(&self) {
        let policy = self.policy.load(Ordering::SeqCst);
        if policy == Policy::Ignore as u8 {
            return;
        }
        let type_ = if policy == Policy::Approve as u8 { "Approved" } else { "Denied" };
        for request in requests(&self.server) {
            if !is(&request, "Approved") && !is(&request, "Denied") && !is_finished(&request) {
                self.admin.condition(&request, type_).await;
            }
        }
    }

    /// Denies what is approved.
    pub(super) async fn flip(&self) {
        for request in requests(&self.server) {
            if is(&request, "Approved") && !is(&request, "Denied") && !is_finished(&request) {
                self.admin.condition(&request, "Denied").await;
            }
        }
    }
}

/// All requests for our issuers.
pub(super) fn requests(server: &Server) -> Vec<Arc<Value>> {
    let resource = GroupResource::new("cert-manager.io", "certificaterequests");
    server.with(|cluster, _| {
        cluster.store().list(&resource, "").map(|(_, object)| Arc::clone(object)).collect()
    })
}

/// Whether a condition is `True`.
pub(super) fn is(object: &Value, type_: &str) -> bool {
    condition(object, type_).is_some_and(|condition| condition.get("status") == Some(&json!("True")))
}

pub(super) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(type_))
}

/// Whether a request has come to its end.
pub(super) fn is_finished(request: &Value) -> bool {
    let reason = condition(request, "Ready").and_then(|ready| ready.get("reason")?.as_str());
    matches!(reason, Some("Issued" | "Failed" | "Denied"))
}
