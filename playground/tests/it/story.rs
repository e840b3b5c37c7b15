//! The story in one go.

use crate::process::run;

/// What was told, without the figures of the machine.
fn timeline(seed: &str) -> String {
    let output = run(&["--json", "--seed", seed]);
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
    let text = String::from_utf8(output.stdout).unwrap();
    let told: Vec<&str> = text.lines().filter(|line| !line.contains("\"summary\"")).collect();
    told.join("\n")
}

#[test]
fn the_same_seed_tells_the_same_story_to_the_byte_and_another_seed_another() {
    let told = timeline("7");
    assert_eq!(told, timeline("7"));
    assert_ne!(told, timeline("8"));
    for part in ["web-1: Issued", "web-2: Issued", "web-3: Pending", "web-3: Issued"] {
        assert_eq!(told.matches(part).count(), 1, "{part}: {told}");
    }
}

#[test]
fn without_a_terminal_there_are_no_colours_and_nothing_turns() {
    let output = run(&[]);
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("all of it took") && !text.contains('\x1b'), "{text}");
}

#[test]
fn help_shows_examples_and_a_wrong_flag_is_a_usage_error() {
    let help = run(&["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains("Examples:") && text.contains("playground up "), "{text}");
    let wrong = run(&["--speed", "0"]);
    assert_eq!(wrong.status.code(), Some(2));
}
