//! The command line.

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

/// Shows a Certificate become a Secret, its renewal, an outage of the PKI and the recovery
///
/// Everything runs in this process: a simulated Kubernetes API server, cert-manager's share of the flow, a mock PKI
/// that plays a Vault, and the real controller under the permissions that are shipped. Nothing is installed, no port
/// is opened, no file is written.
#[derive(Debug, Parser)]
#[command(
    name = "playground",
    version,
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// How many seconds of the cluster pass in one of yours [default: as many as can be; one with `up`]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) speed: Option<u32>,

    /// What names, keys, serial numbers and chance follow from: the same seed tells the same story
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Print JSON lines
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(Up),
}

/// Keeps a cluster running until Ctrl-C, for kubectl and every other client
///
/// It prints a kubeconfig, the addresses of the mock PKI and commands to try; then what happens. There is a namespace
/// `shop` with an issuer that is ready, so a Certificate is all that is missing. Only this machine can reach it. Time
/// passes as yours does, or faster with --speed.
///
/// Ctrl-C and SIGTERM end it in good order, with exit status 0: nothing is left, the kubeconfig neither. If an
/// address is in use, or something fails, the status is 1; if the command line is wrong, 2.
#[derive(Debug, clap::Args)]
#[command(after_help = UP_EXAMPLES)]
pub(crate) struct Up {
    /// Where the Kubernetes API listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = loopback)]
    pub(crate) listen: SocketAddr,

    /// Where the mock PKI's Vault API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = loopback)]
    pub(crate) vault_listen: SocketAddr,

    /// Where the mock PKI's control port listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = loopback)]
    pub(crate) control_listen: SocketAddr,
}

const EXAMPLES: &str = "Examples:
  playground                  the story, as fast as it can be told
  playground --speed 3600     an hour of the cluster in each second
  playground --json           one JSON object for each thing that happens
  playground up               keep a cluster running, and use it with kubectl";

const UP_EXAMPLES: &str = "Examples:
  playground up                            free ports
  playground up --listen 127.0.0.1:6443    the Kubernetes API at a port of your choice
  playground up --speed 3600               certificates of a day are renewed every 16 seconds
  playground up --json | head -n 1 | jq -r .ready.kubeconfig";

/// Whoever reaches the ports can issue certificates and make the PKI misbehave.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "write an address and a port, such as 127.0.0.1:6443".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("this is for this machine alone: write a loopback address, such as 127.0.0.1:6443".to_owned())
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
}
