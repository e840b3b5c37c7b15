//! Three contenders on one simulated Lease, with every interleaving of reads, writes, losses, crashes and clocks
//! that proptest finds: no two of them ever lead at once, each by its own reckoning.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use proptest::prelude::*;
use tokio::time::Instant;

use super::rules::{self, Seen, Step};

const LEASE: Duration = Duration::from_secs(15);

/// One thing that happens. Whom it happens to is an index, taken modulo.
#[derive(Clone, Debug)]
enum Event {
    /// Time passes.
    Pass { millis: u64 },
    /// The API server answers a read; the answer is on its way.
    Read { who: usize },
    /// The answer of the last read arrives.
    Arrive { who: usize },
    /// The contender sends the write that the rules ask for.
    Send { who: usize },
    /// The API server handles a write that is on its way.
    Commit { which: usize },
    /// The answer of a handled write arrives.
    Answer { which: usize },
    /// A write, or its answer, is lost.
    Lose { which: usize },
    /// The contender dies, and comes back as another; its writes stay on their way.
    Crash { who: usize },
    /// The contender releases and exits; it comes back as another.
    Release { who: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let who = 0..3_usize;
    let which = 0..8_usize;
    prop_oneof![
        6 => (0..6_000_u64).prop_map(|millis| Event::Pass { millis }),
        1 => Just(Event::Pass { millis: 15_000 }),
        5 => who.clone().prop_map(|who| Event::Read { who }),
        6 => who.clone().prop_map(|who| Event::Arrive { who }),
        8 => who.clone().prop_map(|who| Event::Send { who }),
        8 => which.clone().prop_map(|which| Event::Commit { which }),
        8 => which.clone().prop_map(|which| Event::Answer { which }),
        1 => which.prop_map(|which| Event::Lose { which }),
        1 => who.clone().prop_map(|who| Event::Crash { who }),
        1 => who.prop_map(|who| Event::Release { who }),
    ]
}

/// The Lease in an answer: none if there is none, or for a write, if it was in conflict.
type Found = Option<Lease>;

struct Contender {
    identity: String,
    /// Its wall clock's error; one that stands still is among them.
    skew: i64,
    stands_still: bool,
    arriving: Option<Found>,
    seen: Option<Seen>,
    valid_until: Option<Instant>,
}

struct Write {
    by: String,
    lease: Lease,
    sent: Instant,
    claims: bool,
    /// What the API server said: the stored Lease, or a conflict.
    answer: Option<Found>,
}

struct World {
    now: Instant,
    elapsed: Duration,
    stored: Option<Lease>,
    version: u64,
    contenders: Vec<Contender>,
    network: Vec<Write>,
    lives: usize,
    wins: Vec<String>,
    /// A rule left out, to prove that its absence is noticed.
    omit: Option<Omission>,
}

#[derive(Clone, Copy, PartialEq)]
enum Omission {
    /// Writes without resourceVersion.
    Guard,
    /// Waiting by the time written in the Lease, on clocks that disagree.
    OwnClock,
    /// Reckoning from the answer instead of from before sending.
    FromSending,
}

impl World {
    fn new(omit: Option<Omission>) -> Self {
        let mut world = Self {
            now: Instant::now(),
            elapsed: Duration::ZERO,
            stored: None,
            version: 0,
            contenders: Vec::new(),
            network: Vec::new(),
            lives: 0,
            wins: Vec::new(),
            omit,
        };
        for _ in 0..3 {
            let contender = world.born();
            world.contenders.push(contender);
        }
        world
    }

    fn born(&mut self) -> Contender {
        self.lives += 1;
        Contender {
            identity: format!("life-{}", self.lives),
            skew: [0, -40, 3_600][self.lives % 3],
            stands_still: self.lives.is_multiple_of(4),
            arriving: None,
            seen: None,
            valid_until: None,
        }
    }

    fn wall(&self, contender: &Contender) -> Timestamp {
        let elapsed = if contender.stands_still { 0 } else { i64::try_from(self.elapsed.as_secs()).unwrap() };
        Timestamp::from_second(1_800_000_000 + contender.skew + elapsed).unwrap()
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Pass { millis } => {
                self.now += Duration::from_millis(millis);
                self.elapsed += Duration::from_millis(millis);
            }
            Event::Read { who } => self.contenders[who].arriving = Some(self.stored.clone()),
            Event::Arrive { who } => {
                let contender = &mut self.contenders[who];
                let Some(lease) = contender.arriving.take() else { return };
                contender.seen = lease.map(|lease| Seen::observed(contender.seen.as_ref(), lease, self.now));
            }
            Event::Send { who } => self.send(who),
            Event::Commit { which } => self.commit(which),
            Event::Answer { which } => self.answer(which),
            Event::Lose { which } => {
                if !self.network.is_empty() {
                    let which = which % self.network.len();
                    self.network.remove(which);
                }
            }
            Event::Crash { who } => self.contenders[who] = self.born(),
            Event::Release { who } => {
                let contender = &self.contenders[who];
                if let Some(seen) =
                    contender.seen.as_ref().filter(|seen| seen.is_held_by(&contender.identity))
                {
                    let lease = seen.released(self.wall(contender));
                    let by = contender.identity.clone();
                    self.network.push(Write { by, lease, sent: self.now, claims: false, answer: None });
                }
                self.contenders[who] = self.born();
            }
        }
    }

    fn send(&mut self, who: usize) {
        let contender = &self.contenders[who];
        let wall = self.wall(contender);
        let mut step = rules::step(contender.seen.as_ref(), &contender.identity, self.now);
        if self.omit == Some(Omission::OwnClock)
            && let Some(renewed) =
                contender.seen.as_ref().and_then(|seen| seen.lease().spec.as_ref()?.renew_time.as_ref())
            && step == Step::Wait
            && wall.as_second() >= renewed.0.as_second() + 15
        {
            step = Step::TakeOver;
        }
        let lease = match (step, &contender.seen) {
            (Step::Create, _) => rules::created("lease", &contender.identity, LEASE, wall),
            (Step::Renew | Step::TakeOver, Some(seen)) => seen.claimed(&contender.identity, LEASE, wall),
            _ => return,
        };
        let by = contender.identity.clone();
        self.network.push(Write { by, lease, sent: self.now, claims: true, answer: None });
    }

    /// As the API server does: create only what is not there, replace only what was seen, and write nothing,
    /// nor move the resourceVersion, if nothing would change.
    fn commit(&mut self, which: usize) {
        if self.network.is_empty() {
            return;
        }
        let which = which % self.network.len();
        let write = &mut self.network[which];
        if write.answer.is_some() {
            return;
        }
        let expected = write.lease.metadata.resource_version.clone();
        let present = self.stored.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        let unguarded = self.omit == Some(Omission::Guard) && expected.is_some();
        if expected != present && !unguarded {
            write.answer = Some(None);
            return;
        }
        if self.stored.as_ref().is_none_or(|stored| stored.spec != write.lease.spec) {
            self.version += 1;
            let mut lease = write.lease.clone();
            lease.metadata.resource_version = Some(self.version.to_string());
            self.stored = Some(lease);
        }
        write.answer = Some(self.stored.clone());
    }

    fn answer(&mut self, which: usize) {
        let handled: Vec<usize> =
            (0..self.network.len()).filter(|&index| self.network[index].answer.is_some()).collect();
        if handled.is_empty() {
            return;
        }
        let write = self.network.remove(handled[which % handled.len()]);
        let Some(contender) = self.contenders.iter_mut().find(|c| c.identity == write.by) else { return };
        if let (Some(Some(lease)), true) = (write.answer, write.claims) {
            if contender.valid_until.is_none() {
                self.wins.push(contender.identity.clone());
            }
            let from = if self.omit == Some(Omission::FromSending) { self.now } else { write.sent };
            contender.seen = Some(Seen::observed(None, lease, self.now));
            // Without the tenth that `Timing::validity` takes off: the rules hold without it.
            contender.valid_until = contender.valid_until.max(Some(from + LEASE));
        }
    }

    fn leaders(&self) -> Vec<&str> {
        let leads = |contender: &&Contender| contender.valid_until.is_some_and(|until| self.now < until);
        self.contenders.iter().filter(leads).map(|contender| contender.identity.as_str()).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_two_contenders_lead_at_once(events in prop::collection::vec(event(), 1..200)) {
        let mut world = World::new(None);
        for event in &events {
            world.happen(event);
            prop_assert!(world.leaders().len() <= 1, "{:?} lead after {event:?}", world.leaders());
        }
    }
}

/// `who` reads, sends, and hears that it was written.
fn turn(who: usize) -> Vec<Event> {
    vec![
        Event::Read { who },
        Event::Arrive { who },
        Event::Send { who },
        Event::Commit { which: 0 },
        Event::Answer { which: 0 },
    ]
}

fn pass(millis: u64) -> Vec<Event> {
    vec![Event::Pass { millis }]
}

/// The most leaders at once over these events.
fn most_leaders(omit: Option<Omission>, events: &[Vec<Event>]) -> usize {
    let mut world = World::new(omit);
    let mut most = 0;
    for event in events.concat() {
        world.happen(&event);
        most = most.max(world.leaders().len());
    }
    most
}

#[test]
fn each_rule_left_out_lets_two_lead() {
    let read = |who| vec![Event::Read { who }, Event::Arrive { who }];
    let races = vec![Event::Send { who: 1 }, Event::Send { who: 2 }];
    let handled = vec![
        Event::Commit { which: 0 },
        Event::Commit { which: 1 },
        Event::Answer { which: 0 },
        Event::Answer { which: 0 },
    ];
    let guard = [turn(0), read(1), read(2), pass(16_000), races, handled];
    let own_clock = [turn(0), turn(1)];
    // The leader's renewal is written at once, and heard of ten seconds late.
    let late = [
        turn(0),
        vec![Event::Send { who: 0 }, Event::Commit { which: 0 }],
        read(1),
        pass(10_000),
        vec![Event::Answer { which: 0 }],
        pass(5_000),
        vec![Event::Send { who: 1 }, Event::Commit { which: 0 }, Event::Answer { which: 0 }],
    ];
    for (omission, events) in [
        (Omission::Guard, &guard[..]),
        (Omission::OwnClock, &own_clock[..]),
        (Omission::FromSending, &late[..]),
    ] {
        assert_eq!(most_leaders(None, events), 1);
        assert_eq!(most_leaders(Some(omission), events), 2);
    }
}

#[test]
fn a_crash_is_followed_when_the_lease_has_run_out_and_no_sooner() {
    let mut world = World::new(None);
    for event in [turn(0), vec![Event::Crash { who: 0 }], turn(1), pass(14_999), turn(1)].concat() {
        world.happen(&event);
    }
    assert_eq!(world.leaders(), Vec::<&str>::new());
    for event in [pass(1), turn(1)].concat() {
        world.happen(&event);
    }
    assert_eq!(world.leaders(), ["life-2"]);
}

#[test]
fn a_release_hands_over_at_the_next_try() {
    let mut world = World::new(None);
    let released = vec![Event::Release { who: 0 }, Event::Commit { which: 0 }, Event::Answer { which: 0 }];
    for event in [turn(0), turn(1), released, turn(1)].concat() {
        world.happen(&event);
    }
    assert_eq!(world.wins, ["life-1", "life-2"]);
    assert_eq!(world.leaders(), ["life-2"]);
}
