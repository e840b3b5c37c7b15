//! The command line.

use clap::Parser;

/// Shows a Certificate become a Secret, its renewal, an outage of the PKI and the recovery
///
/// Everything runs in this process: a simulated Kubernetes API server, cert-manager's share of the flow, a mock PKI
/// that plays a Vault, and the real controller under the permissions that are shipped. Nothing is installed, no port
/// is opened, no file is written.
#[derive(Debug, Parser)]
#[command(
    name = "playground",
    version,
    after_help = "Examples:
  playground                  the story, as fast as it can be told
  playground --speed 3600     an hour of the cluster in each second
  playground --json           one JSON object for each thing that happens"
)]
pub(crate) struct Args {
    /// How many seconds of the cluster pass in one of yours [default: as many as can be]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) speed: Option<u32>,

    /// What names, keys and chance in the cluster follow from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Print the timeline as JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}
