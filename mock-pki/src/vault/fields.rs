//! A request's fields, coerced as weakly as Vault does it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::vault::{duration, error::Refusal};

/// The body's object; empty when there was none. Without `Debug`: it may hold secrets.
#[derive(Clone, Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn new(map: Map<String, Value>) -> Self {
        Self(map)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Text; numbers and booleans become text.
    pub(crate) fn text(&self, name: &str) -> Result<Cow<'_, str>, Refusal> {
        Ok(match self.raw(name) {
            None => Cow::Borrowed(""),
            Some(Value::String(text)) => Cow::Borrowed(text),
            Some(Value::Number(number)) => Cow::Owned(number.to_string()),
            Some(Value::Bool(true)) => Cow::Borrowed("1"),
            Some(Value::Bool(false)) => Cow::Borrowed("0"),
            Some(other) => return Err(unconvertible(name, "string", other)),
        })
    }

    /// The same as a text of its own.
    pub(crate) fn own_text(&self, name: &str) -> Result<String, Refusal> {
        self.text(name).map(Cow::into_owned)
    }

    /// A boolean; text as Go's `ParseBool` reads it.
    pub(crate) fn boolean(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.raw(name) {
            None => Ok(default),
            Some(value) => as_boolean(name, value),
        }
    }

    /// A duration in seconds; 0 when absent.
    pub(crate) fn seconds(&self, name: &str) -> Result<i64, Refusal> {
        match self.raw(name) {
            None => Ok(0),
            Some(value) => as_seconds(name, value),
        }
    }

    /// A whole number; 0 when absent.
    pub(crate) fn integer(&self, name: &str) -> Result<i64, Refusal> {
        match self.raw(name) {
            None => Ok(0),
            Some(value) => as_integer(name, value),
        }
    }

    /// A list, also as text with commas.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>, Refusal> {
        match self.raw(name) {
            None => Ok(Vec::new()),
            Some(value) => as_list(name, value),
        }
    }

    /// What a role's field becomes: what is read of it, or what it was when it is not given.
    pub(crate) fn updated<T: Clone>(
        &self,
        name: &str,
        known: Option<&T>,
        read: impl FnOnce(&Self, &str) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        match known {
            Some(known) if !self.has(name) => Ok(known.clone()),
            _ => read(self, name),
        }
    }

    /// Refuses fields that the product heeds and this mock does not, unless they ask for nothing.
    pub(crate) fn refuse(&self, without_effect: &[&str]) -> Result<(), Refusal> {
        let asks = |name: &&&str| match self.raw(name) {
            None | Some(Value::Bool(false)) => false,
            Some(Value::String(text)) => !matches!(text.as_str(), "" | "0" | "false"),
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(_) => true,
        };
        match without_effect.iter().find(asks) {
            Some(name) => Err(Refusal::bad(format!("{name}: not available in this mock"))),
            None => Ok(()),
        }
    }

    /// The warning about fields the path does not know.
    pub(crate) fn unknown(&self, known: &[&str]) -> Option<String> {
        let mut unknown: Vec<&str> =
            self.0.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
        if unknown.is_empty() {
            return None;
        }
        unknown.sort_unstable();
        Some(format!("Endpoint ignored these unrecognized parameters: [{}]", unknown.join(" ")))
    }

    /// The warning about fields that the path itself says.
    pub(crate) fn replaced(&self, by_path: &[&str]) -> Option<String> {
        let replaced: Vec<&str> = by_path.iter().copied().filter(|name| self.0.contains_key(*name)).collect();
        if replaced.is_empty() {
            return None;
        }
        Some(format!(
            "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]",
            replaced.join(" ")
        ))
    }
}

pub(crate) fn as_boolean(name: &str, value: &Value) -> Result<bool, Refusal> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" | "" => Ok(false),
            _ => Err(invalid(name, "'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax")),
        },
        other => Err(unconvertible(name, "bool", other)),
    }
}

pub(crate) fn as_seconds(name: &str, value: &Value) -> Result<i64, Refusal> {
    let seconds = match value {
        Value::String(text) => duration::parse(text)
            .ok_or_else(|| invalid(name, &format!("time: invalid duration {}", quoted(text))))?,
        Value::Number(number) => {
            number.as_i64().ok_or_else(|| invalid(name, "could not parse duration from input"))?
        }
        _ => return Err(invalid(name, "could not parse duration from input")),
    };
    if seconds < 0 {
        return Err(invalid(name, &format!("cannot provide negative value '{seconds}'")));
    }
    Ok(seconds)
}

pub(crate) fn as_integer(name: &str, value: &Value) -> Result<i64, Refusal> {
    match value {
        Value::Number(number) if number.is_i64() => Ok(number.as_i64().unwrap_or(0)),
        Value::String(text) if text.is_empty() => Ok(0),
        Value::String(text) => text
            .parse()
            .map_err(|_| invalid(name, "'' cannot parse value as 'int': strconv.ParseInt: invalid syntax")),
        Value::Bool(value) => Ok(i64::from(*value)),
        other => Err(unconvertible(name, "int", other)),
    }
}

pub(crate) fn as_list(name: &str, value: &Value) -> Result<Vec<String>, Refusal> {
    let split = |text: &str| {
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    };
    Ok(match value {
        Value::String(text) => split(text),
        Value::Number(number) => vec![number.to_string()],
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.trim().to_owned()),
                Value::Number(number) => Ok(number.to_string()),
                Value::Bool(value) => Ok(u8::from(*value).to_string()),
                other => Err(unconvertible(name, "string", other)),
            })
            .collect::<Result<Vec<_>, _>>()?,
        other => return Err(unconvertible(name, "string", other)),
    })
}

/// The longest piece of a client's text that an error repeats.
const SHOWN: usize = 200;

/// As Go's `%q` for the text people really send.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    format!("{short:?}")
}

fn invalid(name: &str, detail: &str) -> Refusal {
    Refusal::bad(format!("Field validation failed: error converting input for field \"{name}\": {detail}"))
}

fn unconvertible(name: &str, expected: &str, value: &Value) -> Refusal {
    let got = match value {
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Bool(_) => "bool",
        _ => "json.Number",
    };
    invalid(name, &format!("'' expected type '{expected}', got unconvertible type '{got}'"))
}
