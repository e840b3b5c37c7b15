//! Structural schemas: what a kind's objects may hold, and what the server makes of one.
//!
//! ```text
//! openAPIV3Schema of a CRD ──┐
//!                            ├──> Schema ──> prune (unknown fields go), default, validate (causes)
//! components of OpenAPI v3 ──┘           └─> strategic merge patch, field ownership
//! ```
//!
//! A [`Schema`] is a cheap handle on one node of a frozen graph: `$ref`s are edges, so a schema may contain
//! itself, and every walk follows a value, which is finite. Nothing here reads a clock or keeps state.

mod cursor;
mod default;
mod format;
mod metadata;
mod parse;
mod prune;
mod rules;
mod validate;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use cursor::Node;
pub(crate) use cursor::{Additional, Cursor, ListType, PatchStrategy, Type};

use crate::status::Cause;

/// A schema of a kind, or of a part of one.
#[derive(Clone, Debug)]
pub struct Schema {
    nodes: Arc<[Node]>,
    root: usize,
}

/// Schemas that refer to each other: the `components` of an `OpenAPI` v3 document.
#[derive(Clone, Debug)]
pub struct Components {
    nodes: Arc<[Node]>,
    roots: BTreeMap<String, usize>,
}

impl Components {
    /// Reads every schema under `components.schemas`.
    pub fn parse(document: &Value) -> Result<Self, String> {
        let none = Map::new();
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object).unwrap_or(&none);
        let (nodes, roots) = parse::components(schemas)?;
        Ok(Self { nodes, roots })
    }

    /// The schema of one component, such as `io.k8s.api.core.v1.Secret`.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<Schema> {
        let root = *self.roots.get(name)?;
        Some(Schema { nodes: Arc::clone(&self.nodes), root })
    }
}

impl Schema {
    /// Reads a schema that stands for itself.
    pub fn parse(schema: &Value) -> Result<Self, String> {
        let (nodes, root) = parse::schema(schema)?;
        Ok(Self { nodes, root })
    }

    /// Reads a CRD's `openAPIV3Schema`: objects of the kind also have `apiVersion`, `kind` and the metadata that
    /// every object has.
    pub fn custom_resource(schema: &Value) -> Result<Self, String> {
        let (nodes, root) = parse::custom_resource(schema)?;
        Ok(Self { nodes, root })
    }

    /// The schema of a custom resource that declares none: anything goes.
    #[must_use]
    pub fn anything() -> Self {
        let node = Node { preserve_unknown: true, deduced: true, ..Node::default() };
        Self { nodes: Arc::from([node]), root: 0 }
    }

    /// Removes the fields that the schema does not know, and names them: `spec.foo`, `spec.list[2].bar`.
    #[must_use]
    pub fn prune(&self, value: &mut Value) -> Vec<String> {
        prune::prune(self.cursor(), value)
    }

    /// Fills in defaults, also in place of a null that is not allowed.
    pub fn default(&self, value: &mut Value) {
        default::default(self.cursor(), value);
    }

    /// Removes nulls where null is not a value and there is no default; what a custom resource is decoded with,
    /// before its defaults.
    pub fn drop_nulls(&self, value: &mut Value) {
        default::drop_nulls(self.cursor(), value);
    }

    /// Checks a new object, or the successor of an old one: types and values, the uniqueness of sets and maps, then
    /// the rules. What was wrong before and did not change is let pass, as the server does.
    #[must_use]
    pub fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<Cause> {
        validate::validate(self.cursor(), new, old)
    }

    /// Checks types and values alone: not what is there twice, nor the rules.
    #[must_use]
    pub(crate) fn validate_values(&self, new: &Value) -> Vec<Cause> {
        validate::validate_values(self.cursor(), new)
    }

    /// Checks only the part of an object that a write to `status` can change, and names fields from the object's
    /// root all the same.
    #[must_use]
    pub fn validate_status(&self, new: &Value, old: Option<&Value>) -> Vec<Cause> {
        validate::validate_status(self.cursor(), new, old)
    }

    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor::new(&self.nodes, self.root)
    }
}

#[cfg(test)]
mod tests;
