//! Serves a simulated cluster until it is told to stop: something to point kubectl at.

use std::fs;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Parser;
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use sim_kube::fault::Peer;
use sim_kube::https::{Https, HttpsError};
use sim_kube::server::{Clock, Server};
use sim_kube::{Cluster, Identity, Options};

/// A Kubernetes API server in a process, with nothing behind it: no nodes, no pods run, all is gone when it stops.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where to write the administrator's kubeconfig.
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// Folders whose YAML files are CustomResourceDefinitions to begin with.
    #[arg(long, value_name = "DIR")]
    crds: Vec<PathBuf>,
    /// What uids and generated names follow from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("cannot write {path}: {error}")]
    Write { path: PathBuf, error: io::Error },
    #[error("{path}: {message}")]
    Refused { path: PathBuf, message: String },
    #[error(transparent)]
    Https(#[from] HttpsError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    #[expect(clippy::disallowed_methods, reason = "the clock is read here once; from then on it is counted")]
    let clock = Clock::starting_at(Timestamp::now());
    let options = Options { seed: args.seed, ..Options::default() };
    let server = Server::new(Cluster::new(options, clock.now()), clock);
    for folder in &args.crds {
        define(&server, folder).await?;
    }
    let https = Https::listen(server, args.listen).await?;
    // Only the owner may read it: there is a key in it.
    write_secret(&args.kubeconfig, &https.admin_kubeconfig()?)
        .map_err(|error| Error::Write { path: args.kubeconfig.clone(), error })?;
    writeln!(io::stdout(), "{}\nexport KUBECONFIG={}", https.url(), args.kubeconfig.display())?;
    told_to_stop()?.await;
    https.stop().await;
    Ok(())
}

/// Creates every CustomResourceDefinition in the YAML files of a folder.
async fn define(server: &Server, folder: &Path) -> Result<(), Error> {
    let unreadable = |path: &Path, error| Error::Read { path: path.to_owned(), error };
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    files.sort_unstable();
    for path in files {
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        for document in documents(&text) {
            let refused = |message: String| Error::Refused { path: path.clone(), message };
            let request = Request::builder()
                .method(Method::POST)
                .uri("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
                .header(header::CONTENT_TYPE, "application/yaml")
                .body(Bytes::from(document))
                .map_err(|error| refused(error.to_string()))?;
            let response = server.serve(request, Peer::default(), &Identity::admin()).await?;
            if !response.status().is_success() {
                let Ok(body) = response.into_body().collect().await;
                return Err(refused(String::from_utf8_lossy(&body.to_bytes()).into_owned()));
            }
        }
    }
    Ok(())
}

/// The documents in a YAML file, without those that are empty or only comments.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.trim_end() == "---" {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    documents.retain(|document| document.lines().any(says));
    documents
}

#[cfg(unix)]
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Ready when the process is asked to end.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
    })
}
