//! Sets of fields, and `fieldsV1`, the form they are kept in.
//!
//! A set holds paths. A path may be a member and have paths below it that are members too: a list item is owned
//! as such, beside what it holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::path::PathElement;

/// Deeper than any object is read.
const MAX_DEPTH: usize = 200;

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    members: BTreeSet<PathElement>,
    /// Never holds an empty set.
    children: BTreeMap<PathElement, FieldSet>,
}

impl FieldSet {
    /// Reads `fieldsV1`.
    pub fn decode(fields: &Value) -> Result<Self, String> {
        decode(fields, 0).map(|(set, _)| set)
    }

    /// Writes `fieldsV1`.
    #[must_use]
    pub fn encode(&self) -> Value {
        let mut out = Map::new();
        for member in &self.members {
            let below = match self.children.get(member) {
                Some(children) => {
                    let mut below = children.encode();
                    if let Some(below) = below.as_object_mut() {
                        below.insert(".".to_owned(), json!({}));
                    }
                    below
                }
                None => json!({}),
            };
            out.insert(member.encode(), below);
        }
        for (element, children) in self.children.iter().filter(|(element, _)| !self.members.contains(element))
        {
            out.insert(element.encode(), children.encode());
        }
        Value::Object(out)
    }

    /// Does it hold nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    /// Adds a path; the empty one is no field.
    pub fn insert(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Is a path a member?
    #[must_use]
    pub fn has(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|children| children.has(rest)),
        }
    }

    /// The members at this level.
    pub(super) fn members(&self) -> &BTreeSet<PathElement> {
        &self.members
    }

    /// The sets below this level.
    pub(super) fn children(&self) -> &BTreeMap<PathElement, FieldSet> {
        &self.children
    }

    pub(super) fn new(members: BTreeSet<PathElement>, children: BTreeMap<PathElement, FieldSet>) -> Self {
        let children = children.into_iter().filter(|(_, set)| !set.is_empty()).collect();
        Self { members, children }
    }

    /// What either holds.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.members.extend(other.members.iter().cloned());
        for (element, set) in &other.children {
            let below = union.children.entry(element.clone()).or_default();
            *below = below.union(set);
        }
        union
    }

    /// What both hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let both = |(element, set): (&PathElement, &Self)| {
            other.children.get(element).map(|below| (element.clone(), set.intersection(below)))
        };
        let members = self.members.intersection(&other.members).cloned().collect();
        Self::new(members, self.children.iter().filter_map(both).collect())
    }

    /// What this one holds and the other does not.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let rest = |(element, set): (&PathElement, &Self)| {
            let rest = other.children.get(element).map_or_else(|| set.clone(), |below| set.difference(below));
            (element.clone(), rest)
        };
        let members = self.members.difference(&other.members).cloned().collect();
        Self::new(members, self.children.iter().map(rest).collect())
    }

    /// All but one element at the top and everything below it.
    #[must_use]
    pub fn without(&self, element: &PathElement) -> Self {
        let mut rest = self.clone();
        rest.members.remove(element);
        rest.children.remove(element);
        rest
    }

    /// Every path: at each level the members, then what is below.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<PathElement>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, at: &mut Vec<PathElement>, paths: &mut Vec<Vec<PathElement>>) {
        for member in &self.members {
            paths.push(at.iter().cloned().chain([member.clone()]).collect());
        }
        for (element, set) in &self.children {
            at.push(element.clone());
            set.collect(at, paths);
            at.pop();
        }
    }
}

/// Reads a set, and whether the path that leads to it is a member itself.
fn decode(fields: &Value, depth: usize) -> Result<(FieldSet, bool), String> {
    if depth > MAX_DEPTH {
        return Err("nested too deeply".to_owned());
    }
    let Some(map) = fields.as_object() else { return Err("expected an object".to_owned()) };
    let mut set = FieldSet::default();
    let mut is_member = false;
    for (key, below) in map {
        if key == "." {
            is_member = true;
            continue;
        }
        let Some(element) = PathElement::decode(key)? else { continue };
        let (children, member) = decode(below, depth + 1)?;
        if member {
            set.members.insert(element.clone());
        }
        if !children.is_empty() {
            set.children.insert(element, children);
        }
    }
    let leaf = set.is_empty();
    Ok((set, is_member || leaf))
}
