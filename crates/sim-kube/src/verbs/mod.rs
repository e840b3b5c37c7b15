//! What can be done with a resource, one chapter a verb.

mod change;
mod create;
mod delete;
mod list;
mod patch;
mod update;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) use delete::{Departure, FOREGROUND, ORPHAN, depart};
pub(crate) use list::{NOT_OLDER_THAN, parse_revision};

use crate::fault::Peer;
use crate::{Call, Failure, Identity, Kind};

/// The longest name of a field manager that is kept of a `User-Agent`.
const LONGEST_MANAGER: usize = 128;

/// A request for a resource that is served, from a caller that may make it.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) now: Timestamp,
    pub(crate) call: &'a Call,
    pub(crate) kind: Arc<Kind>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
    pub(crate) user: &'a Identity,
    pub(crate) peer: &'a Peer,
}

/// An answer that is complete.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) code: StatusCode,
    pub(crate) value: Value,
    pub(crate) warnings: Vec<String>,
}

impl Reply {
    pub(crate) fn created(value: Value) -> Self {
        Self { code: StatusCode::CREATED, ..Self::ok(value) }
    }

    fn ok(value: Value) -> Self {
        Self { code: StatusCode::OK, value, warnings: Vec::new() }
    }
}

impl Request<'_> {
    /// Whose fields they are that this request writes: what it says, or the name of the program.
    fn manager(&self) -> String {
        if !self.call.params.field_manager.is_empty() {
            return self.call.params.field_manager.clone();
        }
        let agent =
            self.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let program: String =
            agent.split('/').next().unwrap_or_default().chars().take(LONGEST_MANAGER).collect();
        if program.is_empty() { "unknown".to_owned() } else { program }
    }

    /// The object in the body must be the one on the path.
    fn check_place(&self, object: &Value) -> Result<(), Failure> {
        let name = crate::object::name(object);
        let expected = &self.call.name;
        if !expected.is_empty() && name != expected {
            return Err(Failure::bad_request(if name.is_empty() {
                "name must be provided".to_owned()
            } else {
                format!("the name of the object ({name}) does not match the name on the URL ({expected})")
            }));
        }
        let namespace = crate::object::namespace(object);
        if self.kind.namespaced && !namespace.is_empty() && namespace != self.call.namespace {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(why));
        }
        Ok(())
    }
}
