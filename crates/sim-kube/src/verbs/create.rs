//! Making objects.

use http::StatusCode;
use serde_json::Value;

use super::change::undecodable;
use super::options::{self, Options};
use super::{Reply, Request};
use crate::cluster::Cluster;
use crate::{Cause, Details, Failure, GroupResource, Verb, body, definition, meta, object, shape, strategy};

/// How often another name is tried when a generated one is taken.
const NAME_ATTEMPTS: u32 = 8;

impl Cluster {
    /// POST.
    pub(crate) fn create(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        body::check_format(&request.kind, request.headers)?;
        options::check(request, Options::Create)?;
        let mut object = body::object(&self.registry, &request.kind, request.headers, request.body)?;
        self.decode(request, &mut object).map_err(|why| undecodable(&request.kind, &why))?;
        meta::wipe(&mut object);
        request.check_namespace_of(&mut object)?;
        self.drop_repeated_owners(&mut object, "");
        self.create_object(request, object, false)
    }

    /// Makes an object that has been decoded, of any verb that may make one. `applied` says that it already carries who owns its fields.
    pub(crate) fn create_object(
        &mut self,
        request: &Request<'_>,
        mut object: Value,
        applied: bool,
    ) -> Result<Reply, Failure> {
        let kind = &request.kind;
        // Who updates or applies what is not there makes it, and must be allowed to.
        if request.call.verb != Verb::Create {
            self.check_call(request.user, request.call, Verb::Create)?;
        }
        let claimed = meta::claimed_revision(&object).unwrap_or_default();
        self.check_namespace(request, &object)?;
        if request.call.verb == Verb::Update {
            meta::claimed_revision(&object)?;
        }

        if !applied {
            object = self.track(request, None, object);
        }
        let generated = object::name(&object).is_empty();
        let given = object.clone();
        for _ in 0..NAME_ATTEMPTS {
            meta::begin(kind, &mut object, &request.call.namespace, request.now, &mut self.chance);
            if !generated
                || self.store.get(&kind.storage, object::namespace(&object), object::name(&object)).is_none()
            {
                break;
            }
            object.clone_from(&given);
        }
        if kind.has("status") && kind.custom {
            object::take(&mut object, "status");
        }
        self.check_escalation(request, None, &object)?;
        strategy::prepare(kind, &mut object, None);
        let object = self.admit(request, Verb::Create, None, Some(object))?.unwrap_or_default();
        self.check_valid(request, &object, None)?;
        if claimed.is_some() && request.call.verb == Verb::Create && !request.call.params.dry_run {
            return Err(Failure::plain("resourceVersion should not be set on objects to be created"));
        }
        self.check_definition(request, &object)?;

        let (namespace, name) = (object::namespace(&object).to_owned(), object::name(&object).to_owned());
        if let Some(there) = self.store.get(&kind.storage, &namespace, &name) {
            let mut failure = Failure::already_exists(&kind.resource(), &name);
            if object::is_deleting(there) {
                failure.message.insert_str(0, "object is being deleted: ");
            }
            return Err(failure);
        }
        let object = if request.call.params.dry_run {
            object
        } else {
            let stored = self.store.put(
                request.now,
                &kind.storage,
                &namespace,
                &name,
                shape::to_stored(kind, &object),
            );
            shape::from_stored(kind, &stored)
        };
        Ok(Reply { code: StatusCode::CREATED, value: object })
    }

    /// Things are made only in namespaces that are there to stay.
    fn check_namespace(&self, request: &Request<'_>, object: &Value) -> Result<(), Failure> {
        let kind = &request.kind;
        if !kind.namespaced {
            return Ok(());
        }
        let (namespaces, namespace) = (GroupResource::new("", "namespaces"), &request.call.namespace);
        let Some(found) = self.store.get(&namespaces, "", namespace) else {
            return Err(Failure::not_found(&namespaces, namespace));
        };
        if !object::is_deleting(found) {
            return Ok(());
        }
        let name = object::name(object);
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let message = format!("namespace {namespace} is being terminated");
        let cause = Cause::new("NamespaceTerminating", "metadata.namespace", message);
        let failure = Failure::forbidden(&kind.resource(), name, &why);
        let details = Details {
            name: name.to_owned(),
            group: kind.group.clone(),
            kind: kind.plural.clone(),
            causes: vec![cause],
            ..Details::default()
        };
        Err(failure.with_details(details))
    }

    /// Custom objects are made only as long as their definition is there to stay.
    fn check_definition(&self, request: &Request<'_>, object: &Value) -> Result<(), Failure> {
        let resource = request.kind.resource();
        let name = format!("{}.{}", resource.plural, resource.group);
        let definition =
            request.kind.custom.then(|| self.store.get(&definition::resource(), "", &name)).flatten();
        if definition.is_some_and(|definition| object::is_deleting(definition)) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Failure::forbidden(&resource, object::name(object), why));
        }
        Ok(())
    }
}
