//! The schemas of the kinds that are served, each read once.

use std::collections::BTreeMap;

use crate::Kind;
use crate::schema::Schema;

/// The schemas that have been read, by group, plural and version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schemas {
    read: BTreeMap<(String, String, String), Schema>,
}

impl Schemas {
    /// A kind's schema; anything goes for one that has none.
    pub(crate) fn of(&mut self, kind: &Kind) -> Schema {
        let key = (kind.group.clone(), kind.plural.clone(), kind.version.clone());
        let read = || {
            let schema = kind.schema.as_deref()?;
            let read = if kind.custom { Schema::custom_resource(schema) } else { Schema::parse(schema) };
            // A definition whose schema cannot be read was refused when it came.
            read.ok()
        };
        self.read.entry(key).or_insert_with(|| read().unwrap_or_else(Schema::anything)).clone()
    }

    /// Reads the schemas of a resource anew when they are next asked for.
    pub(crate) fn forget(&mut self, group: &str, plural: &str) {
        self.read.retain(|(own_group, own_plural, _), _| own_group != group || own_plural != plural);
    }
}
