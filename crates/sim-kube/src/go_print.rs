//! How the real server prints values into its messages: Go's `%q`, `%v`, `%g` and its JSON.
//!
//! A message is part of the interface (clients show it and tests compare it), so these follow Go to the letter.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// Go's `%q`: double quotes, backslash escapes, what does not print as `\x…` or `\u…`.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if prints(c) => out.push(c),
            c => {
                let code = u32::from(c);
                // Writing to a String cannot fail.
                let _ = match code {
                    0..0x80 => write!(out, "\\x{code:02x}"),
                    0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// Go's `unicode.IsPrint`, near enough: letters, marks, numbers, punctuation, symbols and the ASCII space.
fn prints(c: char) -> bool {
    let invisible = matches!(
        u32::from(c),
        0xAD | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E
            | 0x2060..=0x206F | 0xE000..=0xF8FF | 0xFEFF | 0xFFF0..=0xFFFB | 0xFFFE | 0xFFFF | 0xE_0000..
    );
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}

/// Go's `encoding/json`: compact, keys sorted, and `<`, `>`, `&` escaped for HTML's sake.
pub(crate) fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    // These five only ever stand inside strings.
    for (plain, escaped) in [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ] {
        if out.contains(plain) {
            out = out.replace(plain, escaped);
        }
    }
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            // Sorted here, since a dependency may have switched serde_json to insertion order.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Number(number) => out.push_str(&json_number(number)),
        other => out.push_str(&other.to_string()),
    }
}

fn json_number(number: &Number) -> String {
    match (number.as_i64(), number.as_f64()) {
        (Some(int), _) => int.to_string(),
        // JSON's form of a float is `%g`'s, but only from 1e21 on with an exponent.
        (None, Some(float)) if float.abs() < 1e21 && (float.abs() >= 1e-6 || float == 0.0) => {
            float.to_string()
        }
        (None, Some(float)) => exponent(float).replace("e-0", "e-"),
        (None, None) => number.to_string(),
    }
}

/// Go's `%v` of what a JSON document decodes to: `map[a:1 b:[x y]]`.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Number(number) => self::number(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(self::value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            let entries: Vec<String> =
                entries.into_iter().map(|(key, value)| format!("{key}:{}", self::value(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// Go's `%v` of a number: an integer as it is, a float as `%g` prints it.
pub(crate) fn number(number: &Number) -> String {
    match (number.as_i64(), number.as_f64()) {
        (Some(int), _) => int.to_string(),
        (None, Some(float)) => self::float(float),
        (None, None) => number.to_string(),
    }
}

/// Go's `%v` of a float: the shortest digits, with an exponent below 1e-4 and from a million on.
pub(crate) fn float(float: f64) -> String {
    if float != 0.0 && !(1e-4..1e6).contains(&float.abs()) && float.is_finite() {
        return exponent(float);
    }
    float.to_string()
}

/// `1e+21`, `1.5e-07`: Go writes the exponent's sign and at least two digits.
fn exponent(float: f64) -> String {
    let text = format!("{float:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// Go's `%T` of a decoded value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Null => "<nil>",
        other => kind(other),
    }
}

/// Go's `%#v` of a decoded value.
pub(crate) fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quoted(text),
        Value::Bool(_) | Value::Number(_) => self::value(value),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            let entry = |(key, value): (&String, &Value)| format!("{}:{}", quoted(key), syntax(value));
            let entries: Vec<String> = entries.into_iter().map(entry).collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}

/// Go's name for the kind of a decoded value, as in `expected a map, but received a string`.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.as_i64().is_some() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        assert_eq!(
            quoted("a\"b\\c\n\t\u{7}\u{1}é\u{200b}\u{10ffff}"),
            r#""a\"b\\c\n\t\a\x01é\u200b\U0010ffff""#
        );
        assert_eq!(quoted("µs"), "\"µs\"");
    }

    #[test]
    fn numbers_print_as_go_prints_them() {
        for (number, plain) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1e-5, "1e-05"),
            (-2.5e-7, "-2.5e-07"),
        ] {
            assert_eq!(float(number), plain);
        }
        assert_eq!(json(&json!(1e-7)), "1e-7");
        assert_eq!(json(&json!(1e21)), "1e+21");
        assert_eq!(number(&Number::from(u64::MAX)), "1.8446744073709552e+19");
    }

    #[test]
    fn values_print_as_go_prints_maps_and_json() {
        let value = json!({"b": [1, "x", null], "a": {"c": true}});
        assert_eq!(self::value(&value), "map[a:map[c:true] b:[1 x <nil>]]");
        assert_eq!(json(&json!({"b": "<&>", "a": 1})), r#"{"a":1,"b":"\u003c\u0026\u003e"}"#);
    }
}
