//! The fields of a body. Names are case-sensitive; clients send booleans and numbers as strings too, and the product
//! takes them.

use serde_json::{Map, Value};

use crate::venafi::answer::Refusal;

/// An object of a body. Without `Debug`: passwords are in it.
#[derive(Clone, Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// The body of a request; an empty one has no fields.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Refusal> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(Value::Null) => Ok(Self::default()),
            Ok(_) | Err(_) => Err(Refusal::bad("The request body is not a JSON object.")),
        }
    }

    /// An object within.
    pub(crate) fn inner(&self, name: &str) -> Self {
        match self.0.get(name) {
            Some(Value::Object(map)) => Self(map.clone()),
            _ => Self::default(),
        }
    }

    /// The objects of a list.
    pub(crate) fn objects(&self, name: &str) -> Vec<Self> {
        let list = self.0.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_object).map(|map| Self(map.clone())).collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// Text; nothing if it is absent, null or empty.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(mistyped(name)),
        }
    }

    /// Text that has to be there.
    pub(crate) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::bad(format!("The value for {name} is missing.")))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) => as_flag(text).ok_or_else(|| mistyped(name)),
            Some(Value::Number(number)) => match number.as_u64() {
                Some(0) => Ok(false),
                Some(1) => Ok(true),
                _ => Err(mistyped(name)),
            },
            Some(_) => Err(mistyped(name)),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => number.as_u64().map(Some).ok_or_else(|| mistyped(name)),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| mistyped(name)),
            Some(_) => Err(mistyped(name)),
        }
    }

    /// A list of texts; one alone stands for a list of one, null for none.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| match value {
                    Value::String(text) => Ok(text.clone()),
                    Value::Number(number) => Ok(number.to_string()),
                    _ => Err(mistyped(name)),
                })
                .collect(),
            Some(_) => Err(mistyped(name)),
        }
    }
}

fn as_flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "" | "false" | "0" => Some(false),
        _ => None,
    }
}

fn mistyped(name: &str) -> Refusal {
    Refusal::bad(format!("The value for {name} has the wrong type."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn booleans_and_numbers_may_be_strings() {
        let fields = Fields::read(br#"{"a": "true", "b": "0", "c": true, "n": "30", "l": "x", "z": null}"#)
            .unwrap_or_default();
        assert_eq!((fields.flag("a"), fields.flag("b"), fields.flag("c")), (Ok(true), Ok(false), Ok(true)));
        assert_eq!(
            (fields.number("n"), fields.number("z"), fields.flag("z")),
            (Ok(Some(30)), Ok(None), Ok(false))
        );
        assert_eq!(fields.list("l"), Ok(vec!["x".to_owned()]));
        assert!(fields.flag("n").is_err() && fields.text("c").is_err() && fields.number("l").is_err());
    }

    proptest! {
        #[test]
        fn no_body_is_too_strange(body in proptest::collection::vec(any::<u8>(), 0..200), name in ".{0,8}") {
            if let Ok(fields) = Fields::read(&body) {
                let _ = (fields.text(&name), fields.flag(&name), fields.number(&name), fields.list(&name));
            }
        }
    }
}
