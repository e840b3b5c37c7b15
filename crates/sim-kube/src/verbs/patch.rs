//! Changing parts of objects.

use serde_json::Value;

use super::{Reply, Request};
use crate::cluster::Cluster;
use crate::{Cause, Failure, body, meta, object, patch, shape};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

impl Cluster {
    /// PATCH.
    pub(crate) fn patch(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let media_type = body::media_type(request.headers);
        let known: &[&str] =
            if request.kind.custom { &[JSON, MERGE, APPLY] } else { &[JSON, MERGE, STRATEGIC, APPLY] };
        if !known.contains(&media_type) {
            return Err(body::unknown_format(known));
        }
        check_options(request, media_type == APPLY)?;
        if media_type == APPLY {
            return self.apply(request);
        }
        let old = self
            .live(request)
            .ok_or_else(|| Failure::not_found(&request.kind.resource(), &request.call.name))?;
        let patch = body::json_patch(request.body)?;
        let object = match media_type {
            JSON => patch::json_patch(&old, &patch)?,
            STRATEGIC => patch::strategic_merge_patch(&old, &patch, &self.schemas.of(&request.kind))?,
            _ => patch::merge_patch(&old, &patch)?,
        };
        if !object.is_object() {
            return Err(Failure::bad_request("the patch leaves no object"));
        }
        request.check_place(&object)?;
        self.update_object(request, &old, object, false)
    }

    /// Server-side apply.
    fn apply(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let kind = &request.kind;
        let mut applied = body::yaml(request.body)?;
        if object::name(&applied).is_empty() {
            object::set_metadata(&mut applied, "name", request.call.name.as_str());
        }
        request.check_place(&applied)?;
        let resource = kind.resource();
        let Some(old) = self.live(request) else {
            if !request.call.subresource.is_empty() {
                return Err(Failure::not_found(&resource, &request.call.name));
            }
            let uid = object::uid(&applied);
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(Failure::conflict(&resource, &request.call.name, &why));
            }
            object::edit_metadata(&mut applied, |metadata| {
                metadata.remove("resourceVersion");
            });
            let object = self.merge_applied(request, None, &applied)?;
            return self.create_object(request, object, true);
        };
        if meta::claimed_revision(&applied)?.is_some_and(|claimed| claimed != object::revision(&old)) {
            return Err(Failure::modified(&resource, &request.call.name));
        }
        let object = self.merge_applied(request, Some(&old), &applied)?;
        self.update_object(request, &old, object, true)
    }

    /// The object on the path, in the version of the path.
    fn live(&self, request: &Request<'_>) -> Option<Value> {
        let kind = &request.kind;
        let stored = self.store.get(&kind.storage, &request.call.namespace, &request.call.name);
        stored.map(|stored| shape::from_stored(kind, stored))
    }
}

fn check_options(request: &Request<'_>, applies: bool) -> Result<(), Failure> {
    let params = &request.call.params;
    let cause = if applies && params.field_manager.is_empty() {
        Cause::required("fieldManager", "is required for apply patch")
    } else if !applies && params.force_given {
        Cause::forbidden("force", "may not be specified for non-apply patch")
    } else {
        return Ok(());
    };
    Err(Failure::invalid("meta.k8s.io", "PatchOptions", "", vec![cause]))
}
