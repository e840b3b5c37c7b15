//! Validation: types and values, then sets and maps, then rules.
//!
//! A fault is a [`Cause`] in the server's words. An update is let pass with the faults that its old self had
//! already, wherever old and new can be told to be the same place and are equal there. When a fault is one of
//! type, presence, length or choice, the rules are not run: they could not rely on their fields.

use serde_json::{Map, Value, json};

use super::cursor::{Additional, Bound, Cursor, ListType, Type};
use super::format;
use crate::go_print::{self, quoted};
use crate::status::Cause;

mod embedded;
mod unique;

/// Validates a whole object, or a value that stands for itself.
pub(super) fn validate(schema: Cursor<'_>, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = Walk { within: "" }.place(schema, "", new, old, true).causes;
    faults.extend(embedded::check(schema, new));
    finish(schema, faults, new, old)
}

/// Checks the types and values of a whole object alone.
pub(super) fn validate_values(schema: Cursor<'_>, new: &Value) -> Vec<Cause> {
    Walk { within: "" }.place(schema, "", new, None, true).causes
}

/// Validates what a write to `status` can change.
pub(super) fn validate_status(schema: Cursor<'_>, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = Vec::new();
    if let (Some(status), Some(schema)) = (new.get("status"), schema.property("status")) {
        let old = old.and_then(|old| old.get("status"));
        faults = Walk { within: "status" }.place(schema, "", status, old, false).causes;
    }
    finish(schema, faults, new, old)
}

fn finish(schema: Cursor<'_>, mut faults: Vec<Cause>, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    if old.is_none_or(|old| unique::check(schema, old).is_empty()) {
        faults.extend(unique::check(schema, new));
    }
    let blocks = |cause: &Cause| {
        matches!(
            cause.reason.as_str(),
            "FieldValueNotSupported"
                | "FieldValueRequired"
                | "FieldValueTooLong"
                | "FieldValueTooMany"
                | "FieldValueTypeInvalid"
        )
    };
    if !schema.has_rules() {
        return faults;
    }
    if faults.iter().any(blocks) {
        let message = "Invalid value: null: some validation rules were not checked because the object was invalid; \
                       correct the existing errors to complete validation";
        faults.push(Cause::new("FieldValueInvalid", "<nil>", message));
    } else {
        faults.extend(super::rules::check(schema, new, old));
    }
    faults
}

/// What a schema makes of a value. `matched` counts what was right, to find the alternative that came closest.
#[derive(Default)]
struct Outcome {
    causes: Vec<Cause>,
    matched: usize,
}

impl Outcome {
    fn add(&mut self, cause: Cause) {
        if !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
    }

    fn merge(&mut self, other: Self) {
        self.matched += other.matched;
        for cause in other.causes {
            self.add(cause);
        }
    }

    fn check(&mut self, fault: Option<Cause>) {
        match fault {
            Some(fault) => self.add(fault),
            None => self.matched += 1,
        }
    }
}

/// A walk over a value. Paths in messages begin where the walk began; `within` is what lies above.
struct Walk {
    within: &'static str,
}

impl Walk {
    fn field(&self, path: &str) -> String {
        let path = path.strip_prefix('.').unwrap_or(path);
        match (self.within, path) {
            ("", "") => "<nil>".to_owned(),
            ("", path) => path.to_owned(),
            (within, "") => within.to_owned(),
            (within, path) => format!("{within}.{path}"),
        }
    }

    /// A fault of a value: `spec.x: Invalid value: 5: spec.x in body should be at most 4`.
    fn invalid(&self, path: &str, value: &Value, should: &str) -> Cause {
        let message = format!("Invalid value: {}: {path} in body {should}", bad_value(value));
        Cause::new("FieldValueInvalid", self.field(path), message)
    }

    fn wrong_type(&self, path: &str, wanted: &str, got: &str) -> Cause {
        let got = quoted(got);
        let message = format!("Invalid value: {got}: {path} in body must be of type {wanted}: {got}");
        Cause::new("FieldValueTypeInvalid", self.field(path), message)
    }

    /// A fault that the server does not pin to a field.
    fn somewhere(&self, detail: &str) -> Cause {
        let field = self.field("");
        Cause::new("FieldValueInvalid", field, format!("Invalid value: \"\": {detail}"))
    }

    /// Validates the value at a place, and forgives the faults of one that did not change.
    fn place(&self, schema: Cursor<'_>, path: &str, new: &Value, old: Option<&Value>, root: bool) -> Outcome {
        let mut outcome = self.value(schema, path, new, old, root);
        if !outcome.causes.is_empty() && old == Some(new) {
            outcome.causes.clear();
        }
        outcome
    }

    fn value(&self, schema: Cursor<'_>, path: &str, new: &Value, old: Option<&Value>, root: bool) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.check(self.kind(schema, path, new));
        if !new.is_null() {
            outcome.merge(self.alternatives(schema, path, new, old));
            match new {
                Value::String(text) => outcome.merge(self.text(schema, path, text)),
                Value::Number(_) => outcome.merge(self.number(schema, path, new)),
                Value::Array(items) => outcome.merge(self.list(schema, path, items, old)),
                Value::Object(_) | Value::Bool(_) | Value::Null => {}
            }
        }
        outcome.check(self.choice(schema, path, new));
        if let Value::Object(map) = new {
            outcome.merge(self.object(schema, path, map, old, root));
        }
        outcome.matched += 1;
        outcome
    }

    fn kind(&self, schema: Cursor<'_>, path: &str, value: &Value) -> Option<Cause> {
        let node = schema.node();
        let wanted: &[Type] = match (&node.kind, node.int_or_string) {
            (_, true) => &[Type::Integer, Type::String],
            (Some(kind), false) => std::slice::from_ref(kind),
            (None, false) => return None,
        };
        let names = || wanted.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",");
        let got = match value {
            Value::Null if schema.nullable() => return None,
            Value::Null => return Some(self.wrong_type(path, &names(), "null")),
            Value::Bool(_) => Type::Boolean,
            Value::Number(number) if number.as_i64().is_some() => Type::Integer,
            Value::Number(_) => Type::Number,
            Value::String(_) => Type::String,
            Value::Array(_) => Type::Array,
            Value::Object(_) => Type::Object,
        };
        let whole = || value.as_f64().is_some_and(|float| float.fract() == 0.0 && float.abs() < 9.0e15);
        let fits = wanted.contains(&got)
            || (got == Type::Integer && wanted.contains(&Type::Number))
            || (got == Type::Number && wanted.contains(&Type::Integer) && whole());
        if fits {
            return None;
        }
        let numeric = wanted.contains(&Type::Number) || wanted.contains(&Type::Integer);
        if let Some(format) = format::checked(schema) {
            if !matches!(got, Type::String | Type::Array) {
                let got = match got {
                    Type::Integer => "int64",
                    Type::Number => "float64",
                    _ => "",
                };
                return Some(self.wrong_type(path, format, got));
            }
            if !numeric {
                return None;
            }
        }
        Some(self.wrong_type(path, &names(), got.name()))
    }

    fn alternatives(&self, schema: Cursor<'_>, path: &str, new: &Value, old: Option<&Value>) -> Outcome {
        let node = schema.node();
        let mut outcome = Outcome::default();
        if [&node.any_of, &node.one_of, &node.all_of].into_iter().all(Vec::is_empty) && node.not.is_none() {
            outcome.matched += 1;
            return outcome;
        }
        let shown = quoted(path);
        let run = |at: &usize| self.value(schema.at(*at), path, new, old, false);
        if !node.any_of.is_empty() {
            let results: Vec<Outcome> = node.any_of.iter().map(run).collect();
            if !results.iter().any(|result| result.causes.is_empty()) {
                outcome.add(self.somewhere(&format!("{shown} must validate at least one schema (anyOf)")));
                if let Some(closest) = closest(results) {
                    outcome.merge(closest);
                }
            }
        }
        if !node.one_of.is_empty() {
            let results: Vec<Outcome> = node.one_of.iter().map(run).collect();
            let valid = results.iter().filter(|result| result.causes.is_empty()).count();
            if valid != 1 {
                let found = match valid {
                    0 => "Found none valid".to_owned(),
                    several => format!("Found {several} valid alternatives"),
                };
                let detail = format!("{shown} must validate one and only one schema (oneOf). {found}");
                outcome.add(self.somewhere(&detail));
                if valid == 0
                    && let Some(closest) = closest(results)
                {
                    outcome.merge(closest);
                }
            }
        }
        if !node.all_of.is_empty() {
            let mut valid = 0;
            for result in node.all_of.iter().map(run) {
                valid += usize::from(result.causes.is_empty());
                outcome.merge(result);
            }
            if valid != node.all_of.len() {
                let all_wrong = if valid == 0 { ". None validated" } else { "" };
                outcome.add(
                    self.somewhere(&format!("{shown} must validate all the schemas (allOf){all_wrong}")),
                );
            }
        }
        if let Some(not) = &node.not
            && run(not).causes.is_empty()
        {
            outcome.add(self.somewhere(&format!("{shown} must not validate the schema (not)")));
        }
        outcome.matched += 1;
        outcome
    }

    /// The first of length and pattern that is wrong, and the format.
    fn text(&self, schema: Cursor<'_>, path: &str, text: &str) -> Outcome {
        let node = schema.node();
        let value = || Value::from(text);
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let mut outcome = Outcome::default();
        outcome.check(if let Some(max) = node.max_length.filter(|max| length > *max) {
            let bytes = if max == 1 { "byte" } else { "bytes" };
            let message = format!("Too long: may not be more than {max} {bytes}");
            Some(Cause::new("FieldValueTooLong", self.field(path), message))
        } else if let Some(min) = node.min_length.filter(|min| length < *min) {
            Some(self.invalid(path, &value(), &format!("should be at least {min} chars long")))
        } else {
            let pattern = node.pattern.as_ref().filter(|pattern| !pattern.regex.is_match(text));
            pattern.map(|pattern| self.invalid(path, &value(), &format!("should match '{}'", pattern.text)))
        });
        if let Some(format) = format::checked(schema) {
            let wrong = !format::holds(format, text);
            outcome.check(wrong.then(|| self.wrong_type(path, format, text)));
        }
        outcome
    }

    fn number(&self, schema: Cursor<'_>, path: &str, value: &Value) -> Outcome {
        let node = schema.node();
        let mut outcome = Outcome::default();
        let float = value.as_f64().unwrap_or_default();
        let int = value.as_i64();
        if node.kind == Some(Type::Integer) {
            let format = format::checked(schema);
            let whole = float.fract() == 0.0;
            let fits = match (format, int) {
                (Some("int32"), Some(int)) => i32::try_from(int).is_ok(),
                (Some("int32"), None) => whole && float.abs() < 2_147_483_648.0,
                (_, Some(_)) => true,
                (_, None) => whole && float.abs() < 9.2e18,
            };
            if !fits {
                let of = match format {
                    Some(format) => format!("integer with format {format}"),
                    None => "integer (default format)".to_owned(),
                };
                outcome.add(self.somewhere(&format!("Checked value must be of type {of} in {path}")));
            }
        }
        // A bound on an integer is one itself.
        let show = |bound: f64| {
            if int.is_some() { format!("{:.0}", bound.trunc()) } else { go_print::float(bound) }
        };
        if let Some(factor) = node.multiple_of {
            let quotient = if factor < 1.0 { 1.0 / factor * float } else { float / factor };
            let wrong = quotient.fract().abs() > f64::EPSILON;
            outcome
                .check(wrong.then(|| {
                    self.invalid(path, value, &format!("should be a multiple of {}", show(factor)))
                }));
        }
        if let Some(Bound { value: bound, exclusive }) = node.minimum {
            let wrong = if exclusive { float <= bound } else { float < bound };
            let than = if exclusive { "greater than" } else { "greater than or equal to" };
            outcome.check(
                wrong.then(|| self.invalid(path, value, &format!("should be {than} {}", show(bound)))),
            );
        }
        if let Some(Bound { value: bound, exclusive }) = node.maximum {
            let wrong = if exclusive { float >= bound } else { float > bound };
            let than = if exclusive { "less than" } else { "less than or equal to" };
            outcome.check(
                wrong.then(|| self.invalid(path, value, &format!("should be {than} {}", show(bound)))),
            );
        }
        outcome.matched += 1;
        outcome
    }

    fn list(&self, schema: Cursor<'_>, path: &str, items: &[Value], old: Option<&Value>) -> Outcome {
        let node = schema.node();
        let mut outcome = Outcome::default();
        if let Some(below) = schema.items() {
            for (at, item) in items.iter().enumerate() {
                let path = format!("{path}[{at}]");
                let old = old.and_then(|old| same_item(schema, old, item));
                outcome.merge(self.place(below, &path, item, old, false));
            }
        }
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(min) = node.min_items.filter(|min| size < *min) {
            outcome.add(self.invalid(path, &json!(size), &format!("should have at least {min} items")));
        }
        if let Some(max) = node.max_items.filter(|max| size > *max) {
            outcome.add(self.too_many(path, size, max));
        }
        if node.unique_items
            && items.iter().enumerate().any(|(at, item)| items.iter().take(at).any(|i| i == item))
        {
            outcome.add(self.invalid(path, &json!(""), "shouldn't contain duplicates"));
        }
        outcome.matched += 1;
        outcome
    }

    fn too_many(&self, path: &str, size: i64, max: i64) -> Cause {
        let items = if max == 1 { "item" } else { "items" };
        let message = format!("Too many: {size}: must have at most {max} {items}");
        Cause::new("FieldValueTooMany", self.field(path), message)
    }

    fn choice(&self, schema: Cursor<'_>, path: &str, value: &Value) -> Option<Cause> {
        let allowed = &schema.node().values;
        let equal =
            |one: &Value| one == value || one.as_f64().is_some_and(|float| value.as_f64() == Some(float));
        if allowed.is_empty() || allowed.iter().any(equal) {
            return None;
        }
        let texts = allowed.iter().map(|value| match value {
            Value::String(text) => quoted(text),
            other => quoted(&go_print::json(other)),
        });
        let texts = texts.collect::<Vec<_>>().join(", ");
        let message = format!("Unsupported value: {}: supported values: {texts}", bad_value(value));
        Some(Cause::new("FieldValueNotSupported", self.field(path), message))
    }

    fn object(
        &self,
        schema: Cursor<'_>,
        path: &str,
        map: &Map<String, Value>,
        old: Option<&Value>,
        root: bool,
    ) -> Outcome {
        let node = schema.node();
        let mut outcome = Outcome::default();
        let size = i64::try_from(map.len()).unwrap_or(i64::MAX);
        if let Some(min) = node.min_properties.filter(|min| size < *min) {
            outcome.add(self.invalid(path, &json!(size), &format!("should have at least {min} properties")));
        }
        if let Some(max) = node.max_properties.filter(|max| size > *max) {
            outcome.add(self.too_many(path, size, max));
        }
        for (name, value) in map {
            let old = old.and_then(|old| old.get(name));
            // Both old and new are read as the same version, whatever they said.
            let old = if root && matches!(name.as_str(), "apiVersion" | "kind") { None } else { old };
            if let Some(below) = schema.property(name) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                outcome.merge(self.place(below, &path, value, old, false));
            } else if let Some(below) = schema.additional() {
                outcome.merge(self.place(below, &format!("{path}.{name}"), value, old, false));
            } else if node.additional == Additional::Allowed(false) {
                let message =
                    format!("Invalid value: {}: {path}.{name} in body is a forbidden property", quoted(name));
                outcome.add(Cause::new("FieldValueInvalid", self.field(path), message));
            }
        }
        for name in node.required.iter().filter(|name| !map.contains_key(*name)) {
            let field = self.field(&format!("{path}.{name}"));
            outcome.add(Cause::new("FieldValueRequired", field, "Required value"));
        }
        outcome.matched += 1;
        outcome
    }
}

fn closest(results: Vec<Outcome>) -> Option<Outcome> {
    let mut best: Option<Outcome> = None;
    for result in results {
        if best.as_ref().is_none_or(|best| result.matched > best.matched) {
            best = Some(result);
        }
    }
    best
}

/// The item of an old list that is the same one: only the items of a map have an identity.
pub(super) fn same_item<'a>(schema: Cursor<'_>, old: &'a Value, item: &Value) -> Option<&'a Value> {
    let ListType::Map(keys) = schema.list_type()? else { return None };
    let items = schema.items()?;
    let same = |old: &Value| {
        keys.iter().all(|name| {
            let default = items.property(name).and_then(Cursor::default);
            old.get(name).or(default) == item.get(name).or(default)
        })
    };
    old.as_array()?.iter().find(|old| same(old))
}

/// A value as it stands in a message.
pub(super) fn bad_value(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) => go_print::number(number),
        other => go_print::json(other),
    }
}
