//! Roles and bindings: what is filled in and what is refused.

use serde_json::{Value, json};

use crate::{Cause, meta, object};

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn default_binding(object: &mut Value) {
    if object.get("roleRef").is_none_or(Value::is_null) {
        object::put(object, "roleRef", Some(json!({})));
    }
    object::edit(object, "roleRef", |reference| {
        for key in ["apiGroup", "kind", "name"] {
            let default = if key == "apiGroup" { GROUP } else { "" };
            let value = reference.entry(key).or_insert_with(|| json!(""));
            if value == "" {
                *value = json!(default);
            }
        }
    });
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        let groups = matches!(object::text(subject, "/kind"), "User" | "Group");
        if groups && object::text(subject, "/apiGroup").is_empty() {
            object::put(subject, "apiGroup", Some(json!(GROUP)));
        }
    }
}

pub(super) fn validate_role(object: &Value, namespaced: bool) -> Vec<Cause> {
    let rules = object.get("rules").and_then(Value::as_array).into_iter().flatten();
    let mut causes: Vec<Cause> = rules
        .enumerate()
        .flat_map(|(at, rule)| validate_rule(rule, namespaced, &format!("rules[{at}]")))
        .collect();
    let Some(aggregation) = object.get("aggregationRule").filter(|_| !namespaced) else { return causes };
    let field = "aggregationRule.clusterRoleSelectors";
    let selectors = aggregation.get("clusterRoleSelectors").and_then(Value::as_array);
    if selectors.is_none_or(Vec::is_empty) {
        let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        causes.push(Cause::required(field, why));
    }
    for (at, selector) in selectors.into_iter().flatten().enumerate() {
        let field = format!("{field}[{at}]");
        let wrong = validate_selector(selector, &field);
        if !wrong.is_empty() {
            causes.extend(wrong);
            causes.push(Cause::invalid(field, &Value::Null, "invalid label selector."));
        }
    }
    causes
}

fn validate_rule(rule: &Value, namespaced: bool, field: &str) -> Vec<Cause> {
    let texts = |key: &str| object::texts(rule, &format!("/{key}"));
    let mut causes = Vec::new();
    if texts("verbs").is_empty() {
        causes.push(Cause::required(format!("{field}.verbs"), "verbs must contain at least one value"));
    }
    let paths = texts("nonResourceURLs");
    if !paths.is_empty() {
        let mut refuse = |why: &str| {
            causes.push(Cause::invalid(format!("{field}.nonResourceURLs"), &json!(paths), why));
        };
        if namespaced {
            refuse("namespaced rules cannot apply to non-resource URLs");
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|key| !texts(key).is_empty()) {
            refuse("rules cannot apply to both regular resources and non-resource URLs");
        }
        return causes;
    }
    for (key, what) in [("apiGroups", "api group"), ("resources", "resource")] {
        if texts(key).is_empty() {
            let why = format!("resource rules must supply at least one {what}");
            causes.push(Cause::required(format!("{field}.{key}"), &why));
        }
    }
    causes
}

fn validate_selector(selector: &Value, field: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        let field = format!("{field}.matchLabels");
        causes.extend(meta::wrong_key(key).iter().map(|why| Cause::invalid(field.clone(), &json!(key), why)));
        let wrong = value.as_str().and_then(meta::wrong_label);
        causes.extend(wrong.map(|why| Cause::invalid(field, value, &why)));
    }
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    for (at, expression) in expressions.enumerate() {
        let field = |key: &str| format!("{field}.matchExpressions[{at}].{key}");
        let operator = object::text(expression, "/operator");
        let some = !object::texts(expression, "/values").is_empty();
        match operator {
            "In" | "NotIn" if !some => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                causes.push(Cause::required(field("values"), why));
            }
            "Exists" | "DoesNotExist" if some => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(Cause::forbidden(field("values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => causes.push(Cause::invalid(
                field("operator"),
                &json!(operator),
                "not a valid selector operator",
            )),
        }
        let key = object::text(expression, "/key");
        causes.extend(meta::wrong_key(key).iter().map(|why| Cause::invalid(field("key"), &json!(key), why)));
    }
    causes
}

pub(super) fn validate_binding(object: &Value, old: Option<&Value>, namespaced: bool) -> Vec<Cause> {
    let text = |key: &str| object::text(object, &format!("/roleRef/{key}"));
    let mut causes = Vec::new();
    if text("apiGroup") != GROUP {
        causes.push(Cause::not_supported("roleRef.apiGroup", &json!(text("apiGroup")), &[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text("kind")) {
        causes.push(Cause::not_supported("roleRef.kind", &json!(text("kind")), kinds));
    }
    if text("name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    let wrong = meta::wrong_path_segment(text("name"));
    causes.extend(wrong.iter().map(|why| Cause::invalid("roleRef.name", &json!(text("name")), why)));
    let subjects = object.get("subjects").and_then(Value::as_array).into_iter().flatten();
    for (at, subject) in subjects.enumerate() {
        causes.extend(validate_subject(subject, namespaced, &format!("subjects[{at}]")));
    }
    if let Some(old) = old
        && old.get("roleRef") != object.get("roleRef")
    {
        // The real server prints its own fields' names here, not those of the wire.
        let shown = json!({"APIGroup": text("apiGroup"), "Kind": text("kind"), "Name": text("name")});
        causes.push(Cause::invalid("roleRef", &shown, "cannot change roleRef"));
    }
    causes
}

fn validate_subject(subject: &Value, namespaced: bool, field: &str) -> Vec<Cause> {
    let text = |key: &str| object::text(subject, &format!("/{key}"));
    let field = |key: &str| format!("{field}.{key}");
    let (name, group) = (text("name"), text("apiGroup"));
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(Cause::required(field("name"), ""));
    }
    match text("kind") {
        "ServiceAccount" => {
            let wrong = if name.is_empty() { None } else { meta::wrong_subdomain(name) };
            causes.extend(wrong.map(|why| Cause::invalid(field("name"), &json!(name), &why)));
            if !group.is_empty() {
                causes.push(Cause::not_supported(field("apiGroup"), &json!(group), &[""]));
            }
            if !namespaced && text("namespace").is_empty() {
                causes.push(Cause::required(field("namespace"), ""));
            }
        }
        "User" | "Group" if group != GROUP => {
            causes.push(Cause::not_supported(field("apiGroup"), &json!(group), &[GROUP]));
        }
        "User" | "Group" => {}
        other => {
            let kinds = ["ServiceAccount", "User", "Group"];
            causes.push(Cause::not_supported(field("kind"), &json!(other), &kinds));
        }
    }
    causes
}
