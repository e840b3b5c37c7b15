//! The schema as field ownership sees it: what is a whole, and how the items of lists are told apart.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::FieldSet;
use super::path::PathElement;
use crate::schema::{Additional, Cursor, ListType, Schema, Type};

/// A place in the schema, or beyond it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape<'a> {
    Schema(Cursor<'a>),
    /// No schema: maps by their fields, everything else a whole.
    Deduced,
    /// No schema: everything a whole.
    Untyped,
    /// The schema says that there is nothing here.
    Nothing,
}

/// How a scalar is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Numeric,
    String,
    Boolean,
    Any,
}

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Items<'a> {
    /// They are not: the list is a whole.
    Atomic,
    /// By value.
    Set,
    /// By their values under these keys.
    Keys(&'a [String]),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub items: Items<'a>,
    pub element: Shape<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    of: Shape<'a>,
    pub atomic: bool,
}

/// What a value may be here; for a given value, what it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Atom<'a> {
    pub scalar: Option<Scalar>,
    pub list: Option<List<'a>>,
    pub map: Option<Fields<'a>>,
}

/// The one form that is looked at: a map before a scalar before a list.
pub(super) enum Form<'a> {
    Map(Fields<'a>),
    Scalar(Scalar),
    List(List<'a>),
    None,
}

impl<'a> Shape<'a> {
    pub(super) fn of(schema: &'a Schema) -> Self {
        Self::Schema(schema.cursor())
    }

    fn atom(self) -> Atom<'a> {
        match self {
            Self::Schema(cursor) if cursor.node().opaque => Self::Untyped.atom(),
            Self::Schema(cursor) => {
                let node = cursor.node();
                let scalar = match (node.kind, node.format.as_deref()) {
                    (Some(Type::Integer | Type::Number), _) => Some(Scalar::Numeric),
                    (Some(Type::Boolean), _) => Some(Scalar::Boolean),
                    (Some(Type::String), None | Some("byte")) => Some(Scalar::String),
                    (None, _) | (Some(Type::String), Some(_)) => Some(Scalar::Any),
                    (Some(Type::Object | Type::Array), _) => None,
                };
                let list = matches!(node.kind, None | Some(Type::Array)).then(|| List {
                    items: items(cursor),
                    element: cursor.items().map_or(Self::Untyped, Self::Schema),
                });
                let map = matches!(node.kind, None | Some(Type::Object))
                    .then(|| Fields { of: self, atomic: cursor.map_atomic() });
                Atom { scalar, list, map }
            }
            Self::Deduced | Self::Untyped | Self::Nothing => Atom {
                scalar: Some(Scalar::Any),
                list: Some(List { items: Items::Atomic, element: Self::Untyped }),
                map: Some(Fields { of: self, atomic: !matches!(self, Self::Deduced) }),
            },
        }
    }

    /// What a value is here. Nothing, null and what may not be here leave it open.
    pub(super) fn deduce(self, value: Option<&Value>) -> Atom<'a> {
        let atom = self.atom();
        match value {
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) if atom.scalar.is_some() => {
                Atom { scalar: atom.scalar, ..Atom::default() }
            }
            Some(Value::Array(_)) if atom.list.is_some() => Atom { list: atom.list, ..Atom::default() },
            Some(Value::Object(_)) if atom.map.is_some() => Atom { map: atom.map, ..Atom::default() },
            _ => atom,
        }
    }
}

impl<'a> Atom<'a> {
    pub(super) fn form(self) -> Form<'a> {
        match self {
            Self { map: Some(map), .. } => Form::Map(map),
            Self { scalar: Some(scalar), .. } => Form::Scalar(scalar),
            Self { list: Some(list), .. } => Form::List(list),
            Self { .. } => Form::None,
        }
    }

    /// Two atoms of one place are the same if they allow the same forms.
    pub(super) fn same(self, other: Self) -> bool {
        self.scalar.is_some() == other.scalar.is_some()
            && self.list.is_some() == other.list.is_some()
            && self.map.is_some() == other.map.is_some()
    }
}

impl<'a> Fields<'a> {
    /// Does the schema name a field?
    pub(super) fn declares(self, name: &str) -> bool {
        matches!(self.of, Shape::Schema(cursor) if cursor.property(name).is_some())
    }

    /// The shape of a field.
    pub(super) fn field(self, name: &str) -> Shape<'a> {
        let Shape::Schema(cursor) = self.of else {
            return if matches!(self.of, Shape::Deduced) { Shape::Deduced } else { Shape::Untyped };
        };
        let node = cursor.node();
        match (cursor.property(name), node.additional) {
            (Some(field), _) => Shape::Schema(field),
            (None, Additional::Schema(_)) => cursor.additional().map_or(Shape::Nothing, Shape::Schema),
            (None, _) if node.deduced => Shape::Deduced,
            (None, _) => Shape::Nothing,
        }
    }
}

fn items(cursor: Cursor<'_>) -> Items<'_> {
    match (cursor.list_type(), cursor.patch()) {
        (Some(ListType::Set), _) => Items::Set,
        (Some(ListType::Map(keys)), _) if keys.is_empty() => Items::Set,
        (Some(ListType::Map(keys)), _) => Items::Keys(keys),
        (None, Some(patch)) if patch.merge => match &patch.merge_key {
            Some(key) => Items::Keys(std::slice::from_ref(key)),
            None => Items::Set,
        },
        (Some(ListType::Atomic) | None, _) => Items::Atomic,
    }
}

impl List<'_> {
    pub(super) fn is_atomic(self) -> bool {
        matches!(self.items, Items::Atomic)
    }

    /// The step to an item. A key that an item lacks counts with its default, and without one not at all.
    pub(super) fn step(self, item: &Value) -> Result<PathElement, String> {
        match self.items {
            Items::Atomic => Err("invalid indexing of non-associative list".to_owned()),
            Items::Set => match item {
                Value::Object(_) => {
                    Err("associative list without keys has an element that's a map type".to_owned())
                }
                Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
                Value::Null => {
                    Err("associative list without keys has an element that's an explicit null".to_owned())
                }
                scalar => Ok(PathElement::Value(scalar.clone())),
            },
            Items::Keys(keys) => {
                let map = match item {
                    Value::Object(map) => map,
                    Value::Null => {
                        return Err("associative list with keys may not have a null element".to_owned());
                    }
                    _ => return Err("associative list with keys may not have non-map elements".to_owned()),
                };
                let default = |name: &str| match self.element {
                    Shape::Schema(cursor) => cursor.property(name).and_then(Cursor::default),
                    Shape::Deduced | Shape::Untyped | Shape::Nothing => None,
                };
                let found = keys.iter().filter_map(|name| {
                    map.get(name).or_else(|| default(name)).map(|value| (name.clone(), value.clone()))
                });
                let found: Vec<(String, Value)> = found.collect();
                if found.is_empty() {
                    let keys =
                        keys.iter().map(|key| crate::go_print::quoted(key)).collect::<Vec<_>>().join(" ");
                    return Err(format!(
                        "associative list with keys has an element that omits all key fields [{keys}] (and doesn't \
                         have default values for any key fields)"
                    ));
                }
                Ok(PathElement::key(found))
            }
        }
    }
}

/// Adds to a set the fields that the schema names and that only what is below them made appear.
pub(super) fn name_fields(set: &FieldSet, shape: Shape<'_>) -> FieldSet {
    let atom = shape.atom();
    let mut members = set.members().clone();
    let mut children = BTreeMap::new();
    for (element, below) in set.children() {
        let shape = match (element, atom.map, atom.list) {
            (PathElement::Field(name), Some(map), _) => {
                if map.declares(name) {
                    members.insert(element.clone());
                }
                map.field(name)
            }
            (PathElement::Key(_), _, Some(list)) => list.element,
            _ => Shape::Nothing,
        };
        children.insert(element.clone(), name_fields(below, shape));
    }
    FieldSet::new(members, children)
}
