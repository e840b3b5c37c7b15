//! Role-based access control: may this user do that, and because of which binding.
//!
//! A pure function of the roles and bindings at hand. `system:masters` may do everything, whatever they say;
//! everybody else may do what some rule of some role bound to them names, and nothing forbids.

pub(crate) mod escalation;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{Failure, GroupResource, Identity, Store};

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// The roles and bindings that decide.
pub trait Roles {
    /// Every ClusterRoleBinding, by name.
    fn cluster_role_bindings(&self) -> Vec<&Value>;
    /// Every RoleBinding of a namespace, by name.
    fn role_bindings(&self, namespace: &str) -> Vec<&Value>;
    /// A ClusterRole.
    fn cluster_role(&self, name: &str) -> Option<&Value>;
    /// A Role.
    fn role(&self, namespace: &str, name: &str) -> Option<&Value>;
}

impl Roles for Store {
    fn cluster_role_bindings(&self) -> Vec<&Value> {
        all(self, "clusterrolebindings", "")
    }

    fn role_bindings(&self, namespace: &str) -> Vec<&Value> {
        if namespace.is_empty() { Vec::new() } else { all(self, "rolebindings", namespace) }
    }

    fn cluster_role(&self, name: &str) -> Option<&Value> {
        self.get(&GroupResource::new(GROUP, "clusterroles"), "", name).map(AsRef::as_ref)
    }

    fn role(&self, namespace: &str, name: &str) -> Option<&Value> {
        self.get(&GroupResource::new(GROUP, "roles"), namespace, name).map(AsRef::as_ref)
    }
}

fn all<'a>(store: &'a Store, plural: &str, namespace: &str) -> Vec<&'a Value> {
    store.list(&GroupResource::new(GROUP, plural), namespace).map(|(_, object)| object.as_ref()).collect()
}

/// What somebody wants to do something with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// An object or all objects of a resource.
    Resource(Resource<'a>),
    /// A path that belongs to no resource, such as `/healthz`.
    Path(&'a str),
}

/// One object or all objects of a resource; what is empty is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resource<'a> {
    /// The API group; nothing for the core group.
    pub group: &'a str,
    /// The plural.
    pub resource: &'a str,
    /// Such as `status`.
    pub subresource: &'a str,
    /// Nothing for cluster-scoped resources and for all namespaces.
    pub namespace: &'a str,
    /// Nothing for all objects, and for one that the server is to name.
    pub name: &'a str,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the user may.
    pub allowed: bool,
    /// Which binding allows it, or which roles were bound and could not be found.
    pub reason: String,
}

/// Whether `user` may `verb` the target.
#[must_use]
pub fn authorize(roles: &dyn Roles, user: &Identity, verb: &str, target: &Target<'_>) -> Decision {
    if user.is_in(Identity::MASTERS) {
        return Decision { allowed: true, reason: String::new() };
    }
    match allowing(roles, user, verb, target) {
        Ok(grant) => Decision { allowed: true, reason: format!("RBAC: allowed by {}", described(&grant)) },
        Err(problems) => Decision {
            allowed: false,
            reason: aggregate(&problems).map(|all| format!("RBAC: {all}")).unwrap_or_default(),
        },
    }
}

/// The same without a reason, which is what every request asks.
#[must_use]
pub(crate) fn is_allowed(roles: &dyn Roles, user: &Identity, verb: &str, target: &Target<'_>) -> bool {
    user.is_in(Identity::MASTERS) || allowing(roles, user, verb, target).is_ok()
}

/// The binding that allows it, or the roles that are bound and could not be found.
fn allowing<'a>(
    roles: &'a dyn Roles,
    user: &Identity,
    verb: &str,
    target: &Target<'a>,
) -> Result<Grant<'a>, Vec<String>> {
    let namespace = match target {
        Target::Resource(resource) => resource.namespace,
        Target::Path(_) => "",
    };
    let mut problems = Vec::new();
    for grant in grants(roles, user, namespace) {
        match &grant.rules {
            Ok(granted) if granted.iter().any(|rule| allows(rule, verb, target)) => return Ok(grant),
            Ok(_) => {}
            Err(problem) => problems.push(problem.clone()),
        }
    }
    Err(problems)
}

/// The refusal of what [`authorize`] does not allow.
#[must_use]
pub fn forbidden(user: &Identity, verb: &str, target: &Target<'_>, reason: &str) -> Failure {
    let user = quoted(&user.name);
    let (resource, name, what) = match target {
        Target::Path(path) => {
            (GroupResource::new("", ""), "", format!("User {user} cannot {verb} path {}", quoted(path)))
        }
        Target::Resource(target) => {
            let place = if target.namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {}", quoted(target.namespace))
            };
            let what = format!(
                "User {user} cannot {verb} resource {} in API group {} {place}",
                quoted(&target.combined()),
                quoted(target.group),
            );
            (GroupResource::new(target.group, target.resource), target.name, what)
        }
    };
    // A browser might show it.
    let what = what.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let what = if reason.is_empty() { what } else { format!("{what}: {reason}") };
    Failure::forbidden(&resource, name, &what)
}

/// Every rule that holds for `user` in `namespace`, and what could not be resolved.
#[must_use]
pub fn rules_for<'a>(
    roles: &'a dyn Roles,
    user: &Identity,
    namespace: &'a str,
) -> (Vec<&'a Value>, Option<String>) {
    let mut granted = Vec::new();
    let mut problems = Vec::new();
    for grant in grants(roles, user, namespace) {
        match grant.rules {
            Ok(more) => granted.extend(more),
            Err(problem) => problems.push(problem),
        }
    }
    (granted, aggregate(&problems))
}

/// The rules of the role that a binding refers to; `namespace` is the binding's.
pub fn referred_rules<'a>(
    roles: &'a dyn Roles,
    role_ref: &Value,
    namespace: &str,
) -> Result<&'a [Value], String> {
    let name = text(role_ref, "name");
    let (kind, role) = match text(role_ref, "kind") {
        "ClusterRole" => ("clusterrole", roles.cluster_role(name)),
        "Role" => ("role", roles.role(namespace, name)),
        other => return Err(format!("unsupported role reference kind: {}", quoted(other))),
    };
    match role {
        Some(role) => Ok(list(role, "rules")),
        None => Err(format!("{kind}.rbac.authorization.k8s.io {} not found", quoted(name))),
    }
}

/// The rules that an aggregating ClusterRole is to have, once each and by the name of the role that they come
/// from; nothing if it does not aggregate.
#[must_use]
pub fn aggregated_rules<'a>(
    cluster_role: &Value,
    all: impl IntoIterator<Item = &'a Value>,
    selects: impl Fn(&Value, &Map<String, Value>) -> bool,
) -> Option<Vec<Value>> {
    let selectors = list(cluster_role.get("aggregationRule")?, "clusterRoleSelectors");
    let own = cluster_role.pointer("/metadata/name");
    let nothing = Map::new();
    let mut sources: Vec<&Value> = all
        .into_iter()
        .filter(|role| role.pointer("/metadata/name") != own)
        .filter(|role| {
            let labels = role.pointer("/metadata/labels").and_then(Value::as_object).unwrap_or(&nothing);
            selectors.iter().any(|selector| selects(selector, labels))
        })
        .collect();
    sources.sort_by_key(|role| role.pointer("/metadata/name").and_then(Value::as_str));
    let mut rules: Vec<Value> = Vec::new();
    for rule in sources.into_iter().flat_map(|role| list(role, "rules")) {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    Some(rules)
}

/// A binding that applies, and the rules that it gives.
struct Grant<'a> {
    binding: &'a Value,
    role_ref: &'a Value,
    subject: &'a Value,
    namespace: &'a str,
    rules: Result<&'a [Value], String>,
}

fn grants<'a>(roles: &'a dyn Roles, user: &Identity, namespace: &'a str) -> impl Iterator<Item = Grant<'a>> {
    let cluster = roles.cluster_role_bindings().into_iter().map(|binding| (binding, ""));
    let local = if namespace.is_empty() { Vec::new() } else { roles.role_bindings(namespace) };
    cluster.chain(local.into_iter().map(move |binding| (binding, namespace))).filter_map(
        move |(binding, namespace)| {
            let subject =
                list(binding, "subjects").iter().find(|subject| applies_to(user, subject, namespace))?;
            let role_ref = binding.get("roleRef")?;
            Some(Grant {
                binding,
                role_ref,
                subject,
                namespace,
                rules: referred_rules(roles, role_ref, namespace),
            })
        },
    )
}

fn applies_to(user: &Identity, subject: &Value, namespace: &str) -> bool {
    let name = text(subject, "name");
    match text(subject, "kind") {
        "User" => user.name == name,
        "Group" => user.is_in(name),
        "ServiceAccount" => {
            // A RoleBinding need not say its own namespace again.
            let namespace = match text(subject, "namespace") {
                "" => namespace,
                own => own,
            };
            !namespace.is_empty()
                && user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
                    == Some((namespace, name))
        }
        _ => false,
    }
}

/// A binding as the server's reason names it, the odd order of name and namespace included.
fn described(Grant { binding, role_ref, subject, namespace, .. }: &Grant<'_>) -> String {
    let name = binding.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let (kind, name) = if namespace.is_empty() {
        ("ClusterRoleBinding", name.to_owned())
    } else {
        ("RoleBinding", format!("{name}/{namespace}"))
    };
    let subject_name = match (text(subject, "kind"), text(subject, "namespace")) {
        ("ServiceAccount", "") => format!("{}/{namespace}", text(subject, "name")),
        ("ServiceAccount", own) => format!("{}/{own}", text(subject, "name")),
        _ => text(subject, "name").to_owned(),
    };
    format!(
        "{kind} {} of {} {} to {} {}",
        quoted(&name),
        text(role_ref, "kind"),
        quoted(text(role_ref, "name")),
        text(subject, "kind"),
        quoted(&subject_name),
    )
}

fn allows(rule: &Value, verb: &str, target: &Target<'_>) -> bool {
    if !names(rule, "verbs", verb) {
        return false;
    }
    match target {
        Target::Resource(target) => {
            let names_given = list(rule, "resourceNames");
            names(rule, "apiGroups", target.group)
                && list(rule, "resources")
                    .iter()
                    .filter_map(Value::as_str)
                    .any(|rule| target.is_named_by(rule))
                && (names_given.is_empty() || names_given.iter().any(|name| name == target.name))
        }
        Target::Path(path) => {
            list(rule, "nonResourceURLs").iter().filter_map(Value::as_str).any(|url| covers_path(url, path))
        }
    }
}

/// Whether the rule's URL, which may end in `*`, covers the path.
pub(crate) fn covers_path(url: &str, path: &str) -> bool {
    url == "*" || url == path || (url.ends_with('*') && path.starts_with(url.trim_end_matches('*')))
}

impl Resource<'_> {
    /// `pods`, `pods/status`.
    #[must_use]
    pub fn combined(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    fn is_named_by(&self, rule: &str) -> bool {
        if rule == "*" {
            return true;
        }
        let (resource, subresource) = rule.split_once('/').unwrap_or((rule, ""));
        subresource == self.subresource
            && (resource == self.resource || (resource == "*" && !subresource.is_empty()))
    }
}

/// Whether a list of the rule has the value or `*`.
fn names(rule: &Value, key: &str, value: &str) -> bool {
    list(rule, key).iter().any(|named| named == "*" || named == value)
}

/// Several problems as one text, each said once.
fn aggregate(problems: &[String]) -> Option<String> {
    let mut seen = BTreeSet::new();
    let said: Vec<&str> =
        problems.iter().map(String::as_str).filter(|problem| seen.insert(*problem)).collect();
    match said.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

/// A list in an object; a missing one is empty.
pub(crate) fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A text in an object; a missing one is empty.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Go's `%q`, for what is printable.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Default)]
    struct Given {
        cluster_roles: Vec<Value>,
        cluster_role_bindings: Vec<Value>,
        roles: Vec<Value>,
        role_bindings: Vec<Value>,
    }

    fn is(object: &Value, namespace: &str, name: &str) -> bool {
        let metadata = &object["metadata"];
        metadata["name"] == name
            && metadata.get("namespace").map_or(namespace.is_empty(), |own| own == namespace)
    }

    impl Roles for Given {
        fn cluster_role_bindings(&self) -> Vec<&Value> {
            self.cluster_role_bindings.iter().collect()
        }

        fn role_bindings(&self, namespace: &str) -> Vec<&Value> {
            self.role_bindings
                .iter()
                .filter(|binding| binding["metadata"]["namespace"] == namespace)
                .collect()
        }

        fn cluster_role(&self, name: &str) -> Option<&Value> {
            self.cluster_roles.iter().find(|role| is(role, "", name))
        }

        fn role(&self, namespace: &str, name: &str) -> Option<&Value> {
            self.roles.iter().find(|role| is(role, namespace, name))
        }
    }

    fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
        json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
    }

    /// One ClusterRole of one rule, bound everywhere to the user `ann`.
    fn ann_may(rule: &Value) -> Given {
        Given {
            cluster_roles: vec![json!({"metadata": {"name": "r"}, "rules": [rule]})],
            cluster_role_bindings: vec![json!({
                "metadata": {"name": "b"},
                "roleRef": {"kind": "ClusterRole", "name": "r"},
                "subjects": [{"kind": "User", "name": "ann"}],
            })],
            ..Given::default()
        }
    }

    fn ann() -> Identity {
        Identity::user("ann", [])
    }

    fn of(resource: &'static str, subresource: &'static str, name: &'static str) -> Target<'static> {
        Target::Resource(Resource {
            resource,
            subresource,
            name,
            namespace: "default",
            ..Resource::default()
        })
    }

    fn allowed(given: &Given, verb: &str, target: &Target<'_>) -> bool {
        authorize(given, &ann(), verb, target).allowed
    }

    #[test]
    fn a_rule_allows_the_verbs_groups_and_resources_that_it_names() {
        let given = ann_may(&rule(&[""], &["secrets"], &["get", "list"]));
        assert!(allowed(&given, "get", &of("secrets", "", "a")));
        assert!(!allowed(&given, "delete", &of("secrets", "", "a")));
        assert!(!allowed(&given, "get", &of("pods", "", "a")));
        let elsewhere = Resource { group: "apps", resource: "secrets", ..Resource::default() };
        assert!(!allowed(&given, "get", &Target::Resource(elsewhere)));
        assert!(!allowed(&given, "get", &Target::Path("/secrets")));
    }

    #[test]
    fn a_subresource_is_a_resource_of_its_own() {
        let given = ann_may(&rule(&[""], &["pods"], &["*"]));
        assert!(!allowed(&given, "update", &of("pods", "status", "a")));
        let given = ann_may(&rule(&[""], &["pods/status"], &["*"]));
        assert!(allowed(&given, "update", &of("pods", "status", "a")));
        assert!(!allowed(&given, "update", &of("pods", "", "a")));
        let given = ann_may(&rule(&[""], &["*/status"], &["*"]));
        assert!(allowed(&given, "update", &of("pods", "status", "a")));
        assert!(!allowed(&given, "update", &of("pods", "", "a")));
        let given = ann_may(&rule(&[""], &["*"], &["*"]));
        assert!(allowed(&given, "update", &of("pods", "status", "a")));
    }

    #[test]
    fn a_name_restricts_and_a_request_without_a_name_is_not_that_name() {
        let given = ann_may(&json!({
            "apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"], "resourceNames": ["a"],
        }));
        assert!(allowed(&given, "get", &of("secrets", "", "a")));
        assert!(!allowed(&given, "get", &of("secrets", "", "b")));
        assert!(!allowed(&given, "list", &of("secrets", "", "")));
    }

    #[test]
    fn a_path_may_be_given_by_its_beginning() {
        let given = ann_may(&json!({"nonResourceURLs": ["/healthz", "/openapi/*"], "verbs": ["get"]}));
        assert!(allowed(&given, "get", &Target::Path("/healthz")));
        assert!(!allowed(&given, "get", &Target::Path("/healthz/ping")));
        assert!(allowed(&given, "get", &Target::Path("/openapi/v3")));
        assert!(!allowed(&given, "post", &Target::Path("/openapi/v3")));
    }

    #[test]
    fn a_binding_speaks_of_its_own_namespace_only() {
        let given = Given {
            roles: vec![json!({
                "metadata": {"name": "r", "namespace": "default"}, "rules": [rule(&[""], &["secrets"], &["get"])],
            })],
            role_bindings: vec![json!({
                "metadata": {"name": "b", "namespace": "default"},
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [{"kind": "ServiceAccount", "name": "robot"}],
            })],
            ..Given::default()
        };
        let robot = Identity::service_account("default", "robot");
        assert_eq!(
            authorize(&given, &robot, "get", &of("secrets", "", "a")),
            Decision {
                allowed: true,
                reason: "RBAC: allowed by RoleBinding \"b/default\" of Role \"r\" to ServiceAccount \"robot/default\""
                    .to_owned(),
            }
        );
        let elsewhere = Resource { resource: "secrets", namespace: "other", ..Resource::default() };
        assert!(!authorize(&given, &robot, "get", &Target::Resource(elsewhere)).allowed);
        let namesake = Identity::service_account("other", "robot");
        assert!(!authorize(&given, &namesake, "get", &of("secrets", "", "a")).allowed);
    }

    #[test]
    fn groups_are_bound_and_the_reason_says_so() {
        let mut given = ann_may(&rule(&["*"], &["*"], &["*"]));
        given.cluster_role_bindings[0]["subjects"] =
            json!([{"kind": "Group", "name": "system:authenticated"}]);
        assert_eq!(
            authorize(&given, &ann(), "get", &of("secrets", "", "a")).reason,
            "RBAC: allowed by ClusterRoleBinding \"b\" of ClusterRole \"r\" to Group \"system:authenticated\""
        );
        assert!(!authorize(&given, &Identity::anonymous(), "get", &of("secrets", "", "a")).allowed);
    }

    #[test]
    fn masters_need_no_role() {
        assert!(authorize(&Given::default(), &Identity::admin(), "get", &Target::Path("/")).allowed);
    }

    #[test]
    fn a_role_that_is_bound_and_not_there_is_the_reason_of_the_refusal() {
        let mut given = ann_may(&Value::Null);
        given.cluster_roles.clear();
        let decision = authorize(&given, &ann(), "list", &of("secrets", "", ""));
        assert_eq!(decision.reason, "RBAC: clusterrole.rbac.authorization.k8s.io \"r\" not found");
        assert_eq!(
            forbidden(&ann(), "list", &of("secrets", "", ""), &decision.reason).message,
            "secrets is forbidden: User \"ann\" cannot list resource \"secrets\" in API group \"\" in the namespace \
             \"default\": RBAC: clusterrole.rbac.authorization.k8s.io \"r\" not found"
        );
    }

    #[test]
    fn a_refusal_reads_as_the_real_servers() {
        let status = Resource {
            group: "cert-manager.io",
            resource: "certificaterequests",
            subresource: "status",
            name: "a",
            ..Resource::default()
        };
        assert_eq!(
            forbidden(&ann(), "update", &Target::Resource(status), "").message,
            "certificaterequests.cert-manager.io \"a\" is forbidden: User \"ann\" cannot update resource \
             \"certificaterequests/status\" in API group \"cert-manager.io\" at the cluster scope"
        );
        assert_eq!(
            forbidden(&ann(), "get", &Target::Path("/metrics"), "").message,
            "forbidden: User \"ann\" cannot get path \"/metrics\""
        );
    }

    #[test]
    fn an_aggregating_role_has_the_rules_of_those_that_its_selectors_take() {
        let part = |name: &str, label: &str, verb: &str| json!({"metadata": {"name": name, "labels": {"to": label}}, "rules": [rule(&[""], &["secrets"], &[verb])]});
        let all = [part("b", "view", "list"), part("a", "view", "get"), part("c", "edit", "update")];
        let whole = json!({
            "metadata": {"name": "whole"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "view"}}]},
        });
        let selects =
            |selector: &Value, labels: &Map<String, Value>| selector["matchLabels"]["to"] == labels["to"];
        assert_eq!(
            aggregated_rules(&whole, &all, selects),
            Some(vec![rule(&[""], &["secrets"], &["get"]), rule(&[""], &["secrets"], &["list"])])
        );
        assert_eq!(aggregated_rules(&part("d", "x", "get"), &all, selects), None);
    }
}
