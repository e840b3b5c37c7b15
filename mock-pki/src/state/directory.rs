//! The state directory: one file, written whole or not at all, which only its owner can read, since keys are in it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::state::Document;

const FILE: &str = "state.json";

/// Where the state is kept from one run to the next.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Makes it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| format!("the state directory {}: {error}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    /// What was kept; nothing the first time. What cannot be read is an error, and is left as it is.
    pub(crate) fn load(&self) -> Result<Option<Document>, String> {
        let path = self.0.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("reading {}: {error}", path.display())),
        };
        let failed = |error| format!("{}: {error}; to begin anew, move the file away", path.display());
        Document::read(&bytes).map(Some).map_err(failed)
    }

    /// Keeps a state in place of the one before.
    pub(crate) fn save(&self, document: &Document) -> Result<(), String> {
        let path = self.0.join(FILE);
        self.write(&path, document).map_err(|error| format!("writing {}: {error}", path.display()))
    }

    fn write(&self, path: &Path, document: &Document) -> io::Result<()> {
        let beside = self.0.join(format!("{FILE}.part"));
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec(document)?)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(&self.0)?.sync_all()
    }
}
