//! Faults by the hundred, each run judged by the oracle. `scripts/soak.sh` plays the thousands.

use proptest::prelude::*;
use serde_json::Value;
use sim_stage::oracle::shape;
use sim_stage::scenario::strategy::{of_seed, scenario};
use sim_stage::scenario::{Blow, Scenario, play};
use sim_stage::soak::{Failure, examine_all, threads};
use sim_stage::sweeps::Course;

/// Scenarios that went wrong once.
const REGRESSIONS: &str = include_str!("../regressions.txt");
/// So many seeds are played here.
const SEEDS: u64 = 1_000;
/// Of all pairs every so many-th is played here: a prime, so that every request and every blow has its turn.
const EVERY: usize = 101;

fn all_well(scenarios: &[Scenario]) {
    let failures: Vec<String> = examine_all(scenarios, threads()).iter().map(Failure::to_string).collect();
    assert!(
        failures.is_empty(),
        "{} of {} failed:\n{}",
        failures.len(),
        scenarios.len(),
        failures.join("\n")
    );
}

#[test]
fn what_went_wrong_once_goes_well() {
    let lines = REGRESSIONS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let scenarios: Vec<Scenario> = lines.map(|line| line.parse().unwrap()).collect();
    assert!(!scenarios.is_empty());
    all_well(&scenarios);
}

#[test]
fn whatever_happens_to_any_one_request_of_a_first_issue_or_a_renewal_all_promises_are_kept() {
    for course in Course::ALL {
        let requests = course.requests().unwrap();
        assert!((3..60).contains(&requests), "{course:?} has {requests} requests");
        let blows: Vec<Blow> = Blow::SWEEP.into_iter().chain(Blow::MORE).collect();
        all_well(&course.singles(requests, &blows));
    }
}

#[test]
fn a_sample_of_all_pairs_of_faults_keeps_all_promises() {
    for course in Course::ALL {
        let pairs = course.pairs(course.requests().unwrap(), &Blow::SWEEP);
        let sample: Vec<Scenario> = pairs.into_iter().step_by(EVERY).collect();
        all_well(&sample);
    }
}

#[test]
fn a_thousand_seeds_keep_all_promises() {
    let scenarios: Vec<Scenario> = (0..SEEDS).map(of_seed).collect();
    all_well(&scenarios);
}

#[test]
fn a_crash_at_any_request_leaves_in_the_end_what_none_would_have_left() {
    for course in Course::ALL {
        let without: Value = shape(&play(&course.struck(&[])).unwrap());
        for scenario in course.singles(course.requests().unwrap(), &[Blow::CrashBefore, Blow::CrashAfter]) {
            let with = shape(&play(&scenario).unwrap());
            assert_eq!(with, without, "I17 broken by {scenario}");
        }
    }
}

#[test]
fn a_scenario_plays_twice_alike() {
    for seed in (0..SEEDS).step_by(100) {
        let scenario = of_seed(seed);
        let [one, other] = [(), ()].map(|()| {
            let evidence = play(&scenario).unwrap();
            let calls = evidence.calls.iter().map(|call| {
                // What is sent in the same instant may leave in another order, which versions show.
                format!("{} {} {} {} {:?}", call.sent, call.process, call.method, call.uri.path(), call.code)
            });
            let orders = evidence.pki.iter().map(|call| format!("{} {call}", call.sent));
            let mut all: Vec<String> = calls.chain(orders).collect();
            all.sort_unstable();
            all
        });
        let differs = one.iter().zip(&other).find(|(one, other)| one != other);
        assert!(one.len() == other.len() && differs.is_none(), "seed {seed}: {scenario}: {differs:?}");
    }
}

proptest! {
    #[test]
    fn a_scenario_is_read_as_it_is_printed(scenario in scenario(20)) {
        prop_assert_eq!(scenario.to_string().parse::<Scenario>(), Ok(scenario));
    }
}
