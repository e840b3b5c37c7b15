//! `playground up`: what it offers, and how it ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::{Running, run};

/// Runs one of the commands that it prints, as a shell does.
fn try_it(running: &Running, command: &str) -> String {
    let cache = Path::new(running.ready("kubeconfig")).with_file_name("cache");
    let output = Command::new("sh")
        .args(["-c", &command.replacen("kubectl ", &format!("kubectl --cache-dir {} ", cache.display()), 1)])
        .env("KUBECONFIG", running.ready("kubeconfig"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn has_kubectl() -> bool {
    let found = Command::new("kubectl").args(["version", "--client"]).output().is_ok();
    if !found {
        eprintln!("skipped: kubectl is not installed");
    }
    found
}

#[test]
fn the_commands_that_it_prints_make_a_certificate_and_ctrl_c_leaves_nothing() {
    let mut running = Running::start(&[]);
    let kubeconfig = Path::new(running.ready("kubeconfig")).to_owned();
    let mode = std::os::unix::fs::MetadataExt::mode(&kubeconfig.parent().unwrap().metadata().unwrap());
    assert_eq!(mode & 0o777, 0o700);
    let expected = if has_kubectl() {
        let commands = running.ready["try"].as_array().unwrap().clone();
        let said: Vec<String> =
            commands.iter().map(|command| try_it(&running, command.as_str().unwrap())).collect();
        assert_eq!(said[0], "certificate.cert-manager.io/web created\n");
        assert_eq!(said[1], "certificate.cert-manager.io/web condition met\n");
        assert!(said[2].contains("secret/web-tls           kubernetes.io/tls   3 "), "{}", said[2]);
        assert!(running.until_told("web-tls holds key").contains("serial"));
        "1"
    } else {
        "0"
    };
    let (code, last) = running.end("INT");
    assert_eq!((code, &last["summary"]["certificates issued"]), (Some(0), &Value::from(expected)));
    assert!(!kubeconfig.parent().unwrap().exists());
}

#[test]
fn at_speed_a_certificate_is_renewed_while_one_looks_and_the_control_port_breaks_the_pki() {
    if !has_kubectl() {
        return;
    }
    let mut running = Running::start(&["--speed", "36000"]);
    try_it(&running, running.ready["try"][0].as_str().unwrap());
    running.until_told("web-1: Issued");
    running.until_told("web-2: Issued");
    // By the cluster's clock the key of a client is half a minute old: the machine's limits are not its.
    let found = try_it(&running, "kubectl get secret web-tls -o name");
    assert_eq!(found, "secret/web-tls\n");
    let control = running.ready("control").to_owned();
    try_it(&running, &format!("curl --silent --fail --data '{{\"kind\": \"sealed\"}}' {control}/faults"));
    running.until_told("company-pki is not Ready");
    try_it(&running, &format!("curl --silent --fail --request DELETE {control}/faults"));
    running.until_told("company-pki is Ready");
    assert_eq!(running.end("TERM").0, Some(0));
}

#[test]
fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--vault-listen", "--control-listen"] {
        let output = run(&["up", flag, &address]);
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = format!(
            "playground: cannot listen on {address}: Address already in use (os error 98); give {flag} another \
             address, or 127.0.0.1:0 for a free port\n"
        );
        assert_eq!((output.status.code(), said), (Some(1), expected));
    }
}

#[test]
fn others_cannot_be_let_in() {
    let output = run(&["up", "--listen", "0.0.0.0:6443"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("write a loopback address"), "{said}");
}

#[test]
fn who_reads_no_more_has_what_it_wanted_and_nothing_is_left() {
    let mut running = Running::start(&["--speed", "36000"]);
    let kubeconfig = Path::new(running.ready("kubeconfig")).to_owned();
    let control = running.ready("control").to_owned();
    running.stop_reading();
    // The pipe is found closed when it is next written to. This makes sure that something is told, unless something was
    // already and nobody is there to be asked any more.
    let fault = "{\"kind\": \"sealed\"}";
    let asked =
        Command::new("curl").args(["--silent", "--data", fault]).arg(format!("{control}/faults")).output();
    assert!(asked.is_ok(), "curl: {asked:?}");
    assert_eq!(running.ended(), Some(0));
    assert!(!kubeconfig.exists());
}
