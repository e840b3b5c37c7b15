//! The files that are there while it runs.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::scene::CERTIFICATE;

/// A folder that only its owner may enter, since there is an administrator's key in it. Gone when this is dropped.
pub(super) struct Left(TempDir);

impl Left {
    pub(super) fn new(kubeconfig: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("external-issuer-playground-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("no folder for the kubeconfig")?;
        let left = Self(folder);
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        write(&left.kubeconfig(), kubeconfig)?;
        write(&left.certificate(), CERTIFICATE)?;
        Ok(left)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.0.path().join("kubeconfig")
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("certificate.yaml")
    }

    /// What to try.
    pub(super) fn commands(&self) -> [String; 3] {
        [
            format!("kubectl apply -f {}", self.certificate().display()),
            "kubectl wait --for=condition=Ready certificate/web".to_owned(),
            "kubectl get certificates,certificaterequests,secrets".to_owned(),
        ]
    }
}
