//! The fields of a JSON body, read as leniently as Jackson does: fields nobody knows are passed over, `null` is as good as
//! nothing, and numbers, booleans and text stand for each other where that makes sense.

use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::ejbca::answer::Refusal;

/// An object of a body. Without `Debug`: passwords are in it.
#[derive(Clone, Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body. What follows the first value is not read.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], and the general failure of a handler that is given nothing.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Refusal> {
        if body.trim_ascii().is_empty() {
            return Err(Refusal::general());
        }
        let mut reader = serde_json::Deserializer::from_slice(body);
        match Value::deserialize(&mut reader) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(Value::Null) => Err(Refusal::general()),
            Ok(_) | Err(_) => Err(Refusal::Malformed),
        }
    }

    /// Whether the field is given, be it as `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(scalar @ (Value::Bool(_) | Value::Number(_))) => Ok(Some(scalar.to_string())),
            Some(Value::Array(_) | Value::Object(_)) => Err(Refusal::Malformed),
        }
    }

    /// The same, where no text and empty text are alike.
    pub(crate) fn full_text(&self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                number.as_i64().or_else(|| truncated(number.as_f64()?)).map(Some).ok_or(Refusal::Malformed)
            }
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| Refusal::Malformed),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(Refusal::Malformed),
        }
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(is_true)) => Ok(*is_true),
            Some(Value::Number(number)) => Ok(number.as_i64() != Some(0)),
            Some(Value::String(text)) => match text.trim() {
                "true" | "True" | "TRUE" => Ok(true),
                "" | "false" | "False" | "FALSE" => Ok(false),
                _ => Err(Refusal::Malformed),
            },
            Some(Value::Array(_) | Value::Object(_)) => Err(Refusal::Malformed),
        }
    }

    /// One object.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self(fields.clone()))),
            Some(_) => Err(Refusal::Malformed),
        }
    }

    /// A list of objects, `None` for those that are null.
    pub(crate) fn objects(&self, name: &str) -> Result<Option<Vec<Option<Self>>>, Refusal> {
        let values = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(values)) => values,
            Some(_) => return Err(Refusal::Malformed),
        };
        let objects = values.iter().map(|value| match value {
            Value::Null => Ok(None),
            Value::Object(fields) => Ok(Some(Self(fields.clone()))),
            _ => Err(Refusal::Malformed),
        });
        objects.collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// A list of names and values, such as `extension_data`.
    pub(crate) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, Refusal> {
        let mut pairs = Vec::new();
        for fields in self.objects(name)?.into_iter().flatten().flatten() {
            let (name, value) = (fields.text("name")?, fields.text("value")?);
            pairs.push((name.unwrap_or_default(), value.unwrap_or_default()));
        }
        Ok(pairs)
    }
}

/// As Java casts: towards zero.
fn truncated(number: f64) -> Option<i64> {
    let whole = number.trunc();
    (whole.abs() < 9e15).then(|| format!("{whole:.0}").parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::read(json.as_bytes()).ok().unwrap()
    }

    #[test]
    fn scalars_stand_for_each_other_and_structures_do_not() {
        let fields = fields(r#"{"a": 7, "b": "true", "c": [1], "d": null, "e": "12", "f": 1.9, "g": true}"#);
        assert_eq!(fields.text("a").unwrap().as_deref(), Some("7"));
        assert_eq!((fields.text("d").unwrap(), fields.text("missing").unwrap()), (None, None));
        assert!(fields.boolean("b").unwrap() && !fields.boolean("missing").unwrap());
        assert_eq!((fields.integer("e").unwrap(), fields.integer("f").unwrap()), (Some(12), Some(1)));
        assert!(matches!(fields.text("c"), Err(Refusal::Malformed)));
        assert!(matches!(fields.integer("g"), Err(Refusal::Malformed)));
        assert!(matches!(fields.objects("c"), Err(Refusal::Malformed)));
    }

    #[test]
    fn a_body_must_be_an_object_and_be_there() {
        for malformed in ["[]", "7", "{", "{\"a\":}", "nope"] {
            assert!(matches!(Fields::read(malformed.as_bytes()), Err(Refusal::Malformed)), "{malformed}");
        }
        for missing in ["", " ", "null"] {
            assert!(matches!(Fields::read(missing.as_bytes()), Err(Refusal::Error(..))), "{missing:?}");
        }
        assert!(Fields::read(b"{\"a\":1} trailing").is_ok());
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd_to_read(body in proptest::collection::vec(any::<u8>(), 0..64), json in "[\\[{\"a:,1.e9\\]}]{0,40}") {
            for body in [body.as_slice(), json.as_bytes()] {
                if let Ok(fields) = Fields::read(body) {
                    let _ = (fields.text("a"), fields.integer("a"), fields.boolean("a"), fields.pairs("a"));
                }
            }
        }
    }
}
