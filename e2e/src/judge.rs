//! The openssl command line: a judge of certificates that shares no code with the controller.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;

use crate::Result;

/// One certificate, as openssl reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Hexadecimal, upper case.
    pub serial: String,
    /// RFC 2253 text.
    pub subject: String,
    /// RFC 2253 text.
    pub issuer: String,
    /// As openssl prints them: `DNS:a.example, IP Address:10.0.0.1`; empty if there are none.
    pub subject_alt_names: String,
    /// As openssl prints it.
    pub basic_constraints: String,
    /// Key usages and extended ones, as openssl prints them: `Digital Signature, TLS Web Server Authentication`.
    pub usages: String,
    /// `notBefore`, in seconds since 1970.
    pub not_before_secs: i64,
    /// Seconds between `notBefore` and `notAfter`.
    pub lifetime_secs: i64,
    /// The public key, in PEM.
    pub public_key: String,
}

/// The PEM blocks of certificates in a text, in their order.
#[must_use]
pub fn blocks(pem: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    pem.split_inclusive(END)
        .filter_map(|part| part.find("-----BEGIN CERTIFICATE-----").and_then(|begin| part.get(begin..)))
        .filter(|part| part.ends_with(END))
        .map(|part| format!("{part}\n"))
        .collect()
}

/// Reads the first certificate of a PEM text.
pub fn certificate(pem: &str) -> Result<Seen> {
    let fields = [
        "-noout",
        "-serial",
        "-subject",
        "-issuer",
        "-dates",
        "-nameopt",
        "RFC2253",
        "-dateopt",
        "iso_8601",
        "-pubkey",
        "-ext",
        "subjectAltName,basicConstraints,keyUsage,extendedKeyUsage",
    ];
    let text = text(&["x509"], &fields, pem)?;
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default().to_owned()
    };
    let time = |name: &str| -> Result<i64> {
        let value = field(name).replace(' ', "T");
        Ok(value.parse::<Timestamp>().with_context(|| value)?.as_second())
    };
    // A title, perhaps with "critical" behind it, and indented lines.
    let extension = |title: &str| {
        let lines = text.lines().skip_while(|line| !line.starts_with(title)).skip(1);
        lines.take_while(|line| line.starts_with(' ')).map(str::trim).collect::<Vec<_>>().join(", ")
    };
    let usages = [extension("X509v3 Key Usage:"), extension("X509v3 Extended Key Usage:")];
    Ok(Seen {
        serial: field("serial="),
        subject: field("subject="),
        issuer: field("issuer="),
        subject_alt_names: extension("X509v3 Subject Alternative Name:"),
        basic_constraints: extension("X509v3 Basic Constraints:"),
        usages: usages.into_iter().filter(|usages| !usages.is_empty()).collect::<Vec<_>>().join(", "),
        not_before_secs: time("notBefore=")?,
        lifetime_secs: time("notAfter=")? - time("notBefore=")?,
        public_key: block(&text, "PUBLIC KEY"),
    })
}

/// Verifies a chain as of a moment: leaf first, then its intermediates, against one anchor, which may be an
/// intermediate.
pub fn verify(chain: &str, anchor: &str, at: Timestamp) -> Result {
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let all = blocks(chain);
    let (leaf, intermediates) = all.split_first().context("a chain without a certificate")?;
    let (leaf, anchor) = (file("leaf.pem", leaf)?, file("anchor.pem", anchor)?);
    let between = file("between.pem", &intermediates.concat())?;
    let at = at.as_second().to_string();
    let mut arguments = vec!["verify", "-x509_strict", "-partial_chain", "-attime", &at];
    // One anchor, and none of the machine's.
    arguments.extend(["-no-CApath", "-no-CAstore", "-CAfile", &anchor]);
    if !intermediates.is_empty() {
        arguments.extend(["-untrusted", &between]);
    }
    arguments.push(&leaf);
    let output = Command::new("openssl").args(&arguments).output().context("openssl")?;
    ensure!(output.status.success(), "openssl verify: {}", both(&output));
    Ok(())
}

/// The public key that belongs to a private key.
pub fn public_key_of_private(key: &str) -> Result<String> {
    text(&["pkey"], &["-pubout"], key)
}

/// The first PEM block of this kind in a text; empty if there is none.
fn block(text: &str, label: &str) -> String {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let lines = text.lines().skip_while(|line| *line != begin);
    let mut block = String::new();
    for line in lines {
        block.push_str(line);
        block.push('\n');
        if line == end {
            break;
        }
    }
    block
}

fn text(command: &[&str], arguments: &[&str], stdin: &str) -> Result<String> {
    let mut child = Command::new("openssl")
        .args(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("openssl")?;
    if let Some(mut pipe) = child.stdin.take() {
        // It may have read enough and closed its end.
        let _ = pipe.write_all(stdin.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("openssl {command:?} {arguments:?}: {}", both(&output));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn both(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    format!("{} {}", text(&output.stdout), text(&output.stderr))
}
