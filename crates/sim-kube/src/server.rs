//! A cluster that is served: what the skins share.
//!
//! The cluster's clock is tokio's, counted from a time of the caller's choosing: under paused time nothing happens
//! by itself, and hours pass as fast as tasks can be run. A watch is a body that ends when the cluster ends it, and
//! that sleeps until somebody writes something or the watch has something to say by itself.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use crate::fault::{Effect, Peer};
use crate::served::Ears;
pub use crate::served::Served;
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
}

/// How long to sleep until `time`.
fn until(now: Timestamp, time: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or_default().min(LONGEST_SLEEP)
}

/// A cluster that clients in this process talk to; clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cluster: Mutex<Cluster>,
    clock: Clock,
    /// Wakes whoever waits, in the order in which they came to wait: a run can be repeated.
    changed: Arc<Notify>,
    ears: Ears,
    /// Whose time the clock counts. Requests may be served in another runtime: one that reads sockets by the time of
    /// the machine, while the cluster's own is turned by hand.
    runtime: Handle,
}

impl Server {
    /// Serves a cluster by this clock. Must be called in a tokio runtime, in which the cluster's own controllers then
    /// work as long as there is a handle.
    #[must_use]
    pub fn new(cluster: Cluster, clock: Clock) -> Self {
        let faults = cluster.faults().clone();
        let changed = Arc::new(Notify::new());
        let server = Self {
            shared: Arc::new(Shared {
                cluster: Mutex::new(cluster),
                clock,
                changed: Arc::clone(&changed),
                ears: Ears::default(),
                runtime: Handle::current(),
            }),
        };
        tokio::spawn(keep_up(Arc::downgrade(&server.shared), Arc::clone(&changed)));
        faults.on_change(move || changed.notify_waiters());
        server
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// From now on `hear` is told of every request, as soon as it is carried out or a fault has kept it from being so;
    /// it must not call the server.
    pub fn on_call(&self, hear: impl Fn(&Served) + Send + 'static) {
        self.shared.ears.add(Box::new(hear));
    }

    /// Waits until something is written, a fault comes or goes, or a watch is opened or closed.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// The time, whichever runtime asks: a [`Clock`] alone counts that of the runtime in which it is read.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// Looks at the cluster or changes it behind the API's back, and wakes whoever waits for changes.
    pub fn with<T>(&self, act: impl FnOnce(&mut Cluster, Timestamp) -> T) -> T {
        self.shared.with(act)
    }

    /// Who sends a request, by its headers and by the certificate of its connection.
    #[cfg(feature = "https")]
    pub(crate) fn authenticate(
        &self,
        headers: &http::HeaderMap,
        certificate: Option<&Identity>,
    ) -> Result<Identity, Failure> {
        self.shared.lock().authenticate(self.shared.now(), headers, certificate)
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

impl Drop for Shared {
    fn drop(&mut self) {
        // Who keeps up has nothing more to do.
        self.changed.notify_waiters();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        let _entered = self.runtime.enter();
        self.clock.now()
    }

    fn sleep(&self, wait: Duration) -> Sleep {
        let _entered = self.runtime.enter();
        tokio::time::sleep(wait)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Cluster, Timestamp) -> T) -> T {
        let now = self.now();
        let mut cluster = self.lock();
        let before = (cluster.store().revision(), cluster.next_due());
        let open = cluster.open_watches();
        let result = act(&mut cluster, now);
        cluster.observe(now);
        let after = (cluster.store().revision(), cluster.next_due());
        // A watch that was cut has something to say; one that was opened, nothing to anybody else.
        let cut = cluster.open_watches() < open;
        drop(cluster);
        if before != after || cut {
            self.changed.notify_waiters();
        }
        result
    }

    async fn pause(&self, wait: SignedDuration) {
        self.sleep(Duration::try_from(wait).unwrap_or_default()).await;
    }

    async fn serve(
        self: Arc<Self>,
        mut request: Request<Bytes>,
        peer: Peer,
        identity: &Identity,
    ) -> io::Result<Response<ResponseBody>> {
        request.extensions_mut().insert(peer.clone());
        let effect = self.lock().verdict(self.now(), &request, identity);
        let tell = |code: Option<u16>| self.tell(&request, &peer, identity, &effect, code);
        match &effect {
            Effect::Fail(failure) => {
                tell(Some(failure.code.as_u16()));
                return Ok(failed(failure));
            }
            Effect::Drop => {
                tell(None);
                return Err(broken());
            }
            Effect::Delay(wait) => self.pause(*wait).await,
            Effect::Pass | Effect::DelayAnswer(_) | Effect::DropAnswer => {}
        }
        let answer = self.with(|cluster, now| cluster.handle(now, &request, identity));
        tell(Some(match &answer {
            Answer::Response(response) => response.status().as_u16(),
            Answer::Watch(head, _) => head.status().as_u16(),
        }));
        match effect {
            Effect::DelayAnswer(wait) => self.pause(wait).await,
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
                let lines = Lines { shared: self, id, ended: false }.into_stream();
                head.map(|()| StreamBody::new(lines).boxed_unsync())
            }
        })
    }
}

impl Shared {
    fn tell(
        &self,
        request: &Request<Bytes>,
        peer: &Peer,
        user: &Identity,
        effect: &Effect,
        code: Option<u16>,
    ) {
        if self.ears.is_empty() {
            return;
        }
        self.ears.tell(&Served {
            at: self.now(),
            peer: peer.clone(),
            user: user.clone(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            call: Call::read(request.method(), request.uri()).ok().flatten(),
            body: request.body().clone(),
            effect: effect.clone(),
            code,
            revision: self.lock().store().revision(),
        });
    }
}

/// A failure as an answer.
pub(crate) fn failed(failure: &Failure) -> Response<ResponseBody> {
    crate::respond::failed(failure).map(|body| Full::new(body).boxed_unsync())
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection broke")
}

/// The body of a watch. The watch is closed when nobody reads it any more.
struct Lines {
    shared: Arc<Shared>,
    id: WatchId,
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
            let mut changed = pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let now = self.shared.now();
            let (step, deadline) = {
                let mut cluster = self.shared.lock();
                (cluster.poll_watch(self.id, now), cluster.watch_deadline(self.id))
            };
            self.ended = step.ended;
            if !step.lines.is_empty() {
                return Some(step.lines.concat().into());
            }
            if self.ended {
                return None;
            }
            let wait = deadline.map_or(LONGEST_SLEEP, |deadline| until(now, deadline));
            tokio::select! {
                biased;
                () = changed => {}
                () = self.shared.sleep(wait) => {}
            }
        }
        None
    }
}

/// Does what the cluster has to do by itself, when it is due, as long as anybody holds the server.
async fn keep_up(server: Weak<Shared>, changed: Arc<Notify>) {
    loop {
        let mut changed = pin!(changed.notified());
        changed.as_mut().enable();
        let Some(shared) = server.upgrade() else { return };
        let (due, clock) = (shared.lock().next_due(), shared.clock);
        if due.is_some_and(|due| due <= clock.now()) {
            shared.with(Cluster::tick);
            continue;
        }
        drop(shared);
        if let Some(due) = due {
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep(until(clock.now(), due)) => {}
            }
        } else {
            changed.await;
        }
    }
}
