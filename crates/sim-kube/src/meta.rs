//! The rules of `metadata`: what the server sets, what nobody may change, which names are names.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::chance::Chance;
use crate::{Cause, Failure, Kind, object};

/// The fields of `metadata` that belong to the server when an object is made.
const SERVERS_OWN: [&str; 5] =
    ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"];
/// The finalizers that need no domain in front.
const STANDARD_FINALIZERS: [&str; 4] = ["foregroundDeletion", "kubernetes", "orphan", "propagate"];
/// The longest generated name: its base is cut so that the end fits.
const LONGEST_BASE: usize = 63 - 5;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                         and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
                     validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
                           '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
                           'my_value',  or '12345', regex used for validation is \
                           '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and \
                              end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex \
                              used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

static SUBDOMAINS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());

/// The time as Kubernetes writes it: whole seconds.
#[must_use]
pub fn time(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// Takes out what only the server may say of an object that is to be made.
pub(crate) fn wipe(object: &mut Value) {
    object::edit_metadata(object, |metadata| {
        for key in SERVERS_OWN {
            metadata.remove(key);
        }
    });
}

/// Makes an object's metadata that of an object just made: name and namespace of the request, a uid and the time.
pub(crate) fn begin(kind: &Kind, object: &mut Value, namespace: &str, now: Timestamp, chance: &mut Chance) {
    let uid = chance.uid();
    object::edit_metadata(object, |metadata| {
        for key in ["selfLink", "resourceVersion"] {
            metadata.remove(key);
        }
        if kind.namespaced {
            metadata.insert("namespace".to_owned(), json!(namespace));
        } else {
            metadata.remove("namespace");
        }
        let base = metadata.get("generateName").and_then(Value::as_str).unwrap_or_default();
        let named = metadata.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        if !named && !base.is_empty() {
            let base: String = base.chars().take(LONGEST_BASE).collect();
            metadata.insert("name".to_owned(), json!(format!("{base}{}", chance.name_suffix())));
        }
        metadata.insert("uid".to_owned(), json!(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(time(now)));
        if counts_generations(kind) {
            metadata.insert("generation".to_owned(), json!(1));
        }
        drop_empty(metadata);
    });
}

/// Gives an object that replaces `old` what the server alone decides, and keeps what it left out and may.
pub(crate) fn carry_over(object: &mut Value, old: &Value) {
    let before = old.get("metadata");
    object::edit_metadata(object, |metadata| {
        for key in ["creationTimestamp", "generation", "selfLink"] {
            object::copy(metadata, before, key);
        }
        for key in
            ["uid", "deletionTimestamp", "deletionGracePeriodSeconds", "name", "namespace", "resourceVersion"]
        {
            if metadata.get(key).is_none_or(|value| value.is_null() || value == "") {
                object::copy(metadata, before, key);
            }
        }
        drop_empty(metadata);
    });
}

/// Whether objects of a kind count the changes of what they ask for.
#[must_use]
pub fn counts_generations(kind: &Kind) -> bool {
    kind.custom
        || matches!(kind.plural.as_str(), "customresourcedefinitions" | "pods")
        || kind.group == "admissionregistration.k8s.io"
}

/// What is not said: an empty list, an empty map, a null.
pub(crate) fn drop_empty(metadata: &mut Map<String, Value>) {
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    });
}

/// What is wrong with the metadata of any object.
pub(crate) fn validate(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = object::name(object);
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(why) = wrong_name(kind, name) {
        causes.push(Cause::invalid("metadata.name", &json!(name), &why));
    }
    for (key, value) in entries(object, "/metadata/labels") {
        let wrong = wrong_key(key);
        // Of labels the key is called one.
        let wrong = wrong.iter().map(|why| why.replace("a qualified name must", "a valid label key must"));
        causes.extend(wrong.map(|why| Cause::invalid("metadata.labels", &json!(key), &why)));
        causes.extend(wrong_label(value).map(|why| Cause::invalid("metadata.labels", &json!(value), &why)));
    }
    for (key, _) in entries(object, "/metadata/annotations") {
        let wrong = wrong_key(&key.to_lowercase());
        causes.extend(wrong.iter().map(|why| Cause::invalid("metadata.annotations", &json!(key), why)));
    }
    causes.extend(wrong_owners(object));
    causes.extend(wrong_finalizers(kind, object));
    causes
}

fn wrong_finalizers(kind: &Kind, object: &Value) -> Vec<Cause> {
    let field = "metadata.finalizers";
    let finalizers = object::finalizers(object);
    let mut causes = Vec::new();
    for finalizer in &finalizers {
        let wrong = wrong_key(finalizer);
        causes.extend(wrong.iter().map(|why| Cause::invalid(field, &json!(finalizer), why)));
    }
    if ["orphan", "foregroundDeletion"].iter().all(|both| finalizers.contains(both)) {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        causes.push(Cause::invalid(field, &json!(finalizers), why));
    }
    // Only some groups ask for more.
    let names_domains = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", plural) => plural != "events",
        (group, _) => matches!(group, "events.k8s.io" | "rbac.authorization.k8s.io"),
    };
    for (at, finalizer) in finalizers.iter().enumerate().filter(|_| names_domains) {
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(finalizer) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("{field}[{at}]"), &json!(finalizer), why));
        }
    }
    causes
}

/// What is wrong with the metadata of an object that replaces `old`. The real server looks twice, and says
/// everything twice.
pub(crate) fn validate_update(kind: &Kind, object: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = validate(kind, object);
    if object::is_deleting(old) {
        let before = object::finalizers(old);
        let new: Vec<String> = object::finalizers(object)
            .into_iter()
            .filter(|finalizer| !before.contains(finalizer))
            .map(|finalizer| json!(finalizer).to_string())
            .collect();
        if !new.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                new.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    for key in ["name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let value = |object: &Value| object.get("metadata").and_then(|metadata| metadata.get(key)).cloned();
        if let (new, before) = (value(object), value(old))
            && new != before
        {
            let field = format!("metadata.{key}");
            causes.push(Cause::invalid(field, &new.unwrap_or_default(), "field is immutable"));
        }
    }
    let again = causes.clone();
    causes.extend(again);
    causes
}

/// What the writer of a custom object is warned of: finalizers that others might use for something else.
pub(crate) fn warnings(object: &Value, old: Option<&Value>) -> Vec<String> {
    let before = old.map(object::finalizers).unwrap_or_default();
    let new = object::finalizers(object).into_iter().filter(|finalizer| !before.contains(finalizer));
    let unqualified =
        new.filter(|finalizer| !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(finalizer));
    unqualified
        .map(|finalizer| {
            let how = if finalizer.contains('.') { " including a path (/)" } else { "" };
            format!(
                "metadata.finalizers: {}: prefer a domain-qualified finalizer name{how} to avoid accidental conflicts \
                 with other finalizer writers",
                json!(finalizer)
            )
        })
        .collect()
}

/// The revision that a write claims to have seen: nothing, or a number.
pub(crate) fn claimed_revision(object: &Value) -> Result<Option<u64>, Failure> {
    let text = object::text(object, "/metadata/resourceVersion");
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(revision) => Ok(Some(revision)),
        Err(_) => Err(Failure::plain(format!("strconv.ParseUint: parsing {}: invalid syntax", json!(text)))),
    }
}

/// Why a name cannot be a part of a path.
pub(crate) fn wrong_path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    let letters = ['/', '%'].into_iter().filter(|&letter| name.contains(letter));
    letters.map(|letter| format!("may not contain '{letter}'")).collect()
}

/// Why a name is none of a ServiceAccount and of most other things.
pub(crate) fn wrong_subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 bytes".to_owned());
    }
    (!matches(&SUBDOMAINS, name)).then(|| SUBDOMAIN.to_owned())
}

/// Why a name is none for objects of this kind.
fn wrong_name(kind: &Kind, name: &str) -> Option<String> {
    static LABELS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").ok());

    if kind.group == "rbac.authorization.k8s.io" {
        return wrong_path_segment(name).into_iter().next();
    }
    let (longest, pattern, why) = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces" | "services") => (63, &LABELS, LABEL),
        _ => (253, &SUBDOMAINS, SUBDOMAIN),
    };
    if longest == 63 && name.contains('.') {
        return Some("must not contain dots".to_owned());
    }
    if name.len() > longest {
        return Some(format!("must be no more than {longest} bytes"));
    }
    (!matches(pattern, name)).then(|| why.to_owned())
}

/// Why a key of labels or annotations is none.
pub(crate) fn wrong_key(key: &str) -> Vec<String> {
    static NAMES: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").ok());

    let mut wrong = Vec::new();
    let name = match key.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
                 an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                 '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')"
            )];
        }
        Some(("", name)) => {
            wrong.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            wrong.extend(wrong_subdomain(prefix).map(|why| format!("prefix part {why}")));
            name
        }
        None => key,
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".to_owned());
    }
    if !matches(&NAMES, name) {
        wrong.push(QUALIFIED_NAME.to_owned());
    }
    wrong
}

/// Why a value of a label is none.
pub(crate) fn wrong_label(value: &str) -> Option<String> {
    static VALUES: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$").ok());
    if value.len() > 63 {
        return Some("must be no more than 63 bytes".to_owned());
    }
    (!matches(&VALUES, value)).then(|| LABEL_VALUE.to_owned())
}

fn wrong_owners(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let field = "metadata.ownerReferences";
    let mut controllers: Vec<String> = Vec::new();
    for owner in object::owners(object) {
        for key in ["apiVersion", "kind", "name", "uid"] {
            if object::text(owner, &format!("/{key}")).is_empty() {
                let why = if key == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                causes.push(Cause::invalid(format!("{field}.{key}"), &json!(""), why));
            }
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            controllers.push(format!("{}/{}", object::text(owner, "/kind"), object::text(owner, "/name")));
        }
    }
    if let [first, .., last] = controllers.as_slice() {
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {last}"
        );
        let all: Vec<String> = object::owners(object).map(shown_owner).collect();
        let message = format!("Invalid value: [{}]: {why}", all.join(","));
        causes.push(Cause::new("FieldValueInvalid", field, message));
    }
    causes
}

/// An owner with its fields in the server's order.
fn shown_owner(owner: &Value) -> String {
    let keys = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let fields = keys.iter().filter_map(|key| Some(format!("\"{key}\":{}", owner.get(key)?)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn entries<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
    let map = object.pointer(pointer).and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, value)| (key, value.as_str().unwrap_or_default()))
}

fn matches(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}
