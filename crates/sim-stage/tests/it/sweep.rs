//! Every request that the controller makes on the way from a Certificate to its Secret, and every way in which it can
//! go wrong.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use sim_kube::fault::{Effect, Peer, Rule, Seen};
use sim_kube::{Call, Cluster, Failure, GroupResource};
use sim_stage::Stage;

use crate::common::{NAMESPACE, certificate, on_stage, pair, until_revision};

/// Which client is struck.
const PEER: &str = "struck";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Status(u16, &'static str),
    /// The request is lost.
    Lost,
    /// The request is carried out, and the answer is lost.
    AnswerLost,
    /// The process dies before the request arrives.
    CrashBefore,
    /// The process dies after the request was carried out.
    CrashAfter,
}

const ALL: [Wrong; 8] = [
    Wrong::Status(409, "Conflict"),
    Wrong::Status(429, "TooManyRequests"),
    Wrong::Status(500, "InternalError"),
    Wrong::Status(503, "ServiceUnavailable"),
    Wrong::Lost,
    Wrong::AnswerLost,
    Wrong::CrashBefore,
    Wrong::CrashAfter,
];

impl Wrong {
    fn effect(self) -> Effect {
        match self {
            Self::Status(code, reason) => {
                Effect::Fail(Failure::new(StatusCode::from_u16(code).unwrap(), reason, "a fault of the test"))
            }
            Self::Lost | Self::CrashBefore => Effect::Drop,
            Self::AnswerLost | Self::CrashAfter => Effect::DropAnswer,
        }
    }

    const fn kills(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

/// How many requests the controller makes when nothing goes wrong.
fn requests() -> u64 {
    on_stage(10, async |stage| {
        let guard = stage.server().with(|cluster, _| {
            cluster.faults().install(Rule::new(Effect::Pass, |seen| &*seen.peer.0 == PEER))
        });
        flow(&stage, None).await;
        guard.struck()
    })
}

/// A Certificate becomes a Secret; the controller is killed once `killed` says so, and started anew.
async fn flow(stage: &Stage, killed: Option<&dyn Fn() -> bool>) {
    let cert_manager = stage.cert_manager();
    let mut controller = Some(stage.controller(PEER, &[]).unwrap());
    certificate(stage, "web", "24h", "8h").await;
    let ready = until_revision(stage, "web", 1);
    let mut ready = std::pin::pin!(ready);
    let mut kill = killed;
    loop {
        tokio::select! {
            () = &mut ready => break,
            () = tokio::time::sleep(Duration::from_millis(1)), if kill.is_some() => {
                if kill.is_some_and(|struck| struck()) {
                    kill = None;
                    controller.take().unwrap().kill().await;
                    controller = Some(stage.controller(PEER, &[]).unwrap());
                }
            }
        }
    }
    // Long enough for anything that is still to go wrong.
    tokio::time::sleep(Duration::from_mins(10)).await;
    cert_manager.abort();
    drop(controller);
}

fn one(wrong: Wrong, request: u64) {
    on_stage(10, async |stage| {
        let rule = Rule::new(wrong.effect(), |seen| &*seen.peer.0 == PEER).after(request).times(1);
        let guard = stage.server().with(|cluster, _| cluster.faults().install(rule));
        let struck = || guard.struck() > 0;
        flow(&stage, wrong.kills().then_some(&struck as &dyn Fn() -> bool)).await;
        let leaf = pair(&stage, "web").await;

        let ledger = stage.pki.ledger();
        let published = |serial: &str| serial.eq_ignore_ascii_case(&leaf.serial_hex());
        assert_eq!(ledger.iter().filter(|issued| published(&issued.serial)).count(), 1);
        // Only a process that dies with the answer in its hands costs a second certificate.
        let most = if wrong.kills() { 2 } else { 1 };
        assert!(ledger.len() <= most, "{} certificates issued", ledger.len());
        written_once(&stage);
        // An event may be lost, but a status that stands is told of once; where nothing but an answer is lost, it is.
        let told = events_of_issue(&stage);
        assert!(told <= 1 && (wrong != Wrong::AnswerLost || told == 1), "{told} events tell of it");
    });
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
fn whatever_goes_wrong_with_any_one_request_the_secret_comes_and_nothing_is_published_twice() {
    let requests = requests();
    assert!((10..100).contains(&requests), "{requests} requests");
    for wrong in ALL {
        for request in 0..requests {
            let seen = std::panic::catch_unwind(|| one(wrong, request));
            assert!(seen.is_ok(), "{wrong:?} at request {request} of {requests}");
        }
    }
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
        flow(&stage, None).await;
        assert_eq!(guard.struck(), 1);
        drop(lagging.lock().unwrap().take());
        written_once(&stage);
        assert_eq!(events_of_issue(&stage), 1);
        assert_eq!(stage.pki.ledger().len(), 1);
    });
}
