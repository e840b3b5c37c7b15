//! Steps into an object, their order and their two spellings: `f:name` where they are kept, `.name` where they are
//! shown.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

use super::equal;
use crate::go_print;

/// One step.
#[derive(Clone, Debug)]
pub enum PathElement {
    /// Into a field of a map.
    Field(String),
    /// To the item of a list that has these values under these keys; sorted by key.
    Key(Vec<(String, Value)>),
    /// To the item of a set that is this value.
    Value(Value),
    /// To the item of a list at this place.
    Index(i64),
}

impl PathElement {
    /// The step into a field.
    #[must_use]
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// The step to an item, by its values under some keys.
    #[must_use]
    pub fn key(mut keys: Vec<(String, Value)>) -> Self {
        keys.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self::Key(keys)
    }

    /// Reads a step as it is kept. `None` for a kind of step that nobody knows, which is passed over.
    pub(super) fn decode(text: &str) -> Result<Option<Self>, String> {
        let Some((kind, rest)) = text.split_at_checked(2) else {
            return Err("key must be 2 characters long:".to_owned());
        };
        let json = |what: &str| -> Result<Value, String> {
            serde_json::from_str(rest).map_err(|e| format!("parsing {what}: {e}"))
        };
        Ok(Some(match kind {
            "f:" => Self::field(rest),
            "v:" => Self::Value(json("value")?),
            "i:" => Self::Index(rest.parse().map_err(|e| format!("parsing index: {e}"))?),
            "k:" => match json("key")? {
                Value::Object(map) => Self::key(map.into_iter().collect()),
                _ => return Err(format!("expected an object: {text}")),
            },
            _ if kind.ends_with(':') => return Ok(None),
            _ => return Err(format!("missing colon: {text}")),
        }))
    }

    /// Writes a step as it is kept.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let map: Map<String, Value> = keys.iter().cloned().collect();
                format!("k:{}", go_print::json(&Value::Object(map)))
            }
            Self::Value(value) => format!("v:{}", go_print::json(value)),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => {
                for ((name_a, value_a), (name_b, value_b)) in a.iter().zip(b) {
                    let order = name_a.cmp(name_b).then_with(|| equal::order(value_a, value_b));
                    if order != Ordering::Equal {
                        return order;
                    }
                }
                a.len().cmp(&b.len())
            }
            (Self::Value(a), Self::Value(b)) => equal::order(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for PathElement {}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                f.write_str("[")?;
                for (at, (name, value)) in keys.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={}", show(value))?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={}]", show(value)),
            Self::Index(at) => write!(f, "[{at}]"),
        }
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => go_print::quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let fields: Vec<String> =
                map.iter().map(|(name, value)| format!("{name}={}", show(value))).collect();
            fields.concat()
        }
        Value::Bool(_) | Value::Number(_) => go_print::value(value),
    }
}

/// A path as it is shown: `.spec.ports[name="http"].port`.
pub(super) fn show_path(path: &[PathElement]) -> String {
    path.iter().map(ToString::to_string).collect()
}
