//! The openssl command as a judge, and as a maker of requests nobody here would write.

use std::{fs, process::Command};

use tempfile::TempDir;

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| {
        format!("{error}: this test needs `openssl`, of the package openssl, 3.0 or newer")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}\n{}", String::from_utf8_lossy(&output.stderr)))
}

pub(crate) fn verify(authority: &ca::Authority, leaf: &x509::Certificate, at: i64) -> Result<(), String> {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("leaf.pem"), leaf.to_pem()).unwrap();
    fs::write(path("root.pem"), authority.chain().last().unwrap().to_pem()).unwrap();
    let untrusted: String = authority.chain().iter().map(x509::Certificate::to_pem).collect();
    fs::write(path("untrusted.pem"), untrusted).unwrap();
    let mut command = Command::new("openssl");
    command.args([
        "verify",
        "-x509_strict",
        "-check_ss_sig",
        "-purpose",
        "sslserver",
        "-attime",
        &at.to_string(),
    ]);
    command
        .arg("-CAfile")
        .arg(path("root.pem"))
        .arg("-untrusted")
        .arg(path("untrusted.pem"))
        .arg(path("leaf.pem"));
    run(&mut command)
}

pub(crate) fn request(subject: &str, mask: &str, sans: &str) -> x509::Csr {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    let config = format!(
        "[req]\nstring_mask={mask}\nutf8=yes\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\n\
         subjectAltName={sans}\n"
    );
    fs::write(path("config"), config).unwrap();
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8"]);
    command.args(["-subj", subject]).arg("-config").arg(path("config"));
    command.arg("-keyout").arg(path("key")).arg("-out").arg(path("csr"));
    run(&mut command).unwrap();
    x509::Csr::from_pem(&fs::read(path("csr")).unwrap()).unwrap()
}

/// A self-signed CA certificate and its key, PEM.
pub(crate) fn authority(subject: &str) -> (String, String) {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut command = Command::new("openssl");
    command
        .args(["req", "-x509", "-new", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", subject]);
    command.arg("-keyout").arg(path("key")).arg("-out").arg(path("ca"));
    run(&mut command).unwrap();
    (fs::read_to_string(path("ca")).unwrap(), fs::read_to_string(path("key")).unwrap())
}
