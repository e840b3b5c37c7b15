//! What a scenario leaves, compared with what it left on a real cluster.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::{Kind, World, lock};
use crate::Result;
use crate::manifest;
use crate::picture::Picture;

/// What is done with the pictures that are kept in fixtures/scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    /// What a scenario leaves must be what it left on a real cluster.
    Compare,
    /// This is a real cluster: what a scenario leaves is written down.
    Record,
}

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// So often it is looked for what is wanted.
const LOOKS: usize = 60;
/// A picture that is written down has not changed for so many looks.
const STILL: usize = 6;

/// What is pictured of a namespace.
const KINDS: [(&str, &str, &str); 4] = [
    ("cert-manager.io", "v1", "Certificate"),
    ("cert-manager.io", "v1", "CertificateRequest"),
    ("", "v1", "Secret"),
    ("external-issuer.io", "v1alpha1", "ExternalIssuer"),
];

impl World {
    /// Of an object (`Certificate web`, where `…` stands for any text) this is not determined when the scenario ends: a
    /// place in its normal form, or the whole of it if empty.
    pub fn undetermined(&self, object: &str, pointer: &str) {
        lock(&self.undetermined).push((object.to_owned(), pointer.to_owned()));
    }

    /// Compares what the scenario leaves, or writes it down.
    pub(crate) async fn end(&self, scenario: &str, pictures: Pictures) -> Result {
        let path = path_of(scenario);
        match pictures {
            Pictures::Record => {
                let picture = self.still_picture().await?;
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::write(&path, picture.to_text()?).with_context(|| path.display().to_string())
            }
            Pictures::Compare => {
                let wanted = std::fs::read_to_string(&path).with_context(|| {
                    format!("{}: scripts/e2e-local.sh {scenario} --record writes it", path.display())
                })?;
                // What follows the scenario's last look may take as long as a retry.
                for _ in 0..LOOKS {
                    if self.picture().await?.compare(&wanted).is_ok() {
                        return Ok(());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                match self.picture().await?.compare(&wanted) {
                    Ok(()) => Ok(()),
                    Err(difference) => bail!("{difference}{}", self.story().await),
                }
            }
        }
    }

    async fn still_picture(&self) -> Result<Picture> {
        let (mut last, mut same) = (self.picture().await?, 0);
        while same < STILL {
            tokio::time::sleep(PAUSE).await;
            let now = self.picture().await?;
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        Ok(last)
    }

    async fn picture(&self) -> Result<Picture> {
        let mut objects = Vec::new();
        for (group, version, kind) in KINDS {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
            objects.extend(list(api, kind).await?);
        }
        let kind = Kind::ClusterIssuer.as_str();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("external-issuer.io", "v1alpha1", kind));
        let ours: Vec<Value> = lock(&self.cluster_objects).iter().map(name).collect();
        let all = list(Api::all_with(self.client.clone(), &resource), kind).await?;
        objects.extend(all.into_iter().filter(|object| ours.contains(&name(object))));
        let mut picture = Picture::of(&self.namespace, &objects, &self.our_events().await?);
        for (object, pointer) in lock(&self.undetermined).iter() {
            picture.leave_out(object, pointer);
        }
        Ok(picture)
    }

    /// The controller's events in the scenario's namespace.
    async fn our_events(&self) -> Result<Vec<Value>> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("events.k8s.io", "v1", "Event"));
        let api = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let mut events = list(api, "Event").await?;
        events.retain(|event| event.get("reportingController").is_some_and(|by| by == "external-issuer"));
        Ok(events)
    }
}

fn name(object: &Value) -> Value {
    object.pointer("/metadata/name").cloned().unwrap_or_default()
}

/// The objects of a kind; a list does not say which kind its items are.
async fn list(api: Api<DynamicObject>, kind: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for object in api.list(&ListParams::default()).await? {
        let mut object = serde_json::to_value(object)?;
        if let Some(fields) = object.as_object_mut() {
            fields.insert("kind".to_owned(), Value::from(kind));
        }
        objects.push(object);
    }
    Ok(objects)
}

/// Where a scenario's picture is kept.
fn path_of(scenario: &str) -> PathBuf {
    let path = manifest::repository().join("fixtures/scenarios").join(scenario.replace("::", "/"));
    path.with_extension("yaml")
}
