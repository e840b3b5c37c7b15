//! Where two transcripts of one sequence part.

use std::fmt::Write as _;

use serde_json::Value;

use crate::sequence::{Request, Transcript};

/// The first difference between two servers.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// What they were asked: the request that was answered otherwise, and those before it that matter.
    pub(crate) asked: String,
    /// One line for each value that differs: what the simulated server has, and what the real one has.
    pub(crate) lines: Vec<String>,
}

impl Difference {
    /// What is alike in differences that have the same reason.
    pub(crate) fn signature(&self) -> String {
        let words = self.lines.iter().take(3).map(|line| line.chars().take(160).collect::<String>());
        words.collect::<Vec<_>>().join(" | ")
    }

    /// For people: the sequence up to the difference, and the difference.
    pub(crate) fn shown(&self, sequence: &[Request]) -> String {
        let mut text = String::new();
        for (at, request) in sequence.iter().enumerate() {
            let _ = writeln!(text, "  {at:2} {}", request.shown());
        }
        let _ = writeln!(text, "differs in: {}", self.asked);
        for line in &self.lines {
            let _ = writeln!(text, "    {line}");
        }
        text
    }
}

/// The first difference, if there is one.
pub(crate) fn difference(
    sequence: &[Request],
    simulated: &Transcript,
    real: &Transcript,
) -> Option<Difference> {
    let found = |asked: String, left: &Value, right: &Value| {
        let mut lines = Vec::new();
        walk("", left, right, &mut lines);
        (!lines.is_empty()).then_some(Difference { asked, lines })
    };
    for (at, request) in sequence.iter().enumerate() {
        let (left, right) = (&simulated.answers[at], &real.answers[at]);
        // Where they part, the real one stops.
        if let Some(found) = found(format!("the answer to {at}: {}", request.shown()), left, right) {
            return Some(found);
        }
    }
    for (at, (left, right)) in simulated.watches.iter().zip(&real.watches).enumerate() {
        if left != right {
            let opened = sequence.iter().filter(|request| request.watches()).nth(at);
            let opened = opened.map(Request::shown).unwrap_or_default();
            let (left, right) = (Value::from(left.clone()), Value::from(right.clone()));
            if let Some(found) = found(format!("the events of watch {at}, perhaps {opened}"), &left, &right) {
                return Some(found);
            }
        }
    }
    found("what is left".to_owned(), &simulated.left, &real.left)
}

/// Whether two servers said the same.
pub(crate) fn alike(left: &Value, right: &Value) -> bool {
    let mut lines = Vec::new();
    walk("", left, right, &mut lines);
    lines.is_empty()
}

fn walk(path: &str, left: &Value, right: &Value, lines: &mut Vec<String>) {
    // Of an apply that changes nothing the real server sometimes says no time.
    if left == right || (path.ends_with("/time") && path.contains("/managedFields/")) {
        return;
    }
    match (left, right) {
        (Value::Object(one), Value::Object(other)) => {
            for key in one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))) {
                let absent = Value::from("(absent)");
                walk(
                    &format!("{path}/{key}"),
                    one.get(key).unwrap_or(&absent),
                    other.get(key).unwrap_or(&absent),
                    lines,
                );
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                walk(&format!("{path}/{at}"), one, other, lines);
            }
        }
        _ => lines.push(format!("{path}: simulated {left}, real {right}")),
    }
}
