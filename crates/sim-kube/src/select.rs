//! Label selectors and field selectors: text in, a predicate out.
//!
//! The grammar and every message are the server's own. A selector that does not parse is the client's mistake
//! and becomes a 400 with this error's text.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use crate::go_print::{self, quoted};

mod label_syntax;

pub use label_syntax::{label_key_faults, label_value_faults};

/// A selector that cannot be used; the text is the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(String);

/// What a label selector asks of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// `=`, `==`, `in`: there, and one of these.
    In(BTreeSet<String>),
    /// `!=`, `notin`: absent, or none of these.
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

/// A parsed label selector: every requirement must hold; none at all selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        label_syntax::parse(text).map(Self).map_err(SelectorError)
    }

    /// Does it select everything?
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Does it select an object?
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        if self.is_everything() {
            return true;
        }
        let none = Map::new();
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).unwrap_or(&none);
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &Map<String, Value>) -> bool {
        let label = labels.get(&self.key).and_then(Value::as_str);
        let number = || label.and_then(|label| label.parse::<i64>().ok());
        match &self.test {
            Test::In(values) => label.is_some_and(|label| values.contains(label)),
            Test::NotIn(values) => label.is_none_or(|label| !values.contains(label)),
            Test::Exists => labels.contains_key(&self.key),
            Test::DoesNotExist => !labels.contains_key(&self.key),
            Test::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
            Test::LessThan(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// One term of a field selector: `field=value` or `field!=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field's name, such as `metadata.name`.
    pub field: String,
    /// Is equality asked for (or inequality)?
    pub equal: bool,
    /// The value, unescaped.
    pub value: String,
}

/// A parsed field selector: every term must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<FieldTerm>);

/// Which fields a kind can be selected by.
#[derive(Clone, Copy, Debug)]
pub enum SelectableFields<'a> {
    /// Only `metadata.name` and `metadata.namespace`, as a kind has it that declares nothing.
    Metadata,
    /// These and no others.
    Declared(&'a [&'a str]),
}

impl FieldSelector {
    /// Parses `a=b,c!=d,e==f`; a comma, an equals sign or a backslash in a value is escaped by a backslash.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let terms = parts.into_iter().filter(|part| !part.is_empty()).map(|part| {
            let Some((field, equal, value)) = split_term(part) else {
                let message = format!("invalid selector: '{text}'; can't understand '{part}'");
                return Err(SelectorError(message));
            };
            Ok(FieldTerm { field: field.to_owned(), equal, value: unescape(value)? })
        });
        terms.collect::<Result<_, _>>().map(Self)
    }

    /// The selector for one object by its name, as a watch of one object uses it.
    #[must_use]
    pub fn name(name: &str) -> Self {
        Self(vec![FieldTerm { field: "metadata.name".to_owned(), equal: true, value: name.to_owned() }])
    }

    /// Does it select everything?
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// The selector without the terms that name nothing.
    pub(crate) fn without_empty_terms(mut self) -> Self {
        self.0.retain(|term| !term.field.is_empty() || !term.value.is_empty());
        self
    }

    /// Its terms, sorted.
    #[must_use]
    pub fn terms(&self) -> &[FieldTerm] {
        &self.0
    }

    /// The value a field must have, if the selector says it: a list by name needs to look at one object only.
    #[must_use]
    pub fn required(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }

    /// Refuses a field that the kind does not offer.
    pub fn check(&self, fields: SelectableFields<'_>) -> Result<(), SelectorError> {
        for term in &self.0 {
            let field = term.field.as_str();
            match fields {
                SelectableFields::Metadata if !matches!(field, "metadata.name" | "metadata.namespace") => {
                    let message = format!(
                        "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                        quoted(field)
                    );
                    return Err(SelectorError(message));
                }
                SelectableFields::Declared(declared) if !declared.contains(&field) => {
                    return Err(SelectorError(format!("field label not supported: {field}")));
                }
                SelectableFields::Metadata | SelectableFields::Declared(_) => {}
            }
        }
        Ok(())
    }

    /// Does it select an object? A field is a path of names into it; one that is absent counts as empty.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|term| (field_text(object, &term.field) == term.value) == term.equal)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, FieldTerm { field, equal, value }) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let operator = if *equal { "=" } else { "!=" };
            let value = value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(f, "{comma}{field}{operator}{value}")?;
        }
        Ok(())
    }
}

fn field_text(object: &Value, field: &str) -> String {
    let value = field.split('.').try_fold(object, |value, name| value.get(name));
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => go_print::value(other),
    }
}

/// Splits at commas that no backslash escapes; the escapes stay.
fn split_terms(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|c| {
        let split = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        split
    })
    .collect()
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find("!=").into_iter().chain(term.find('=')).min()?;
    let (field, rest) = term.split_at_checked(at)?;
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some(value) = rest.strip_prefix(operator) {
            return Some((field, equal, value));
        }
    }
    None
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let sequence =
        |text: String| SelectorError(format!("invalid field selector: invalid escape sequence: {text}"));
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => return Err(sequence(format!("\\{c}"))),
                None => return Err(sequence("\\".to_owned())),
            },
            // The server prints the character as a number.
            ',' | '=' => {
                let message =
                    format!("invalid field selector: unescaped character in value: {}", u32::from(c));
                return Err(SelectorError(message));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn labelled(labels: &[(&str, &str)]) -> Value {
        let labels: Map<String, Value> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
        json!({"metadata": {"name": "a", "labels": labels}})
    }

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        LabelSelector::parse(selector).unwrap().matches(&labelled(labels))
    }

    #[test]
    fn an_absent_label_is_unequal_to_anything() {
        assert!(selects("app!=web", &[]));
        assert!(selects("app notin (web, db)", &[]));
        assert!(!selects("app!=web", &[("app", "web")]));
        assert!(!selects("app=web", &[]));
    }

    #[test]
    fn existence_sets_and_numbers_select() {
        assert!(selects("!controller.cert-manager.io/fao", &[("app", "web")]));
        assert!(!selects("!controller.cert-manager.io/fao", &[("controller.cert-manager.io/fao", "true")]));
        assert!(selects(
            "controller.cert-manager.io/fao=true",
            &[("controller.cert-manager.io/fao", "true")]
        ));
        assert!(selects("app in (web,,db),tier", &[("app", ""), ("tier", "x")]));
        assert!(selects("n>3,n<5", &[("n", "4")]));
        assert!(!selects("n>3", &[("n", "x")]));
        assert!(selects("", &[]));
        assert!(selects("in in (in)", &[("in", "in")]));
    }

    #[test]
    fn a_field_selector_reads_paths_and_escapes() {
        let secret = json!({"metadata": {"name": "a"}, "type": "x=y"});
        let matches = |text: &str| FieldSelector::parse(text).unwrap().matches(&secret);
        assert!(matches("type=x\\=y,metadata.name==a"));
        assert!(matches("type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token"));
        assert!(!matches("metadata.namespace=default"));
        assert!(matches("metadata.namespace="));
        assert_eq!(FieldSelector::name("a").required("metadata.name"), Some("a"));
    }

    #[test]
    fn what_cannot_be_understood_is_said_in_the_servers_words() {
        let field = |text: &str| FieldSelector::parse(text).unwrap_err().to_string();
        assert_eq!(field("nonsense"), "invalid selector: 'nonsense'; can't understand 'nonsense'");
        assert_eq!(field("a=b=c"), "invalid field selector: unescaped character in value: 61");
        assert_eq!(field("a=\\x"), "invalid field selector: invalid escape sequence: \\x");
        let check = |fields| FieldSelector::parse("spec.a=b").unwrap().check(fields).unwrap_err().to_string();
        assert_eq!(
            check(SelectableFields::Metadata),
            "\"spec.a\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
        assert_eq!(check(SelectableFields::Declared(&["type"])), "field label not supported: spec.a");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z=!,()<> in\\\\./0-9-]{0,24}|.{0,24}") {
            let object = labelled(&[("a", "1")]);
            let _ = LabelSelector::parse(&text).map(|selector| selector.matches(&object));
            let _ = FieldSelector::parse(&text).map(|selector| selector.matches(&object));
        }

        #[test]
        fn a_field_selector_survives_printing(field in "[a-z.]{1,8}", value in ".{0,8}", equal in any::<bool>()) {
            let selector = FieldSelector(vec![FieldTerm { field, equal, value }]);
            prop_assert_eq!(FieldSelector::parse(&selector.to_string()), Ok(selector));
        }

        #[test]
        fn a_selector_and_its_negation_split_the_world(value in "[a-c]?", label in proptest::option::of("[a-c]")) {
            let labels: Vec<(&str, &str)> = label.iter().map(|label| ("k", label.as_str())).collect();
            prop_assert_ne!(selects(&format!("k={value}"), &labels), selects(&format!("k!={value}"), &labels));
        }
    }
}
