//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  1,000 requests are approved first, then the controller is started; its memory and CPU time are measured too:
    issue-load backlog --kind ExternalClusterIssuer --name load --count 1000 -- \\
        external-issuer run --kubeconfig controller.kubeconfig --metrics-bind-address 0

  20 approvals a second for an issuer that runs, with the calls it makes from the audit log:
    issue-load open --kind ExternalClusterIssuer --name load --rate 20 --count 600 \\
        --audit audit.log --client external-issuer --pid controller=4711

  The same for cert-manager's own Vault issuer, whose requests cert-manager approves itself:
    issue-load open --group cert-manager.io --kind ClusterIssuer --name vault --rate 20 --count 600 --approved-by-others

  What the API server itself can do: one status for each request, from 1, 4, 16 and 64 writers:
    issue-load null --count 1000 --writers 1,4,16,64 --write apply

  What a process costs while nothing happens:
    issue-load idle --for 20s -- external-issuer run --kubeconfig controller.kubeconfig

  A PKI whose answers take 200 ms longer:
    issue-load delay --listen 127.0.0.1:8201 --to 127.0.0.1:8200 --by 200ms";

/// Creates and approves CertificateRequests for any issuer and measures how fast they become Ready
#[derive(Debug, Parser)]
#[command(name = "issue-load", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The modes.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Approve all requests first, then start the issuer (or let it be started) and wait
    Backlog(Backlog),
    /// Approve requests at a fixed rate, whether or not the issuer keeps up
    Open(Open),
    /// Without an issuer: write one canned status for each request, with so many writers
    Null(Null),
    /// Start a process, or look at one, and report its memory and CPU time
    Idle(Idle),
    /// Stand before a PKI and hold its answers back, until Ctrl-C
    Delay(Delay),
    /// Print reports (files of --json lines) as a Markdown table
    Table(Table),
}

/// Which cluster and which issuer.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// The kubeconfig file [default: $KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,
    /// The issuer's API group
    #[arg(long, default_value = "external-issuer.io")]
    pub group: String,
    /// The issuer's kind
    #[arg(long, default_value = "ExternalClusterIssuer")]
    pub kind: String,
    /// The issuer's name
    #[arg(long, default_value = "load")]
    pub name: String,
    /// The namespace in which the requests are made
    #[arg(long, default_value = "default")]
    pub namespace: String,
}

/// What every mode that makes requests takes.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Which cluster and which issuer.
    #[command(flatten)]
    pub target: Target,
    /// How many requests
    #[arg(long, default_value = "1000")]
    pub count: NonZeroUsize,
    /// The lifetime that is asked for
    #[arg(long, default_value = "24h", value_name = "DURATION")]
    pub duration: String,
    /// How many requests are created, approved and deleted at once
    #[arg(long, default_value = "16", value_name = "N")]
    pub at_once: NonZeroUsize,
    /// The API server's audit log, to count the calls that each user made for these requests
    #[arg(long, value_name = "FILE")]
    pub audit: Option<PathBuf>,
    /// Sum up the calls of this client only: the beginning of its User-Agent, such as external-issuer
    #[arg(long, value_name = "NAME", requires = "audit")]
    pub client: Option<String>,
    /// A process to watch, as NAME=PID or NAME=@FILE with the pid in it; may be given more than once
    #[arg(long = "pid", value_name = "NAME=PID")]
    pub processes: Vec<NamedPid>,
    /// Give up when not all requests are answered by then
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = duration)]
    pub timeout: Duration,
    /// Leave the requests in the cluster
    #[arg(long)]
    pub keep: bool,
    /// How the report is printed.
    #[command(flatten)]
    pub output: Output,
}

/// How the report is printed.
#[derive(Clone, Debug, Args)]
pub struct Output {
    /// Print the report as one line of JSON
    #[arg(long)]
    pub json: bool,
    /// What the report calls this run
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
}

/// `issue-load backlog`.
#[derive(Clone, Debug, Args)]
pub struct Backlog {
    /// What every mode takes.
    #[command(flatten)]
    pub common: Common,
    /// Run this when all are approved, to start an issuer that is no child of ours
    #[arg(long, value_name = "SHELL COMMAND", conflicts_with = "command")]
    pub start_command: Option<String>,
    /// Where the issuer's output goes [default: a temporary file, shown if the issuer fails]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// The issuer: started when all are approved, ended with SIGTERM when all are Ready
    #[arg(last = true, value_name = "ISSUER COMMAND")]
    pub command: Vec<String>,
}

/// `issue-load open`.
#[derive(Clone, Debug, Args)]
pub struct Open {
    /// What every mode takes.
    #[command(flatten)]
    pub common: Common,
    /// Approvals a second
    #[arg(long, default_value = "20")]
    pub rate: f64,
    /// Somebody else approves: requests are created at the rate
    #[arg(long)]
    pub approved_by_others: bool,
}

/// `issue-load null`.
#[derive(Clone, Debug, Args)]
pub struct Null {
    /// What every mode takes.
    #[command(flatten)]
    pub common: Common,
    /// How many writers; each number is a run with new requests
    #[arg(long, value_delimiter = ',', default_value = "1,4,16,64", value_name = "N,N,…")]
    pub writers: Vec<NonZeroUsize>,
    /// The kind of write
    #[arg(long, value_enum, default_value_t = Write::Apply)]
    pub write: Write,
}

/// How a status can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Write {
    /// Server-side apply, as most Rust controllers do
    Apply,
    /// PUT of the whole object, as client-go's status updates are
    Update,
}

/// `issue-load idle`.
#[derive(Clone, Debug, Args)]
pub struct Idle {
    /// How long to look
    #[arg(long = "for", default_value = "20s", value_name = "DURATION", value_parser = duration)]
    pub duration: Duration,
    /// A process that runs already, as NAME=PID or NAME=@FILE; may be given more than once
    #[arg(long = "pid", value_name = "NAME=PID")]
    pub processes: Vec<NamedPid>,
    /// Where the process's output goes [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// How the report is printed.
    #[command(flatten)]
    pub output: Output,
    /// A process to start, and to end with SIGTERM
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `issue-load delay`.
#[derive(Clone, Debug, Args)]
pub struct Delay {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8201")]
    pub listen: SocketAddr,
    /// The PKI
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8200")]
    pub to: String,
    /// How long each answer is held back
    #[arg(long, value_name = "DURATION", default_value = "200ms", value_parser = duration)]
    pub by: Duration,
}

/// `issue-load table`.
#[derive(Clone, Debug, Args)]
pub struct Table {
    /// Files of --json lines
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// A process by name, and where its pid is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPid {
    /// What the report calls it.
    pub name: String,
    /// Where its pid is.
    pub pid: PidSource,
}

/// Where a pid is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PidSource {
    /// Here.
    Known(u32),
    /// In a file, which is read when the issuer was started.
    File(PathBuf),
}

impl std::str::FromStr for NamedPid {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write NAME=PID, or NAME=@FILE for a file that holds the pid";
        let (name, pid) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(FORM)?;
        let pid = match pid.strip_prefix('@') {
            Some(path) if !path.is_empty() => PidSource::File(path.into()),
            _ => PidSource::Known(pid.parse().map_err(|_| FORM)?),
        };
        Ok(Self { name: name.to_owned(), pid })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "write it as 90s, 10m or 1h".to_owned())?;
    Duration::try_from(span).map_err(|_| "a time cannot be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_a_number_or_in_a_file() {
        let known = NamedPid { name: "a".into(), pid: PidSource::Known(7) };
        assert_eq!("a=7".parse(), Ok(known));
        let file = NamedPid { name: "a".into(), pid: PidSource::File("/x=y".into()) };
        assert_eq!("a=@/x=y".parse(), Ok(file));
        for wrong in ["7", "=7", "a=", "a=@", "a=b"] {
            assert!(wrong.parse::<NamedPid>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_issuer_s_command_follows_two_dashes() {
        let cli =
            Cli::try_parse_from(["issue-load", "backlog", "--count", "5", "--", "x", "--json"]).unwrap();
        let Command::Backlog(backlog) = cli.command else { panic!("{cli:?}") };
        assert_eq!((backlog.common.count.get(), backlog.common.output.json), (5, false));
        assert_eq!(backlog.command, ["x", "--json"]);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("-1s").is_err());
        assert!(duration("10").is_err());
    }
}
