//! The openssl command, with the files it is given in a directory of their own.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

pub(crate) struct OpenSsl(TempDir);

/// What it said, and whether it was content.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) success: bool,
    pub(crate) text: String,
}

impl OpenSsl {
    pub(crate) fn with<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let this = Self(TempDir::new().unwrap());
        for (name, content) in files {
            this.write(name, content);
        }
        this
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path().join(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    /// Runs it with arguments that are separated by blanks.
    pub(crate) fn run(&self, arguments: &str) -> Verdict {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.path())
            .output()
            .map_err(|error| {
                format!("{error}: this test needs `openssl`, of the package openssl, 3.0 or newer")
            })
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        Verdict { success: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}
