//! Which keys are due, in flight, or wait for a time. A key is worked on by one step at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::store::Key;

/// See the module's text.
#[derive(Default)]
pub(crate) struct Queue {
    due: VecDeque<Key>,
    /// What is in `due`, or will be when its step has ended.
    wanted: BTreeSet<Key>,
    in_flight: BTreeSet<Key>,
    timers: BTreeSet<(Timestamp, Key)>,
    timer_of: BTreeMap<Key, Timestamp>,
    failures: BTreeMap<Key, u32>,
}

impl Queue {
    /// The key is due now.
    pub(crate) fn add(&mut self, key: Key) {
        if self.wanted.insert(key.clone()) && !self.in_flight.contains(&key) {
            self.due.push_back(key);
        }
    }

    /// The next key that is due. What waits for a time with it waits no longer: its decision says anew for what.
    pub(crate) fn pop(&mut self) -> Option<Key> {
        let key = self.due.pop_front()?;
        self.wanted.remove(&key);
        self.clear_timer(&key);
        Some(key)
    }

    /// A step for the key begins.
    pub(crate) fn begins(&mut self, key: Key) {
        self.in_flight.insert(key);
    }

    /// It has ended.
    pub(crate) fn ends(&mut self, key: &Key) {
        self.in_flight.remove(key);
        if self.wanted.contains(key) {
            self.due.push_back(key.clone());
        }
    }

    /// The step was done: the next failure is the first.
    pub(crate) fn succeeded(&mut self, key: &Key) {
        self.failures.remove(key);
    }

    /// The step failed: again after a wait that doubles with each failure in a row. Returns it.
    pub(crate) fn failed(&mut self, key: &Key, now: Timestamp) -> SignedDuration {
        // cert-manager's rate limiters: `DefaultCertificateRateLimiter`, `DefaultItemBasedRateLimiter`.
        let (first, longest) = match key {
            Key::Certificate(_) => (1, 30),
            Key::Approval(_) => (5, 300),
        };
        let failures = self.failures.entry(key.clone()).or_default();
        let wait = first * 2_i64.saturating_pow((*failures).min(16));
        *failures = failures.saturating_add(1);
        let wait = SignedDuration::from_secs(wait.min(longest));
        self.at(key.clone(), now.checked_add(wait).unwrap_or(Timestamp::MAX));
        wait
    }

    /// The key is due at this time, if not before.
    pub(crate) fn at(&mut self, key: Key, time: Timestamp) {
        self.clear_timer(&key);
        self.timers.insert((time, key.clone()));
        self.timer_of.insert(key, time);
    }

    /// When the first timer ends.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|(time, _)| *time)
    }

    /// Everything whose time has come is due.
    pub(crate) fn timers_due(&mut self, now: Timestamp) {
        while let Some((time, key)) = self.timers.first().cloned() {
            if time > now {
                break;
            }
            self.clear_timer(&key);
            self.add(key);
        }
    }

    fn clear_timer(&mut self, key: &Key) {
        if let Some(time) = self.timer_of.remove(key) {
            self.timers.remove(&(time, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ObjectKey;

    fn key(name: &str) -> Key {
        Key::Certificate(ObjectKey { namespace: "shop".to_owned(), name: name.to_owned() })
    }

    #[test]
    fn a_key_is_due_once_and_never_while_it_is_worked_on() {
        let mut queue = Queue::default();
        queue.add(key("a"));
        queue.add(key("a"));
        assert_eq!(queue.pop(), Some(key("a")));
        assert_eq!(queue.pop(), None);
        queue.begins(key("a"));
        queue.add(key("a"));
        queue.add(key("a"));
        assert_eq!(queue.pop(), None);
        queue.ends(&key("a"));
        assert_eq!((queue.pop(), queue.pop()), (Some(key("a")), None));
    }

    #[test]
    fn timers_end_in_order_and_a_later_decision_replaces_them() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let mut queue = Queue::default();
        queue.at(key("b"), time(20));
        queue.at(key("a"), time(10));
        queue.at(key("c"), time(10));
        assert_eq!(queue.next_timer(), Some(time(10)));
        queue.at(key("c"), time(30));
        queue.timers_due(time(20));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(key("a")), Some(key("b")), None));
        queue.add(key("c"));
        assert_eq!(queue.pop(), Some(key("c")));
        assert_eq!(queue.next_timer(), None);
    }

    #[test]
    fn failures_in_a_row_wait_longer() {
        let mut queue = Queue::default();
        let now = Timestamp::UNIX_EPOCH;
        let mut waits =
            |key: &Key, count| -> Vec<i64> { (0..count).map(|_| queue.failed(key, now).as_secs()).collect() };
        assert_eq!(waits(&key("a"), 7), [1, 2, 4, 8, 16, 30, 30]);
        let approval = Key::Approval(ObjectKey { namespace: String::new(), name: String::new() });
        assert_eq!(waits(&approval, 8), [5, 10, 20, 40, 80, 160, 300, 300]);
        queue.succeeded(&key("a"));
        assert_eq!(queue.failed(&key("a"), now).as_secs(), 1);
    }
}
