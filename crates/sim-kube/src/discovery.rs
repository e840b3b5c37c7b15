//! Every path that is no resource's: what is served (aggregated and legacy discovery, OpenAPI), the version, the
//! health checks.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use serde_json::{Value, json};

use crate::hash::sha512;
use crate::rbac::{list, text};
use crate::{Failure, Kind, Registry, Verb, builtin, openapi};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const JSON: &str = "application/json";
/// The order in which the server names the verbs of a custom kind.
const CUSTOM_VERBS: [Verb; 8] = [
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Create,
    Verb::Update,
    Verb::Watch,
];

/// The answer to a request for a path that is no resource's.
#[must_use]
pub fn answer(registry: &Registry, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response<Bytes> {
    let segments: Vec<&str> = uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
    if !matches!(*method, Method::GET | Method::HEAD)
        && !matches!(segments.first(), Some(&("healthz" | "livez" | "readyz")))
    {
        return failed(&Failure::method_not_allowed());
    }
    match segments.as_slice() {
        [] => json_answer(&json!({"paths": paths(registry)})),
        ["api"] if wants_aggregated(headers) => aggregated(&groups(registry, true)),
        ["apis"] if wants_aggregated(headers) => aggregated(&groups(registry, false)),
        ["api"] => json_answer(&json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host(headers)}],
        })),
        ["apis"] => {
            let groups: Vec<Value> = groups(registry, false).iter().map(group).collect();
            json_answer(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["api", version] => resources(&groups(registry, true), "", version),
        ["apis", name] => match groups(registry, false).iter().find(|item| named(item) == *name) {
            Some(item) => {
                let mut group = group(item);
                put(&mut group, "kind", json!("APIGroup"));
                put(&mut group, "apiVersion", json!("v1"));
                json_answer(&group)
            }
            None => page_not_found(),
        },
        ["apis", name, version] => resources(&groups(registry, false), name, version),
        ["openapi", "v3"] => json_answer(&openapi::index(registry)),
        ["openapi", "v3", path @ ..] => match openapi::document(registry, &path.join("/")) {
            Some(document) => with_etag(respond(StatusCode::OK, JSON, document)),
            None => respond(StatusCode::NOT_FOUND, "", Bytes::new()),
        },
        ["version"] => respond(StatusCode::OK, JSON, Bytes::from_static(builtin::VERSION)),
        [check @ ("healthz" | "livez" | "readyz"), rest @ ..] => {
            health(check, rest, uri.query().unwrap_or_default())
        }
        ["metrics"] => {
            let version = "# HELP kubernetes_build_info A metric with a constant '1' value.\n\
                           # TYPE kubernetes_build_info gauge\nkubernetes_build_info{major=\"1\",minor=\"36\"} 1\n";
            respond(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                Bytes::from_static(version.as_bytes()),
            )
        }
        _ => page_not_found(),
    }
}

/// 404 as the server says it where no API is: in plain text.
#[must_use]
pub fn page_not_found() -> Response<Bytes> {
    let mut response = respond(
        StatusCode::NOT_FOUND,
        "text/plain; charset=utf-8",
        Bytes::from_static(b"404 page not found\n"),
    );
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    response
}

fn wants_aggregated(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut clauses = accepts.flat_map(|accept| accept.split(',')).filter_map(|clause| {
        let parts: BTreeSet<&str> = clause.split(';').map(str::trim).collect();
        let json = parts.contains(JSON) || parts.contains("*/*");
        match (json, parts.contains("g=apidiscovery.k8s.io"), parts.contains("v=v2")) {
            (true, true, true) => Some(true),
            (true, false, _) => Some(false),
            _ => None,
        }
    });
    clauses.next().unwrap_or(false)
}

/// The groups as aggregated discovery has them: the built-in ones, then the custom ones.
fn groups(registry: &Registry, core: bool) -> Vec<Value> {
    let built_in =
        builtin::discovery().iter().filter(|item| named(item).is_empty() == core).cloned().map(|mut item| {
            for version in item.get_mut("versions").and_then(Value::as_array_mut).into_iter().flatten() {
                put(version, "freshness", json!("Current"));
            }
            item
        });
    let mut groups: Vec<Value> = built_in.collect();
    if core {
        return groups;
    }
    let custom: Vec<&Kind> = registry.kinds().map(AsRef::as_ref).filter(|kind| kind.custom).collect();
    let names: BTreeSet<&str> = custom.iter().map(|kind| kind.group.as_str()).collect();
    for name in names {
        let own = |kind: &&&Kind| kind.group == name;
        let mut versions: Vec<&str> = custom.iter().filter(own).map(|kind| kind.version.as_str()).collect();
        versions.sort_unstable_by_key(|version| std::cmp::Reverse(precedence(version)));
        versions.dedup();
        let versions: Vec<Value> = versions
            .into_iter()
            .map(|version| {
                let mut kinds: Vec<&&Kind> =
                    custom.iter().filter(own).filter(|kind| kind.version == version).collect();
                kinds.sort_unstable_by_key(|kind| kind.plural.as_str());
                let resources: Vec<Value> = kinds.into_iter().map(|kind| resource(kind)).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            })
            .collect();
        groups.push(json!({"metadata": {"name": name}, "versions": versions}));
    }
    groups
}

/// Which of two versions clients should prefer: stable before beta before alpha, then the larger number.
fn precedence(version: &str) -> (u8, u32, u32, &str) {
    let parts = || {
        let rest = version.strip_prefix('v')?;
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (major, rest) = rest.split_at_checked(end)?;
        let major = major.parse().ok()?;
        let (stability, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
            _ if rest.is_empty() => (3, 0),
            (Some(minor), _) => (2, minor.parse().ok()?),
            (_, Some(minor)) => (1, minor.parse().ok()?),
            _ => return None,
        };
        Some((stability, major, minor))
    };
    let (stability, major, minor) = parts().unwrap_or_default();
    (stability, major, minor, version)
}

fn resource(kind: &Kind) -> Value {
    let kind_named = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let verbs: Vec<&str> =
        CUSTOM_VERBS.iter().filter(|verb| kind.verbs.contains(verb)).map(|verb| verb.as_str()).collect();
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": kind_named,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs,
    });
    if !kind.short_names.is_empty() {
        put(&mut resource, "shortNames", json!(kind.short_names));
    }
    if !kind.categories.is_empty() {
        put(&mut resource, "categories", json!(kind.categories));
    }
    if !kind.subresources.is_empty() {
        let subresources = kind.subresources.iter().map(|name| {
            json!({"subresource": name, "responseKind": kind_named, "verbs": ["get", "patch", "update"]})
        });
        put(&mut resource, "subresources", subresources.collect());
    }
    resource
}

/// An `APIGroup`, without its type.
fn group(item: &Value) -> Value {
    let name = named(item);
    let versions: Vec<Value> = list(item, "versions")
        .iter()
        .map(|version| {
            let version = text(version, "version");
            json!({"groupVersion": format!("{name}/{version}"), "version": version})
        })
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

/// The `APIResourceList` of a version.
fn resources(groups: &[Value], group: &str, version: &str) -> Response<Bytes> {
    let built_in = builtin::discovery().iter().any(|item| named(item) == group);
    let found = groups
        .iter()
        .filter(|item| named(item) == group)
        .flat_map(|item| list(item, "versions"))
        .find(|own| text(own, "version") == version);
    let Some(found) = found else {
        return if built_in { failed(&Failure::no_such_path()) } else { page_not_found() };
    };
    let mut resources = Vec::new();
    for resource in list(found, "resources") {
        let (name, namespaced) = (text(resource, "resource"), text(resource, "scope") == "Namespaced");
        let mut main = json!({
            "name": name,
            "singularName": resource.get("singularResource"),
            "namespaced": namespaced,
            "kind": resource.pointer("/responseKind/kind"),
            "verbs": resource.get("verbs"),
        });
        for key in ["shortNames", "categories"] {
            if let Some(value) = resource.get(key) {
                put(&mut main, key, value.clone());
            }
        }
        resources.push(main);
        for subresource in list(resource, "subresources") {
            let kind = subresource.get("responseKind").unwrap_or(&Value::Null);
            let mut sub = json!({
                "name": format!("{name}/{}", text(subresource, "subresource")),
                "singularName": "",
                "namespaced": namespaced,
                "kind": kind.get("kind"),
                "verbs": subresource.get("verbs"),
            });
            // Said only where it is another's kind.
            if !text(kind, "group").is_empty() && text(kind, "group") != group {
                put(&mut sub, "group", json!(text(kind, "group")));
                put(&mut sub, "version", json!(text(kind, "version")));
            }
            resources.push(sub);
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut document =
        json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    if !group.is_empty() {
        put(&mut document, "apiVersion", json!("v1"));
    }
    json_answer(&document)
}

fn paths(registry: &Registry) -> Vec<String> {
    let mut paths: BTreeSet<String> = [
        "/api",
        "/api/v1",
        "/apis",
        "/apis/",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v3",
        "/readyz",
        "/version",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    for kind in registry.kinds().filter(|kind| !kind.group.is_empty()) {
        paths.insert(format!("/apis/{}", kind.group));
        paths.insert(format!("/apis/{}/{}", kind.group, kind.version));
    }
    paths.into_iter().collect()
}

fn health(check: &str, rest: &[&str], query: &str) -> Response<Bytes> {
    const CHECKS: [&str; 3] = ["ping", "log", "etcd"];
    let plain = |body: String| respond(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from(body));
    match rest {
        [] if form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == "verbose") => {
            let lines = CHECKS.map(|check| format!("[+]{check} ok"));
            plain(format!("{}\n{check} check passed\n", lines.join("\n")))
        }
        [] => plain("ok".to_owned()),
        [one] if CHECKS.contains(one) => plain("ok".to_owned()),
        _ => page_not_found(),
    }
}

fn named(item: &Value) -> &str {
    item.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("kubernetes.default.svc")
}

fn aggregated(items: &[Value]) -> Response<Bytes> {
    let document = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    with_etag(respond(StatusCode::OK, AGGREGATED, Bytes::from(document.to_string())))
}

fn json_answer(document: &Value) -> Response<Bytes> {
    respond(StatusCode::OK, JSON, Bytes::from(document.to_string()))
}

fn failed(failure: &Failure) -> Response<Bytes> {
    respond(failure.code, JSON, Bytes::from(failure.to_value().to_string()))
}

fn respond(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if !media_type.is_empty() {
        response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    }
    response
}

/// Clients keep discovery documents, and ask whether they are still the same.
fn with_etag(mut response: Response<Bytes>) -> Response<Bytes> {
    let etag = format!("\"{}\"", hash(response.body()));
    if let Ok(etag) = http::HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// What tells one document from another, as the server writes it.
pub(crate) fn hash(document: &[u8]) -> String {
    sha512(document).to_uppercase()
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GroupResource;

    fn get(registry: &Registry, path: &str, accept: &str) -> Response<Bytes> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        answer(registry, &Method::GET, &path.parse().unwrap(), &headers)
    }

    fn body(response: &Response<Bytes>) -> Value {
        serde_json::from_slice(response.body()).unwrap()
    }

    /// The built-in kinds and a custom one in two versions.
    fn registry() -> Registry {
        let mut registry = Registry::built_in();
        let resource = GroupResource::new("example.io", "widgets");
        let kinds = ["v1beta1", "v1"].map(|version| Kind {
            group: resource.group.clone(),
            version: version.to_owned(),
            kind: "Widget".to_owned(),
            list_kind: "WidgetList".to_owned(),
            plural: resource.plural.clone(),
            singular: "widget".to_owned(),
            custom: true,
            subresources: vec!["status".to_owned()],
            ..builtin::kinds().iter().find(|kind| kind.plural == "secrets").unwrap().as_ref().clone()
        });
        registry.replace(&resource, kinds.into());
        registry
    }

    #[test]
    fn discovery_is_aggregated_for_who_asks_so() {
        let asked = format!("{AGGREGATED},application/json");
        let response = get(&registry(), "/apis", &asked);
        assert_eq!(response.headers()[header::CONTENT_TYPE], AGGREGATED);
        let document = body(&response);
        assert_eq!(document["kind"], "APIGroupDiscoveryList");
        let custom = document["items"].as_array().unwrap().last().unwrap();
        assert_eq!(custom["metadata"]["name"], "example.io");
        assert_eq!(
            (&custom["versions"][0]["version"], &custom["versions"][1]["version"]),
            (&json!("v1"), &json!("v1beta1"))
        );
        assert_eq!(custom["versions"][0]["resources"][0]["subresources"][0]["subresource"], "status");
        assert_eq!(body(&get(&registry(), "/api", &asked))["items"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn discovery_is_legacy_for_everybody_else() {
        let registry = registry();
        let groups = body(&get(&registry, "/apis", "application/json"));
        assert_eq!(groups["kind"], "APIGroupList");
        assert!(
            groups["groups"].as_array().unwrap().iter().any(|group| group["name"] == "coordination.k8s.io")
        );
        assert_eq!(body(&get(&registry, "/apis/example.io", "*/*"))["preferredVersion"]["version"], "v1");
        let core = body(&get(&registry, "/api/v1", "application/json, */*"));
        let token = core["resources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == "serviceaccounts/token")
            .unwrap();
        assert_eq!(
            (&token["group"], &token["kind"]),
            (&json!("authentication.k8s.io"), &json!("TokenRequest"))
        );
        assert_eq!(
            body(&get(&registry, "/apis/example.io/v1", "*/*"))["resources"][1]["name"],
            "widgets/status"
        );
    }

    #[test]
    fn what_is_not_there_is_said_as_the_real_server_says_it() {
        let registry = registry();
        for path in ["/foo", "/apis/nope", "/apis/nope/v1", "/apis/example.io/v2", "/healthz/nope"] {
            let response = get(&registry, path, "*/*");
            assert_eq!(
                (response.status(), response.body().as_ref()),
                (StatusCode::NOT_FOUND, b"404 page not found\n".as_ref()),
                "{path}"
            );
        }
        for path in ["/api/v2", "/apis/coordination.k8s.io/v2"] {
            assert_eq!(body(&get(&registry, path, "*/*"))["reason"], "NotFound", "{path}");
        }
        let posted = answer(&registry, &Method::POST, &"/version".parse().unwrap(), &HeaderMap::new());
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn the_server_is_well() {
        let registry = registry();
        for path in ["/healthz", "/livez", "/readyz", "/livez/ping", "/readyz/etcd"] {
            assert_eq!(get(&registry, path, "*/*").body().as_ref(), b"ok", "{path}");
        }
        assert!(get(&registry, "/readyz?verbose", "*/*").body().ends_with(b"readyz check passed\n"));
        assert_eq!(body(&get(&registry, "/version", "*/*"))["gitVersion"], "v1.36.3");
    }

    #[test]
    fn stable_versions_come_first() {
        let mut versions = ["foo", "v1alpha1", "v2beta1", "v10", "v1beta2", "v2"];
        versions.sort_unstable_by_key(|version| std::cmp::Reverse(precedence(version)));
        assert_eq!(versions, ["v10", "v2", "v2beta1", "v1beta2", "v1alpha1", "foo"]);
    }
}
