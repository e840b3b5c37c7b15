//! The first thing a newcomer runs: a Certificate becomes a Secret on a real control plane, step by step.
//!
//! * `narrator.rs`: the timeline.
//! * `chapters.rs`: what is done and told.
//!
//! What starts the processes is [`e2e::arm::local`], as in the suite; what makes and awaits objects is
//! [`e2e::world`].

mod chapters;
mod narrator;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use e2e::arm::local::Local;
use e2e::world::{Pictures, World};

use self::chapters::Story;
use self::narrator::Narrator;

/// Shows the main job on a local control plane: a Certificate becomes a Secret, and is renewed
#[derive(Debug, Parser)]
#[command(name = "show", version)]
struct Args {
    /// Leave everything running until Ctrl-C, and say how to look at it
    #[arg(long)]
    keep: bool,
    /// Where state and logs go [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// As a shell says it of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// Nothing here is left to chance.
const SEED: u64 = 1;

enum Ended {
    Told,
    Interrupted,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let narrator = Narrator::new();
    let (folder, temporary) = match folder(args.folder) {
        Ok(folder) => folder,
        Err(error) => {
            narrator.failed(&format!("{error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let (code, remove) = match show(&folder, args.keep, &narrator).await {
        Ok(Ended::Told) => (ExitCode::SUCCESS, true),
        Ok(Ended::Interrupted) => (ExitCode::from(INTERRUPTED), true),
        Err(error) => {
            narrator.failed(&format!("{error:#}\nstate and logs are in {}", folder.display()));
            (ExitCode::FAILURE, false)
        }
    };
    if remove && temporary {
        // What cannot be removed lies in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&folder);
    }
    code
}

/// The folder, and whether it is ours to remove.
fn folder(asked: Option<PathBuf>) -> e2e::Result<(PathBuf, bool)> {
    if let Some(folder) = asked {
        std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        return Ok((folder, false));
    }
    let made = tempfile::Builder::new().prefix("external-issuer-show-").tempdir();
    Ok((made.context("could not make a temporary folder")?.keep(), true))
}

async fn show(folder: &Path, keep: bool, narrator: &Narrator) -> e2e::Result<Ended> {
    narrator.title("External Issuer: a Certificate becomes a Secret");
    narrator.chapter("A cluster on this machine");
    narrator.step("etcd, kube-apiserver, kube-controller-manager and cert-manager as local processes");
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let local = tokio::select! {
        local = Local::up(folder, Pictures::Compare, |note| narrator.step(note)) => local?,
        // What was started ends with us.
        _ = &mut interrupted => return Ok(Ended::Interrupted),
    };
    let told = tokio::select! {
        told = tell(&local, folder, keep, narrator) => told.map(|()| Ended::Told),
        _ = &mut interrupted => Ok(Ended::Interrupted),
    };
    narrator.chapter("The end");
    let stopped = local.stop().await;
    narrator.step("controller, mock-pki and control plane have ended");
    let ended = told?;
    stopped?;
    Ok(ended)
}

async fn tell(local: &Local, folder: &Path, keep: bool, narrator: &Narrator) -> e2e::Result {
    let world = World::new(&local.ground, "show", SEED).await?;
    let story = Story::new(&world, narrator);
    let pki = story.tell().await?;
    if keep {
        narrator.chapter("Everything goes on running; Ctrl-C ends it");
        narrator.details(&[
            ("look", format!("export KUBECONFIG={}/control-plane/kubeconfig", folder.display())),
            (
                "",
                format!(
                    "kubectl get externalissuers,certificates,certificaterequests -n {}",
                    world.namespace
                ),
            ),
            ("", format!("kubectl describe certificaterequests -n {}", world.namespace)),
            ("", format!("kubectl get secret web-tls -n {} -o yaml", world.namespace)),
            ("logs", folder.display().to_string()),
        ]);
        std::future::pending::<()>().await;
    }
    drop(pki);
    Ok(())
}
