//! Scenarios by chance: what a seed makes, and how one that fails is made smaller.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Blow, CutKind, Op, PkiFault, Replica, Scenario};

/// A scenario of up to so many things.
pub fn scenario(most: usize) -> impl Strategy<Value = Scenario> {
    let ops = prop::collection::vec((wait(), op()), 1..=most);
    let replicas = prop_oneof![3 => Just(1_u8), 2 => Just(2)];
    let latency = prop_oneof![2 => Just(0_u16), 2 => 1..8_u16, 1 => 20..200_u16];
    (any::<u16>(), replicas, latency, ops).prop_map(|(seed, replicas, latency, ops)| Scenario {
        seed: u64::from(seed),
        replicas,
        latency,
        ops,
    })
}

/// At once, in the middle of what is going on, or when it is over.
fn wait() -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(0), 3 => 1..50_u32, 3 => 50..3_000_u32, 3 => 3_000..40_000_u32, 1 => 40_000..200_000_u32]
}

fn replica() -> impl Strategy<Value = Replica> {
    prop_oneof![2 => Just(Replica::A), 1 => Just(Replica::B)]
}

fn seconds() -> impl Strategy<Value = u16> {
    prop_oneof![2 => 1..12_u16, 3 => 12..60_u16, 1 => 60..300_u16]
}

fn cut() -> impl Strategy<Value = CutKind> {
    prop::sample::select(CutKind::ALL.to_vec())
}

fn blow() -> impl Strategy<Value = Blow> {
    let all: Vec<Blow> = Blow::SWEEP.into_iter().chain(Blow::MORE).collect();
    prop::sample::select(all)
}

fn op() -> impl Strategy<Value = Op> {
    let which = 0..3_u8;
    let plain = prop::sample::select(vec![
        Op::Compact,
        Op::StealLease,
        Op::DeleteLease,
        Op::Approve,
        Op::Deny,
        Op::Ignore,
        Op::Flip,
        Op::Meddle,
        Op::EditCertificate,
        Op::RemakeCertificate,
        Op::DeleteRequests,
        Op::DeleteSecret,
        Op::EditIssuer,
        Op::DeleteIssuer,
        Op::RestoreIssuer,
        Op::Rotate,
        Op::DropCredential,
    ]);
    prop_oneof![
        10 => (replica(), 0..40_u16, blow()).prop_map(|(replica, nth, blow)| Op::Strike(replica, nth, blow)),
        8 => plain,
        4 => Just(Op::Renew),
        3 => which.clone().prop_map(Op::Ask),
        1 => which.clone().prop_map(Op::Unask),
        2 => which.prop_map(Op::Reask),
        3 => (prop::sample::select(PkiFault::all()), seconds()).prop_map(|(fault, seconds)| Op::Pki(fault, seconds)),
        1 => replica().prop_map(Op::Crash),
        1 => replica().prop_map(Op::Restart),
        2 => (replica(), seconds()).prop_map(|(replica, seconds)| Op::Partition(replica, seconds)),
        1 => (replica(), seconds()).prop_map(|(replica, seconds)| Op::Stale(replica, seconds)),
        1 => (replica(), cut()).prop_map(|(replica, cut)| Op::Cut(replica, cut)),
        1 => (replica(), seconds()).prop_map(|(replica, seconds)| Op::NoBookmarks(replica, seconds)),
        1 => (replica(), -7_200..7_200_i32).prop_map(|(replica, seconds)| Op::Skew(replica, seconds)),
        1 => seconds().prop_map(Op::Suspend),
        1 => seconds().prop_map(Op::NoEvents),
        1 => prop::bool::weighted(0.2).prop_map(|all| if all { Op::DeleteNamespace } else { Op::Renew }),
    ]
}

/// The most that happens in the scenario of a seed.
const MOST: usize = 10;

fn tree(seed: u64) -> Option<Box<dyn ValueTree<Value = Scenario>>> {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(seed.to_le_bytes()).for_each(|(place, byte)| *place = byte);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    scenario(MOST).boxed().new_tree(&mut runner).ok()
}

/// The scenario of a seed.
#[must_use]
pub fn of_seed(seed: u64) -> Scenario {
    tree(seed).map_or_else(|| Scenario::of([]), |tree| tree.current())
}

/// The smallest scenario like that of the seed for which `fails` still holds, after at most `most` tries.
pub fn shrunk(seed: u64, most: usize, fails: impl Fn(&Scenario) -> bool) -> Scenario {
    let Some(mut tree) = tree(seed) else { return Scenario::of([]) };
    let mut smallest = tree.current();
    let mut more = tree.simplify();
    for _ in 0..most {
        if !more {
            break;
        }
        let tried = tree.current();
        more = if fails(&tried) {
            smallest = tried;
            tree.simplify()
        } else {
            tree.complicate()
        };
    }
    smallest
}
