//! The configuration file: its values become the defaults of the flags, so that flags and environment go before it.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _, builder::Resettable};
use toml::{Table, Value};

use crate::args::Args;

/// Why there is nothing to start.
#[derive(Debug)]
pub enum Unread {
    /// What was asked for is help or the version, or the command line is wrong.
    Usage(clap::Error),
    /// The file cannot be read; a sentence.
    File(String),
}

/// What flags and file say when neither says anything.
impl Default for Args {
    fn default() -> Self {
        let without_environment = Self::command().mut_args(|arg| arg.env(Resettable::Reset));
        let matches = without_environment.get_matches_from(["mock-pki"]);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

impl Args {
    /// Reads the command line, the environment, and the file that either of them names.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read() -> Result<Self, Unread> {
        Self::of(Command::try_get_matches)
    }

    /// The same by what reads a command line.
    fn of(read: impl Fn(Command) -> Result<ArgMatches, clap::Error>) -> Result<Self, Unread> {
        let matches = read(Self::command()).map_err(Unread::Usage)?;
        let matches = match matches.get_one::<PathBuf>("config") {
            Some(path) => read(with_defaults(Self::command(), &table(path)?)).map_err(Unread::Usage)?,
            None => matches,
        };
        Self::from_arg_matches(&matches).map_err(Unread::Usage)
    }
}

/// What the file says. That all of it is known and of the right kind is seen here, so that no flag is blamed for it.
fn table(path: &Path) -> Result<Table, Unread> {
    let failed = |error: &dyn std::fmt::Display| Unread::File(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    toml::from_str::<Args>(&text).map_err(|error| failed(&error))?;
    toml::from_str(&text).map_err(|error| failed(&error))
}

fn with_defaults(command: Command, table: &Table) -> Command {
    table.iter().fold(command, |command, (key, value)| {
        let values: Vec<String> = match value {
            Value::Array(values) => values.iter().map(text).collect(),
            one => vec![text(one)],
        };
        command.mut_arg(key.replace('-', "_"), |arg| arg.default_values(values))
    })
}

/// A value as it would stand after its flag; a fault is JSON there.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: &str = r#"
vault-listen = "127.0.0.1:7001"
control-listen = "127.0.0.1:7002"
root-token = "a token"
ejbca-client-out = "client"
ca-key-algorithm = "rsa-2048"
tls = true
tls-name = ["a.example.com", "b.example.com"]
tls-ca-out = "ca.pem"
tls-cert = "tls.pem"
tls-key = "tls.key"
seed = 7
state-dir = "state"
unreliable = 0.05
allow-non-loopback = true
log-format = "json"
quiet = true
ready-file = "ready.json"
ledger-capacity = 5
journal-capacity = 6

[[fault]]
kind = "status"
parameters = { status = 429, retry_after = 3 }
times = 2

[[fault]]
kind = "latency"
"#;

    fn read(flags: &[&str], file: &str) -> Result<Args, Unread> {
        let kept = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(kept.path(), file).unwrap();
        let path = kept.path().to_str().unwrap().to_owned();
        Args::of(|command| command.try_get_matches_from(["mock-pki", "--config", &path].iter().chain(flags)))
    }

    /// But for faces' places, which those who add faces add.
    #[test]
    fn what_the_file_says_is_what_the_flags_would_say() {
        let mut filed = read(&[], EVERYTHING).unwrap();
        let flags = [
            "mock-pki",
            "--vault-listen=127.0.0.1:7001",
            "--control-listen=127.0.0.1:7002",
            "--root-token=a token",
            "--ejbca-client-out=client",
            "--ca-key-algorithm=rsa-2048",
            "--tls",
            "--tls-name=a.example.com",
            "--tls-name=b.example.com",
            "--tls-ca-out=ca.pem",
            "--tls-cert=tls.pem",
            "--tls-key=tls.key",
            "--seed=7",
            "--state-dir=state",
            "--unreliable=0.05",
            "--allow-non-loopback",
            "--log-format=json",
            "-q",
            "--ready-file=ready.json",
            "--ledger-capacity=5",
            "--journal-capacity=6",
            r#"--fault={"kind": "status", "parameters": {"status": 429, "retry_after": 3}, "times": 2}"#,
            r#"--fault={"kind": "latency"}"#,
        ];
        let flagged = Args::of(|command| command.try_get_matches_from(flags)).unwrap();
        filed.config = None;
        assert_eq!(format!("{filed:?}"), format!("{flagged:?}"));
        for (name, value) in serde_json::to_value(Args::default()).unwrap().as_object().unwrap() {
            let face = name.ends_with("-listen") && name != "control-listen";
            let said = serde_json::to_value(&filed).unwrap()[name].clone();
            assert!(
                face || said != *value,
                "{name} is not in the file of this test, or has its default there"
            );
        }
    }

    #[test]
    fn a_flag_goes_before_the_file_also_to_switch_something_off() {
        let args =
            read(&["--root-token=flag", "--tls=false", "--tls-name=c.example.com"], EVERYTHING).unwrap();
        assert_eq!((args.root_token.as_str(), args.tls, args.seed), ("flag", false, Some(7)));
        assert_eq!(args.tls_name, ["c.example.com"]);
    }

    #[test]
    fn what_is_wrong_in_the_file_is_said_with_its_place() {
        for (file, said) in [
            ("vault-lisen = 1", "unknown field `vault-lisen`"),
            ("seed = \"x\"", "invalid type"),
            ("vault-listen = \"here\"", "neither `off` nor ADDRESS:PORT"),
            ("[[fault]]\nkid = \"status\"", "unknown field `kid`"),
            ("log-format = \"xml\"", "unknown variant `xml`"),
        ] {
            match read(&[], file) {
                Err(Unread::File(error)) => {
                    assert!(error.contains(said) && error.contains("line "), "{error}");
                }
                other => panic!("{file}: {other:?}"),
            }
        }
        let absent = Args::of(|command| command.try_get_matches_from(["mock-pki", "--config=/no/such/file"]));
        assert!(matches!(absent, Err(Unread::File(error)) if error.contains("/no/such/file: ")));
    }

    #[test]
    fn every_flag_is_in_the_schema_and_the_schema_is_the_one_checked_in() {
        let schema = schemars::schema_for!(Args);
        let known = schema.as_value()["properties"].as_object().unwrap();
        for arg in Args::command().get_arguments().filter_map(clap::Arg::get_long) {
            let is_about_files = ["config", "help", "version"].contains(&arg);
            assert!(is_about_files || known.contains_key(arg), "{arg}");
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config.schema.json");
        crate::checked_in(path, &format!("{}\n", serde_json::to_string_pretty(&schema).unwrap()));
    }
}
