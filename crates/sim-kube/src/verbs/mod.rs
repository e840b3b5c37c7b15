//! What can be done with a resource, one chapter a verb.

mod change;
mod create;
mod delete;
mod list;
mod options;
pub(crate) mod patch;
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
}

impl Reply {
    pub(crate) fn created(value: Value) -> Self {
        Self { code: StatusCode::CREATED, ..Self::ok(value) }
    }

    fn ok(value: Value) -> Self {
        Self { code: StatusCode::OK, value }
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

    /// The object in the body of a create or an update must be in the namespace on the path.
    /// Outside namespaces what it says does not count.
    fn check_namespace_of(&self, object: &mut Value) -> Result<(), Failure> {
        if !self.kind.namespaced {
            self.drop_namespace(object);
            return Ok(());
        }
        let namespace = crate::object::namespace(object);
        if !namespace.is_empty() && namespace != self.call.namespace {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(why));
        }
        Ok(())
    }

    /// Outside namespaces there is none.
    fn drop_namespace(&self, object: &mut Value) {
        if !self.kind.namespaced {
            crate::object::edit_metadata(object, |metadata| {
                metadata.remove("namespace");
            });
        }
    }

    /// An object must be the one on the path.
    fn check_name_of(&self, object: &Value) -> Result<(), Failure> {
        let (name, expected) = (crate::object::name(object), &self.call.name);
        if name.is_empty() {
            return Err(Failure::bad_request(format!(
                "the name of the object ({expected} based on URL) was undeterminable: name must be provided"
            )));
        }
        if name != expected {
            return Err(Failure::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({expected})"
            )));
        }
        let (namespace, expected) = (crate::object::namespace(object), &self.call.namespace);
        if !namespace.is_empty() && !expected.is_empty() && namespace != expected {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(why));
        }
        Ok(())
    }
}
