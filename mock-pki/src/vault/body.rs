//! Reading a request's body: JSON or a form, with Go's error texts.

use http::StatusCode;
use serde::Deserialize as _;
use serde_json::{Map, Value, error::Category};

use crate::vault::{error::Refusal, fields::Fields};

/// OpenBao's default `max_request_size`.
pub(crate) const MAX_BODY: usize = 32 * 1024 * 1024;

pub(crate) fn too_large() -> Refusal {
    Refusal::with(StatusCode::PAYLOAD_TOO_LARGE, "http: request body too large")
}

/// A form only when the client says so and the body does not begin like JSON: curl calls everything a form.
pub(crate) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Fields, Refusal> {
    let begins_like_json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
    let form_type = content_type.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if form_type && !begins_like_json {
        return Ok(Fields::new(form(body)));
    }
    if body.is_empty() {
        return Ok(Fields::default());
    }
    // Go's decoder reads one value and leaves the rest.
    let mut reader = serde_json::Deserializer::from_slice(body);
    match Value::deserialize(&mut reader) {
        Ok(Value::Object(map)) => Ok(Fields::new(map)),
        Ok(Value::Null) => Ok(Fields::default()),
        Ok(other) => Err(refused(&format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            match other {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            }
        ))),
        Err(error) => Err(refused(&describe(&error, body))),
    }
}

fn refused(detail: &str) -> Refusal {
    Refusal::bad(format!("failed to decode JSON input: {detail}"))
}

/// Go's texts for the two errors that occur in practice: a truncated body and a stray character.
fn describe(error: &serde_json::Error, body: &[u8]) -> String {
    if error.classify() == Category::Eof {
        return "unexpected EOF".to_owned();
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let Some(byte) = line.get(error.column().saturating_sub(1)) else { return "unexpected EOF".to_owned() };
    let shown = match byte {
        0x20..=0x7e => char::from(*byte).to_string(),
        other => format!("\\x{other:02x}"),
    };
    format!("invalid character '{shown}' looking for beginning of value")
}

/// One value is text, several under the same name are a list.
fn form(body: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = percent_decode(halves.next().unwrap_or_default(), true);
        let value = Value::String(percent_decode(halves.next().unwrap_or_default(), true));
        match fields.get_mut(&name) {
            None => {
                fields.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    fields
}

/// Percent-decoding; what is no escape stays as it is. In forms and queries `+` is a space.
pub(crate) fn percent_decode(text: &[u8], plus_is_space: bool) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escape = match (first, after) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        rest = if let Some((high, low)) = escape {
            decoded.push(high << 4 | low);
            after.get(2..).unwrap_or_default()
        } else {
            decoded.push(if *first == b'+' && plus_is_space { b' ' } else { *first });
            after
        };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_like_an_object() {
        let fields = read(Some("application/x-www-form-urlencoded"), b"csr=a%20b%2Bc+d&x=1&x=2&%zz").unwrap();
        assert_eq!(fields.text("csr").unwrap(), "a b+c d");
        assert_eq!(fields.list("x").unwrap(), ["1", "2"]);
        assert!(fields.has("%zz"));
        let curl = read(Some("application/x-www-form-urlencoded"), b" {\"csr\": \"x\"}").unwrap();
        assert_eq!(curl.text("csr").unwrap(), "x", "JSON that curl calls a form");
    }

    #[test]
    fn errors_are_gos() {
        let text = |body: &[u8]| String::from_utf8(read(None, body).err().unwrap().body().to_vec()).unwrap();
        assert!(text(b"{\"csr\":").contains("unexpected EOF"));
        assert!(text(b"{csr}").contains("invalid character 'c'"), "{}", text(b"{csr}"));
        assert!(
            text(b"[1]").contains("cannot unmarshal array into Go value of type map[string]interface {}")
        );
        assert!(read(None, b"{\"csr\":1}{").is_ok(), "what follows the first value is not read");
        assert!(read(None, b"null").is_ok());
    }
}
