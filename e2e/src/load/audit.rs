//! Who called the API server for the run's requests, from its audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::api::USER_AGENT;
use super::error::{LoadError, Result};
use crate::audit::Entry;

/// Calls of one kind by one client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Calls {
    /// The user, without `system:serviceaccount:`.
    pub user: String,
    /// The client's name: its `User-Agent` up to the version. cert-manager's controllers share a user and differ in
    /// this.
    #[serde(default)]
    pub client: String,
    /// Such as `patch certificaterequests/status`.
    pub call: String,
    /// Whether it was refused or failed: the HTTP status.
    pub refused: Option<u16>,
    /// How many.
    pub count: u64,
}

impl Calls {
    /// Whether it changed something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.call.split(' ').next(), Some("get" | "list" | "watch"))
    }
}

/// A place in the audit log.
#[derive(Clone, Debug)]
pub struct Mark {
    path: PathBuf,
    offset: u64,
}

impl Mark {
    /// Here.
    pub fn now(path: &Path) -> Result<Self> {
        let offset = std::fs::metadata(path).map_err(LoadError::file("read", path))?.len();
        Ok(Self { path: path.to_owned(), offset })
    }

    /// The calls since then, but for our own, that concern `namespace`: those about objects whose names begin
    /// with `prefix`, and those about any Secret or ConfigMap, which an issuer may read for each request.
    pub fn calls_since(&self, namespace: &str, prefix: &str) -> Result<Vec<Calls>> {
        let mut file = File::open(&self.path).map_err(LoadError::file("open", &self.path))?;
        file.seek(SeekFrom::Start(self.offset)).map_err(LoadError::file("read", &self.path))?;
        let mut counts = BTreeMap::<Kind, u64>::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(LoadError::file("read", &self.path))?;
            // The last line may be half written.
            let Ok(line) = serde_json::from_str::<Entry>(&line) else { continue };
            if let Some(key) = key(&line, namespace, prefix) {
                *counts.entry(key).or_default() += 1;
            }
        }
        let calls = counts.into_iter().map(|((user, client, call, refused), count)| Calls {
            user,
            client,
            call,
            refused,
            count,
        });
        Ok(calls.collect())
    }
}

/// User, client, call, and the HTTP status if it was refused.
type Kind = (String, String, String, Option<u16>);

fn key(line: &Entry, namespace: &str, prefix: &str) -> Option<Kind> {
    let object = line.object_ref.as_ref()?;
    let about = object.namespace == namespace && object.name.starts_with(prefix);
    let read = matches!(object.resource.as_str(), "secrets" | "configmaps") && line.verb == "get";
    if line.stage != "ResponseComplete" || line.user_agent.starts_with(USER_AGENT) || !(about || read) {
        return None;
    }
    let call = format!("{} {}", line.verb, object.path());
    let user = line.user.username.trim_start_matches("system:serviceaccount:").to_owned();
    let client = line.user_agent.split('/').next().unwrap_or_default().to_owned();
    let code = line.code();
    Some((user, client, call, (code >= 400).then_some(code)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_counted_by_user_and_kind() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let line = |stage: &str, verb: &str, agent: &str, resource: &str, name: &str, code: u16| {
            json!({
                "stage": stage, "verb": verb, "requestURI": "/", "userAgent": agent, "user": {"username": "system:serviceaccount:a:b"},
                "objectRef": {"resource": resource, "subresource": "status", "namespace": "ns", "name": name},
                "responseStatus": {"code": code},
            })
        };
        writeln!(file, "{}", line("ResponseComplete", "patch", "x", "certificaterequests", "load-1-7", 200))
            .unwrap();
        let mark = Mark::now(file.path()).unwrap();
        for line in [
            line("ResponseComplete", "patch", "x/1.0 (linux)", "certificaterequests", "load-1-0", 200),
            line("ResponseComplete", "patch", "x", "certificaterequests", "load-1-1", 200),
            line("ResponseComplete", "patch", "x", "certificaterequests", "load-1-1", 409),
            line("ResponseStarted", "watch", "x", "certificaterequests", "load-1-1", 200),
            line("ResponseComplete", "patch", "issue-load", "certificaterequests", "load-1-1", 200),
            line("ResponseComplete", "patch", "x", "certificaterequests", "other", 200),
        ] {
            writeln!(file, "{line}").unwrap();
        }
        write!(file, "{{\"stage\": \"Resp").unwrap();
        let call = |refused, count| Calls {
            user: "a:b".into(),
            client: "x".into(),
            call: "patch certificaterequests/status".into(),
            refused,
            count,
        };
        assert_eq!(mark.calls_since("ns", "load-1-").unwrap(), [call(None, 2), call(Some(409), 1)]);
    }
}
