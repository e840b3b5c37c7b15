//! JSON to schema.
//!
//! A key that means nothing here is passed over; one of the wrong type is an error that names its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value};

use super::cursor::{Additional, Bound, ListType, Node, PatchStrategy, Pattern, Type};
use super::metadata;
use super::rules::Rule;

type Nodes = Arc<[Node]>;

/// Deeper than any schema: JSON itself is read to a depth of 128.
const MAX_DEPTH: usize = 200;

pub(super) fn schema(schema: &Value) -> Result<(Nodes, usize), String> {
    let mut parser = Parser::default();
    let root = parser.node(schema, "", Context::default())?;
    Ok((parser.nodes.into(), root))
}

pub(super) fn custom_resource(schema: &Value) -> Result<(Nodes, usize), String> {
    let mut parser = Parser { custom: true, ..Parser::default() };
    let root = parser.node(schema, "", Context { embedded: true, ..Context::default() })?;
    Ok((parser.nodes.into(), root))
}

pub(super) fn components(schemas: &Map<String, Value>) -> Result<(Nodes, BTreeMap<String, usize>), String> {
    let mut parser = Parser { free_form: true, ..Parser::default() };
    // Every name has its place before any schema is read, so that schemas may refer to each other.
    for name in schemas.keys() {
        parser.named.insert(name.clone(), parser.nodes.len());
        parser.nodes.push(Node::default());
    }
    for (name, schema) in schemas {
        let mut node = parser.read(schema, name, Context::default())?;
        node.opaque = matches!(
            name.as_str(),
            "io.k8s.apimachinery.pkg.api.resource.Quantity" | "io.k8s.apimachinery.pkg.runtime.RawExtension"
        );
        if let Some(slot) = parser.named.get(name).and_then(|at| parser.nodes.get_mut(*at)) {
            *slot = node;
        }
    }
    Ok((parser.nodes.into(), parser.named))
}

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    named: BTreeMap<String, usize>,
    /// Custom resources get the metadata that every object has.
    custom: bool,
    metadata: Option<usize>,
    /// An object that says nothing of its fields may have any, as it is in the schemas of built-in kinds.
    free_form: bool,
}

/// What a schema inherits from the ones around it.
#[derive(Clone, Copy, Default)]
struct Context {
    depth: usize,
    /// Some schema around this one preserves unknown fields.
    preserving: bool,
    /// The objects here are whole ones.
    embedded: bool,
}

impl Parser {
    fn node(&mut self, schema: &Value, path: &str, context: Context) -> Result<usize, String> {
        let node = self.read(schema, path, context)?;
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn read(&mut self, schema: &Value, path: &str, context: Context) -> Result<Node, String> {
        if context.depth > MAX_DEPTH {
            return Err(format!("{path}: the schema is nested too deeply"));
        }
        let keys =
            Keys { map: schema.as_object().ok_or_else(|| format!("{path}: must be an object"))?, path };
        let preserve_unknown = keys.flag("x-kubernetes-preserve-unknown-fields")?;
        let preserving = context.preserving || preserve_unknown;
        let below = Context { depth: context.depth + 1, preserving, embedded: false };
        let embedded = context.embedded || keys.flag("x-kubernetes-embedded-resource")?;

        let mut node = Node {
            target: self.target(&keys)?,
            kind: keys.kind()?,
            format: keys.text("format")?,
            nullable: keys.flag("nullable")?,
            int_or_string: keys.flag("x-kubernetes-int-or-string")?,
            preserve_unknown,
            embedded,
            default: keys.map.get("default").cloned(),
            list_type: keys.list_type()?,
            map_atomic: keys.text("x-kubernetes-map-type")?.map(|kind| kind == "atomic"),
            patch: keys.patch_strategy()?,
            required: keys.texts("required")?,
            values: keys.list("enum")?.cloned().unwrap_or_default(),
            pattern: keys.pattern()?,
            maximum: keys.bound("maximum", "exclusiveMaximum")?,
            minimum: keys.bound("minimum", "exclusiveMinimum")?,
            multiple_of: keys.float("multipleOf")?,
            max_length: keys.int("maxLength")?,
            min_length: keys.int("minLength")?,
            max_items: keys.int("maxItems")?,
            min_items: keys.int("minItems")?,
            unique_items: keys.flag("uniqueItems")?,
            max_properties: keys.int("maxProperties")?,
            min_properties: keys.int("minProperties")?,
            rules: keys.rules()?,
            ..Node::default()
        };
        if let Some(properties) = keys.object("properties")? {
            for (name, property) in properties {
                let at = self.node(property, &format!("{path}.properties[{name}]"), below)?;
                node.properties.insert(name.clone(), at);
            }
        }
        node.additional = match keys.map.get("additionalProperties") {
            None | Some(Value::Null) => Additional::Unsaid,
            Some(Value::Bool(allowed)) => Additional::Allowed(*allowed),
            Some(schema) => {
                Additional::Schema(self.node(schema, &format!("{path}.additionalProperties"), below)?)
            }
        };
        if let Some(items) = keys.map.get("items").filter(|items| items.is_object()) {
            node.items = Some(self.node(items, &format!("{path}.items"), below)?);
        }
        if node.target.is_none() {
            node.all_of = self.several(&keys, "allOf", below)?;
        }
        node.any_of = self.several(&keys, "anyOf", below)?;
        node.one_of = self.several(&keys, "oneOf", below)?;
        if let Some(not) = keys.map.get("not").filter(|not| not.is_object()) {
            node.not = Some(self.node(not, &format!("{path}.not"), below)?);
        }
        node.deduced = match node.additional {
            Additional::Allowed(allowed) => allowed,
            Additional::Unsaid => preserving || node.properties.is_empty(),
            Additional::Schema(_) => false,
        };
        let says_nothing = node.properties.is_empty() && node.additional == Additional::Unsaid;
        if self.free_form && node.kind == Some(Type::Object) && says_nothing {
            node.preserve_unknown = true;
        }
        if self.custom && embedded {
            self.whole_object(&mut node)?;
        }
        Ok(node)
    }

    /// Where a reference leads; one that has something beside it is wrapped into an `allOf` of one.
    fn target(&self, keys: &Keys<'_>) -> Result<Option<usize>, String> {
        let wrapped = match keys.list("allOf")?.map(Vec::as_slice) {
            Some([one]) => one.get("$ref"),
            _ => None,
        };
        let Some(reference) = keys.map.get("$ref").or(wrapped).and_then(Value::as_str) else {
            return Ok(None);
        };
        let name = reference.rsplit('/').next().unwrap_or(reference);
        match self.named.get(name) {
            Some(at) => Ok(Some(*at)),
            None => Err(format!("{}: nothing is called {reference}", keys.path)),
        }
    }

    fn several(&mut self, keys: &Keys<'_>, key: &str, context: Context) -> Result<Vec<usize>, String> {
        let schemas = keys.list(key)?.into_iter().flatten().enumerate();
        schemas
            .map(|(at, schema)| self.node(schema, &format!("{}.{key}[{at}]", keys.path), context))
            .collect()
    }

    fn common_metadata(&mut self) -> Result<usize, String> {
        if let Some(at) = self.metadata {
            return Ok(at);
        }
        let custom = std::mem::replace(&mut self.custom, false);
        let at = self.node(&metadata::object_meta(), ".properties[metadata]", Context::default())?;
        self.custom = custom;
        self.metadata = Some(at);
        Ok(at)
    }

    /// Adds what every object has. The metadata is one node, however many objects are embedded.
    fn whole_object(&mut self, node: &mut Node) -> Result<(), String> {
        let said = node.properties.get("metadata").and_then(|at| self.nodes.get(*at)).cloned();
        let common = self.common_metadata()?;
        // A CRD may restrict names and nothing else of the metadata.
        let metadata = match said {
            Some(said) if !said.properties.is_empty() || !said.rules.is_empty() => {
                let mut merged = self.nodes.get(common).cloned().unwrap_or_default();
                for (name, at) in said.properties {
                    merged.properties.insert(name, at);
                }
                merged.rules = said.rules;
                self.nodes.push(merged);
                self.nodes.len() - 1
            }
            _ => common,
        };
        node.properties.insert("metadata".to_owned(), metadata);
        for name in ["apiVersion", "kind"] {
            if !node.properties.contains_key(name) {
                self.nodes.push(Node { kind: Some(Type::String), ..Node::default() });
                node.properties.insert(name.to_owned(), self.nodes.len() - 1);
            }
        }
        Ok(())
    }
}

/// The keys of one schema, read with their types.
struct Keys<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Keys<'a> {
    fn read<T>(
        &self,
        key: &str,
        what: &str,
        as_type: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match as_type(value) {
                Some(value) => Ok(Some(value)),
                None => Err(format!("{}.{key}: must be {what}", self.path)),
            },
        }
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        Ok(self.read(key, "a boolean", Value::as_bool)?.unwrap_or(false))
    }

    fn text(&self, key: &str) -> Result<Option<String>, String> {
        Ok(self.read(key, "a string", Value::as_str)?.filter(|text| !text.is_empty()).map(str::to_owned))
    }

    fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, String> {
        self.read(key, "an array", Value::as_array)
    }

    fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, String> {
        self.read(key, "an object", Value::as_object)
    }

    fn int(&self, key: &str) -> Result<Option<i64>, String> {
        self.read(key, "an integer", |value| match value.as_f64() {
            // A bound that was written as 1.0 is 1.
            Some(float) if value.as_i64().is_none() && float.fract() == 0.0 => {
                format!("{float}").parse().ok()
            }
            _ => value.as_i64(),
        })
    }

    fn float(&self, key: &str) -> Result<Option<f64>, String> {
        self.read(key, "a number", Value::as_f64)
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        let texts = self.list(key)?.into_iter().flatten();
        texts
            .map(|text| match text.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(format!("{}.{key}: must be an array of strings", self.path)),
            })
            .collect()
    }

    fn kind(&self) -> Result<Option<Type>, String> {
        Ok(match self.text("type")?.as_deref() {
            None => None,
            Some("object") => Some(Type::Object),
            Some("array") => Some(Type::Array),
            Some("string") => Some(Type::String),
            Some("integer") => Some(Type::Integer),
            Some("number") => Some(Type::Number),
            Some("boolean") => Some(Type::Boolean),
            Some(other) => {
                return Err(format!(
                    "{}.type: Unsupported value: \"{other}\": supported values: \"array\", \"boolean\", \"integer\", \
                     \"number\", \"object\", \"string\"",
                    self.path
                ));
            }
        })
    }

    fn list_type(&self) -> Result<Option<ListType>, String> {
        Ok(match self.text("x-kubernetes-list-type")?.as_deref() {
            None => None,
            Some("set") => Some(ListType::Set),
            Some("map") => Some(ListType::Map(self.texts("x-kubernetes-list-map-keys")?)),
            Some(_) => Some(ListType::Atomic),
        })
    }

    fn patch_strategy(&self) -> Result<Option<PatchStrategy>, String> {
        let merge_key = self.text("x-kubernetes-patch-merge-key")?;
        let Some(strategy) = self.text("x-kubernetes-patch-strategy")? else {
            return Ok(
                merge_key.map(|key| PatchStrategy { merge_key: Some(key), ..PatchStrategy::default() })
            );
        };
        let says = |word| strategy.split(',').any(|part| part == word);
        Ok(Some(PatchStrategy { merge: says("merge"), replace: says("replace"), merge_key }))
    }

    fn pattern(&self) -> Result<Option<Pattern>, String> {
        let Some(text) = self.text("pattern")? else { return Ok(None) };
        match Regex::new(&text) {
            Ok(regex) => Ok(Some(Pattern { text, regex })),
            Err(_) => Err(format!(
                "{}.pattern: Invalid value: \"{text}\": must be a valid regular expression",
                self.path
            )),
        }
    }

    fn bound(&self, key: &str, exclusive: &str) -> Result<Option<Bound>, String> {
        let exclusive = self.flag(exclusive)?;
        Ok(self.float(key)?.map(|value| Bound { value, exclusive }))
    }

    fn rules(&self) -> Result<Vec<Rule>, String> {
        let rules = self.list("x-kubernetes-validations")?.into_iter().flatten().enumerate();
        rules
            .map(|(at, rule)| {
                Rule::parse(rule).map_err(|e| format!("{}.x-kubernetes-validations[{at}].{e}", self.path))
            })
            .collect()
    }
}
