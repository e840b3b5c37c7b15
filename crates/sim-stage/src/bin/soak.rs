//! Plays scenarios and judges them: all pairs of a sweep, seeds without end, or one scenario again.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use sim_stage::oracle::{self, INVARIANTS};
use sim_stage::scenario::strategy::{of_seed, shrunk};
use sim_stage::scenario::{Blow, Scenario, play};
use sim_stage::soak::{Failure, examine, examine_all, threads};
use sim_stage::sweeps::Course;

const USAGE: &str =
    "usage: soak singles | pairs | seeds FROM COUNT | seed NUMBER | replay SCENARIO | invariants";
/// So many scenarios are played before the next line is printed.
const BATCH: usize = 2_000;
/// So many tries make a scenario that fails smaller.
const TRIES: usize = 300;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            say(&format!("{failures} scenarios failed"));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::print_stdout, reason = "a program's output")]
fn say(line: &str) {
    println!("{line}");
}

fn run(words: &[&str]) -> anyhow::Result<usize> {
    match words {
        ["singles"] => {
            let blows: Vec<Blow> = Blow::SWEEP.into_iter().chain(Blow::MORE).collect();
            sweep(|course, requests| course.singles(requests, &blows))
        }
        ["pairs"] => sweep(|course, requests| course.pairs(requests, &Blow::SWEEP)),
        ["seeds", from, count] => {
            let (from, count): (u64, u64) = (from.parse()?, count.parse()?);
            seeds(from, count)
        }
        ["seed", number] => replay(&of_seed(number.parse()?)),
        ["replay", scenario] => {
            replay(&scenario.parse::<Scenario>().map_err(anyhow::Error::msg).context("the scenario")?)
        }
        ["invariants"] => {
            for invariant in INVARIANTS {
                say(&format!("{} {}", invariant.name, invariant.sentence));
                if let Some(elsewhere) = invariant.elsewhere {
                    say(&format!("    not seen here: {elsewhere}"));
                }
            }
            Ok(0)
        }
        _ => bail!(USAGE),
    }
}

fn sweep(scenarios: impl Fn(Course, u16) -> Vec<Scenario>) -> anyhow::Result<usize> {
    let mut failed = 0;
    for course in Course::ALL {
        let requests = course.requests()?;
        let scenarios = scenarios(course, requests);
        say(&format!("{course:?}: {requests} requests, {} scenarios", scenarios.len()));
        failed += examined(&scenarios);
    }
    Ok(failed)
}

fn seeds(from: u64, count: u64) -> anyhow::Result<usize> {
    let end = from.checked_add(count).context("too many seeds")?;
    let numbers: Vec<u64> = (from..end).collect();
    let mut failed = 0;
    for batch in numbers.chunks(BATCH) {
        let scenarios: Vec<Scenario> = batch.iter().map(|seed| of_seed(*seed)).collect();
        say(&format!("seeds {} to {}", batch.first().unwrap_or(&0), batch.last().unwrap_or(&0)));
        let begun = Instant::now();
        let failures = examine_all(&scenarios, threads());
        rate(scenarios.len(), begun);
        for failure in &failures {
            let seed = batch.iter().find(|seed| of_seed(**seed) == failure.scenario);
            let smallest = seed.map_or_else(
                || failure.scenario.clone(),
                |seed| {
                    say(&format!("seed {seed} failed: {}", failure.wrong.join("; ")));
                    shrunk(*seed, TRIES, |scenario| same(failure, &examine(scenario)))
                },
            );
            say(&Failure { wrong: examine(&smallest), scenario: smallest }.to_string());
        }
        failed += failures.len();
    }
    Ok(failed)
}

/// Whether it is still the same promise that is broken.
fn same(failure: &Failure, wrong: &[String]) -> bool {
    let first_words = |lines: &[String]| -> Vec<String> {
        lines.iter().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    let before = first_words(&failure.wrong);
    first_words(wrong).iter().any(|invariant| before.first() == Some(invariant))
}

fn examined(scenarios: &[Scenario]) -> usize {
    let mut failed = 0;
    for batch in scenarios.chunks(BATCH) {
        let begun = Instant::now();
        let failures = examine_all(batch, threads());
        rate(batch.len(), begun);
        for failure in &failures {
            say(&failure.to_string());
        }
        failed += failures.len();
    }
    failed
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(scenarios: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    say(&format!("{scenarios} in {seconds:.1} s: {:.0} a second", scenarios as f64 / seconds));
}

/// Plays one scenario, and prints all that was seen of it.
fn replay(scenario: &Scenario) -> anyhow::Result<usize> {
    say(&scenario.to_string());
    let evidence = play(scenario)?;
    let mut lines = Vec::new();
    lines.extend(evidence.happened.iter().map(|(at, op)| (*at, format!("-- {op}"))));
    lines.extend(evidence.calls.iter().map(|call| (call.sent, call.to_string())));
    lines.extend(evidence.pki.iter().map(|call| (call.sent, call.to_string())));
    for process in &evidence.processes {
        lines.push((process.began, format!("-- {} begins", process.name)));
        lines.extend(process.ended.iter().map(|(at, how)| (*at, format!("-- {} ends: {how}", process.name))));
    }
    lines.extend(evidence.calm.map(|calm| (calm, "-- all is well from here on".to_owned())));
    lines.sort_by_key(|(at, _)| *at);
    for (at, line) in &lines {
        say(&format!("{} {line}", at.strftime("%H:%M:%S%.3f")));
    }
    say(&evidence.log);
    let violations = oracle::judge(&evidence);
    for violation in &violations {
        say(&violation.to_string());
    }
    Ok(violations.len().min(1))
}
