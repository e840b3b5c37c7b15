//! Which objects of a kind a list or a watch is about: its label selector and its field selector together.

use serde_json::{Value, json};

use crate::select::{FieldSelector, LabelSelector, SelectableFields};
use crate::{Failure, Kind, Params, object};

/// Both selectors of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
    /// Whether a selector asks for the source of an event, which is in one of two places.
    asks_for_source: bool,
}

impl Selection {
    /// The selectors of a request whose options are checked by `check`: after it is known that the selectors can be
    /// read, and before whether their fields are there.
    pub(crate) fn checked(
        kind: &Kind,
        params: &Params,
        check: impl FnOnce(&Params) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let wrong = |error: crate::select::SelectorError| Failure::bad_request(error.to_string());
        if !params.malformed.is_empty() {
            return Err(Failure::bad_request(&*params.malformed));
        }
        LabelSelector::parse(&params.label_selector).map_err(wrong)?;
        FieldSelector::parse(&params.field_selector).map_err(wrong)?;
        check(params)?;
        Self::read(kind, params)
    }

    pub(crate) fn read(kind: &Kind, params: &Params) -> Result<Self, Failure> {
        let wrong = |error: crate::select::SelectorError| Failure::bad_request(error.to_string());
        let labels = LabelSelector::parse(&params.label_selector).map_err(wrong)?;
        let fields = FieldSelector::parse(&params.field_selector).map_err(wrong)?.without_empty_terms();
        let mut known: Vec<&str> = vec!["metadata.name"];
        if kind.namespaced || !(kind.custom || kind.plural == "namespaces") {
            known.push("metadata.namespace");
        }
        known.extend(kind.selectable_fields.iter().map(String::as_str));
        let selectable = if kind.custom || !kind.selectable_fields.is_empty() {
            SelectableFields::Declared(&known)
        } else {
            SelectableFields::Metadata
        };
        fields.check(selectable).map_err(wrong)?;
        let asks_for_source = fields.terms().iter().any(|term| term.field == "source");
        Ok(Self { labels, fields, asks_for_source })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether an object, in the version of the request, is one of them.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        if !self.labels.matches(object) {
            return false;
        }
        if !self.asks_for_source {
            return self.fields.matches(object);
        }
        let component = object::text(object, "/source/component");
        let source =
            if component.is_empty() { object::text(object, "/reportingComponent") } else { component };
        let mut object = object.clone();
        object::put(&mut object, "source", Some(json!(source)));
        self.fields.matches(&object)
    }
}
