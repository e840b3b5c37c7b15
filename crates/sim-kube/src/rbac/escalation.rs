//! Nobody grants what they do not have: who writes a role or binds one must hold every right in it, or the right to
//! `escalate` roles or to `bind` this one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Resource, Roles, Target, authorize, covers_path, list, quoted, referred_rules, rules_for, text};
use crate::{Failure, GroupResource, Identity, object};

/// Who writes what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writing<'a> {
    pub(crate) user: &'a Identity,
    /// The resource that is written: roles, bindings, or anything else.
    pub(crate) resource: &'a GroupResource,
    pub(crate) namespace: &'a str,
    /// The name on the path; nothing for a create.
    pub(crate) name: &'a str,
}

/// Whether `user` may give away what `new` gives; `old` is what it replaces.
pub(crate) fn check(
    roles: &dyn Roles,
    writing: &Writing<'_>,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Failure> {
    let resource = writing.resource;
    if resource.group != super::GROUP || writing.user.is_in(Identity::MASTERS) {
        return Ok(());
    }
    // The garbage collector may let go what it could not make.
    if old.is_some_and(|old| granted(old) == granted(new)) {
        return Ok(());
    }
    match resource.plural.as_str() {
        "roles" | "clusterroles" => check_role(roles, writing, old, new),
        "rolebindings" | "clusterrolebindings" => check_binding(roles, writing, new),
        _ => Ok(()),
    }
}

/// An object without what may change when it is only to go.
fn granted(object: &Value) -> Value {
    let mut object = object.clone();
    object::edit_metadata(&mut object, |metadata| {
        for key in ["ownerReferences", "finalizers", "managedFields"] {
            metadata.remove(key);
        }
    });
    object
}

fn check_role(
    roles: &dyn Roles,
    writing: &Writing<'_>,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Failure> {
    if may(roles, writing, "escalate", &writing.resource.plural, writing.name) {
        return Ok(());
    }
    confirm(roles, writing, list(new, "rules"), object::name(new))?;
    let aggregates = |role: &Value| role.get("aggregationRule").is_some_and(Value::is_object);
    if !aggregates(new) && !old.is_some_and(aggregates) {
        return Ok(());
    }
    let everything = [
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ];
    confirm(roles, writing, &everything, object::name(new)).map_err(|_| {
        let why = "must have cluster-admin privileges to use the aggregationRule";
        Failure::forbidden(writing.resource, object::name(new), why)
    })
}

fn check_binding(roles: &dyn Roles, writing: &Writing<'_>, new: &Value) -> Result<(), Failure> {
    let role_ref = new.get("roleRef").unwrap_or(&Value::Null);
    let (kind, name) = (text(role_ref, "kind"), text(role_ref, "name"));
    let plural = format!("{}s", kind.to_lowercase());
    if matches!(kind, "Role" | "ClusterRole") && may(roles, writing, "bind", &plural, name) {
        return Ok(());
    }
    match referred_rules(roles, role_ref, writing.namespace) {
        Ok(given) => confirm(roles, writing, given, object::name(new)),
        // What is not found is the role, and is said of the binding.
        Err(_) if matches!(kind, "Role" | "ClusterRole") => Err(Failure::not_found(writing.resource, name)),
        Err(why) => Err(Failure::plain(why)),
    }
}

fn may(roles: &dyn Roles, writing: &Writing<'_>, verb: &str, resource: &str, name: &str) -> bool {
    let target =
        Resource { group: super::GROUP, resource, namespace: writing.namespace, name, ..Resource::default() };
    authorize(roles, writing.user, verb, &Target::Resource(target)).allowed
}

/// Whether the writer holds all of these rules.
fn confirm(roles: &dyn Roles, writing: &Writing<'_>, given: &[Value], name: &str) -> Result<(), Failure> {
    let (held, problems) = rules_for(roles, writing.user, writing.namespace);
    let missing: Vec<Grain> =
        grains(given).into_iter().filter(|grain| !held.iter().any(|rule| grain.is_in(rule))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = compact(&missing).into_iter().collect();
    let groups: Vec<String> = writing.user.groups.iter().map(|group| quoted(group)).collect();
    let mut why = format!(
        "user {} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        quoted(&writing.user.name),
        groups.join(" "),
        lines.join("\n")
    );
    if let Some(problems) = problems {
        why.push_str("; resolution errors: [");
        // Here the real server names roles in the plural.
        why.push_str(&problems.replace("role.rbac.", "roles.rbac."));
        why.push(']');
    }
    Err(Failure::forbidden(writing.resource, name, &why))
}

/// The smallest part of a rule: one verb on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Grain {
    Resource { group: String, resource: String, verb: String, name: Option<String> },
    Path { path: String, verb: String },
}

fn grains(rules: &[Value]) -> Vec<Grain> {
    let mut grains = Vec::new();
    for rule in rules {
        let texts = |key: &str| {
            list(rule, key).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        let names = texts("resourceNames");
        let names: Vec<Option<String>> =
            if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for verb in texts("verbs") {
            for group in texts("apiGroups") {
                for resource in texts("resources") {
                    grains.extend(names.iter().map(|name| Grain::Resource {
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                        name: name.clone(),
                    }));
                }
            }
            grains.extend(
                texts("nonResourceURLs").into_iter().map(|path| Grain::Path { path, verb: verb.clone() }),
            );
        }
    }
    grains
}

impl Grain {
    fn is_in(&self, rule: &Value) -> bool {
        let has = |key: &str, value: &str| list(rule, key).iter().any(|own| own == "*" || own == value);
        match self {
            Self::Resource { group, resource, verb, name } => {
                let by_subresource = resource
                    .split_once('/')
                    .is_some_and(|(_, subresource)| has("resources", &format!("*/{subresource}")));
                let names = list(rule, "resourceNames");
                has("verbs", verb)
                    && has("apiGroups", group)
                    && (has("resources", resource) || by_subresource)
                    && (names.is_empty()
                        || name.as_ref().is_some_and(|name| names.iter().any(|own| own == name)))
            }
            Self::Path { path, verb } => {
                let urls = list(rule, "nonResourceURLs").iter().filter_map(Value::as_str);
                has("verbs", verb) && urls.into_iter().any(|url| covers_path(url, path))
            }
        }
    }
}

/// One line for each thing, with all the verbs on it.
fn compact(missing: &[Grain]) -> BTreeSet<String> {
    let mut things: Vec<(String, Vec<String>)> = Vec::new();
    for grain in missing {
        let (thing, verb) = match grain {
            Grain::Resource { group, resource, verb, name } => {
                let name = name
                    .as_ref()
                    .map_or_else(String::new, |name| format!(", ResourceNames:[{}]", quoted(name)));
                (format!("APIGroups:[{}], Resources:[{}]{name}", quoted(group), quoted(resource)), verb)
            }
            Grain::Path { path, verb } => (format!("NonResourceURLs:[{}]", quoted(path)), verb),
        };
        // Paths are not put together.
        let known = things.iter_mut().find(|(known, _)| *known == thing && thing.starts_with("API"));
        match known {
            Some((_, verbs)) => verbs.push(verb.clone()),
            None => things.push((thing, vec![verb.clone()])),
        }
    }
    things
        .into_iter()
        .map(|(thing, verbs)| {
            let verbs: Vec<String> = verbs.iter().map(|verb| quoted(verb)).collect();
            format!("{{{thing}, Verbs:[{}]}}", verbs.join(" "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(rule: &Value, asked: &Value) -> bool {
        grains(std::slice::from_ref(asked)).iter().all(|grain| grain.is_in(rule))
    }

    #[test]
    fn a_rule_holds_what_it_names_and_what_is_part_of_it() {
        let rule = json!({"apiGroups": [""], "resources": ["secrets", "*/status"], "verbs": ["get", "list"]});
        for (asked, expected) in [
            (json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}), true),
            (
                json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["a"]}),
                true,
            ),
            (json!({"apiGroups": [""], "resources": ["pods/status"], "verbs": ["list"]}), true),
            (json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "delete"]}), false),
            (json!({"apiGroups": ["*"], "resources": ["secrets"], "verbs": ["get"]}), false),
            (json!({"nonResourceURLs": ["/x"], "verbs": ["get"]}), false),
        ] {
            assert_eq!(held(&rule, &asked), expected, "{asked}");
        }
    }

    #[test]
    fn what_is_missing_is_named_once_for_each_thing() {
        let rule = json!({"apiGroups": [""], "resources": ["secrets", "pods"], "verbs": ["get", "list"]});
        let lines: Vec<String> = compact(&grains(&[rule])).into_iter().collect();
        assert_eq!(
            lines,
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#,
                r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}"#
            ]
        );
    }
}
