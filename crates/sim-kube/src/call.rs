//! What a request asks for: the verb, the resource and the query, read from an HTTP request the way that the
//! real server's request info is.

use std::borrow::Cow;
use std::fmt;

use http::{Method, Uri};
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::Failure;

/// What is done to a resource; the names are those of RBAC rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read many.
    List,
    /// Follow many.
    Watch,
    /// Make one.
    Create,
    /// Replace one.
    Update,
    /// Change parts of one.
    Patch,
    /// Delete one.
    Delete,
    /// Delete many.
    DeleteCollection,
}

impl Verb {
    /// Every verb that an ordinary resource has, as discovery sorts them.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Delete,
        Self::DeleteCollection,
        Self::Get,
        Self::List,
        Self::Patch,
        Self::Update,
        Self::Watch,
    ];

    /// The verb's name in RBAC rules and in discovery.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is to be done.
    pub verb: Verb,
    /// The API group; empty for the core group.
    pub group: String,
    /// The version of the group.
    pub version: String,
    /// The resource's plural name.
    pub plural: String,
    /// The namespace, or nothing.
    pub namespace: String,
    /// The object's name, or nothing.
    pub name: String,
    /// The subresource, or nothing.
    pub subresource: String,
    /// The query.
    pub params: Params,
}

impl Call {
    /// The resource that `method` and `uri` ask for; nothing for paths that are no resource's, such as
    /// discovery documents and health checks.
    pub fn read(method: &Method, uri: &Uri) -> Result<Option<Self>, Failure> {
        // As in the real server an escaped slash is a slash.
        let decoded = percent_decode_str(uri.path()).decode_utf8_lossy();
        let segments: Vec<&str> = decoded.split('/').filter(|segment| !segment.is_empty()).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Ok(None),
        };
        let (namespace, rest) = match rest {
            // A subresource of the namespace itself, not a resource in it.
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [] => return Ok(None),
            [plural] => (*plural, "", String::new()),
            [plural, name, subresource @ ..] => (*plural, *name, subresource.join("/")),
        };
        let params = Params::read(uri.query().unwrap_or_default())?;
        let named = !name.is_empty();
        let verb = match method.as_str() {
            "GET" | "HEAD" if named => Verb::Get,
            "GET" | "HEAD" if params.watch => Verb::Watch,
            "GET" | "HEAD" => Verb::List,
            "POST" => Verb::Create,
            "PUT" => Verb::Update,
            "PATCH" => Verb::Patch,
            "DELETE" if named => Verb::Delete,
            "DELETE" => Verb::DeleteCollection,
            _ => return Err(Failure::method_not_allowed()),
        };
        Ok(Some(Self {
            verb,
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource,
            params,
        }))
    }
}

/// The query of a request for a resource. What is not here is ignored, as the real server does.
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of its own on the wire")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// Whether a list is a watch.
    pub watch: bool,
    /// Whether a watch may send bookmarks.
    pub allow_watch_bookmarks: bool,
    /// Whether a watch begins with the current state and a bookmark behind it.
    pub send_initial_events: Option<bool>,
    /// How long a watch lasts.
    pub timeout_seconds: Option<u32>,
    /// How many objects a list has at most; 0 for all of them.
    pub limit: usize,
    /// Where a list goes on.
    pub continue_token: String,
    /// The revision asked for; empty for the newest.
    pub resource_version: String,
    /// How the revision is meant.
    pub resource_version_match: String,
    /// Why a number is none, or nothing: reads of many look at this, and nothing else does.
    pub malformed: String,
    /// Which labels objects must have.
    pub label_selector: String,
    /// Which fields objects must have.
    pub field_selector: String,
    /// Whether everything but the write itself is done.
    pub dry_run: bool,
    /// The values of `dryRun`, of which `All` is the only one that means anything.
    pub dry_run_values: Vec<String>,
    /// Who is to own the fields that are written.
    pub field_manager: String,
    /// What is done about fields that the schema does not know: `Strict`, `Warn` or `Ignore`.
    pub field_validation: String,
    /// Whether an apply takes fields from other managers.
    pub force: bool,
    /// Whether `force` was said at all: only an apply may.
    pub force_given: bool,
    /// What happens to an object's dependents: `Background`, `Foreground` or `Orphan`.
    pub propagation_policy: String,
    /// How many seconds an object has to go.
    pub grace_period_seconds: Option<i64>,
    /// The same as it was sent, number or not: it counts only where there are no options in the body.
    pub grace_period: String,
    /// How much of each object is in a table's row: `None`, `Metadata` or `Object`.
    pub include_object: String,
}

impl Params {
    /// Reads a query string. Of a parameter given twice the first counts.
    pub fn read(query: &str) -> Result<Self, Failure> {
        let mut params = Self::default();
        let mut seen: Vec<Cow<'_, str>> = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.contains(&key) {
                continue;
            }
            params.set(&key, &value);
            seen.push(key);
        }
        Ok(params)
    }

    /// A number that matters only to who looks at it.
    fn number<T: std::str::FromStr>(&mut self, value: &str) -> Option<T> {
        number(value).unwrap_or_else(|failure| {
            self.malformed = failure.message;
            None
        })
    }

    fn set(&mut self, key: &str, value: &str) {
        match key {
            "watch" => self.watch = flag(value),
            "allowWatchBookmarks" => self.allow_watch_bookmarks = flag(value),
            "sendInitialEvents" => self.send_initial_events = Some(flag(value)),
            "timeoutSeconds" => self.timeout_seconds = self.number(value),
            // Fewer than none is all of them.
            "limit" => {
                self.limit = self.number::<i64>(value).unwrap_or_default().try_into().unwrap_or_default();
            }
            "continue" => value.clone_into(&mut self.continue_token),
            "resourceVersion" => value.clone_into(&mut self.resource_version),
            "resourceVersionMatch" => value.clone_into(&mut self.resource_version_match),
            "labelSelector" => value.clone_into(&mut self.label_selector),
            "fieldSelector" => value.clone_into(&mut self.field_selector),
            "dryRun" => {
                self.dry_run = value == "All";
                self.dry_run_values = vec![value.to_owned()];
            }
            "fieldManager" => value.clone_into(&mut self.field_manager),
            "fieldValidation" => value.clone_into(&mut self.field_validation),
            "force" => {
                self.force = flag(value);
                self.force_given = true;
            }
            "propagationPolicy" => value.clone_into(&mut self.propagation_policy),
            "gracePeriodSeconds" => {
                self.grace_period_seconds = number(value).unwrap_or_default();
                value.clone_into(&mut self.grace_period);
            }
            "includeObject" => value.clone_into(&mut self.include_object),
            _ => {}
        }
    }
}

/// A truth value as the server reads it: a parameter without a value is true, and so is any word.
fn flag(value: &str) -> bool {
    !(value == "0" || value.eq_ignore_ascii_case("false"))
}

pub(crate) fn number<T: std::str::FromStr>(value: &str) -> Result<Option<T>, Failure> {
    if value.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("strconv.ParseInt: parsing {}: invalid syntax", json!(value));
    value.parse().map(Some).map_err(|_| Failure::bad_request(wrong()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, uri: &str) -> Option<Call> {
        Call::read(method, &uri.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_path_names_namespace_resource_object_and_subresource() {
        let call = read(&Method::PUT, "/apis/cert-manager.io/v1/namespaces/a/certificates/b/status").unwrap();
        assert_eq!(
            (call.verb, call.group.as_str(), call.version.as_str()),
            (Verb::Update, "cert-manager.io", "v1")
        );
        assert_eq!((call.namespace.as_str(), call.plural.as_str()), ("a", "certificates"));
        assert_eq!((call.name.as_str(), call.subresource.as_str()), ("b", "status"));
    }

    #[test]
    fn a_namespace_is_an_object_and_a_place() {
        let place = read(&Method::GET, "/api/v1/namespaces/a/secrets").unwrap();
        assert_eq!(
            (place.namespace.as_str(), place.plural.as_str(), place.verb),
            ("a", "secrets", Verb::List)
        );
        let object = read(&Method::GET, "/api/v1/namespaces/a").unwrap();
        assert_eq!(
            (object.plural.as_str(), object.name.as_str(), object.verb),
            ("namespaces", "a", Verb::Get)
        );
        let status = read(&Method::PATCH, "/api/v1/namespaces/a/status").unwrap();
        assert_eq!((status.name.as_str(), status.subresource.as_str()), ("a", "status"));
    }

    #[test]
    fn names_are_decoded_and_the_client_librarys_empty_parameter_is_ignored() {
        let call =
            read(&Method::GET, "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode?&limit=500")
                .unwrap();
        assert_eq!((call.name.as_str(), call.params.limit), ("system:node", 500));
        let watch = read(&Method::GET, "/api/v1/secrets?&watch=true&timeoutSeconds=290").unwrap();
        assert_eq!((watch.verb, watch.params.timeout_seconds), (Verb::Watch, Some(290)));
    }

    #[test]
    fn documents_and_health_are_no_resources() {
        for path in ["/api", "/apis", "/apis/apps", "/api/v1", "/apis/apps/v1", "/livez", "/openapi/v3", "/"]
        {
            assert_eq!(read(&Method::GET, path), None, "{path}");
        }
    }
}
