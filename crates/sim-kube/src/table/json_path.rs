//! The simple JSONPath of printer columns: `.a.b`, `['a.b']`, `[0]`, `[*]`, and `[?(@.a=="b")]`.

use serde_json::Value;

/// The first value at the path; nothing if there is none, or if the path is none of these.
pub(super) fn first<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut found = vec![object];
    let mut rest = path.trim();
    while !rest.is_empty() {
        let (step, after) = step(rest)?;
        found = found.into_iter().flat_map(|value| step.of(value)).collect();
        rest = after;
    }
    found.first().copied()
}

enum Step<'a> {
    Key(String),
    Index(i64),
    All,
    Where { path: &'a str, equals: bool, value: Value },
}

impl Step<'_> {
    fn of<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        match self {
            Self::Key(key) => value.get(key).into_iter().collect(),
            Self::Index(index) => {
                let from_the_end = i64::try_from(items.len()).unwrap_or_default().saturating_add(*index);
                let index = if *index < 0 { from_the_end } else { *index };
                usize::try_from(index).ok().and_then(|index| items.get(index)).into_iter().collect()
            }
            Self::All => match value {
                Value::Object(object) => object.values().collect(),
                _ => items.iter().collect(),
            },
            Self::Where { path, equals, value } => {
                items.iter().filter(|item| (first(item, path) == Some(value)) == *equals).collect()
            }
        }
    }
}

/// The first step of a path, and the rest of the path.
fn step(path: &str) -> Option<(Step<'_>, &str)> {
    if let Some(path) = path.strip_prefix('.') {
        return Some(if path.starts_with('[') { step(path)? } else { key(path) });
    }
    let Some(inside) = path.strip_prefix('[') else { return Some(key(path)) };
    if let Some(condition) = inside.strip_prefix("?(") {
        let (condition, after) = condition.split_once(")]")?;
        return Some((filter(condition)?, after));
    }
    for quote in ['\'', '"'] {
        if let Some(quoted) = inside.strip_prefix(quote) {
            let (name, after) = quoted.split_once(quote)?;
            return Some((Step::Key(name.to_owned()), after.strip_prefix(']')?));
        }
    }
    let (inside, after) = inside.split_once(']')?;
    Some((if inside == "*" { Step::All } else { Step::Index(inside.trim().parse().ok()?) }, after))
}

/// A plain key; a backslash takes the meaning from the character behind it.
fn key(path: &str) -> (Step<'_>, &str) {
    let mut name = String::new();
    let mut characters = path.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, character)| character)),
            '.' | '[' => return (named(name), path.get(at..).unwrap_or_default()),
            other => name.push(other),
        }
    }
    (named(name), "")
}

fn named<'a>(name: String) -> Step<'a> {
    if name == "*" { Step::All } else { Step::Key(name) }
}

fn filter(condition: &str) -> Option<Step<'_>> {
    let (path, value, equals) = match condition.split_once("==") {
        Some((path, value)) => (path, value, true),
        None => condition.split_once("!=").map(|(path, value)| (path, value, false))?,
    };
    let value = value.trim();
    let text = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    let value = text.map_or_else(|| serde_json::from_str(value).ok(), |text| Some(Value::from(text)))?;
    Some(Step::Where { path: path.trim().strip_prefix('@')?, equals, value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_paths_of_printer_columns_are_understood() {
        let object = json!({
            "a": {"b": [{"t": "x", "s": 1}, {"t": "y", "s": 2}], "c.d": true, "e/f": "g"},
        });
        let cases = [
            (".a.b[0].s", json!(1)),
            (".a.b[-1].s", json!(2)),
            (".a.b[*].t", json!("x")),
            (r#".a.b[?(@.t=="y")].s"#, json!(2)),
            (".a.b[?(@.t == 'y')].s", json!(2)),
            (".a.b[?(@.t!='x')].s", json!(2)),
            (".a.b[?(@.s==2)].t", json!("y")),
            (r".a.c\.d", json!(true)),
            (".a['c.d']", json!(true)),
            (".a.e/f", json!("g")),
            ("a.b[1].t", json!("y")),
        ];
        for (path, value) in cases {
            assert_eq!(first(&object, path), Some(&value), "{path}");
        }
        for path in [".x", ".a.b[7]", ".a.b[", ".a.b[?(", ".a.b[?(@.t=y)]", ".a.b.c", ".a['c.d"] {
            assert_eq!(first(&object, path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in r#"[.a\[\]*?()@='"\\0-9é-]{0,20}"#) {
            let _ = first(&json!({"a": [{"a": "a"}, 1]}), &path);
        }
    }
}
