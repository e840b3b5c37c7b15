//! The program itself: what scripts rely on.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

#[test]
fn an_address_others_can_reach_needs_a_flag() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_mock-pki")).args(["--vault-listen", "0.0.0.0:0"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        said.contains("0.0.0.0 is not a loopback address") && said.contains("--allow-non-loopback"),
        "{said}"
    );
}

#[test]
fn the_ready_file_appears_whole_and_sigterm_ends_it_in_good_order() {
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_mock-pki"))
        .args(["--quiet", "--vault-listen", "127.0.0.1:0", "--venafi-listen", "127.0.0.1:0"])
        .args(["--custom-listen", "127.0.0.1:0", "--control-listen", "127.0.0.1:0"])
        .args(["--ejbca-listen", "127.0.0.1:0", "--ejbca-client-out"])
        .arg(directory.path())
        .arg("--ready-file")
        .arg(&ready)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !ready.exists() {
        assert!(Instant::now() < deadline, "no ready file");
        std::thread::yield_now();
    }
    let said: Value = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
    for url in ["vault_url", "ejbca_url", "venafi_url", "custom_url", "control_url"] {
        let address = said[url].as_str().unwrap().split_once("://").unwrap().1.to_owned();
        std::net::TcpStream::connect(address).unwrap();
    }
    assert!(said["ejbca_url"].as_str().unwrap().starts_with("https://"), "{said}");
    for (file, begin) in
        [("client.pem", "-----BEGIN CERTIFICATE-----"), ("client.key", "-----BEGIN PRIVATE KEY-----")]
    {
        let written = std::fs::read_to_string(directory.path().join(file)).unwrap();
        assert!(written.starts_with(begin), "{file}: {written}");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "--quiet: {output:?}");
}
