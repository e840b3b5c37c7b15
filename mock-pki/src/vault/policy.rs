//! ACL policies: enough HCL to allow and to deny paths.

use crate::vault::error::Refusal;

const CAPABILITIES: [&str; 9] =
    ["create", "read", "update", "patch", "delete", "list", "scan", "sudo", "deny"];

/// What OpenBao's `default` policy allows of the paths that exist here.
pub(crate) const DEFAULT_POLICY: &str = r#"
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }
path "sys/renew" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
path "sys/tools/hash" { capabilities = ["update"] }
"#;

/// A policy and the text it came from.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) text: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    path: String,
    capabilities: Vec<String>,
}

impl Policy {
    /// Reads HCL, or JSON of the same shape.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let failed = |detail: String| Refusal::bad(format!("failed to parse policy: {detail}"));
        let rules = if text.trim_start().starts_with('{') { json_rules(text) } else { hcl_rules(text) };
        let rules = rules.map_err(failed)?;
        for rule in &rules {
            if let Some(unknown) =
                rule.capabilities.iter().find(|known| !CAPABILITIES.contains(&known.as_str()))
            {
                let path = &rule.path;
                return Err(failed(format!(
                    "path \"{path}\": path \"{path}\": invalid capability \"{unknown}\""
                )));
            }
        }
        Ok(Self { text: text.to_owned(), rules })
    }
}

/// The capabilities several policies give together on a path: those of the most specific rule, and nothing at
/// all when it says `deny`.
pub(crate) fn capabilities<'a>(policies: impl Iterator<Item = &'a Policy>, path: &str) -> Vec<&'a str> {
    let mut best = 0;
    let mut granted: Vec<&str> = Vec::new();
    for rule in policies.flat_map(|policy| &policy.rules) {
        let Some(weight) = specificity(&rule.path, path) else { continue };
        if weight > best {
            best = weight;
            granted.clear();
        }
        if weight == best {
            granted.extend(rule.capabilities.iter().map(String::as_str));
        }
    }
    if granted.contains(&"deny") {
        return vec!["deny"];
    }
    granted.sort_unstable();
    granted.dedup();
    granted
}

/// How specific a matching pattern is: literal characters count, an exact match counts most. A `+` stands for
/// one segment, a trailing `*` for any tail.
fn specificity(pattern: &str, path: &str) -> Option<usize> {
    if let Some(prefix) = pattern.strip_suffix('*') {
        return segments_match(prefix, path, true).then(|| literal(prefix));
    }
    segments_match(pattern, path, false)
        .then(|| literal(pattern) + usize::from(!pattern.contains('+')) * 100_000)
}

fn literal(pattern: &str) -> usize {
    1 + pattern.chars().filter(|c| *c != '+').count()
}

fn segments_match(pattern: &str, path: &str, prefix: bool) -> bool {
    if !pattern.contains('+') {
        return if prefix { path.starts_with(pattern) } else { path == pattern };
    }
    let mut wanted = pattern.split('/').peekable();
    let mut given = path.split('/');
    while let Some(want) = wanted.next() {
        let last = wanted.peek().is_none();
        match given.next() {
            Some(_) if want == "+" => {}
            Some(segment) if last && prefix => return segment.starts_with(want),
            Some(segment) if segment == want => {}
            _ => return false,
        }
    }
    prefix || given.next().is_none()
}

fn json_rules(text: &str) -> Result<Vec<Rule>, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let paths = value.get("path").and_then(|paths| paths.as_object()).ok_or("path is missing")?;
    let rules = paths.iter().map(|(path, rule)| {
        let listed = rule.get("capabilities").and_then(|list| list.as_array());
        let capabilities =
            listed.into_iter().flatten().filter_map(|item| item.as_str()).map(str::to_owned).collect();
        Rule { path: path.trim_start_matches('/').to_owned(), capabilities }
    });
    Ok(rules.collect())
}

/// The one shape people write: `path "x" { capabilities = ["read", …] }`; other attributes are passed over.
fn hcl_rules(text: &str) -> Result<Vec<Rule>, String> {
    let mut tokens = Tokens { rest: text };
    let mut rules = Vec::new();
    while let Some(token) = tokens.next()? {
        if token != Token::Word("path") {
            return Err(format!("expected path, got {}", token.shown()));
        }
        let Some(Token::Text(path)) = tokens.next()? else { return Err("expected a quoted path".to_owned()) };
        let mut rule = Rule { path: path.trim_start_matches('/').to_owned(), capabilities: Vec::new() };
        if tokens.next()? != Some(Token::Mark('{')) {
            return Err("object expected opening LBRACE".to_owned());
        }
        let (mut depth, mut wanted) = (1, false);
        while depth > 0 {
            match tokens.next()? {
                None => return Err("object expected closing RBRACE got: EOF".to_owned()),
                Some(Token::Mark('{')) => depth += 1,
                Some(Token::Mark('}')) => depth -= 1,
                Some(Token::Word(name)) => wanted = name == "capabilities" || name == "policy",
                Some(Token::Text(value)) if wanted && depth == 1 => rule.capabilities.push(value.to_owned()),
                Some(_) => {}
            }
        }
        rules.push(rule);
    }
    Ok(rules)
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Mark(char),
}

impl Token<'_> {
    fn shown(&self) -> String {
        match self {
            Self::Word(text) | Self::Text(text) => text.chars().take(40).collect(),
            Self::Mark(mark) => mark.to_string(),
        }
    }
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Result<Option<Token<'a>>, String> {
        self.skip_comments();
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        if first == '"' {
            let inner = self.rest.get(1..).unwrap_or_default();
            let (text, after) = inner.split_once('"').ok_or("literal not terminated")?;
            self.rest = after;
            return Ok(Some(Token::Text(text)));
        }
        if first.is_alphanumeric() || first == '_' {
            let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
            let (word, after) =
                self.rest.split_at_checked(end.unwrap_or(self.rest.len())).unwrap_or((self.rest, ""));
            self.rest = after;
            return Ok(Some(Token::Word(word)));
        }
        self.rest = self.rest.get(first.len_utf8()..).unwrap_or_default();
        Ok(Some(Token::Mark(first)))
    }

    fn skip_comments(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.rest = self.rest.split_once('\n').map_or("", |(_, after)| after);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").map_or("", |(_, after)| after);
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(text: &str, path: &str) -> Vec<String> {
        let policy = Policy::parse(text).unwrap();
        capabilities(std::iter::once(&policy), path).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_most_specific_rule_decides() {
        let text = r#"
            # a comment
            path "pki/*" { capabilities = ["read", "update"] }
            path "pki/sign/web" { capabilities = ["update"] }
            path "pki/secret" { capabilities = ["deny", "read"] }
            path "pki/+/role" { capabilities = ["list"] }
        "#;
        assert_eq!(granted(text, "pki/sign/web"), ["update"]);
        assert_eq!(granted(text, "pki/sign/other"), ["read", "update"]);
        assert_eq!(granted(text, "pki/secret"), ["deny"]);
        assert_eq!(granted(text, "pki/x/role"), ["list"]);
        assert!(granted(text, "other").is_empty());
    }

    #[test]
    fn a_broken_policy_is_named() {
        for text in
            ["path \"x\" {", "path \"x\" { capabilities = [\"fly\"] }", "path", "x", "path \"x", "path \"x\""]
        {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
        assert!(Policy::parse(DEFAULT_POLICY).is_ok());
        assert_eq!(granted(r#"{"path": {"a/b": {"capabilities": ["read"]}}}"#, "a/b"), ["read"]);
    }
}
