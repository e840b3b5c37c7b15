//! Who asked what of the API server, and what it answered: a real one's audit log.
//!
//! It is written before an answer goes out, so a scenario may read it right after it has seen an effect.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use serde::Deserialize;

use crate::Result;

/// One request to the API server, as far as scenarios care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who asked.
    pub user: String,
    /// `get`, `patch`, …
    pub verb: String,
    /// `certificaterequests`, `certificaterequests/status`, …
    pub resource: String,
    /// The namespace, empty if none.
    pub namespace: String,
    /// The object, empty for a list or a watch.
    pub name: String,
    /// The answer's HTTP status.
    pub code: u16,
    /// The whole path.
    pub uri: String,
}

/// Remembers the calls that were made.
pub trait Audit: Send + Sync {
    /// The calls that `select` selects, the oldest first.
    fn calls(&self, select: &dyn Fn(&Call) -> bool) -> Result<Vec<Call>>;
}

/// The audit log of one API server, read as it grows.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    offset: u64,
    half_line: Vec<u8>,
    calls: Vec<Call>,
}

impl AuditLog {
    /// The log at this path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), read: Mutex::default() }
    }
}

impl Audit for AuditLog {
    fn calls(&self, select: &dyn Fn(&Call) -> bool) -> Result<Vec<Call>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.on(&self.path)?;
        Ok(read.calls.iter().filter(|call| select(call)).cloned().collect())
    }
}

impl Read {
    fn on(&mut self, path: &Path) -> Result {
        let mut file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = std::mem::take(&mut self.half_line);
        self.offset += file.read_to_end(&mut bytes)? as u64;
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        self.half_line = bytes.split_off(end);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let entry: Entry = serde_json::from_slice(line).context("a line of the audit log")?;
            self.calls.extend(entry.call());
        }
        Ok(())
    }
}

/// One line of the log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub stage: String,
    pub verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    pub user: User,
    #[serde(default)]
    pub user_agent: String,
    pub object_ref: Option<ObjectRef>,
    response_status: Option<Status>,
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectRef {
    #[serde(default)]
    pub resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    pub namespace: String,
    #[serde(default)]
    pub name: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl ObjectRef {
    /// The resource, and the subresource after a slash.
    pub(crate) fn path(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
}

impl Entry {
    /// The answer's HTTP status; 0 if there was none.
    pub(crate) fn code(&self) -> u16 {
        self.response_status.as_ref().map_or(0, |status| status.code)
    }

    /// The call, if this is its end (a watch also has an entry for its start).
    fn call(self) -> Option<Call> {
        if self.stage != "ResponseComplete" && self.stage != "ResponseStarted" {
            return None;
        }
        if self.verb == "watch" && self.stage == "ResponseComplete" {
            return None;
        }
        let code = self.code();
        let object = self.object_ref.unwrap_or_default();
        let resource = object.path();
        Some(Call {
            user: self.user.username,
            verb: self.verb,
            resource,
            namespace: object.namespace,
            name: object.name,
            code,
            uri: self.request_uri,
        })
    }
}
