//! The parameters of a request, however they were written: JSON, `a=1&b=2`, `a=1;b=2`, or a CSR alone.
//!
//! A body with a semicolon is of the old kind, in which nothing is escaped; so a value cannot have one.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::custom::Problem;

/// More than any request needs: twenty names, and a dozen settings.
const MAX_PARAMETERS: usize = 1000;

/// Parameters by name. The last of several with one name counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(super) fn read(query: Option<&str>, body: &[u8]) -> Result<Self, Problem> {
        let mut all = BTreeMap::new();
        if let Some(query) = query {
            all.extend(text(query));
        }
        let body = String::from_utf8_lossy(body);
        match body.trim_start().chars().next() {
            None => {}
            Some('{') => all.extend(json(&body)?),
            Some('-') => {
                all.insert("csr".to_owned(), body.into_owned());
            }
            Some(_) => all.extend(text(body.trim())),
        }
        if all.len() > MAX_PARAMETERS {
            return Err(Problem::bad("PARSE_ERROR", "Too many parameters"));
        }
        Ok(Self(all))
    }

    /// The value, if there is one and it is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether it is there at all: `getCERT` has no value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The values of `DNS1`, `DNS2`, … in the order of their numbers.
    pub(super) fn numbered(&self, prefix: &str) -> Vec<&str> {
        let mut found: Vec<(u32, &str)> = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.parse().ok()?, value.as_str())))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, value)| value).collect()
    }
}

fn text(body: &str) -> Vec<(String, String)> {
    if !body.contains(';') {
        return form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    }
    let parts = body.split(';').map(str::trim).filter(|part| !part.is_empty());
    let parts = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
    parts.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// Values that are no text are taken as they are written.
fn json(body: &str) -> Result<Vec<(String, String)>, Problem> {
    let parsed: serde_json::Map<String, Value> = serde_json::from_str(body)
        .map_err(|error| Problem::bad("PARSE_ERROR", "Failed to parse JSON request").because(&error))?;
    let pairs = parsed.into_iter().filter(|(_, value)| !value.is_null());
    Ok(pairs
        .map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_is_said_in_three_ways() {
        let read = |body: &str| Parameters::read(None, body.as_bytes()).unwrap();
        let json = read(r#"{"new": 1, "subject": "/CN=a b/O=x&y", "DNS2": "c", "x": null}"#);
        assert_eq!(json, read("new=1&subject=%2FCN%3Da+b%2FO%3Dx%26y&DNS2=c"));
        assert_eq!(json, read(" new=1; subject=/CN=a b/O=x&y;DNS2=c;\n"));
        assert_eq!(Parameters::read(Some("new=1&subject=/CN=a+b/O=x%26y&DNS2=c"), b"").unwrap(), json);
        assert!(read("getCERT;subject=/CN=a").has("getCERT") && read("--- a CSR").get("csr").is_some());
        assert_eq!(read("DNS10=b;DNS2=a;DNSx=c;DNS3=").numbered("DNS"), ["a", "b"]);
        assert_eq!(Parameters::read(None, b"{").unwrap_err().code, "PARSE_ERROR");
    }

    proptest! {
        #[test]
        fn no_body_is_too_strange(body in proptest::collection::vec(any::<u8>(), 0..100), query in ".{0,20}") {
            if let Ok(read) = Parameters::read(Some(&query), &body) {
                let _ = read.numbered("DNS");
            }
        }

        #[test]
        fn what_a_form_says_comes_out_again(value in "[^;]{1,20}") {
            let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("a", &value).finish();
            let read = Parameters::read(None, form.as_bytes()).unwrap();
            prop_assert_eq!(read.get("a"), Some(value.as_str()));
        }
    }
}
