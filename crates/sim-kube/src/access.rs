//! The reviews: who am I, may I, may somebody else, whose token is this; and the tokens of ServiceAccounts.
//!
//! A review is a kind that is only ever created and never stored: the answer is the object with its status.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::authn::{Authenticator, Claims, ISSUER};
use crate::rbac::{Decision, Resource, Roles, Target, authorize, list, rules_for, text};
use crate::{Cause, Failure, GroupResource, Identity, Kind, Store};

const AUTHORIZATION: &str = "authorization.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";

/// Who asks, and of what state of things.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Who asks.
    pub caller: &'a Identity,
    /// What is in the cluster.
    pub store: &'a Store,
    /// Whom the cluster believes.
    pub authenticator: &'a Authenticator,
    /// When.
    pub now: Timestamp,
}

/// Whether objects of a kind are reviews, which [`review`] answers.
#[must_use]
pub fn is_review(kind: &Kind) -> bool {
    matches!(kind.group.as_str(), AUTHORIZATION | AUTHENTICATION)
}

/// Answers a review: the object to send back with 201.
pub fn review(kind: &Kind, namespace: &str, mut review: Value, asker: &Asker<'_>) -> Result<Value, Failure> {
    let spec = review.get("spec").cloned().unwrap_or_default();
    let own_namespace = review.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let status = match kind.kind.as_str() {
        "SelfSubjectAccessReview" => access(asker.store, asker.caller, &target_of(&spec, None)?),
        "SubjectAccessReview" => access(asker.store, &subject(&spec)?, &target_of(&spec, None)?),
        "LocalSubjectAccessReview" => {
            if own_namespace != namespace && !own_namespace.is_empty() {
                return Err(Failure::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            access(asker.store, &subject(&spec)?, &target_of(&spec, Some(namespace))?)
        }
        "SelfSubjectRulesReview" => rules(asker.store, asker.caller, text(&spec, "namespace"))?,
        "SelfSubjectReview" => {
            let created = asker.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            put(&mut review, "metadata", json!({"creationTimestamp": created}));
            json!({"userInfo": user_info(asker.caller)})
        }
        "TokenReview" => token_status(&spec, asker)?,
        _ => return Err(Failure::no_such_path()),
    };
    match kind.kind.as_str() {
        "SelfSubjectRulesReview" => {
            put(&mut review, "metadata", json!({}));
            put(&mut review, "spec", json!({}));
        }
        "LocalSubjectAccessReview" => put(&mut review, "metadata", json!({"namespace": namespace})),
        _ if review.get("metadata").is_none() => put(&mut review, "metadata", json!({})),
        _ => {}
    }
    put(&mut review, "apiVersion", json!(kind.api_version()));
    put(&mut review, "kind", json!(kind.kind));
    put(&mut review, "status", status);
    Ok(review)
}

/// Issues a token for a ServiceAccount: the `TokenRequest` to send back with 201. `id` tells this token from every
/// other.
pub fn token_request(
    namespace: &str,
    name: &str,
    request: &Value,
    id: &str,
    asker: &Asker<'_>,
) -> Result<Value, Failure> {
    let accounts = GroupResource::new("", "serviceaccounts");
    let account =
        asker.store.get(&accounts, namespace, name).ok_or_else(|| Failure::not_found(&accounts, name))?;
    let spec = request.get("spec").cloned().unwrap_or_default();
    let seconds = spec.get("expirationSeconds").and_then(Value::as_i64).unwrap_or(3600);
    let wrong = |why: &str| {
        let cause = Cause::invalid("spec.expirationSeconds", &json!(seconds), why);
        Err(Failure::invalid(AUTHENTICATION, "TokenRequest", "", vec![cause]))
    };
    if seconds < 600 {
        return wrong("may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        return wrong("may not specify a duration larger than 2^32 seconds");
    }
    let mut audiences = texts(&spec, "audiences");
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    let reference = spec.get("boundObjectRef").filter(|reference| reference.is_object());
    let bound = reference.map(|reference| bound_object(namespace, reference, asker.store)).transpose()?;
    let token = asker.authenticator.issue(&Claims {
        account,
        audiences: &audiences,
        bound,
        now: asker.now,
        seconds,
        id,
    });
    let time = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let expires =
        Timestamp::from_second(asker.now.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX);
    Ok(json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": account.pointer("/metadata/uid"),
            "creationTimestamp": time(asker.now),
        },
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": reference},
        "status": {"token": token, "expirationTimestamp": time(expires)},
    }))
}

/// The object that a token is to be bound to.
fn bound_object<'a>(
    namespace: &str,
    reference: &Value,
    store: &'a Store,
) -> Result<(&'static str, &'a Value), Failure> {
    let (kind, plural) = match (text(reference, "apiVersion"), text(reference, "kind")) {
        ("v1", "Pod") => ("pod", "pods"),
        ("v1", "Secret") => ("secret", "secrets"),
        (version, kind) => {
            return Err(Failure::bad_request(format!(
                "cannot bind token for serviceaccount to object of type {version}, Kind={kind}"
            )));
        }
    };
    let name = text(reference, "name");
    let resource = GroupResource::new("", plural);
    let object = store.get(&resource, namespace, name).ok_or_else(|| Failure::not_found(&resource, name))?;
    let uid = text(reference, "uid");
    let own = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    if !uid.is_empty() && uid != own {
        let why =
            format!("the UID in the bound object reference ({uid}) does not match the UID in record ({own})");
        return Err(Failure::conflict(&resource, name, &why));
    }
    Ok((kind, object))
}

/// What a review asks about, in words of its own.
struct Question {
    verb: String,
    group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    path: Option<String>,
}

/// What a review asks; `local` is the namespace that a local one is made in.
fn target_of(spec: &Value, local: Option<&str>) -> Result<Question, Failure> {
    let given = |key: &str| spec.get(key).filter(|value| value.is_object());
    let (resource, path) = (given("resourceAttributes"), given("nonResourceAttributes"));
    let attributes = match (resource, path, local) {
        (Some(_), Some(path), _) => {
            let shown = json!({"Path": text(path, "path"), "Verb": text(path, "verb")});
            return Err(wrong(
                "spec.nonResourceAttributes",
                &shown,
                "cannot be specified in combination with resourceAttributes",
            ));
        }
        (None, None, _) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return Err(wrong("spec.resourceAttributes", &Value::Null, why));
        }
        (None, Some(path), Some(_)) => {
            let shown = json!({"Path": text(path, "path"), "Verb": text(path, "verb")});
            return Err(wrong("spec.nonResourceAttributes", &shown, "disallowed on this kind of request"));
        }
        (Some(attributes), None, _) | (None, Some(attributes), None) => attributes,
    };
    let of = |key: &str| text(attributes, key).to_owned();
    if local.is_some_and(|local| local != text(attributes, "namespace")) {
        let shown = json!(text(attributes, "namespace"));
        return Err(wrong("spec.resourceAttributes.namespace", &shown, "must match metadata.namespace"));
    }
    Ok(Question {
        verb: of("verb"),
        group: of("group"),
        resource: of("resource"),
        subresource: of("subresource"),
        namespace: of("namespace"),
        name: of("name"),
        path: path.map(|_| of("path")),
    })
}

/// 422. The real server names the group here and not the kind.
fn wrong(field: &str, value: &Value, why: &str) -> Failure {
    Failure::invalid(AUTHORIZATION, "", "", vec![Cause::invalid(field, value, why)])
}

fn subject(spec: &Value) -> Result<Identity, Failure> {
    let (name, groups) = (text(spec, "user").to_owned(), texts(spec, "groups"));
    if name.is_empty() && groups.is_empty() {
        return Err(wrong("spec.user", &json!(""), "at least one of user or group must be specified"));
    }
    Ok(Identity { name, groups, ..Identity::default() })
}

fn access(roles: &dyn Roles, user: &Identity, question: &Question) -> Value {
    let target = match &question.path {
        Some(path) => Target::Path(path),
        // To the authorizer, `*` is a name like any other; a rule must say `*` to match it.
        None => Target::Resource(Resource {
            group: &question.group,
            resource: &question.resource,
            subresource: &question.subresource,
            namespace: &question.namespace,
            name: &question.name,
        }),
    };
    let Decision { allowed, reason } = authorize(roles, user, &question.verb, &target);
    if reason.is_empty() {
        json!({"allowed": allowed})
    } else {
        json!({"allowed": allowed, "reason": reason})
    }
}

fn rules(roles: &dyn Roles, user: &Identity, namespace: &str) -> Result<Value, Failure> {
    if namespace.is_empty() {
        return Err(Failure::bad_request("no namespace on request"));
    }
    let everything = [
        json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
        json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
    ];
    let (mut granted, problem) = rules_for(roles, user, namespace);
    if user.is_in(Identity::MASTERS) {
        granted.splice(0..0, everything.iter());
    }
    let taken = |keys: &[&str]| -> Vec<Value> {
        let [_, what, ..] = keys else { return Vec::new() };
        let with: Vec<_> = granted.iter().filter(|rule| !list(rule, what).is_empty()).collect();
        with.into_iter()
            .map(|rule| {
                let part = |key: &&str| Some(((*key).to_owned(), rule.get(*key)?.clone()));
                Value::Object(keys.iter().filter_map(part).collect::<Map<_, _>>())
            })
            .collect()
    };
    let mut status = json!({
        "resourceRules": taken(&["verbs", "resources", "apiGroups", "resourceNames"]),
        "nonResourceRules": taken(&["verbs", "nonResourceURLs"]),
        "incomplete": problem.is_some(),
    });
    if let Some(problem) = problem {
        put(&mut status, "evaluationError", json!(problem));
    }
    Ok(status)
}

fn token_status(spec: &Value, asker: &Asker<'_>) -> Result<Value, Failure> {
    let token = text(spec, "token");
    if token.is_empty() {
        return Err(Failure::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences = texts(spec, "audiences");
    Ok(match asker.authenticator.token(asker.store, token, &audiences, asker.now) {
        Ok(found) => json!({
            "authenticated": true,
            "user": user_info(&found.identity),
            "audiences": found.audiences,
        }),
        Err(error) => json!({"user": {}, "error": error}),
    })
}

fn user_info(user: &Identity) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        put(&mut info, "uid", json!(user.uid));
    }
    if !user.extra.is_empty() {
        put(&mut info, "extra", json!(user.extra));
    }
    info
}

fn texts(object: &Value, key: &str) -> Vec<String> {
    list(object, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    fn now() -> Timestamp {
        "2026-11-24T08:02:03Z".parse().unwrap()
    }

    /// The roles of a fresh cluster, and a ServiceAccount.
    fn store() -> Store {
        let mut store = Store::new();
        for object in builtin::bootstrap() {
            let plural = format!("{}s", text(object, "kind").to_lowercase());
            let name = object["metadata"]["name"].as_str().unwrap();
            store.put(now(), &GroupResource::new(crate::rbac::GROUP, plural), "", name, object.clone());
        }
        let robot = json!({"metadata": {"name": "robot", "namespace": "default", "uid": "u"}});
        store.put(now(), &GroupResource::new("", "serviceaccounts"), "default", "robot", robot);
        store
    }

    fn ask(kind: &str, namespace: &str, object: Value, caller: &Identity) -> Result<Value, Failure> {
        let kind = builtin::kinds().iter().find(|own| own.kind == kind).unwrap();
        let authenticator = Authenticator::new(1);
        review(
            kind,
            namespace,
            object,
            &Asker { caller, store: &store(), authenticator: &authenticator, now: now() },
        )
    }

    #[test]
    fn a_caller_learns_what_it_may_do() {
        let spec = json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
        let admin = ask("SelfSubjectAccessReview", "", spec.clone(), &Identity::admin()).unwrap();
        assert_eq!(admin["status"], json!({"allowed": true}));
        assert_eq!(
            (&admin["kind"], &admin["apiVersion"]),
            (&json!("SelfSubjectAccessReview"), &json!("authorization.k8s.io/v1"))
        );
        let ann = ask("SelfSubjectAccessReview", "", spec, &Identity::user("ann", [])).unwrap();
        assert_eq!(ann["status"], json!({"allowed": false}));
    }

    #[test]
    fn what_somebody_else_may_do_comes_with_the_reason() {
        let spec = json!({"spec": {
            "user": "bob", "groups": ["system:unauthenticated"], "nonResourceAttributes": {"path": "/healthz", "verb": "get"},
        }});
        let bob = ask("SubjectAccessReview", "", spec, &Identity::admin()).unwrap();
        assert_eq!(
            bob["status"],
            json!({
                "allowed": true,
                "reason": "RBAC: allowed by ClusterRoleBinding \"system:public-info-viewer\" of ClusterRole \
                           \"system:public-info-viewer\" to Group \"system:unauthenticated\"",
            })
        );
    }

    #[test]
    fn a_question_that_is_none_is_invalid_as_on_the_real_server() {
        let message = |kind: &str, spec: Value| {
            ask(kind, "default", json!({"spec": spec}), &Identity::admin()).unwrap_err().message
        };
        assert_eq!(
            message("SelfSubjectAccessReview", json!({})),
            ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of \
             nonResourceAttributes or resourceAttributes must be specified"
        );
        let both = json!({"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/a", "verb": "get"}});
        assert_eq!(
            message("SelfSubjectAccessReview", both),
            ".authorization.k8s.io \"\" is invalid: spec.nonResourceAttributes: Invalid value: \
             {\"Path\":\"/a\",\"Verb\":\"get\"}: cannot be specified in combination with resourceAttributes"
        );
        assert_eq!(
            message(
                "SubjectAccessReview",
                json!({"nonResourceAttributes": {"path": "/healthz", "verb": "get"}})
            ),
            ".authorization.k8s.io \"\" is invalid: spec.user: Invalid value: \"\": at least one of user or group \
             must be specified"
        );
        assert_eq!(
            message(
                "LocalSubjectAccessReview",
                json!({"user": "bob", "resourceAttributes": {"verb": "get"}})
            ),
            ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: Invalid value: \"\": must \
             match metadata.namespace"
        );
        assert_eq!(message("TokenReview", json!({})), "token is required for TokenReview in authentication");
        assert_eq!(message("SelfSubjectRulesReview", json!({})), "no namespace on request");
    }

    #[test]
    fn the_rules_of_a_caller_are_those_of_its_bindings() {
        let spec = json!({"spec": {"namespace": "default"}});
        let ann = ask("SelfSubjectRulesReview", "", spec, &Identity::user("ann", [])).unwrap();
        let status = &ann["status"];
        let create = |group: &str, resources: &[&str]| json!({"verbs": ["create"], "apiGroups": [group], "resources": resources});
        assert_eq!(
            status["resourceRules"],
            json!([
                create("authorization.k8s.io", &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
                create("authentication.k8s.io", &["selfsubjectreviews"]),
            ])
        );
        assert_eq!(
            (status["nonResourceRules"].as_array().unwrap().len(), &status["incomplete"]),
            (2, &json!(false))
        );
    }

    #[test]
    fn a_caller_learns_who_it_is() {
        let bob = Identity { uid: "7".to_owned(), ..Identity::user("bob", []) };
        let review = ask("SelfSubjectReview", "", json!({}), &bob).unwrap();
        assert_eq!(
            review["status"]["userInfo"],
            json!({"username": "bob", "uid": "7", "groups": ["system:authenticated"]})
        );
        assert_eq!(review["metadata"], json!({"creationTimestamp": "2026-11-24T08:02:03Z"}));
    }

    fn request(name: &str, spec: &Value) -> Result<Value, Failure> {
        let (admin, authenticator) = (Identity::admin(), Authenticator::new(1));
        let asker = Asker { caller: &admin, store: &store(), authenticator: &authenticator, now: now() };
        token_request("default", name, &json!({"spec": spec}), "7", &asker)
    }

    #[test]
    fn a_token_that_was_asked_for_is_reviewed_as_its_service_account() {
        let issued = request("robot", &json!({})).unwrap();
        assert_eq!(
            issued["spec"],
            json!({"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": null})
        );
        assert_eq!(issued["status"]["expirationTimestamp"], "2026-11-24T09:02:03Z");
        let review = json!({"spec": {"token": issued["status"]["token"]}});
        let status = ask("TokenReview", "", review, &Identity::admin()).unwrap()["status"].clone();
        assert_eq!(status["user"]["username"], "system:serviceaccount:default:robot");
        assert_eq!((&status["authenticated"], &status["audiences"]), (&json!(true), &json!([ISSUER])));
        let unknown = ask("TokenReview", "", json!({"spec": {"token": "abc"}}), &Identity::admin()).unwrap();
        assert_eq!(unknown["status"], json!({"user": {}, "error": "invalid bearer token"}));
    }

    #[test]
    fn a_token_that_cannot_be_had_is_refused_as_on_the_real_server() {
        let message = |name: &str, spec: Value| request(name, &spec).unwrap_err().message;
        assert_eq!(message("nobody", json!({})), "serviceaccounts \"nobody\" not found");
        let secret = json!({"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "zzz"}});
        assert_eq!(message("robot", secret), "secrets \"zzz\" not found");
        assert_eq!(
            message("robot", json!({"expirationSeconds": 1})),
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 1: may not \
             specify a duration less than 10 minutes"
        );
        assert_eq!(
            message("robot", json!({"expirationSeconds": 100_000_000_000_i64})),
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: \
             100000000000: may not specify a duration larger than 2^32 seconds"
        );
    }
}
