//! Where the program's settings come from.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// The program with these settings, as far as its ready file; what that says.
fn ready(directory: &Path, environment: &[(&str, &str)], flags: &[&str]) -> Value {
    let file = directory.join("ready.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_mock-pki"))
        .current_dir(directory)
        .envs(environment.iter().copied())
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !file.exists() {
        assert!(Instant::now() < deadline, "no ready file");
        std::thread::yield_now();
    }
    let said = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    said
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = r#"
        vault-listen = "127.0.0.1:0"
        control-listen = "127.0.0.1:0"
        root-token = "file"
        ejbca-listen = "off"
        venafi-listen = "off"
        custom-listen = "off"
        ready-file = "ready.json"
    "#;
    std::fs::write(directory.path().join("mock.toml"), file).unwrap();
    let root_token = |environment: &[(&str, &str)], flags: &[&str]| {
        ready(directory.path(), environment, flags)["root_token"].as_str().unwrap().to_owned()
    };
    assert_eq!(root_token(&[], &["--config=mock.toml"]), "file");
    let environment = [("MOCK_PKI_CONFIG", "mock.toml"), ("MOCK_PKI_ROOT_TOKEN", "environment")];
    assert_eq!(root_token(&environment, &[]), "environment");
    assert_eq!(root_token(&environment, &["--root-token=flag"]), "flag");
}

#[test]
fn the_state_is_kept_when_the_program_ends_in_good_order() {
    let directory = tempfile::tempdir().unwrap();
    let flags = [
        "--vault-listen=127.0.0.1:0",
        "--control-listen=127.0.0.1:0",
        "--ejbca-listen=off",
        "--venafi-listen=off",
        "--custom-listen=off",
        "--ready-file=ready.json",
        "--state-dir=kept",
    ];
    ready(directory.path(), &[], &flags);
    let first = std::fs::read_to_string(directory.path().join("kept/state.json")).unwrap();
    ready(directory.path(), &[], &flags);
    let second = std::fs::read_to_string(directory.path().join("kept/state.json")).unwrap();
    let root = |text: &str| serde_json::from_str::<Value>(text).unwrap()["root"]["certificates"].clone();
    assert_eq!(root(&first), root(&second));
}

#[test]
fn what_is_wrong_is_said_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let said = |flags: &[&str], file: &str| {
        std::fs::write(directory.path().join("mock.toml"), file).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mock-pki"));
        let output = command.current_dir(directory.path()).args(flags).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let off = [
        "--config=mock.toml",
        "--vault-listen=off",
        "--ejbca-listen=off",
        "--venafi-listen=off",
        "--custom-listen=off",
        "--control-listen=127.0.0.1:0",
    ];
    let unknown = said(&off, "root-tokken = \"x\"");
    assert!(unknown.contains("mock.toml") && unknown.contains("root-tokken"), "{unknown}");
    let half = said(&off, "tls-cert = \"x.pem\"");
    assert!(half.contains("tls-cert and tls-key are given together"), "{half}");
    let fault = said(&off, "fault = [{ kind = \"no-such\" }]");
    assert!(fault.contains("the faults to start with: unknown kind of fault"), "{fault}");
    std::fs::create_dir(directory.path().join("kept")).unwrap();
    std::fs::write(directory.path().join("kept/state.json"), "{").unwrap();
    let broken = said(&off, "state-dir = \"kept\"");
    assert!(broken.contains("state.json") && broken.contains("move the file away"), "{broken}");
}
