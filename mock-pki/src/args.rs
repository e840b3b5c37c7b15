//! What is started: flags, the environment, and a file; what a flag says goes before the environment, that before the
//! file, and that before the default. A flag is a key of the file without its hyphens in front.

mod file;

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use ca::KeyAlgorithm;
use clap::{ArgAction, Parser, ValueEnum, builder::BoolishValueParser};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use file::Unread;

use crate::{
    fault::Fault,
    server::{Config, Listen, Tls},
};

/// A PKI for tests: the APIs of Vault, OpenBao, EJBCA and Venafi, and of PKIs that companies build themselves, over a CA
/// of its own, and faults on demand.
///
/// Nothing here is for production: the root token is known, keys and certificates live in memory and are gone
/// when the process ends.
#[derive(Debug, Parser, Serialize, Deserialize, JsonSchema)]
#[command(name = "mock-pki", version, after_help = EXAMPLES)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(title = "mock-pki's configuration file")]
pub struct Args {
    /// Read what flags and environment do not say from this file (TOML); its keys are the flags, such as `vault-listen`.
    #[arg(long, env = "MOCK_PKI_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Where the Vault face listens; port 0 for a free one, `off` for nowhere.
    #[arg(long, env = "MOCK_PKI_VAULT_LISTEN", default_value = "127.0.0.1:8200", value_name = "ADDRESS")]
    pub vault_listen: Place,
    /// Where the EJBCA face listens, always with TLS; port 0 for a free one, `off` for nowhere.
    #[arg(long, env = "MOCK_PKI_EJBCA_LISTEN", default_value = "127.0.0.1:8443", value_name = "ADDRESS")]
    pub ejbca_listen: Place,
    /// Write the certificate and the key of the EJBCA face's administrator to `client.pem` and `client.key` in this folder.
    #[arg(long, env = "MOCK_PKI_EJBCA_CLIENT_OUT", value_name = "DIR")]
    pub ejbca_client_out: Option<PathBuf>,
    /// Where the Venafi face listens, always with TLS; port 0 for a free one, `off` for nowhere.
    #[arg(long, env = "MOCK_PKI_VENAFI_LISTEN", default_value = "127.0.0.1:8444", value_name = "ADDRESS")]
    pub venafi_listen: Place,
    /// Where the custom face listens; port 0 for a free one, `off` for nowhere.
    #[arg(long, env = "MOCK_PKI_CUSTOM_LISTEN", default_value = "127.0.0.1:8085", value_name = "ADDRESS")]
    pub custom_listen: Place,
    /// Where the control port listens; port 0 for a free one.
    #[arg(long, env = "MOCK_PKI_CONTROL_LISTEN", default_value = "127.0.0.1:8201", value_name = "ADDRESS")]
    pub control_listen: SocketAddr,
    /// The root token of the Vault face, and the secret of the EJBCA face's OAuth client `mock-pki`.
    #[arg(
        long,
        env = "MOCK_PKI_ROOT_TOKEN",
        hide_env_values = true,
        default_value = "root",
        value_name = "TOKEN"
    )]
    pub root_token: String,
    /// The keys of the CAs. RSA takes up to seconds to make.
    #[arg(long, env = "MOCK_PKI_CA_KEY_ALGORITHM", value_enum, default_value_t = CaKey::EcdsaP256)]
    pub ca_key_algorithm: CaKey,
    /// Serve every face with TLS, also those whose clients can do without.
    #[arg(long, env = "MOCK_PKI_TLS", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
        action = ArgAction::Set, value_parser = BoolishValueParser::new(), value_name = "BOOLEAN")]
    pub tls: bool,
    /// A further DNS name or address in the certificate that is made at start for TLS; may be repeated.
    #[arg(long, env = "MOCK_PKI_TLS_NAME", value_delimiter = ',', value_name = "NAME")]
    pub tls_name: Vec<String>,
    /// Write the CA of the certificate that is made at start to this file.
    #[arg(long, env = "MOCK_PKI_TLS_CA_OUT", value_name = "FILE")]
    pub tls_ca_out: Option<PathBuf>,
    /// The certificate for TLS (PEM, its issuers after it), instead of one made at start.
    #[arg(long, env = "MOCK_PKI_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate (PEM).
    #[arg(long, env = "MOCK_PKI_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Make everything follow from this number: serial numbers, identifiers, tokens, EC and Ed25519 keys, and whom faults
    /// meet. RSA keys and the signatures of EC keys do not repeat; with `--ca-key-algorithm ed25519` signatures do.
    #[arg(long, env = "MOCK_PKI_SEED", value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Keep the state in this directory from one run to the next: read at the start, written when it ends in good order.
    /// CAs, certificates, mounts, roles and tokens are in it, and private keys.
    #[arg(long, env = "MOCK_PKI_STATE_DIR", value_name = "DIRECTORY")]
    pub state_dir: Option<PathBuf>,
    /// Let so many of all requests fail in ways that are worth another try, from 0 to 1, as with every real service.
    #[arg(long, env = "MOCK_PKI_UNRELIABLE", default_value_t = 0.0, value_name = "PROBABILITY")]
    pub unreliable: f64,
    /// A fault that is in force from the start, also with a state that was kept, and again after every reset, as JSON; may be repeated.
    #[arg(long, env = "MOCK_PKI_FAULT", value_parser = fault, value_name = "FAULT")]
    pub fault: Vec<Fault>,
    /// Listen on other addresses than loopback. Whoever reaches them can issue and install faults.
    #[arg(long, env = "MOCK_PKI_ALLOW_NON_LOOPBACK", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
        action = ArgAction::Set, value_parser = BoolishValueParser::new(), value_name = "BOOLEAN")]
    pub allow_non_loopback: bool,
    /// How to log.
    #[arg(long, env = "MOCK_PKI_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Print no banner, and no line for each request.
    #[arg(long, short, env = "MOCK_PKI_QUIET", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
        action = ArgAction::Set, value_parser = BoolishValueParser::new(), value_name = "BOOLEAN")]
    pub quiet: bool,
    /// Write URLs and root token to this file (JSON) once all ports answer.
    #[arg(long, env = "MOCK_PKI_READY_FILE", value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// The most issued certificates that the ledger remembers. Mounts keep theirs besides, without a limit, unless
    /// the role says `no_store`.
    #[arg(long, env = "MOCK_PKI_LEDGER_CAPACITY", default_value_t = 1_000_000, value_name = "NUMBER")]
    pub ledger_capacity: usize,
    /// The most requests that the journal remembers.
    #[arg(long, env = "MOCK_PKI_JOURNAL_CAPACITY", default_value_t = 10_000, value_name = "NUMBER")]
    pub journal_capacity: usize,
}

const EXAMPLES: &str = "\
Examples:
  Start it, and issue a certificate:
    mock-pki
    export VAULT_ADDR=http://127.0.0.1:8200 VAULT_TOKEN=root
    bao write pki_int/issue/web common_name=app.example.com key_type=ec
  Free ports, for a script that reads the addresses from a file:
    mock-pki --quiet --vault-listen 127.0.0.1:0 --ejbca-listen off --venafi-listen off --custom-listen off \\
      --control-listen 127.0.0.1:0 --ready-file ready.json
  TLS with a certificate made at start:
    mock-pki --tls --tls-ca-out ca.pem
    curl --cacert ca.pem https://127.0.0.1:8200/v1/sys/health
  EJBCA's REST interface, with the administrator's certificate:
    mock-pki --tls-ca-out ca.pem --ejbca-client-out .
    curl --cacert ca.pem --cert client.pem --key client.key https://127.0.0.1:8443/ejbca/ejbca-rest-api/v1/ca
  Venafi's Trust Protection Platform:
    mock-pki --tls-ca-out ca.pem
    vcert getcred -u https://127.0.0.1:8444 --trust-bundle ca.pem --username tppadmin --password 'newPassw0rd!'
    vcert enroll -u https://127.0.0.1:8444 --trust-bundle ca.pem -t TOKEN -z Certificates --cn app.example.com
  A PKI of the old kind:
    curl -d 'new=1;subject=/O=Example/CN=app.example.com;DNS2=www.example.com' http://127.0.0.1:8085/cgi/pki.cgi
  Make the next two signatures fail:
    curl -d '{\"kind\": \"status\", \"path\": \"/sign/\", \"times\": 2}' http://127.0.0.1:8201/faults
  See what was issued:
    curl http://127.0.0.1:8201/ledger";

/// Kinds of CA key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum CaKey {
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    #[value(name = "rsa-2048")]
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[value(name = "rsa-3072")]
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[value(name = "rsa-4096")]
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    #[value(name = "ed25519")]
    Ed25519,
}

impl From<CaKey> for KeyAlgorithm {
    fn from(key: CaKey) -> Self {
        match key {
            CaKey::EcdsaP256 => Self::EcdsaP256,
            CaKey::EcdsaP384 => Self::EcdsaP384,
            CaKey::EcdsaP521 => Self::EcdsaP521,
            CaKey::Rsa2048 => Self::Rsa2048,
            CaKey::Rsa3072 => Self::Rsa3072,
            CaKey::Rsa4096 => Self::Rsa4096,
            CaKey::Ed25519 => Self::Ed25519,
        }
    }
}

/// Formats of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Args {
    /// What to start. Reads the TLS files that are named.
    ///
    /// # Errors
    /// A sentence that names the file that cannot be read.
    pub fn config(&self) -> Result<Config, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("reading {}: {error}", path.display()))
        };
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificates), Some(key)) => {
                Tls::Given { certificates: read(certificates)?, key: read(key)? }
            }
            (None, None) => Tls::Generated { names: self.tls_name.clone() },
            _ => return Err("tls-cert and tls-key are given together, or neither".to_owned()),
        };
        if self.tls_cert.is_some() && (!self.tls_name.is_empty() || self.tls_ca_out.is_some()) {
            return Err("tls-name and tls-ca-out are of a certificate that is made; one is given (tls-cert)"
                .to_owned());
        }
        let faces = [
            ("vault", self.vault_listen),
            ("ejbca", self.ejbca_listen),
            ("venafi", self.venafi_listen),
            ("custom", self.custom_listen),
        ];
        let faces = faces.into_iter().filter_map(|(face, place)| {
            let Place::At(address) = place else { return None };
            Some((face, Listen { address, tls: self.tls }))
        });
        let unreliable = Fault::new("unreliable").probability(self.unreliable);
        let unreliable = Some(unreliable).filter(|_| self.unreliable != 0.0);
        Ok(Config {
            faces: faces.collect(),
            control_listen: self.control_listen,
            root_token: self.root_token.clone(),
            ca_key_algorithm: self.ca_key_algorithm.into(),
            tls,
            allow_non_loopback: self.allow_non_loopback,
            ledger_capacity: self.ledger_capacity,
            journal_capacity: self.journal_capacity,
            seed: self.seed,
            state_dir: self.state_dir.clone(),
            faults: self.fault.iter().cloned().chain(unreliable).collect(),
        })
    }
}

/// Reads the value of `--fault`.
fn fault(text: &str) -> Result<Fault, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Where a face listens, or that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Place {
    At(SocketAddr),
    Off,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let address = text.parse().map_err(|_| format!("{text:?} is neither `off` nor ADDRESS:PORT"))?;
        Ok(Self::At(address))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_kind_of_ca_key_has_a_name_on_the_command_line() {
        let names: Vec<_> = CaKey::value_variants()
            .iter()
            .filter_map(|key| Some(key.to_possible_value()?.get_name().to_owned()))
            .collect();
        assert_eq!(
            names,
            ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "rsa-3072", "rsa-4096", "ed25519"]
        );
    }
}
