//! A status whose write was not answered, told of all the same.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sim_kube::fault::{Effect, Peer, Rule, Seen};
use sim_kube::{Call, Cluster, GroupResource};
use sim_stage::Stage;

use crate::common::{NAMESPACE, certificate, on_stage, until_revision};

/// Which client is struck.
const PEER: &str = "struck";

/// A Certificate becomes a Secret.
async fn flow(stage: &Stage) {
    let cert_manager = stage.cert_manager();
    let controller = stage.controller(PEER, &[]).unwrap();
    certificate(stage, "web", "24h", "8h").await;
    until_revision(stage, "web", 1).await;
    // Long enough for anything that is still to go wrong.
    tokio::time::sleep(Duration::from_mins(10)).await;
    cert_manager.abort();
    drop(controller);
}

fn events_of_issue(stage: &Stage) -> usize {
    let events = GroupResource::new("", "events");
    stage.server().with(|cluster, _| {
        let all = cluster.store().list(&events, NAMESPACE);
        let ours = |event: &serde_json::Value| {
            event["reason"] == "Issued" && event.to_string().contains("\"web-1\"")
        };
        all.filter(|(_, event)| ours(event)).count()
    })
}

/// The request's certificate was written once, and nothing of its status after that.
fn written_once(stage: &Stage) {
    let requests = GroupResource::new("cert-manager.io", "certificaterequests");
    let path = format!("{NAMESPACE}/web-1");
    let statuses: Vec<serde_json::Value> = stage.server().with(|cluster, _| {
        let changes = cluster.store().changes_after(cluster.store().compacted());
        let ours = changes.filter(|change| change.resource == requests && change.path == path);
        ours.filter_map(|change| Some(change.new.as_ref()?["status"].clone())).collect()
    });
    let finished = statuses.iter().filter(|status| !status["certificate"].is_null());
    let finished: BTreeSet<String> = finished.map(ToString::to_string).collect();
    assert_eq!(finished.len(), 1, "a finished status changed, or never came: {statuses:?}");
}

#[test]
fn a_status_that_stands_although_nobody_said_so_is_told_of_once_even_if_the_watch_lags() {
    on_stage(10, async |stage| {
        let lagging = Arc::new(Mutex::new(None));
        let (server, held) = (stage.server().clone(), Arc::clone(&lagging));
        stage.pki.on_call(move |call| {
            if !call.is_check {
                let freeze = |cluster: &mut Cluster, _| {
                    cluster.faults().freeze(Peer(PEER.into()), cluster.store().revision())
                };
                *held.lock().unwrap() = Some(server.with(freeze));
            }
        });
        let is_status = |seen: &Seen<'_>| {
            let of_request =
                |call: &Call| call.plural == "certificaterequests" && call.subresource == "status";
            &*seen.peer.0 == PEER && seen.call.is_some_and(of_request)
        };
        let rule = Rule::new(Effect::DropAnswer, is_status).times(1);
        let guard = stage.server().with(|cluster, _| cluster.faults().install(rule));
        flow(&stage).await;
        assert_eq!(guard.struck(), 1);
        drop(lagging.lock().unwrap().take());
        written_once(&stage);
        assert_eq!(events_of_issue(&stage), 1);
        assert_eq!(stage.pki.ledger().len(), 1);
    });
}
