//! Fresh sequences on both servers, and the recording. What these tests need, `scripts/conformance.sh` brings:
//!
//! | variable | |
//! | --- | --- |
//! | `CONFORMANCE_KUBECONFIG` | an administrator's, of a server that may be written to |
//! | `CONFORMANCE_SEED` | the first sequence's seed; the next one's is one more; by default of the clock |
//! | `CONFORMANCE_SEQUENCES` | how many at most |
//! | `CONFORMANCE_SECONDS` | how long at most |
//! | `CONFORMANCE_SURVEY` | if set, goes on after a difference, and shows one sequence for each kind of difference |

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use crate::compare::{Difference, difference};
use crate::generate;
use crate::golden;
use crate::play::play;
use crate::real::Real;
use crate::sequence::{Request, Transcript};
use crate::sim::{Sim, definitions};

/// The seeds of the recorded sequences.
const RECORDED: std::ops::Range<u64> = 0..150;
/// How often, and for how long, a sequence that differs is made smaller at most.
const SHRINKS: usize = 400;
const SHRINKING: Duration = Duration::from_secs(15);

struct Pair {
    real: Real,
    definitions: Vec<Value>,
}

impl Pair {
    fn connect() -> Self {
        let kubeconfig = std::env::var("CONFORMANCE_KUBECONFIG").unwrap();
        Self { real: Real::connect(&kubeconfig), definitions: definitions() }
    }

    fn play(&mut self, sequence: &[Request]) -> (Transcript, Transcript) {
        let simulated = play(&mut Sim::new(&self.definitions), sequence, None);
        let real = play(self.real.next(), sequence, Some(&simulated));
        (simulated, real)
    }

    fn difference(&mut self, sequence: &[Request]) -> Option<Difference> {
        let (simulated, real) = self.play(sequence);
        difference(sequence, &simulated, &real)
    }
}

fn tree(seed: u64) -> Box<dyn ValueTree<Value = Vec<Request>>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    Box::new(generate::sequence().new_tree(&mut runner).unwrap())
}

/// A number in the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The smallest sequence that still differs, as far as is found.
fn shrink(
    pair: &mut Pair,
    tree: &mut dyn ValueTree<Value = Vec<Request>>,
    found: Difference,
) -> (Vec<Request>, Difference) {
    let mut smallest = (tree.current(), found);
    let mut differs = true;
    let until = Instant::now() + SHRINKING;
    for _ in (0..SHRINKS).take_while(|_| Instant::now() < until) {
        if !(if differs { tree.simplify() } else { tree.complicate() }) {
            break;
        }
        let sequence = tree.current();
        let found = pair.difference(&sequence);
        differs = found.is_some();
        if let Some(found) = found {
            smallest = (sequence, found);
        }
    }
    smallest
}

#[test]
#[ignore = "needs a real server: scripts/conformance.sh"]
fn fresh_sequences_are_answered_as_a_real_server_answers_them() {
    let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let seed = number("CONFORMANCE_SEED").unwrap_or_else(|| u64::try_from(clock % 1_000_000_000).unwrap());
    let most = number("CONFORMANCE_SEQUENCES").unwrap_or(200);
    let until = number("CONFORMANCE_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let survey = std::env::var_os("CONFORMANCE_SURVEY").is_some();
    eprintln!("the first seed is {seed}");

    let mut pair = Pair::connect();
    let begun = Instant::now();
    let mut differences: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let (mut played, mut requests) = (0_usize, 0_usize);
    for seed in seed..seed + most {
        if until.is_some_and(|until| Instant::now() > until) {
            break;
        }
        let mut tree = tree(seed);
        let sequence = tree.current();
        played += 1;
        requests += sequence.len();
        let Some(found) = pair.difference(&sequence) else { continue };
        let again = format!("again: scripts/conformance.sh --seed {seed} --sequences 1");
        if survey {
            let entry = differences.entry(found.signature());
            entry.or_insert_with(|| (0, format!("{}{again}\n", found.shown(&sequence)))).0 += 1;
            continue;
        }
        let (sequence, found) = shrink(&mut pair, tree.as_mut(), found);
        panic!("after {played} sequences:\n{}{again}", found.shown(&sequence));
    }
    for (signature, (count, shown)) in &differences {
        eprintln!("== {count} times: {signature}\n{shown}");
    }
    let seconds = begun.elapsed().as_secs();
    let sent = pair.real.requests;
    eprintln!(
        "{played} sequences of {requests} requests ({sent} in all) in {seconds} s, {} kinds of difference",
        differences.len()
    );
    assert!(differences.is_empty());
}

#[test]
#[ignore = "writes fixtures, and needs a real server: scripts/conformance.sh --record"]
fn what_a_real_server_answers_is_recorded() {
    let mut pair = Pair::connect();
    let recorded: Vec<(Vec<Request>, Transcript)> = RECORDED
        .map(|seed| {
            let sequence = tree(seed).current();
            let (_, real) = pair.play(&sequence);
            (sequence, real)
        })
        .collect();
    golden::write(&recorded);
}
