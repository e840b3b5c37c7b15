//! The watch that tells when a request is approved and when it ended.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use kube::Client;
use kube::api::{Api, Object};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::board::{Board, End};
use super::request::{Run, resource};

/// A request without what is not looked at, so that reading it costs as little as it can.
type Seen = Object<Ignored, Status>;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ignored {}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// Watches a run's requests until it is dropped. `ready` is told when the watch stands.
pub async fn watch(
    client: Client,
    namespace: String,
    run: Run,
    board: Arc<Board>,
    ready: oneshot::Sender<()>,
) {
    let api: Api<Seen> = Api::namespaced_with(client, &namespace, &resource());
    let config = watcher::Config::default().labels(&run.selector()).streaming_lists();
    let mut events = std::pin::pin!(watcher::watcher(api, config).default_backoff());
    let mut ready = Some(ready);
    while let Some(event) = events.next().await {
        let at = Instant::now();
        match event {
            Ok(Event::Apply(request) | Event::InitApply(request)) => note(&board, &run, &request, at),
            Ok(Event::InitDone) => match ready.take() {
                // Whoever waited is gone: nothing to do about it.
                Some(ready) => drop(ready.send(())),
                None => board.restarted(),
            },
            Ok(Event::Init | Event::Delete(_)) => {}
            Err(_) => board.restarted(),
        }
    }
}

fn note(board: &Board, run: &Run, request: &Seen, at: Instant) {
    let Some(index) = request.metadata.name.as_deref().and_then(|name| run.index(name)) else { return };
    let conditions = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let find = |type_: &str| conditions.iter().find(|condition| condition.type_ == type_);
    let approved = find("Approved").is_some_and(|condition| condition.status == "True");
    let ready = find("Ready");
    let end = ready.and_then(|ready| match (ready.status.as_str(), ready.reason.as_str()) {
        ("True", _) => Some(End::Issued),
        (_, "Failed" | "Denied") => Some(End::Failed(format!("{}: {}", ready.reason, ready.message))),
        _ => None,
    });
    let waiting = ready.map(|ready| format!("{}: {}", ready.reason, ready.message));
    board.seen(index, at, approved, waiting, end);
}
