//! A cluster that is served: what the skins share.
//!
//! The cluster's clock is tokio's, counted from a time of the caller's choosing: under paused time nothing happens
//! by itself, and hours pass as fast as tasks can be run. A watch is a body that ends when the cluster ends it, and
//! that sleeps until somebody writes something or the watch has something to say by itself.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fault::{Effect, Peer};
use crate::{Answer, Call, Cluster, Failure, Identity, WatchId};

/// The longest that is slept at once: tokio's clock cannot count to the end of time.
const LONGEST_SLEEP: Duration = Duration::from_hours(24);

/// The body of an answer: all of it, or a watch that goes on.
pub type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

/// Tokio's clock, read as a time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Timestamp,
    started: Instant,
}

impl Clock {
    /// A clock that shows `base` now.
    #[must_use]
    pub fn starting_at(base: Timestamp) -> Self {
        Self { base, started: Instant::now() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.base.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }

    fn until(&self, time: Timestamp) -> Duration {
        let wait = time.duration_since(self.now());
        Duration::try_from(wait).unwrap_or_default().min(LONGEST_SLEEP)
    }
}

/// A cluster that clients in this process talk to; clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

/// A request that was answered, as an audit log tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Which client made it.
    pub peer: &'a Peer,
    /// Who made it.
    pub user: &'a Identity,
    /// What it asked for; nothing for documents and health checks.
    pub call: Option<&'a Call>,
    /// The path and the query.
    pub uri: &'a Uri,
    /// The answer's status; of a watch, when it begins.
    pub code: StatusCode,
}

type Ear = Box<dyn Fn(&Answered<'_>) + Send + Sync>;

struct Shared {
    cluster: Mutex<Cluster>,
    clock: Clock,
    changed: watch::Sender<()>,
    ears: Mutex<Vec<Ear>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Server {
    /// Serves a cluster by this clock. Must be called in a tokio runtime, in which the cluster's own controllers then
    /// work as long as there is a handle.
    #[must_use]
    pub fn new(cluster: Cluster, clock: Clock) -> Self {
        let faults = cluster.faults().clone();
        let (changed, _) = watch::channel(());
        let server = Self {
            shared: Arc::new(Shared {
                cluster: Mutex::new(cluster),
                clock,
                changed: changed.clone(),
                ears: Mutex::default(),
            }),
        };
        faults.on_change(move || {
            changed.send_replace(());
        });
        tokio::spawn(keep_up(Arc::downgrade(&server.shared), server.shared.changed.subscribe()));
        server
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// Looks at the cluster or changes it behind the API's back, and wakes whoever waits for changes.
    pub fn with<T>(&self, act: impl FnOnce(&mut Cluster, Timestamp) -> T) -> T {
        self.shared.with(act)
    }

    /// From now on `hear` is told of every request that is answered, after it was carried out and before anybody sees
    /// its effect or its answer. The cluster is locked meanwhile: `hear` must not look at it.
    pub fn on_answer(&self, hear: impl Fn(&Answered<'_>) + Send + Sync + 'static) {
        self.shared.ears.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(hear));
    }

    /// Who sends a request, by its headers and by the certificate of its connection.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Identity>,
    ) -> Result<Identity, Failure> {
        self.shared.lock().authenticate(self.shared.clock.now(), headers, certificate)
    }

    /// Answers a request that `identity` makes; an error is a connection that broke.
    pub async fn serve(
        &self,
        request: Request<Bytes>,
        peer: Peer,
        identity: &Identity,
    ) -> io::Result<Response<ResponseBody>> {
        Arc::clone(&self.shared).serve(request, peer, identity).await
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Cluster, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut cluster = self.lock();
        let before = (cluster.store().revision(), cluster.next_due(), cluster.open_watches());
        let result = act(&mut cluster, now);
        cluster.observe(now);
        let after = (cluster.store().revision(), cluster.next_due(), cluster.open_watches());
        drop(cluster);
        if before != after {
            self.changed.send_replace(());
        }
        result
    }

    fn tell(&self, request: &Request<Bytes>, user: &Identity, code: StatusCode) {
        let ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        if ears.is_empty() {
            return;
        }
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
        let call = Call::read(request.method(), request.uri()).ok().flatten();
        let answered = Answered { peer: &peer, user, call: call.as_ref(), uri: request.uri(), code };
        ears.iter().for_each(|hear| hear(&answered));
    }

    async fn serve(
        self: Arc<Self>,
        mut request: Request<Bytes>,
        peer: Peer,
        identity: &Identity,
    ) -> io::Result<Response<ResponseBody>> {
        request.extensions_mut().insert(peer);
        let effect = self.lock().verdict(self.clock.now(), &request, identity);
        match &effect {
            Effect::Fail(failure) => {
                self.tell(&request, identity, failure.code);
                return Ok(failed(failure));
            }
            Effect::Drop => return Err(broken()),
            Effect::Delay(wait) => pause(*wait).await,
            Effect::Pass | Effect::DelayAnswer(_) | Effect::DropAnswer => {}
        }
        let answer = self.with(|cluster, now| {
            let answer = cluster.handle(now, &request, identity);
            let code = match &answer {
                Answer::Response(response) => response.status(),
                Answer::Watch(head, _) => head.status(),
            };
            self.tell(&request, identity, code);
            answer
        });
        match effect {
            Effect::DelayAnswer(wait) => pause(wait).await,
            Effect::DropAnswer => {
                if let Answer::Watch(_, id) = answer {
                    self.lock().close_watch(id);
                }
                return Err(broken());
            }
            Effect::Pass | Effect::Delay(_) | Effect::Fail(_) | Effect::Drop => {}
        }
        Ok(match answer {
            Answer::Response(response) => response.map(|body| Full::new(body).boxed_unsync()),
            Answer::Watch(head, id) => {
                let changed = self.changed.subscribe();
                let lines = Lines { shared: self, id, changed, ended: false }.into_stream();
                head.map(|()| StreamBody::new(lines).boxed_unsync())
            }
        })
    }
}

/// A failure as an answer.
pub(crate) fn failed(failure: &Failure) -> Response<ResponseBody> {
    crate::respond::failed(failure).map(|body| Full::new(body).boxed_unsync())
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke")
}

async fn pause(wait: SignedDuration) {
    tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
}

/// The body of a watch. The watch is closed when nobody reads it any more.
struct Lines {
    shared: Arc<Shared>,
    id: WatchId,
    changed: watch::Receiver<()>,
    ended: bool,
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.shared.lock().close_watch(self.id);
    }
}

impl Lines {
    fn into_stream(self) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
        stream::unfold(self, |mut lines| async move {
            let bytes = lines.next().await?;
            Some((Ok(Frame::data(bytes)), lines))
        })
    }

    /// The next lines, as soon as there are some.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            // What is written from here on wakes us, also if it is written before we sleep.
            self.changed.borrow_and_update();
            let clock = self.shared.clock;
            let (step, deadline) = {
                let mut cluster = self.shared.lock();
                (cluster.poll_watch(self.id, clock.now()), cluster.watch_deadline(self.id))
            };
            self.ended = step.ended;
            if !step.lines.is_empty() {
                return Some(step.lines.concat().into());
            }
            if self.ended {
                return None;
            }
            let wait = deadline.map_or(LONGEST_SLEEP, |deadline| clock.until(deadline));
            tokio::select! {
                biased;
                // The sender lives as long as `shared`.
                _ = self.changed.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        None
    }
}

/// Does what the cluster has to do by itself, when it is due, as long as anybody holds the server.
async fn keep_up(server: Weak<Shared>, mut changed: watch::Receiver<()>) {
    loop {
        changed.borrow_and_update();
        let Some(shared) = server.upgrade() else { return };
        let (due, clock) = (shared.lock().next_due(), shared.clock);
        if due.is_some_and(|due| due <= clock.now()) {
            shared.with(Cluster::tick);
            continue;
        }
        drop(shared);
        let gone = if let Some(due) = due {
            tokio::select! {
                biased;
                changed = changed.changed() => changed.is_err(),
                () = tokio::time::sleep(clock.until(due)) => false,
            }
        } else {
            changed.changed().await.is_err()
        };
        if gone {
            return;
        }
    }
}
