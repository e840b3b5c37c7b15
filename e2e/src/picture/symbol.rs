//! Texts in which what is different every time is a symbol: `<time>`, `<serial>`, `<uid>`, ….

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What is different every time, and what stands for it.
static SYMBOLS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let symbols = [
        // As RFC 3339 and as Go print a time.
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", "<time>"),
        (r"\b(serial|certificate) [0-9a-fA-F:]{16,}", "$1 <serial>"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uid>"),
        (r"\b127\.0\.0\.1:\d+", "<address>"),
        (r"\b[0-9a-f]{64}\b", "<hash>"),
        // A call within the process ends in other words than one over a network.
        (
            "connection closed before message completed|the connection was closed",
            "<the connection was closed>",
        ),
        ("the answer was not complete within|no answer within", "<no whole answer> within"),
    ];
    symbols.into_iter().filter_map(|(pattern, symbol)| Some((Regex::new(pattern).ok()?, symbol))).collect()
});

/// The fields whose values end in what the API server drew.
const GENERATED: [&str; 2] = ["nextPrivateKeySecretName", "cert-manager.io/private-key-secret-name"];

/// Symbols for one scenario's namespace.
pub(super) struct Symbols<'a> {
    namespace: &'a str,
}

impl<'a> Symbols<'a> {
    pub(super) const fn new(namespace: &'a str) -> Self {
        Self { namespace }
    }

    pub(super) fn of(&self, text: &str) -> String {
        let mut text = text.replace(self.namespace, "<namespace>");
        for (pattern, symbol) in SYMBOLS.iter() {
            text = pattern.replace_all(&text, *symbol).into_owned();
        }
        text
    }

    /// All texts of a value, and all uids.
    pub(super) fn in_all(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.of(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.in_all(item)).collect(),
            Value::Object(fields) => {
                let one = |(name, value): (String, Value)| {
                    let value = match value {
                        Value::String(text) if GENERATED.contains(&name.as_str()) => {
                            Value::String(self.of(&generated(&text)))
                        }
                        Value::String(_) if name == "uid" => Value::String("<uid>".to_owned()),
                        other => self.in_all(other),
                    };
                    (name, value)
                };
                fields.into_iter().map(one).collect()
            }
            other => other,
        }
    }
}

/// A name of which the API server drew the end.
pub(super) fn generated(name: &str) -> String {
    name.rsplit_once('-').map_or_else(|| name.to_owned(), |(head, _)| format!("{head}-<generated>"))
}
