//! The grammar of label selectors, and of labels themselves.
//!
//! ```text
//! selector    = requirement { "," requirement }
//! requirement = ["!"] key | key ("=" | "==" | "!=" | ">" | "<") value | key ("in" | "notin") "(" values ")"
//! ```
//!
//! `in` and `notin` are words only where an operator is due; elsewhere they are keys and values like any other.

use std::collections::BTreeSet;

use super::{Requirement, Test};
use crate::go_print::quoted;

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Word,
    Less,
    NotEquals,
    Open,
    Fault,
    End,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    text: String,
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let mut requirements = Vec::new();
    loop {
        match parser.peek().kind {
            Kind::Word | Kind::Not => {
                let requirement = parser.requirement();
                requirements.push(requirement.map_err(|e| format!("unable to parse requirement: {e}"))?);
                let next = parser.take();
                match next.kind {
                    Kind::End => break,
                    Kind::Comma if !matches!(parser.peek().kind, Kind::Word | Kind::Not) => {
                        return Err(format!(
                            "found '{}', expected: identifier after ','",
                            parser.peek().text
                        ));
                    }
                    Kind::Comma => {}
                    _ => return Err(format!("found '{}', expected: ',' or 'end of string'", next.text)),
                }
            }
            Kind::End => break,
            _ => {
                let found = parser.peek().text;
                return Err(format!("found '{found}', expected: !, identifier, or 'end of string'"));
            }
        }
    }
    requirements.sort_by(|a: &Requirement, b| a.key.cmp(&b.key));
    Ok(requirements)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    /// The token at hand; past the last one it stays the end.
    fn peek(&self) -> Token {
        self.tokens.get(self.at).cloned().unwrap_or(Token { kind: Kind::End, text: String::new() })
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.take();
        let negated = token.kind == Kind::Not;
        if negated {
            token = self.take();
        }
        if token.kind != Kind::Word {
            return Err(format!("found '{}', expected: identifier", token.text));
        }
        let key = token.text;
        // The selector is not part of an object, so the fault has no field to name.
        let faults = label_key_faults(&key);
        if !faults.is_empty() {
            return Err(format!("<nil>: Invalid value: {}: {}", quoted(&key), faults.join("; ")));
        }
        if negated {
            return Ok(Requirement { key, test: Test::DoesNotExist });
        }
        if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            return Ok(Requirement { key, test: Test::Exists });
        }
        let test = self.test(&key)?;
        Ok(Requirement { key, test })
    }

    fn test(&mut self, key: &str) -> Result<Test, String> {
        let operator = self.take();
        let one = BTreeSet::from_iter;
        Ok(match (operator.kind, operator.text.as_str()) {
            (Kind::Word, "in") => Test::In(checked(key, self.values()?)?),
            (Kind::Word, "notin") => Test::NotIn(checked(key, self.values()?)?),
            (Kind::Equals | Kind::DoubleEquals, _) => Test::In(checked(key, one([self.value()?]))?),
            (Kind::NotEquals, _) => Test::NotIn(checked(key, one([self.value()?]))?),
            (Kind::Greater, _) => Test::GreaterThan(bound(key, self.value()?)?),
            (Kind::Less, _) => Test::LessThan(bound(key, self.value()?)?),
            _ => return Err(format!("found '{}', expected: {OPERATORS}", operator.text)),
        })
    }

    /// The one value of `=`, `==`, `!=`, `<`, `>`; nothing is the empty value.
    fn value(&mut self) -> Result<String, String> {
        if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            return Ok(String::new());
        }
        let token = self.take();
        match token.kind {
            Kind::Word => Ok(token.text),
            _ => Err(format!("found '{}', expected: identifier", token.text)),
        }
    }

    /// `(a,b,,c)`: nothing between two commas is the empty value.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.take();
        if open.kind != Kind::Open {
            return Err(format!("found '{}' expected: '('", open.text));
        }
        let first = self.peek();
        match first.kind {
            Kind::Close => {
                self.take();
                return Ok(BTreeSet::from([String::new()]));
            }
            Kind::Word | Kind::Comma => {}
            _ => return Err(format!("found '{}', expected: ',', ')' or identifier", first.text)),
        }
        let mut values = BTreeSet::new();
        loop {
            let token = self.take();
            match token.kind {
                Kind::Word => {
                    values.insert(token.text);
                    match self.peek().kind {
                        Kind::Comma => {}
                        Kind::Close => break,
                        _ => return Err(format!("found '{}', expected: ',' or ')'", self.peek().text)),
                    }
                }
                Kind::Comma => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    match self.peek().kind {
                        Kind::Close => {
                            values.insert(String::new());
                            break;
                        }
                        Kind::Comma => {
                            values.insert(String::new());
                        }
                        _ => {}
                    }
                }
                _ => return Err(format!("found '{}', expected: ',', or identifier", token.text)),
            }
        }
        self.take();
        Ok(values)
    }
}

fn checked(key: &str, values: BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    let mut wrong = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let faults = label_value_faults(value);
        if !faults.is_empty() {
            wrong.push(format!(
                "values[{at}][{key}]: Invalid value: {}: {}",
                quoted(value),
                faults.join("; ")
            ));
        }
    }
    aggregate(wrong, values)
}

fn bound(key: &str, value: String) -> Result<i64, String> {
    let mut wrong = Vec::new();
    let number = value.parse();
    if number.is_err() {
        wrong.push(format!(
            "values[0]: Invalid value: {}: for 'Gt', 'Lt' operators, the value must be an integer",
            quoted(&value)
        ));
    }
    if let Err(fault) = checked(key, BTreeSet::from([value])) {
        wrong.push(fault);
    }
    aggregate(wrong, number.unwrap_or_default())
}

/// One fault stands alone; several come in brackets.
fn aggregate<T>(mut faults: Vec<String>, value: T) -> Result<T, String> {
    match faults.len() {
        0 => Ok(value),
        1 => Err(faults.remove(0)),
        _ => Err(format!("[{}]", faults.join(", "))),
    }
}

fn tokens(text: &str) -> Vec<Token> {
    // A NUL ends the text, as it does for the server.
    let text = text.split('\0').next().unwrap_or_default();
    let is_special = |c: char| "=!(),><".contains(c);
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while let Some(first) = rest.chars().next() {
        let length = if is_special(first) {
            let run = rest.find(|c| !is_special(c)).unwrap_or(rest.len());
            let run = rest.get(..run).unwrap_or(rest);
            let (token, length) = symbol(run);
            tokens.push(token);
            length
        } else {
            let length = rest.find(|c| is_special(c) || is_space(c)).unwrap_or(rest.len());
            let text = rest.get(..length).unwrap_or(rest).to_owned();
            tokens.push(Token { kind: Kind::Word, text });
            length
        };
        rest = rest.get(length..).unwrap_or_default().trim_start_matches(is_space);
    }
    tokens
}

/// The longest symbol that a run of special characters begins with, and its length.
fn symbol(run: &str) -> (Token, usize) {
    let symbols = [
        ("==", Kind::DoubleEquals),
        ("!=", Kind::NotEquals),
        ("=", Kind::Equals),
        ("!", Kind::Not),
        (")", Kind::Close),
        ("(", Kind::Open),
        (",", Kind::Comma),
        (">", Kind::Greater),
        ("<", Kind::Less),
    ];
    match symbols.into_iter().find(|(symbol, _)| run.starts_with(symbol)) {
        Some((symbol, kind)) => (Token { kind, text: symbol.to_owned() }, symbol.len()),
        None => (Token { kind: Kind::Fault, text: run.to_owned() }, run.len().max(1)),
    }
}

const NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const NAME_FAULT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

/// What is wrong with a label's or annotation's key, in the server's words; nothing for a good one.
#[must_use]
pub fn label_key_faults(key: &str) -> Vec<String> {
    let name_fault = format!(
        "{NAME_FAULT} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{NAME}')"
    );
    let parts: Vec<&str> = key.split('/').collect();
    let mut faults = Vec::new();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                faults
                    .extend(subdomain_faults(prefix).into_iter().map(|fault| format!("prefix part {fault}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a valid label key {name_fault} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_label_name(name) {
        faults.push(format!("name part {name_fault}"));
    }
    faults
}

/// What is wrong with a label's value; nothing for a good one.
#[must_use]
pub fn label_value_faults(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > 63 {
        faults.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !is_label_name(value) {
        faults.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
             validation is '({NAME})?')"
        ));
    }
    faults
}

fn subdomain_faults(name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if name.len() > 253 {
        faults.push("must be no more than 253 bytes".to_owned());
    }
    let is_label = |label: &str| {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        label.starts_with(edge) && label.ends_with(edge) && label.chars().all(|c| edge(c) || c == '-')
    };
    if !name.split('.').all(is_label) {
        faults.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '{SUBDOMAIN}')"
        ));
    }
    faults
}

fn is_label_name(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(edge) && name.ends_with(edge) && name.chars().all(|c| edge(c) || "-_.".contains(c))
}
