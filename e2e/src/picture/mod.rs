//! What a scenario leaves in the cluster, in a form in which every cluster must agree.
//!
//! What is different every time becomes a symbol ([`symbol`]), what is secret or random its shape ([`shape`]), and what
//! the scenario itself wrote into a spec is left out. What remains is what cert-manager, the API server and the
//! controller made of it: conditions, annotations, labels, owners, revisions, the keys of Secrets, our events about
//! requests.

mod shape;
mod symbol;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use self::symbol::Symbols;
use crate::Result;

/// Objects by kind and name (`Certificate web`), each in its normal form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture(BTreeMap<String, Value>);

/// The key of the events, which have no names of their own.
const EVENTS: &str = "events";

impl Picture {
    /// The normal form of objects and of events of a scenario's namespace.
    #[must_use]
    pub fn of(namespace: &str, objects: &[Value], events: &[Value]) -> Self {
        let symbols = Symbols::new(namespace);
        let mut all: BTreeMap<String, Value> =
            objects.iter().map(|object| (named(object, &symbols), normal(object, &symbols))).collect();
        // What an issuer went through hangs on when it was looked at.
        let of_requests = |event: &&Value| text(event, "/regarding/kind") == "CertificateRequest";
        let lines = events.iter().filter(of_requests).map(|event| line_of_event(event, &symbols));
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        // How often the same was told hangs on how often cert-manager tried.
        lines.dedup();
        if !lines.is_empty() {
            all.insert(EVENTS.to_owned(), json!(lines));
        }
        Self(all)
    }

    /// Takes away what is not determined: `object` names one (`…` stands for any text), `pointer` a place in its normal
    /// form, or the whole of it if empty.
    pub fn leave_out(&mut self, object: &str, pointer: &str) {
        if pointer.is_empty() {
            self.0.retain(|name, _| !crate::world::matches(object, name));
            return;
        }
        let Some((parent, field)) = pointer.rsplit_once('/') else { return };
        for (_, normal) in self.0.iter_mut().filter(|(name, _)| crate::world::matches(object, name)) {
            if let Some(fields) = normal.pointer_mut(parent).and_then(Value::as_object_mut) {
                fields.remove(field);
            }
        }
    }

    /// As it is kept in a file.
    pub fn to_text(&self) -> Result<String> {
        // One line for each text: a difference shows in one.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        Ok(serde_saphyr::to_string_with_options(&self.0, options)?)
    }

    /// Compares with the text of another. What differs is shown line by line: `-` is wanted, `+` is there.
    pub fn compare(&self, wanted: &str) -> Result {
        let there = self.to_text()?;
        if there == wanted {
            return Ok(());
        }
        bail!("what is left is not what a real cluster was left with:\n{}", difference(wanted, &there))
    }

    /// Reads what [`Picture::to_text`] wrote.
    pub fn read(text: &str) -> Result<Self> {
        Ok(Self(serde_saphyr::from_str(text).context("a picture that cannot be read")?))
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn named(object: &Value, symbols: &Symbols) -> String {
    let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
    let is_next_key = text(object, "/metadata/labels/cert-manager.io~1next-private-key") == "true";
    let name = if is_next_key { symbol::generated(name) } else { name.to_owned() };
    format!("{kind} {}", symbols.of(&name))
}

fn normal(object: &Value, symbols: &Symbols) -> Value {
    let mut normal = Map::new();
    let mut keep = |field: &str, value: Value| {
        let is_empty = match &value {
            Value::Null => true,
            Value::Object(fields) => fields.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if !is_empty {
            normal.insert(field.to_owned(), value);
        }
    };
    let at = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
    keep("generation", at("/metadata/generation"));
    for field in ["labels", "annotations", "ownerReferences", "finalizers"] {
        keep(field, symbols.in_all(at(&format!("/metadata/{field}"))));
    }
    match text(object, "/kind") {
        "CertificateRequest" => {
            keep("spec", request_spec(at("/spec"), symbols));
        }
        "Secret" => {
            keep("type", at("/type"));
            keep("data", symbols.in_all(shape::of_all(at("/data"))));
        }
        _ => {}
    }
    keep("status", status(at("/status"), symbols));
    Value::Object(normal)
}

/// Who asked, and what for: cert-manager writes it, and its webhook the identity.
fn request_spec(mut spec: Value, symbols: &Symbols) -> Value {
    if let Some(fields) = spec.as_object_mut() {
        let by = text(&Value::Object(fields.clone()), "/username").to_owned();
        // How somebody is authenticated is the cluster's affair.
        for field in ["uid", "extra", "groups"] {
            fields.remove(field);
        }
        if !by.starts_with("system:serviceaccount:") {
            fields.insert("username".to_owned(), json!("<administrator>"));
        }
        if let Some(request) = fields.get_mut("request") {
            *request = shape::of(request);
        }
    }
    symbols.in_all(spec)
}

fn status(mut status: Value, symbols: &Symbols) -> Value {
    if let Some(fields) = status.as_object_mut() {
        for field in ["certificate", "ca"] {
            if let Some(pem) = fields.get_mut(field) {
                *pem = shape::of(pem);
            }
        }
        if let Some(conditions) = fields.get_mut("conditions") {
            let mut lines: Vec<String> = conditions
                .as_array()
                .into_iter()
                .flatten()
                .map(|condition| line(condition, symbols))
                .collect();
            lines.sort();
            *conditions = json!(lines);
        }
    }
    symbols.in_all(status)
}

/// A condition in one line. That it has a time is said, not which.
fn line(condition: &Value, symbols: &Symbols) -> String {
    let field = |name: &str| text(condition, &format!("/{name}"));
    let mut line = format!(
        "{} {}/{}: {}",
        field("type"),
        field("status"),
        field("reason"),
        symbols.of(field("message"))
    );
    if let Some(generation) = condition.get("observedGeneration") {
        let _ = write!(line, " (generation {generation})");
    }
    if condition.get("lastTransitionTime").is_none() {
        line.push_str(" (no time)");
    }
    line
}

fn line_of_event(event: &Value, symbols: &Symbols) -> String {
    let field = |pointer: &str| text(event, pointer);
    let line = format!(
        "{} {}/{} {}, {}: {}",
        field("/type"),
        field("/regarding/kind"),
        field("/regarding/name"),
        field("/reason"),
        field("/action"),
        field("/note"),
    );
    symbols.of(&line)
}

/// Lines that only one of both has, in their order.
fn difference(wanted: &str, there: &str) -> String {
    let only = |of: &str, not: &str, sign: char| {
        let mut rest: Vec<&str> = not.lines().collect();
        let mut only = String::new();
        for line in of.lines() {
            match rest.iter().position(|other| *other == line) {
                Some(at) => drop(rest.swap_remove(at)),
                None => drop(writeln!(only, "{sign} {line}")),
            }
        }
        only
    };
    let lines = only(wanted, there, '-') + &only(there, wanted, '+');
    if lines.is_empty() { "the same lines in another order\n".to_owned() + there } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_every_time_is_a_symbol_and_what_does_not_is_kept() {
        let object = json!({
            "kind": "Certificate",
            "metadata": {
                "name": "web", "namespace": "shop-x7", "uid": "1", "generation": 2, "resourceVersion": "9",
                "managedFields": [{}], "annotations": {"a": "in shop-x7"},
            },
            "spec": {"secretName": "web"},
            "status": {
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "Ready", "observedGeneration": 2,
                    "message": "until 2030-01-01T00:00:00Z", "lastTransitionTime": "2030-01-01T00:00:00Z",
                }],
                "revision": 1, "notAfter": "2030-01-01T00:00:00Z", "nextPrivateKeySecretName": "web-abcde",
            },
        });
        let event = json!({
            "type": "Normal", "reason": "Issued", "action": "Sign", "note": "serial 0aFF0aFF0aFF0aFF, in shop-x7",
            "regarding": {"kind": "CertificateRequest", "name": "web-1"},
        });
        let mut picture = Picture::of("shop-x7", &[object], &[event]);
        let wanted = "\
Certificate web:
  annotations:
    a: in <namespace>
  generation: 2
  status:
    conditions:
    - \"Ready True/Ready: until <time> (generation 2)\"
    nextPrivateKeySecretName: web-<generated>
    notAfter: <time>
    revision: 1
events:
- \"Normal CertificateRequest/web-1 Issued, Sign: serial <serial>, in <namespace>\"
";
        let text = picture.to_text().unwrap();
        assert_eq!(Picture::read(&text).unwrap(), Picture::read(wanted).unwrap(), "{text}");
        picture.leave_out("Certificate …", "/status/revision");
        picture.leave_out("events", "");
        let error = picture.compare(&text).unwrap_err().to_string();
        assert!(error.contains("-     revision: 1") && error.contains("- events:"), "{error}");
    }
}
