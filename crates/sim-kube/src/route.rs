//! From an HTTP request to the verb that answers it: on whose behalf, whether they may, and whether there is such a
//! place.

use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::access::Asker;
use crate::cluster::{Answer, Cluster};
use crate::fault::Peer;
use crate::rbac::{Resource, Target};
use crate::select::FieldSelector;
use crate::table::Form;
use crate::verbs::{Reply, Request, patch};
use crate::{
    Call, Details, Failure, Identity, Kind, Verb, access, authn, body, discovery, meta, rbac, respond,
};

/// What anybody may ask, without authorization: load balancers do.
const ALWAYS_ALLOWED: [&str; 3] = ["/healthz", "/readyz", "/livez"];

impl Cluster {
    /// The answer to a request of `caller`.
    pub(crate) fn answer(
        &mut self,
        now: Timestamp,
        request: &http::Request<Bytes>,
        caller: &Identity,
    ) -> Result<Answer, Failure> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let identity = authn::impersonated(&self.store, caller.clone(), headers)?;
        let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let unknown_method = !known.contains(method);
        // A method that no resource has is refused where there is a resource.
        let read_as = if unknown_method { &Method::GET } else { method };
        let Some(call) = Call::read(read_as, uri)? else {
            if !ALWAYS_ALLOWED.contains(&uri.path()) {
                self.check_allowed(&identity, &method.as_str().to_lowercase(), &Target::Path(uri.path()))?;
            }
            return Ok(Answer::Response(discovery::answer(&self.registry, method, uri, headers)));
        };
        self.check_call(&identity, &call, call.verb)?;
        let Some(kind) = self.registry.find(&call.group, &call.version, &call.plural).cloned() else {
            let known = self
                .registry
                .kinds()
                .any(|kind| !kind.custom && kind.group == call.group && kind.version == call.version);
            return if known {
                Err(Failure::no_such_path())
            } else {
                Ok(Answer::Response(discovery::page_not_found()))
            };
        };
        if !kind.deprecation.is_empty() {
            self.warnings.push(kind.deprecation.clone());
        }
        if kind.custom && is_elsewhere(&kind, &call) {
            return Ok(Answer::Response(discovery::page_not_found()));
        }
        if unknown_method && kind.custom {
            let there = call.subresource.is_empty() || kind.has(&call.subresource);
            return Err(if there { not_supported(&kind, "") } else { nothing_there(&kind, &call) });
        }
        if call.verb == Verb::Patch && kind.custom && call.subresource.is_empty() {
            patch::check_format(&kind, headers)?;
        }
        check_route(&kind, &call)?;
        if unknown_method || (*method == Method::HEAD && !kind.custom) {
            return Err(Failure::method_not_allowed());
        }
        check_name(&call.name)?;
        if call.verb == Verb::Patch {
            patch::check_format(&kind, headers)?;
        }
        let form = Form::asked(headers, &call.params.include_object)?;
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
        let request =
            Request { now, call: &call, kind, headers, body: request.body(), user: &identity, peer: &peer };
        let mut reply = match call.verb {
            Verb::Watch => {
                let id = self.watch(&request)?;
                return Ok(Answer::Watch(respond::head(StatusCode::OK, "application/json").map(|_| ()), id));
            }
            Verb::Get => self.get(&request).and_then(|object| {
                Form::check(headers, &request.kind, false)?;
                Ok(object)
            }),
            Verb::List => self.list(&request).and_then(|list| {
                Form::check(headers, &request.kind, true)?;
                Ok(list)
            }),
            Verb::Create if call.subresource == "token" => self.token(&request),
            Verb::Create if access::is_review(&request.kind) => self.review(&request),
            Verb::Create => self.create(&request),
            Verb::Update => self.update(&request),
            Verb::Patch => self.patch(&request),
            Verb::Delete => self.delete(&request),
            Verb::DeleteCollection => self.delete_collection(&request),
        }?;
        if form != Form::Object && reply.value.get("kind").is_some_and(|kind| kind != "Status") {
            reply.value = form.render(&request.kind, &reply.value, true, now);
        }
        Ok(Answer::Response(respond::answered(&reply)))
    }

    /// Whether a caller may do to the call's resource what `verb` says.
    pub(crate) fn check_call(&self, identity: &Identity, call: &Call, verb: Verb) -> Result<(), Failure> {
        let selector = FieldSelector::parse(&call.params.field_selector).unwrap_or_default();
        // Who may read one object may also list that one.
        let selected = selector.required("metadata.name").unwrap_or_default();
        let target = Target::Resource(Resource {
            group: &call.group,
            resource: &call.plural,
            subresource: &call.subresource,
            // A namespace is where it is itself.
            namespace: if call.plural == "namespaces" && call.group.is_empty() {
                &call.name
            } else {
                &call.namespace
            },
            name: if call.name.is_empty() { selected } else { &call.name },
        });
        self.check_allowed(identity, verb.as_str(), &target)
    }

    fn check_allowed(&self, identity: &Identity, verb: &str, target: &Target<'_>) -> Result<(), Failure> {
        if rbac::is_allowed(&self.store, identity, verb, target) {
            return Ok(());
        }
        let decision = rbac::authorize(&self.store, identity, verb, target);
        Err(rbac::forbidden(identity, verb, target, &decision.reason))
    }

    fn review(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let mut review = body::object(&self.registry, &request.kind, request.headers, request.body)?;
        // What says nothing is not said.
        let attributes = review.pointer_mut("/spec/resourceAttributes").and_then(Value::as_object_mut);
        if let Some(attributes) = attributes {
            attributes.retain(|_, value| value != "");
        }
        let review = self.track(request, None, review);
        access::review(&request.kind, &request.call.namespace, review, &self.asker(request))
            .map(Reply::created)
    }

    fn token(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let id = self.chance.uid();
        let asked = body::options_body(request.headers, request.body)?;
        let (namespace, name) = (&request.call.namespace, &request.call.name);
        access::token_request(namespace, name, &asked, &id, &self.asker(request)).map(Reply::created)
    }

    fn asker<'a>(&'a self, request: &'a Request<'_>) -> Asker<'a> {
        Asker {
            caller: request.user,
            store: &self.store,
            authenticator: &self.authenticator,
            now: request.now,
        }
    }
}

/// A name that is no part of a path.
fn check_name(name: &str) -> Result<(), Failure> {
    let Some(why) = meta::wrong_path_segment(name).into_iter().next() else {
        return Ok(());
    };
    Err(Failure::bad_request(format!("Name parameter invalid: {}: {why}", rbac::quoted(name))))
}

/// A subresource that a kind does not have.
fn nothing_there(kind: &Kind, call: &Call) -> Failure {
    if kind.custom { Failure::not_found(&kind.resource(), &call.name) } else { Failure::no_such_path() }
}

/// A verb that custom objects do not have, or a method that is none.
fn not_supported(kind: &Kind, verb: &str) -> Failure {
    let resource = kind.resource();
    let message = format!("{verb} is not supported on resources of kind \"{resource}\"");
    let details = Details { group: resource.group, kind: resource.plural, ..Details::default() };
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with_details(details)
}

/// Whether the objects of a kind are in namespaces and the path is not, or the other way around.
fn is_elsewhere(kind: &Kind, call: &Call) -> bool {
    let across = matches!(call.verb, Verb::List | Verb::Watch);
    match (kind.namespaced, call.namespace.is_empty()) {
        (true, true) => !across,
        (false, false) => true,
        _ => false,
    }
}

/// Whether there is such a place, and whether that can be done there.
fn check_route(kind: &Kind, call: &Call) -> Result<(), Failure> {
    let (named, placed) = (!call.name.is_empty(), !call.namespace.is_empty());
    if placed && !kind.namespaced {
        return Err(Failure::no_such_path());
    }
    if kind.namespaced && !placed {
        // Across all namespaces things can be read, and nothing else.
        match call.verb {
            _ if named => return Err(Failure::no_such_path()),
            Verb::List | Verb::Watch => {}
            _ => return Err(Failure::method_not_allowed()),
        }
    }
    if !call.subresource.is_empty() {
        if !kind.has(&call.subresource) {
            return Err(nothing_there(kind, call));
        }
        return match call.verb {
            Verb::Get | Verb::Update | Verb::Patch if call.subresource == "status" => Ok(()),
            Verb::Update if call.subresource == "finalize" => Ok(()),
            Verb::Create if call.subresource == "token" => Ok(()),
            _ if kind.custom => Err(not_supported(kind, call.verb.as_str())),
            _ => Err(Failure::method_not_allowed()),
        };
    }
    if kind.custom && !named && matches!(call.verb, Verb::Update | Verb::Patch) {
        return Err(Failure::bad_request("name must be provided"));
    }
    // What is made has the name that it says, whatever the path says.
    if kind.custom && named && call.verb == Verb::Create {
        return Ok(());
    }
    let of_one = matches!(call.verb, Verb::Get | Verb::Update | Verb::Patch | Verb::Delete);
    if of_one != named || !kind.verbs.contains(&call.verb) {
        return Err(Failure::method_not_allowed());
    }
    Ok(())
}
