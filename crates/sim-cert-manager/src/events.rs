//! Events, as cert-manager's recorder writes them: `core/v1`, repeats counted on one object. One that cannot be
//! written is forgotten: nothing depends on events.

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{api::truncated, clock::Clock, decide::Note, request::sha256_hex};

/// Whom an event is about.
pub(crate) struct Subject(ObjectReference);

impl Subject {
    pub(crate) fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        Self(object.object_ref(&()))
    }
}

/// Writes events, or not.
#[derive(Clone)]
pub(crate) struct Publisher {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) enabled: bool,
}

impl Publisher {
    pub(crate) async fn publish(&self, subject: &Subject, note: &Note) {
        if !self.enabled {
            return;
        }
        let namespace = subject.0.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let event = event(subject, note, self.clock.now());
        let name = event.metadata.name.clone().unwrap_or_default();
        let params = PostParams { field_manager: Some(note.component.to_owned()), ..PostParams::default() };
        let result = match api.create(&params, &event).await {
            Err(kube::Error::Api(status)) if status.code == 409 => again(&api, &name, &event).await,
            created => created.map(drop),
        };
        if let Err(error) = result {
            tracing::debug!(event = name, %error, "an event was not written");
        }
    }
}

async fn again(api: &Api<Event>, name: &str, event: &Event) -> kube::Result<()> {
    let before = api.get(name).await?;
    let patch =
        json!({"count": before.count.unwrap_or(1).saturating_add(1), "lastTimestamp": event.last_timestamp});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

/// The same thing said of the same object is the same event.
fn event(subject: &Subject, note: &Note, now: jiff::Timestamp) -> Event {
    let object = &subject.0;
    let about = object.name.clone().unwrap_or_default();
    let uid = object.uid.clone().unwrap_or_default();
    let said = [note.component, &note.reason, &note.message, &uid].join("\n");
    let hash = sha256_hex(said.as_bytes());
    let suffix = hash.get(..16).unwrap_or_default();
    let now = Some(Time(truncated(now)));
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{about}.{suffix}")),
            namespace: object.namespace.clone().or_else(|| Some("default".to_owned())),
            ..ObjectMeta::default()
        },
        involved_object: object.clone(),
        type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(note.reason.clone()),
        message: Some(note.message.clone()),
        source: Some(EventSource { component: Some(note.component.to_owned()), host: None }),
        reporting_component: Some(note.component.to_owned()),
        reporting_instance: Some(String::new()),
        count: Some(1),
        first_timestamp: now.clone(),
        last_timestamp: now,
        ..Event::default()
    }
}
