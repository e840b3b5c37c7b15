//! On a terminal, which util-linux's `script` plays.

use std::process::Command;

#[test]
fn a_terminal_gets_colours_and_is_told_what_is_waited_for() {
    let command = format!("{} --speed 36000", env!("CARGO_BIN_EXE_playground"));
    let Ok(output) =
        Command::new("script").args(["--quiet", "--return", "--command", &command, "/dev/null"]).output()
    else {
        eprintln!("skipped: `script` is not installed");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("\x1b[32mSecret"), "{text}");
    assert!(text.contains("waiting for Certificate web to have revision 2"), "{text}");
}
