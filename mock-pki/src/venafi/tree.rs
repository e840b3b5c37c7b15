//! The tree of objects: policy folders, the CA, and certificates.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    random,
    venafi::{dn::Dn, enrollment::Enrollment},
};

/// An attribute of a folder: its values, and whether they are the law below it or only the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Attribute {
    pub(crate) values: Vec<String>,
    pub(crate) locked: bool,
}

/// Attributes by name. The product's names, such as `Organizational Unit`.
pub(crate) type Attributes = BTreeMap<String, Attribute>;

/// What an object is.
pub(crate) enum Kind {
    Folder(Attributes),
    /// A template of a certificate authority.
    Ca,
    Certificate(Box<Enrollment>),
}

/// An object.
pub(crate) struct Node {
    pub(crate) dn: Dn,
    /// Without braces.
    pub(crate) guid: String,
    pub(crate) id: u64,
    pub(crate) created: Timestamp,
    pub(crate) kind: Kind,
}

impl Node {
    /// `{…}`
    pub(crate) fn braced(&self) -> String {
        format!("{{{}}}", self.guid)
    }

    pub(crate) fn class(&self) -> &'static str {
        match self.kind {
            Kind::Folder(_) => "Policy",
            Kind::Ca => "Microsoft CA",
            Kind::Certificate(_) => "X509 Server Certificate",
        }
    }

    pub(crate) fn folder(&self) -> Option<&Attributes> {
        match &self.kind {
            Kind::Folder(attributes) => Some(attributes),
            _ => None,
        }
    }

    pub(crate) fn enrollment(&self) -> Option<&Enrollment> {
        match &self.kind {
            Kind::Certificate(enrollment) => Some(enrollment),
            _ => None,
        }
    }

    /// As `Config/…` shows it.
    pub(crate) fn describe(&self) -> Value {
        json!({
            "AbsoluteGUID": self.braced(),
            "DN": self.dn.to_string(),
            "GUID": self.braced(),
            "Id": self.id,
            "Name": self.dn.name(),
            "Parent": self.dn.parent().map(|parent| parent.to_string()).unwrap_or_default(),
            "Revision": 1,
            "TypeName": self.class(),
        })
    }
}

/// All objects, by the key of their DN.
#[derive(Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
    by_guid: BTreeMap<String, String>,
    last_id: u64,
}

impl Tree {
    pub(crate) fn find(&self, dn: &Dn) -> Option<&Node> {
        self.nodes.get(&dn.key())
    }

    pub(crate) fn find_mut(&mut self, dn: &Dn) -> Option<&mut Node> {
        self.nodes.get_mut(&dn.key())
    }

    /// The one with this GUID, with or without braces.
    pub(crate) fn with_guid(&self, guid: &str) -> Option<&Node> {
        let guid = guid.trim_matches(['{', '}']).to_ascii_lowercase();
        self.nodes.get(self.by_guid.get(&guid)?)
    }

    /// The certificate object.
    pub(crate) fn enrollment_mut(&mut self, dn: &Dn) -> Option<&mut Enrollment> {
        match &mut self.find_mut(dn)?.kind {
            Kind::Certificate(enrollment) => Some(enrollment),
            _ => None,
        }
    }

    /// Adds one; the caller knows that nothing is there.
    pub(crate) fn add(&mut self, dn: Dn, kind: Kind, now: Timestamp) -> &mut Node {
        self.last_id += 1;
        let (key, guid) = (dn.key(), random::uuid());
        self.by_guid.insert(guid.clone(), key.clone());
        let node = Node { dn, guid, id: self.last_id, created: now, kind };
        self.nodes.entry(key).insert_entry(node).into_mut()
    }

    /// Takes one away.
    pub(crate) fn remove(&mut self, dn: &Dn) {
        if let Some(node) = self.nodes.remove(&dn.key()) {
            self.by_guid.remove(&node.guid);
        }
    }

    /// All, by DN.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// What is in force in a folder: its own attributes and those above it, where what is locked higher up wins.
    /// Nothing if it is no folder.
    pub(crate) fn effective(&self, folder: &Dn) -> Option<BTreeMap<String, (Attribute, Dn)>> {
        self.find(folder)?.folder()?;
        let mut effective = BTreeMap::<String, (Attribute, Dn)>::new();
        let path: Vec<Dn> = folder.path().collect();
        let folders = path.iter().filter_map(|dn| Some((dn, self.find(dn)?.folder()?)));
        for (dn, attributes) in folders {
            for (name, attribute) in attributes {
                if effective.get(name).is_none_or(|(above, _)| !above.locked) {
                    effective.insert(name.clone(), (attribute.clone(), dn.clone()));
                }
            }
        }
        Some(effective)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_overrides_the_defaults_above_it_but_not_the_law() {
        let (mut tree, now) = (Tree::default(), Timestamp::UNIX_EPOCH);
        let attribute = |value: &str, locked| Attribute { values: vec![value.to_owned()], locked };
        let top = Dn::parse("\\VED\\Policy").unwrap();
        let below = top.child("a").unwrap();
        let above = [
            ("City", attribute("X", false)),
            ("State", attribute("X", true)),
            ("Country", attribute("X", false)),
        ];
        let own = [("City", attribute("Y", true)), ("State", attribute("Y", true))];
        let folder = |own: &[(&str, Attribute)]| {
            Kind::Folder(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
        };
        tree.add(top.clone(), folder(&above), now);
        let guid = tree.add(below.clone(), folder(&own), now).braced();
        let effective = tree.effective(&below).unwrap();
        assert_eq!(effective["City"], (attribute("Y", true), below.clone()));
        assert_eq!(effective["State"], (attribute("X", true), top.clone()));
        assert_eq!(effective["Country"], (attribute("X", false), top));
        assert_eq!(tree.with_guid(&guid.to_uppercase()).map(|node| node.dn.clone()), Some(below.clone()));
        assert!(tree.effective(&below.child("b").unwrap()).is_none());
    }
}
