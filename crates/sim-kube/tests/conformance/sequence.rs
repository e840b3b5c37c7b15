//! What a sequence is made of: requests as templates, which each server fills in with what it answered before.
//!
//! | in a path, a query or a body | stands for |
//! | --- | --- |
//! | `$P` | what every name outside a namespace, and every namespace, begins with: each play has its own |
//! | `$RV`, `$OLD` | the newest and the first resourceVersion seen of the object on the path, or of any in the collection |
//! | `$UID` | the uid of the object on the path |
//! | `$LIST` | the resourceVersion of the newest list |
//! | `$CONT` | the newest continue token of the collection on the path |
//! | `$OWNER` | the uid of the ConfigMap `a` of the same namespace |

use serde_json::{Value, json};

/// One request of a client. What is empty is not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) content_type: String,
    pub(crate) accept: String,
    /// Who is impersonated.
    pub(crate) user: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn new(method: &str, path: impl Into<String>) -> Self {
        Self { method: method.to_owned(), path: path.into(), ..Self::default() }
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        "application/json".clone_into(&mut self.content_type);
        self.body = body.to_string();
        self
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.query.push((key.to_owned(), value.into()));
        self
    }

    /// Whether the answer, if it is no failure, goes on.
    pub(crate) fn watches(&self) -> bool {
        self.query.iter().any(|(key, value)| key == "watch" && value == "true")
    }

    /// The path of the object that the request is about, without the subresource; of a collection its own path.
    pub(crate) fn object_path(&self) -> &str {
        self.path
            .strip_suffix("/status")
            .or_else(|| self.path.strip_suffix("/finalize"))
            .unwrap_or(&self.path)
    }

    pub(crate) fn to_value(&self) -> Value {
        let query: Vec<Value> = self.query.iter().map(|(key, value)| json!([key, value])).collect();
        let mut value = json!({"method": self.method, "path": self.path});
        for (key, text) in [
            ("contentType", &self.content_type),
            ("accept", &self.accept),
            ("user", &self.user),
            ("body", &self.body),
        ] {
            if !text.is_empty() {
                value[key] = json!(text);
            }
        }
        if !query.is_empty() {
            value["query"] = json!(query);
        }
        value
    }

    pub(crate) fn from_value(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let query = value["query"].as_array().into_iter().flatten();
        Self {
            method: text("method"),
            path: text("path"),
            query: query
                .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()))
                .collect(),
            content_type: text("contentType"),
            accept: text("accept"),
            user: text("user"),
            body: text("body"),
        }
    }

    /// For people: one line, and what is sent.
    pub(crate) fn shown(&self) -> String {
        let query: Vec<String> = self.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut line = format!("{} {}", self.method, self.path);
        for (before, text) in [
            ("?", query.join("&")),
            (" as ", self.user.clone()),
            (" accept ", self.accept.clone()),
            (" ", self.content_type.clone()),
            (" ", self.body.clone()),
        ] {
            if !text.is_empty() {
                line.push_str(before);
                line.push_str(&text);
            }
        }
        line
    }
}

/// What a server made of a sequence, evened out so that two servers can be compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Transcript {
    /// The answer to each request.
    pub(crate) answers: Vec<Value>,
    /// The events of each watch, in the order in which the watches were opened.
    pub(crate) watches: Vec<Vec<Value>>,
    /// Everything that is left, by collection.
    pub(crate) left: Value,
    /// After which requests the server's own controllers wrote something, and what was there then.
    pub(crate) settled: Vec<Option<Value>>,
}

impl Transcript {
    pub(crate) fn to_value(&self) -> Value {
        json!({"answers": self.answers, "watches": self.watches, "left": self.left})
    }

    pub(crate) fn from_value(value: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        Self {
            answers: list(&value["answers"]),
            watches: list(&value["watches"]).iter().map(list).collect(),
            left: value["left"].clone(),
            settled: Vec::new(),
        }
    }
}
