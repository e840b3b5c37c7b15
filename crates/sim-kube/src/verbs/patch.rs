//! Changing parts of objects.

use http::HeaderMap;
use serde_json::Value;

use super::options::{self, Options};
use super::{Reply, Request};
use crate::cluster::Cluster;
use crate::{Cause, Details, Failure, Kind, body, meta, object, patch, shape};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
/// When the owners that a patch repeats are noticed, as the warning says it.
const AFTER_ADMISSION: &str = " after mutating admission happens";

/// Whether objects of a kind can be patched in the format of a body.
pub(crate) fn check_format(kind: &Kind, headers: &HeaderMap) -> Result<(), Failure> {
    let media_type = body::media_type(headers);
    if kind.custom {
        let known = [JSON, MERGE, APPLY];
        return if known.contains(&media_type) { Ok(()) } else { Err(body::unknown_format(&known)) };
    }
    if [JSON, MERGE, STRATEGIC, APPLY].contains(&media_type) {
        return Ok(());
    }
    Err(Failure::unsupported_media_type("415: Unsupported Media Type").with_details(Details::default()))
}

impl Cluster {
    /// PATCH.
    pub(crate) fn patch(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let media_type = body::media_type(request.headers);
        options::check(request, Options::Patch { applies: media_type == APPLY })?;
        if media_type == APPLY {
            return self.apply(request);
        }
        let old = self
            .live(request)
            .ok_or_else(|| Failure::not_found(&request.kind.resource(), &request.call.name))?;
        let patch = body::json_patch(request.body)?;
        let mut object = match media_type {
            JSON => patch::json_patch(&old, &patch)?,
            STRATEGIC => patch::strategic_merge_patch(&old, &patch, &self.schemas.of(&request.kind))?,
            _ => patch::merge_patch(&old, &patch)?,
        };
        if !object.is_object() {
            return Err(Failure::bad_request("the patch leaves no object"));
        }
        let patched = object.to_string();
        if !request.kind.custom && media_type == STRATEGIC {
            // What an object is is no field of the type that is patched.
            for key in ["apiVersion", "kind"] {
                object::put(&mut object, key, old.get(key).cloned());
            }
        } else if !request.kind.custom
            && ["apiVersion", "kind"].iter().any(|key| object.get(key) != old.get(key))
        {
            let why = "json: cannot unmarshal the object into another kind";
            return Err(Failure::invalid("", "", "", vec![Cause::invalid("patch", &patched.into(), why)]));
        }
        self.decode(request, &mut object).map_err(|why| {
            Failure::invalid("", "", "", vec![Cause::invalid("patch", &patched.into(), &why)])
        })?;
        request.check_name_of(&object)?;
        request.drop_namespace(&mut object);
        self.drop_repeated_owners(&mut object, AFTER_ADMISSION);
        self.update_object(request, &old, object, false)
    }

    /// Server-side apply.
    fn apply(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let kind = &request.kind;
        let mut applied = body::yaml(request.body)?;
        let resource = kind.resource();
        let Some(old) = self.live(request) else {
            if !request.call.subresource.is_empty() {
                return Err(Failure::not_found(&resource, &request.call.name));
            }
            let uid = object::uid(&applied).to_owned();
            object::edit_metadata(&mut applied, |metadata| {
                metadata.remove("resourceVersion");
            });
            let mut object = self.merge_applied(request, None, &applied)?;
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(Failure::conflict(&resource, &request.call.name, &why));
            }
            self.convert_applied(request, &mut object)?;
            request.check_namespace_of(&mut object)?;
            request.check_name_of(&object)?;
            self.drop_repeated_owners(&mut object, AFTER_ADMISSION);
            return self.create_object(request, object, true);
        };
        let mut object = self.merge_applied(request, Some(&old), &applied)?;
        if meta::claimed_revision(&applied)?.is_some_and(|claimed| claimed != object::revision(&old)) {
            return Err(Failure::modified(&resource, &request.call.name));
        }
        self.convert_applied(request, &mut object)?;
        request.check_name_of(&object)?;
        request.drop_namespace(&mut object);
        self.drop_repeated_owners(&mut object, AFTER_ADMISSION);
        self.update_object(request, &old, object, true)
    }

    /// The object on the path, in the version of the path.
    fn live(&self, request: &Request<'_>) -> Option<Value> {
        let kind = &request.kind;
        let stored = self.store.get(&kind.storage, &request.call.namespace, &request.call.name);
        stored.map(|stored| shape::from_stored(kind, stored))
    }
}
