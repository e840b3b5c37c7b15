//! A work queue with keys: which object is worked on when.
//!
//! * A key is worked on by one task at a time; if it is added meanwhile it runs once more afterwards.
//! * A key can be put off to a time; adding it now runs it now, and a later time replaces an earlier one.
//! * At most so many keys are worked on at once.
//! * A panic ends its own task alone; its key runs again a minute later.
//! * Until the work begins nothing is kept: a standby does not gather the keys of weeks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::{DelayQueue, delay_queue};

/// After a panic, a key is left alone for this long: the same input would likely panic again.
const AFTER_PANIC: Duration = Duration::from_mins(1);
/// The furthest a key can be put off. `DelayQueue` panics beyond about two years; nothing here waits a week.
const LONGEST: Duration = Duration::from_hours(168);

/// Adds keys to a queue. Cheap to clone.
#[derive(Debug)]
pub struct Queue<K> {
    sender: mpsc::UnboundedSender<Command<K>>,
    open: Arc<AtomicBool>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), open: Arc::clone(&self.open) }
    }
}

/// The other end of a queue, for [`Work::run`].
#[derive(Debug)]
pub struct Work<K> {
    receiver: mpsc::UnboundedReceiver<Command<K>>,
    open: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Command<K> {
    Now(K),
    At(K, Instant),
}

/// A new queue.
#[must_use]
pub fn queue<K>() -> (Queue<K>, Work<K>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let open = Arc::new(AtomicBool::new(false));
    (Queue { sender, open: Arc::clone(&open) }, Work { receiver, open })
}

impl<K> Queue<K> {
    /// Work on the key as soon as possible.
    pub fn now(&self, key: K) {
        self.send(Command::Now(key));
    }

    /// Work on the key after `delay`.
    pub fn after(&self, key: K, delay: Duration) {
        self.send(Command::At(key, Instant::now() + delay.min(LONGEST)));
    }

    fn send(&self, command: Command<K>) {
        if self.open.load(Ordering::SeqCst) {
            // If the other end is gone the process is going down.
            let _ = self.sender.send(command);
        }
    }
}

impl<K: Clone + Eq + Hash + Display + Send + 'static> Work<K> {
    /// Works until `shutdown`, then waits until the tasks in flight have ended. `observe` is told the number of
    /// keys that wait for their turn (not those put off) and of tasks in flight whenever they change.
    ///
    /// From this call on (not from the first poll) keys are kept; `all` then names those there are already.
    pub fn run<F, W>(
        self,
        at_once: NonZeroUsize,
        shutdown: CancellationToken,
        observe: impl Fn(usize, usize) + Send,
        all: impl FnOnce() -> Vec<K>,
        work: F,
    ) -> impl Future<Output = ()> + Send
    where
        F: Fn(K) -> W + Send,
        W: Future<Output = ()> + Send + 'static,
    {
        self.open.store(true, Ordering::SeqCst);
        let mut state: State<K> = State::default();
        for key in all() {
            state.add(key);
        }
        self.work(state, at_once, shutdown, observe, work)
    }

    async fn work<F, W>(
        mut self,
        mut state: State<K>,
        at_once: NonZeroUsize,
        shutdown: CancellationToken,
        observe: impl Fn(usize, usize) + Send,
        work: F,
    ) where
        F: Fn(K) -> W + Send,
        W: Future<Output = ()> + Send + 'static,
    {
        let mut running: JoinSet<()> = JoinSet::new();
        let mut keys: HashMap<tokio::task::Id, K> = HashMap::new();
        loop {
            while running.len() < at_once.get() && !shutdown.is_cancelled() {
                let Some(key) = state.start() else { break };
                let task = running.spawn(work(key.clone()));
                keys.insert(task.id(), key);
            }
            observe(state.waiting(), running.len());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = running.join_next_with_id() => {
                    let (id, panicked) = match ended {
                        Ok((id, ())) => (id, false),
                        Err(error) => (error.id(), error.is_panic()),
                    };
                    if let Some(key) = keys.remove(&id) {
                        if panicked {
                            tracing::error!(%key, "a task panicked; this is a bug, please report it");
                            state.forget_additions(&key);
                            state.put_off(key.clone(), Instant::now() + AFTER_PANIC);
                        }
                        state.end(&key);
                    }
                }
                Some(key) = state.delayed.next(), if !state.delayed.is_empty() => state.due(key.into_inner()),
                command = self.receiver.recv() => match command {
                    Some(Command::Now(key)) => state.add(key),
                    Some(Command::At(key, at)) => state.put_off(key, at),
                    None => break,
                },
            }
        }
        while running.join_next().await.is_some() {}
    }
}

struct State<K> {
    ready: VecDeque<K>,
    /// Those in `ready`.
    queued: HashSet<K>,
    /// Those worked on; `true` if added meanwhile.
    in_flight: HashMap<K, bool>,
    delayed: DelayQueue<K>,
    delays: HashMap<K, delay_queue::Key>,
}

impl<K> Default for State<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            queued: HashSet::new(),
            in_flight: HashMap::new(),
            delayed: DelayQueue::new(),
            delays: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn waiting(&self) -> usize {
        self.ready.len()
    }

    fn add(&mut self, key: K) {
        if let Some(again) = self.in_flight.get_mut(&key) {
            *again = true;
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn put_off(&mut self, key: K, at: Instant) {
        if let Some(delay) = self.delays.get(&key) {
            self.delayed.reset_at(delay, at);
        } else {
            let delay = self.delayed.insert_at(key.clone(), at);
            self.delays.insert(key, delay);
        }
    }

    fn due(&mut self, key: K) {
        self.delays.remove(&key);
        self.add(key);
    }

    fn start(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        if let Some(delay) = self.delays.remove(&key) {
            // The work decides anew when to come back.
            self.delayed.try_remove(&delay);
        }
        self.in_flight.insert(key.clone(), false);
        Some(key)
    }

    fn forget_additions(&mut self, key: &K) {
        if let Some(again) = self.in_flight.get_mut(key) {
            *again = false;
        }
    }

    fn end(&mut self, key: &K) {
        if self.in_flight.remove(key) == Some(true) {
            self.add(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::{Semaphore, mpsc::unbounded_channel};

    use super::*;

    const FOUR: NonZeroUsize = NonZeroUsize::new(4).unwrap();

    #[tokio::test(start_paused = true)]
    async fn a_key_added_while_in_flight_runs_once_more() {
        let (queue, work) = queue::<u32>();
        let (started, mut starts) = unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let (gate, shutdown) = (Arc::clone(&gate), shutdown.clone());
            work.run(
                FOUR,
                shutdown,
                |_, _| (),
                Vec::new,
                move |key| {
                    let (gate, started) = (Arc::clone(&gate), started.clone());
                    async move {
                        started.send(key).unwrap();
                        gate.acquire().await.unwrap().forget();
                    }
                },
            )
        });
        queue.now(7);
        assert_eq!(starts.recv().await, Some(7));
        queue.now(7);
        queue.now(7);
        queue.now(8);
        assert_eq!(starts.recv().await, Some(8), "7 is in flight, so only 8 starts");
        gate.add_permits(2);
        assert_eq!(starts.recv().await, Some(7));
        gate.add_permits(1);
        shutdown.cancel();
        task.await.unwrap();
        assert!(starts.try_recv().is_err(), "two additions meanwhile are one more run");
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_time_replaces_an_earlier_one_and_now_is_now() {
        let (queue, work) = queue::<u32>();
        let (started, mut starts) = unbounded_channel();
        let begin = Instant::now();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(work.run(
            FOUR,
            shutdown.clone(),
            |_, _| (),
            Vec::new,
            move |key| {
                let started = started.clone();
                async move { started.send((key, begin.elapsed().as_secs())).unwrap() }
            },
        ));
        queue.after(1, Duration::from_secs(5));
        queue.after(1, Duration::from_secs(50));
        queue.after(2, Duration::from_secs(10));
        queue.now(3);
        assert_eq!(starts.recv().await, Some((3, 0)));
        assert_eq!(starts.recv().await, Some((2, 10)));
        assert_eq!(starts.recv().await, Some((1, 50)));
        shutdown.cancel();
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_run_at_once_than_allowed() {
        let (queue, work) = queue::<u32>();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (done, mut dones) = unbounded_channel();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let most = Arc::clone(&most);
            work.run(
                FOUR,
                shutdown.clone(),
                |_, _| (),
                Vec::new,
                move |_| {
                    let (now, most, done) = (Arc::clone(&now), Arc::clone(&most), done.clone());
                    async move {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        now.fetch_sub(1, Ordering::SeqCst);
                        done.send(()).unwrap();
                    }
                },
            )
        });
        for key in 0..100 {
            queue.now(key);
        }
        for _ in 0..100 {
            dones.recv().await.unwrap();
        }
        shutdown.cancel();
        task.await.unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_its_own_task_alone() {
        let (queue, work) = queue::<u32>();
        let (started, mut starts) = unbounded_channel();
        let begin = Instant::now();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(work.run(
            FOUR,
            shutdown.clone(),
            |_, _| (),
            Vec::new,
            move |key| {
                let started = started.clone();
                async move {
                    started.send((key, begin.elapsed().as_secs())).unwrap();
                    assert!(key != 1 || begin.elapsed() >= AFTER_PANIC, "on purpose");
                }
            },
        ));
        queue.now(1);
        assert_eq!(starts.recv().await, Some((1, 0)));
        queue.now(2);
        assert_eq!(starts.recv().await, Some((2, 0)));
        assert_eq!(starts.recv().await, Some((1, AFTER_PANIC.as_secs())));
        shutdown.cancel();
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_work_begins_nothing_is_kept() {
        let (queue, work) = queue::<u32>();
        let (started, mut starts) = unbounded_channel();
        (0..1000).for_each(|key| queue.now(key));
        assert!(work.receiver.is_empty());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(work.run(
            FOUR,
            shutdown.clone(),
            |_, _| (),
            || vec![1, 2],
            move |key| {
                let started = started.clone();
                async move { started.send(key).unwrap() }
            },
        ));
        queue.now(3);
        for key in 1..=3 {
            assert_eq!(starts.recv().await, Some(key));
        }
        shutdown.cancel();
        task.await.unwrap();
        assert!(starts.try_recv().is_err());
    }
}
