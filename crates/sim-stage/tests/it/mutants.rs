//! Whether the oracle sees anything: controllers that break a promise, each in a short run that shows it.

use sim_stage::Broken;
use sim_stage::oracle::{INVARIANTS, judge};
use sim_stage::scenario::{Scenario, play, play_broken};

/// A run in which the promise would be noticed to be broken.
fn shows(broken: Broken) -> &'static str {
    match broken {
        Broken::SignsTwice
        | Broken::WritesAfterTheEnd
        | Broken::WritesBlindly
        | Broken::LogsTheToken
        | Broken::PublishesTheToken
        | Broken::LeavesAFinalizer
        | Broken::ReadsElsewhere => "seed=1 | +60000 approve",
        Broken::PublishesAnothers => "seed=1 | +10000 renew | +60000 approve",
        Broken::IgnoresApproval => "seed=1 | +0 ignore | +60000 ask 0 | +60000 approve",
        Broken::IgnoresDenial => "seed=1 | +0 deny | +60000 ask 0 | +60000 approve",
        Broken::SignsTheFinished | Broken::ActsTooEarly => "seed=1 | +20000 restart a | +60000 approve",
        Broken::SkipsTheLease => "seed=1 replicas=2 | +20000 ask 0 | +60000 approve",
        Broken::ForgetsWhatWasThere => {
            "seed=1 | +10000 pki unavailable 30 | +1000 ask 0 | +5000 crash a | +60000 approve"
        }
        Broken::GivesUpAtOnce => "seed=1 | +10000 pki unavailable 20 | +100 renew | +60000 approve",
        Broken::SwallowsRetryAfter => "seed=1 | +10000 pki busy 20 | +100 renew | +200000 approve",
        Broken::Hammers => "seed=1 | +10000 pki breaks 20 | +100 renew | +60000 approve",
        Broken::KeepsTheOldCredential => "seed=1 | +10000 rotate | +300000 ask 0 | +60000 approve",
        Broken::StopsWithoutEvents => {
            "seed=1 | +10000 no-events 30 | +100 ask 0 | +10000 ask 2 | +60000 approve"
        }
        Broken::GoesDeaf => "seed=1 | +10000 cut a end | +10000 ask 0 | +400000 approve",
    }
}

#[test]
fn every_broken_promise_is_noticed_and_an_unbroken_one_is_not() {
    let mut unnoticed = Vec::new();
    for broken in Broken::ALL {
        let scenario: Scenario = shows(*broken).parse().unwrap();
        let well = judge(&play(&scenario).unwrap());
        let ill = judge(&play_broken(&scenario, Some(*broken)).unwrap());
        if !well.is_empty() {
            unnoticed.push(format!("{scenario}: {well:?} without anything broken"));
        }
        if !ill.iter().any(|violation| violation.invariant == broken.invariant()) {
            unnoticed.push(format!("{broken:?} breaks {}, and was seen as {ill:?}", broken.invariant()));
        }
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}

#[test]
fn the_promises_are_named_in_their_order() {
    let names: Vec<String> = INVARIANTS.iter().map(|invariant| invariant.name.to_owned()).collect();
    let expected: Vec<String> = (1..=20).map(|number| format!("I{number}")).collect();
    assert_eq!(names, expected);
    assert!(INVARIANTS.iter().all(|invariant| invariant.sentence.ends_with('.')));
}
