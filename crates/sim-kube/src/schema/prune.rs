//! Pruning: what the schema does not know is removed, and reported to those who ask for strictness.

use serde_json::Value;

use super::cursor::{Additional, Cursor};

/// The unknown fields are named in order; those of metadata come last.
pub(super) fn prune(schema: Cursor<'_>, value: &mut Value) -> Vec<String> {
    let mut pruner = Pruner::default();
    pruner.value(Some(schema), value);
    pruner.unknown.sort_unstable();
    pruner.unknown_metadata.sort_unstable();
    pruner.unknown.append(&mut pruner.unknown_metadata);
    pruner.unknown
}

#[derive(Default)]
struct Pruner {
    path: Vec<String>,
    in_metadata: bool,
    unknown: Vec<String>,
    unknown_metadata: Vec<String>,
}

impl Pruner {
    /// Without a schema nothing is known.
    fn value(&mut self, schema: Option<Cursor<'_>>, value: &mut Value) {
        match value {
            Value::Object(map) => {
                let mut unknown = Vec::new();
                let whole = schema.is_some_and(|schema| schema.node().embedded);
                for (name, value) in map.iter_mut() {
                    let is_type = matches!(name.as_str(), "apiVersion" | "kind");
                    let known = schema.map(|schema| known(schema, name));
                    match known {
                        _ if is_type
                            && (whole_object || schema.is_some_and(|schema| schema.node().embedded)) => {}
                        Some(Known::As(schema)) => {
                            let in_metadata = self.in_metadata;
                            self.in_metadata |= whole && name == "metadata";
                            self.path.push(name.clone());
                            self.value(Some(schema), value);
                            self.path.pop();
                            self.in_metadata = in_metadata;
                        }
                        Some(Known::Anything) => {}
                        Some(Known::NothingBelow) => {
                            self.path.push(name.clone());
                            self.value(None, value);
                            self.path.pop();
                        }
                        Some(Known::No) | None => unknown.push(name.clone()),
                    }
                }
                for name in unknown {
                    map.remove(&name);
                    let name = self.name(&name);
                    if self.in_metadata { &mut self.unknown_metadata } else { &mut self.unknown }.push(name);
                }
            }
            Value::Array(items) => {
                let schema = match schema {
                    // What is preserved is preserved in lists too.
                    Some(schema) if schema.node().preserve_unknown && schema.items().is_none() => return,
                    Some(schema) => schema.items(),
                    None => None,
                };
                for (at, item) in items.iter_mut().enumerate() {
                    self.path.push(format!("[{at}]"));
                    self.value(schema, item);
                    self.path.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn name(&self, last: &str) -> String {
        let mut out = String::new();
        for part in self.path.iter().map(String::as_str).chain([last]) {
            if !out.is_empty() && !part.starts_with('[') {
                out.push('.');
            }
            out.push_str(part);
        }
        out
    }
}

enum Known<'a> {
    As(Cursor<'a>),
    /// Preserved as it is.
    Anything,
    /// The field is allowed and none of its own.
    NothingBelow,
    No,
}

fn known<'a>(schema: Cursor<'a>, name: &str) -> Known<'a> {
    let node = schema.node();
    match (schema.field(name), node.additional) {
        (Some(field), _) => Known::As(field),
        _ if node.preserve_unknown => Known::Anything,
        // Where nothing is said at all, there is no structure to hold a value against.
        _ if node.kind.is_none() && node.properties.is_empty() && node.items.is_none() => Known::Anything,
        (None, Additional::Allowed(true)) => Known::NothingBelow,
        (None, _) => Known::No,
    }
}
