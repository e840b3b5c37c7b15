//! The tower skin: kube's own watchers and controllers, under a clock that is tokio's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, reflector};
use kube::{Api, Client, ResourceExt as _};
use sim_kube::client::{Clock, Server};
use sim_kube::fault::{Effect, Peer, Rule};
use sim_kube::{Cluster, Cut, Failure, Identity, Options, Verb};

use crate::driver::START;

fn server() -> Server {
    let clock = Clock::starting_at(START.parse().unwrap());
    Server::new(Cluster::new(Options::default(), clock.now()), clock)
}

fn config_maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, "default")
}

fn named(name: &str) -> ConfigMap {
    let mut object = ConfigMap::default();
    object.metadata.name = Some(name.to_owned());
    object
}

/// What happened, in short.
fn said(event: &Event<ConfigMap>) -> String {
    match event {
        Event::Init => "init".to_owned(),
        Event::InitApply(object) => format!("init {}", object.name_any()),
        Event::InitDone => "done".to_owned(),
        Event::Apply(object) => format!("apply {}", object.name_any()),
        Event::Delete(object) => format!("delete {}", object.name_any()),
    }
}

async fn follows_a_day(config: watcher::Config) {
    let server = server();
    let api = config_maps(server.client(Identity::admin()));
    api.create(&PostParams::default(), &named("a")).await.unwrap();

    let mut events = watcher::watcher(api.clone(), config).boxed();
    let next = async |events: &mut futures::stream::BoxStream<'_, watcher::Result<Event<ConfigMap>>>| {
        said(&events.try_next().await.unwrap().unwrap())
    };
    for expected in ["init", "init a", "done"] {
        assert_eq!(next(&mut events).await, expected);
    }
    let started = server.clock().now();
    // Watches time out and are opened anew under the way; nothing is told twice for that.
    let writer = tokio::spawn({
        let api = api.clone();
        async move {
            tokio::time::sleep(Duration::from_hours(12)).await;
            api.create(&PostParams::default(), &named("b")).await.unwrap();
            tokio::time::sleep(Duration::from_hours(12)).await;
            api.delete("a", &DeleteParams::default()).await.unwrap();
        }
    });
    assert_eq!(next(&mut events).await, "apply b");
    assert_eq!(next(&mut events).await, "delete a");
    writer.await.unwrap();
    let passed = server.clock().now().duration_since(started);
    assert!((SignedDuration::from_hours(24)..SignedDuration::from_hours(25)).contains(&passed), "{passed}");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_lists_follows_a_day_of_writes() {
    follows_a_day(watcher::Config::default()).await;
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_streams_its_list_follows_a_day_of_writes() {
    follows_a_day(watcher::Config::default().streaming_lists()).await;
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_comes_too_late_lists_anew() {
    let server = server();
    let api = config_maps(server.client(Identity::admin()));
    let mut events = watcher::watcher(api.clone(), watcher::Config::default()).default_backoff().boxed();
    for expected in ["init", "done"] {
        assert_eq!(said(&events.try_next().await.unwrap().unwrap()), expected);
    }
    // The stream is polled once more so that its watch is open.
    assert!(futures::poll!(events.next()).is_pending());
    tokio::task::yield_now().await;
    api.create(&PostParams::default(), &named("a")).await.unwrap();
    assert_eq!(said(&events.try_next().await.unwrap().unwrap()), "apply a");
    assert_eq!(server.with(|cluster, _| cluster.cut_watches(None, &Cut::Expired)), 1);
    let mut rest = Vec::new();
    while rest.last().is_none_or(|last| last != "done") {
        match events.next().await.unwrap() {
            Ok(event) => rest.push(said(&event)),
            Err(error) => rest.push(format!(
                "error {}",
                matches!(error, watcher::Error::WatchError(status) if status.code == 410)
            )),
        }
    }
    assert_eq!(rest, ["error true", "init", "init a", "done"]);
}

#[tokio::test(start_paused = true)]
async fn a_reflector_holds_what_the_cluster_holds() {
    let server = server();
    let api = config_maps(server.client(Identity::admin()));
    let (reader, writer) = reflector::store();
    let stream = reflector(writer, watcher::watcher(api.clone(), watcher::Config::default()));
    let task = tokio::spawn(stream.for_each(|_| std::future::ready(())));
    reader.wait_until_ready().await.unwrap();
    assert_eq!(reader.len(), 0);
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &named(name)).await.unwrap();
    }
    api.delete("a", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let names: Vec<String> = reader.state().iter().map(|object| object.name_any()).collect();
    assert_eq!(names, ["b"]);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_controller_reconciles_what_is_made_and_again_when_it_said() {
    let server = server();
    let client = server.client(Identity::admin());
    let api = config_maps(client.clone());
    let count = Arc::new(AtomicUsize::new(0));
    let controller = Controller::new(api.clone(), watcher::Config::default())
        .owns(Api::<Secret>::namespaced(client, "default"), watcher::Config::default())
        .run(
            |_, count: Arc<AtomicUsize>| async move {
                count.fetch_add(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(Action::requeue(Duration::from_hours(1)))
            },
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::clone(&count),
        )
        .for_each(|_| std::future::ready(()));
    let task = tokio::spawn(controller);
    api.create(&PostParams::default(), &named("a")).await.unwrap();
    tokio::time::sleep(Duration::from_mins(5 * 60 + 30)).await;
    assert_eq!(count.load(Ordering::SeqCst), 6);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn faults_strike_one_client_and_not_the_other() {
    let server = server();
    let unlucky = config_maps(server.client_of(Peer("unlucky".into()), Identity::admin()));
    let other = config_maps(server.client(Identity::admin()));
    let faults = server.with(|cluster, _| cluster.faults().clone());
    let strikes = |effect: Effect| {
        faults.install(Rule::new(effect, |seen| {
            &*seen.peer.0 == "unlucky" && seen.call.is_some_and(|call| call.verb == Verb::Create)
        }))
    };

    let guard = strikes(Effect::DropAnswer);
    unlucky.create(&PostParams::default(), &named("a")).await.unwrap_err();
    assert_eq!(guard.struck(), 1);
    drop(guard);
    let error = unlucky.create(&PostParams::default(), &named("a")).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.is_already_exists()), "it was carried out");

    let guard = strikes(Effect::Drop);
    unlucky.create(&PostParams::default(), &named("b")).await.unwrap_err();
    other.create(&PostParams::default(), &named("b")).await.unwrap();
    drop(guard);

    let guard = strikes(Effect::Fail(Failure::internal("no")));
    let error = unlucky.create(&PostParams::default(), &named("c")).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 500));
    drop(guard);

    let guard = strikes(Effect::Delay(SignedDuration::from_secs(7)));
    let started = server.clock().now();
    unlucky.create(&PostParams::default(), &named("c")).await.unwrap();
    assert_eq!(server.clock().now().duration_since(started).as_secs(), 7);
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_clients_watch_goes_on_when_it_thaws() {
    let server = server();
    let peer = Peer("one".into());
    let api = config_maps(server.client_of(peer.clone(), Identity::admin()));
    let mut events = watcher::watcher(api.clone(), watcher::Config::default()).boxed();
    for expected in ["init", "done"] {
        assert_eq!(said(&events.try_next().await.unwrap().unwrap()), expected);
    }
    let (faults, revision) = server.with(|cluster, _| (cluster.faults().clone(), cluster.store().revision()));
    let guard = faults.freeze(peer, revision);
    api.create(&PostParams::default(), &named("a")).await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_mins(30), events.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    drop(guard);
    assert_eq!(said(&events.try_next().await.unwrap().unwrap()), "apply a");
}

#[tokio::test(start_paused = true)]
async fn the_clusters_own_controllers_work_while_nobody_asks() {
    let server = server();
    let client = server.client(Identity::admin());
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    let mut namespace = k8s_openapi::api::core::v1::Namespace::default();
    namespace.metadata.name = Some("team".to_owned());
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let inside: Api<ConfigMap> = Api::namespaced(client, "team");
    inside.create(&PostParams::default(), &named("a")).await.unwrap();
    namespaces.delete("team", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(server.with(|cluster, _| cluster.next_due()).is_none());
    assert!(namespaces.get_opt("team").await.unwrap().is_none());
}

#[tokio::test]
async fn whoever_listens_hears_of_every_answer_and_of_nothing_that_did_not_arrive() {
    let server = server();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&heard);
    server.on_answer(move |answered| {
        let call = answered.call.map(|call| format!("{} {} {}", call.verb, call.plural, call.name));
        let line = format!("{} {} {}", &*answered.peer.0, call.unwrap_or_default(), answered.code.as_u16());
        sink.lock().unwrap().push(line);
    });
    let api = config_maps(server.client_of(Peer("one".into()), Identity::admin()));
    api.create(&PostParams::default(), &named("a")).await.unwrap();
    assert!(api.get("b").await.is_err());
    let lost = Rule::new(Effect::Drop, |_| true).times(1);
    let refused =
        Rule::new(Effect::Fail(Failure::new(http::StatusCode::CONFLICT, "Conflict", "no")), |_| true);
    let guards = server.with(|cluster, _| [lost, refused].map(|rule| cluster.faults().install(rule)));
    assert!(api.get("a").await.is_err());
    assert!(api.get("a").await.is_err());
    drop(guards);
    assert_eq!(
        *heard.lock().unwrap(),
        ["one create configmaps  201", "one get configmaps b 404", "one get configmaps a 409"]
    );
}
