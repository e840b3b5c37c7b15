//! One node of a schema, and a place in the graph of them.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::rules::Rule;

/// A JSON type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Object => "object",
            Type::Array => "array",
            Type::String => "string",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::Boolean => "boolean",
        }
    }
}

/// `x-kubernetes-list-type`: how a list's items are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListType {
    /// As a whole.
    Atomic,
    /// By value.
    Set,
    /// By these keys.
    Map(Vec<String>),
}

/// `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`: what a strategic merge patch does here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PatchStrategy {
    /// Merge the items of a list rather than replace it.
    pub merge: bool,
    /// Replace a map rather than merge it.
    pub replace: bool,
    /// The key that tells a list's items apart; none for a list of scalars.
    pub merge_key: Option<String>,
}

/// `additionalProperties`: what the fields may be that have no name in the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Additional {
    #[default]
    Unsaid,
    Allowed(bool),
    Schema(usize),
}

/// A regular expression with the text that messages show.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub text: String,
    pub regex: Regex,
}

/// One end of a range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub value: f64,
    pub exclusive: bool,
}

/// What a schema says at one place; edges are indices into the graph.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a schema's words are what they are")]
pub(crate) struct Node {
    /// Where a `$ref` leads; then only what stands beside the reference is said here.
    pub target: Option<usize>,
    pub kind: Option<Type>,
    pub format: Option<String>,
    pub nullable: bool,
    pub int_or_string: bool,
    pub preserve_unknown: bool,
    pub embedded: bool,
    /// Do unknown fields have a place here, for field ownership, though the schema has no name for them?
    pub deduced: bool,
    /// A quantity or raw extension: owned as a whole, whatever its form.
    pub opaque: bool,
    pub default: Option<Value>,

    pub properties: BTreeMap<String, usize>,
    pub additional: Additional,
    pub items: Option<usize>,
    pub list_type: Option<ListType>,
    pub map_atomic: Option<bool>,
    pub patch: Option<PatchStrategy>,

    pub required: Vec<String>,
    pub values: Vec<Value>,
    pub pattern: Option<Pattern>,
    pub maximum: Option<Bound>,
    pub minimum: Option<Bound>,
    pub multiple_of: Option<f64>,
    pub max_length: Option<i64>,
    pub min_length: Option<i64>,
    pub max_items: Option<i64>,
    pub min_items: Option<i64>,
    pub unique_items: bool,
    pub max_properties: Option<i64>,
    pub min_properties: Option<i64>,
    pub all_of: Vec<usize>,
    pub any_of: Vec<usize>,
    pub one_of: Vec<usize>,
    pub not: Option<usize>,
    pub rules: Vec<Rule>,
}

/// A place in a schema: what is said there, and what the reference there leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    nodes: &'a [Node],
    beside: &'a Node,
    node: &'a Node,
}

/// What an edge that leads nowhere leads to: nothing is said, so anything goes.
static UNSAID: std::sync::LazyLock<Node> = std::sync::LazyLock::new(Node::default);

impl<'a> Cursor<'a> {
    pub(crate) fn new(nodes: &'a [Node], at: usize) -> Self {
        let beside = nodes.get(at).unwrap_or(&UNSAID);
        let mut node = beside;
        // A reference to a reference to itself would never end.
        for _ in 0..8 {
            let Some(target) = node.target else { break };
            node = nodes.get(target).unwrap_or(&UNSAID);
        }
        Self { nodes, beside, node }
    }

    /// Whether there is any rule in the whole schema, wherever in it this place is.
    pub(crate) fn has_rules(self) -> bool {
        self.nodes.iter().any(|node| !node.rules.is_empty())
    }

    /// What is said at this place, references followed.
    pub(crate) fn node(self) -> &'a Node {
        self.node
    }

    pub(crate) fn at(self, index: usize) -> Self {
        Self::new(self.nodes, index)
    }

    pub(crate) fn property(self, name: &str) -> Option<Self> {
        self.node.properties.get(name).map(|at| self.at(*at))
    }

    pub(crate) fn properties(self) -> impl Iterator<Item = (&'a str, Self)> {
        self.node.properties.iter().map(move |(name, at)| (name.as_str(), self.at(*at)))
    }

    pub(crate) fn additional(self) -> Option<Self> {
        match self.node.additional {
            Additional::Schema(at) => Some(self.at(at)),
            Additional::Unsaid | Additional::Allowed(_) => None,
        }
    }

    /// The schema of a field: the named one, or the one of fields without a name.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        self.property(name).or_else(|| self.additional())
    }

    pub(crate) fn items(self) -> Option<Self> {
        self.node.items.map(|at| self.at(at))
    }

    /// The fields or items of a value that have a schema: it, their paths as causes write them, and they themselves.
    pub(crate) fn below<'v>(self, path: &str, value: &'v Value) -> Vec<(Self, String, &'v Value)> {
        match value {
            Value::Object(map) => map
                .iter()
                .filter_map(|(name, value)| {
                    if let Some(below) = self.property(name) {
                        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                        return Some((below, path, value));
                    }
                    Some((self.additional()?, format!("{path}[{name}]"), value))
                })
                .collect(),
            Value::Array(items) => self.items().map_or_else(Vec::new, |below| {
                items.iter().enumerate().map(|(at, item)| (below, format!("{path}[{at}]"), item)).collect()
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        }
    }

    pub(crate) fn default(self) -> Option<&'a Value> {
        self.beside.default.as_ref().or(self.node.default.as_ref()).filter(|value| !value.is_null())
    }

    pub(crate) fn nullable(self) -> bool {
        self.beside.nullable || self.node.nullable
    }

    pub(crate) fn list_type(self) -> Option<&'a ListType> {
        self.beside.list_type.as_ref().or(self.node.list_type.as_ref())
    }

    pub(crate) fn map_atomic(self) -> bool {
        self.beside.map_atomic.or(self.node.map_atomic).unwrap_or(false)
    }

    pub(crate) fn patch(self) -> Option<&'a PatchStrategy> {
        self.beside.patch.as_ref().or(self.node.patch.as_ref())
    }
}
