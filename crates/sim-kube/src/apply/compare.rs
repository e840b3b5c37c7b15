//! What became of an object: the fields that were added, modified and removed.

use serde_json::Value;

use super::equal;
use super::fields::FieldSet;
use super::path::PathElement;
use super::shape::{Atom, Form, List, Shape};
use super::typed::steps;

/// No field is in more than one of the three.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison {
    pub removed: FieldSet,
    pub modified: FieldSet,
    pub added: FieldSet,
}

pub(super) fn compare(shape: Shape<'_>, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    Walk { path: Vec::new(), out: &mut comparison }.place(shape, Some(old), Some(new), false);
    comparison
}

struct Walk<'o> {
    path: Vec<PathElement>,
    out: &'o mut Comparison,
}

type Side<'v> = Option<&'v Value>;

impl Walk<'_> {
    /// `in_leaf`: a whole around this place was compared already.
    fn place(&mut self, shape: Shape<'_>, old: Side<'_>, new: Side<'_>, in_leaf: bool) {
        // Nothing became of what is the same, and most of an object is.
        if old == new {
            return;
        }
        let (was, is) = (shape.deduce(old), shape.deduce(new));
        let leaf = if new.is_none() {
            self.form(was, old, new, in_leaf)
        } else if old.is_none() || was.same(is) {
            self.form(is, old, new, in_leaf)
        } else {
            // A value of one form became one of another.
            self.form(was, old, new, in_leaf);
            self.form(is, old, new, in_leaf)
        };
        if !leaf {
            match (old, new) {
                (None, _) => self.out.added.insert(&self.path),
                (_, None) => self.out.removed.insert(&self.path),
                _ => {}
            }
        }
    }

    /// Compares two values of one form; was it as a whole?
    fn form(&mut self, atom: Atom<'_>, old: Side<'_>, new: Side<'_>, in_leaf: bool) -> bool {
        match atom.form() {
            Form::Map(fields) => {
                let (was, is) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                let empty =
                    was.is_none_or(serde_json::Map::is_empty) && is.is_none_or(serde_json::Map::is_empty);
                if fields.atomic || empty {
                    return self.leaf(old, new, in_leaf);
                }
                let names = was.into_iter().chain(is).flat_map(serde_json::Map::keys);
                let mut names: Vec<&String> = names.collect();
                names.sort_unstable();
                names.dedup();
                for name in names {
                    self.path.push(PathElement::field(name));
                    let (old, new) = (was.and_then(|map| map.get(name)), is.and_then(|map| map.get(name)));
                    self.place(fields.field(name), old, new, in_leaf);
                    self.path.pop();
                }
                in_leaf
            }
            Form::List(list) => {
                let items =
                    |side: Side<'_>| side.and_then(Value::as_array).is_some_and(|items| !items.is_empty());
                if list.is_atomic() || !items(old) && !items(new) {
                    return self.leaf(old, new, in_leaf);
                }
                self.list(list, old, new, in_leaf);
                in_leaf
            }
            Form::Scalar(_) | Form::None => self.leaf(old, new, in_leaf),
        }
    }

    fn list(&mut self, list: List<'_>, old: Side<'_>, new: Side<'_>, in_leaf: bool) {
        let was = old.map(|old| steps(list, old)).unwrap_or_default();
        let is = new.map(|new| steps(list, new)).unwrap_or_default();
        let mut all: Vec<&PathElement> = was.iter().chain(&is).map(|(step, _)| step).collect();
        all.sort_unstable();
        all.dedup();
        for step in all {
            let of = |side: &[(PathElement, &'_ Value)]| -> Vec<Value> {
                side.iter().filter(|(other, _)| other == step).map(|(_, item)| (*item).clone()).collect()
            };
            let (was, is) = (of(&was), of(&is));
            self.path.push(step.clone());
            match (was.as_slice(), is.as_slice()) {
                ([] | [_], [] | [_]) => self.place(list.element, was.first(), is.first(), in_leaf),
                // What is there several times is one thing.
                ([_, _, ..], [_, _, ..]) => {
                    if was.len() != is.len() || !was.iter().zip(&is).all(|(a, b)| equal::equal(a, b)) {
                        self.out.modified.insert(&self.path);
                    }
                }
                ([_, _, ..], _) => {
                    self.place(list.element, None, is.first(), in_leaf);
                    self.out.removed.insert(&self.path);
                }
                (_, _) => {
                    self.place(list.element, was.first(), None, in_leaf);
                    self.out.added.insert(&self.path);
                }
            }
            self.path.pop();
        }
    }

    fn leaf(&mut self, old: Side<'_>, new: Side<'_>, in_leaf: bool) -> bool {
        if !in_leaf {
            match (old, new) {
                (None, _) => self.out.added.insert(&self.path),
                (_, None) => self.out.removed.insert(&self.path),
                (Some(old), Some(new)) if !equal::equal(old, new) => self.out.modified.insert(&self.path),
                _ => {}
            }
        }
        true
    }
}
