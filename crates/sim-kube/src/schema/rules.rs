//! `x-kubernetes-validations`: rules in the Common Expression Language.
//!
//! A rule sees `self`, and `oldSelf` where an old value can be told to be the same place. Fields are seen by
//! their declared types and by names that are identifiers: `namespace` is a word of the language, so a rule
//! says `self.__namespace__`.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use cel::objects::{Key, OptionalValue};
use cel::{Context, Env, ExecutionError, Program, Value as Cel};
use serde_json::Value;

use super::cursor::{Cursor, Type};
use super::format;
use super::validate::{bad_value, same_item};
use crate::go_print::quoted;
use crate::status::Cause;

/// A rule, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    text: String,
    message: Option<String>,
    message_expression: Option<Arc<Program>>,
    reason: Option<String>,
    field_path: Option<String>,
    optional_old_self: bool,
    uses_old_self: bool,
    program: Arc<Program>,
}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(true);
    // Fails only if something of that name were there already, and then it is there.
    let _ = env.add_extension(cel::extensions::strings);
    Arc::new(env)
});

impl Rule {
    pub(super) fn parse(rule: &Value) -> Result<Self, String> {
        let text = |key: &str| {
            let text = rule.get(key).and_then(Value::as_str).map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let source = text("rule").ok_or("rule: Required value")?;
        let program = compile(&source)
            .map_err(|e| format!("rule: Invalid value: {}: compilation failed: {e}", bad_value(rule)))?;
        let message_expression = match text("messageExpression") {
            Some(source) => {
                let compiled = compile(&source).map_err(|e| {
                    format!("messageExpression: Invalid value: {}: compilation failed: {e}", bad_value(rule))
                })?;
                Some(Arc::new(compiled))
            }
            None => None,
        };
        Ok(Self {
            uses_old_self: program.references().has_variable("oldSelf"),
            text: source,
            message: text("message"),
            message_expression,
            reason: text("reason"),
            field_path: text("fieldPath"),
            optional_old_self: rule.get("optionalOldSelf").and_then(Value::as_bool).unwrap_or(false),
            program: Arc::new(program),
        })
    }

    /// What stands for the rule in a message.
    fn name(&self) -> &str {
        self.message.as_deref().unwrap_or(&self.text)
    }
}

/// The language's parser and interpreter recurse, so a rule has a bound on what can nest in it.
const MAX_NESTING: usize = 40;
const MAX_OPERATORS: usize = 400;

fn compile(source: &str) -> Result<Program, String> {
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    for c in source.chars() {
        match c {
            '(' | '[' | '{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '+' | '-' | '*' | '/' | '%' | '!' | '?' | '.' | '<' | '>' | '=' | '&' | '|' | ':' => {
                operators += 1;
            }
            _ => {}
        }
    }
    if deepest > MAX_NESTING || operators > MAX_OPERATORS {
        return Err("expression is too complex".to_owned());
    }
    ENV.compile(source).map_err(|e| e.to_string())
}

/// Holds an object against every rule that applies to it.
pub(super) fn check(schema: Cursor<'_>, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(schema, "", new, old, old == Some(new), &mut causes);
    causes
}

/// `same`: this place, or one around it, is what it was, so what it broke before it may still break.
fn walk(
    schema: Cursor<'_>,
    path: &str,
    new: &Value,
    old: Option<&Value>,
    same: bool,
    causes: &mut Vec<Cause>,
) {
    if new.is_null() {
        return;
    }
    here(schema, path, new, old, same, causes);
    for at in &schema.node().all_of {
        walk(schema.at(*at), path, new, old, same, causes);
    }
    match new {
        Value::Object(map) => {
            for (name, value) in map {
                let old = old.and_then(|old| old.get(name));
                let same = same || old == Some(value);
                if let Some(below) = schema.property(name) {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(below, &path, value, old, same, causes);
                } else if let Some(below) = schema.additional() {
                    walk(below, &format!("{path}[{name}]"), value, old, same, causes);
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = schema.items() {
                for (at, item) in items.iter().enumerate() {
                    let old = old.and_then(|old| same_item(schema, old, item));
                    walk(below, &format!("{path}[{at}]"), item, old, same || old == Some(item), causes);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn here(
    schema: Cursor<'_>,
    path: &str,
    new: &Value,
    old: Option<&Value>,
    same: bool,
    causes: &mut Vec<Cause>,
) {
    let rules = &schema.node().rules;
    if rules.is_empty() {
        return;
    }
    let old = old.filter(|old| !old.is_null());
    let kind = schema.node().kind.map_or("", Type::name);
    let field = if path.is_empty() { "<nil>" } else { path };
    let self_value = cel_value(schema, new);
    let old_value = old.map(|old| cel_value(schema, old));
    for rule in rules {
        if rule.uses_old_self && old.is_none() && !rule.optional_old_self {
            continue;
        }
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_from_value("self", self_value.clone());
        match (&old_value, rule.optional_old_self) {
            (Some(old), true) => {
                context.add_variable_from_value(
                    "oldSelf",
                    Cel::Opaque(Arc::new(OptionalValue::of(old.clone()))),
                );
            }
            (None, true) => {
                context.add_variable_from_value("oldSelf", Cel::Opaque(Arc::new(OptionalValue::none())));
            }
            (Some(old), false) => context.add_variable_from_value("oldSelf", old.clone()),
            (None, false) => {}
        }
        match rule.program.execute(&context) {
            Ok(Cel::Bool(true)) => {}
            Ok(_) => {
                if rule.uses_old_self || !same {
                    causes.push(broken(rule, field, schema, new, &context));
                }
            }
            Err(error) => {
                let detail = match &error {
                    ExecutionError::NoSuchOverload(_) | ExecutionError::ValuesNotComparable(..) => format!(
                        "'no such overload': call arguments did not match a supported operator, function or macro \
                         signature for rule: {}",
                        rule.name()
                    ),
                    ExecutionError::NoSuchKey(key) => {
                        format!("no such key: {key} evaluating rule: {}", rule.name())
                    }
                    ExecutionError::DivisionByZero(_) => {
                        format!("division by zero evaluating rule: {}", rule.name())
                    }
                    other => format!("{other} evaluating rule: {}", rule.name()),
                };
                let message = format!("Invalid value: {}: {detail}", quoted(kind));
                causes.push(Cause::new("FieldValueInvalid", field, message));
            }
        }
    }
}

fn broken(rule: &Rule, field: &str, schema: Cursor<'_>, value: &Value, context: &Context<'_, '_>) -> Cause {
    let computed = rule.message_expression.as_ref().and_then(|program| match program.execute(context) {
        Ok(Cel::String(text)) => {
            let text = text.trim();
            (!text.is_empty() && !text.contains('\n') && text.len() <= 5 << 10).then(|| text.to_owned())
        }
        _ => None,
    });
    let detail = match (computed, &rule.message) {
        (Some(computed), _) => computed,
        (None, Some(message)) => message.clone(),
        (None, None) => format!("failed rule: {}", rule.text),
    };
    let field = match &rule.field_path {
        Some(path) => format!("{field}.{}", path.strip_prefix('.').unwrap_or(path)),
        None => field.to_owned(),
    };
    let structured = matches!(schema.node().kind, Some(Type::Object | Type::Array));
    let shown = if structured { String::new() } else { format!("{}: ", bad_value(value)) };
    match rule.reason.as_deref() {
        Some("FieldValueForbidden") => {
            Cause::new("FieldValueForbidden", field, format!("Forbidden: {detail}"))
        }
        Some("FieldValueRequired") => {
            Cause::new("FieldValueRequired", field, format!("Required value: {detail}"))
        }
        Some("FieldValueDuplicate") if structured => {
            Cause::new("FieldValueDuplicate", field, "Duplicate value")
        }
        Some("FieldValueDuplicate") => {
            Cause::new("FieldValueDuplicate", field, format!("Duplicate value: {}", bad_value(value)))
        }
        _ => Cause::new("FieldValueInvalid", field, format!("Invalid value: {shown}{detail}")),
    }
}

/// A value as a rule sees it, by its declared type.
fn cel_value(schema: Cursor<'_>, value: &Value) -> Cel {
    let node = schema.node();
    match value {
        Value::Null => Cel::Null,
        Value::Bool(bool) => Cel::Bool(*bool),
        Value::Number(number) => {
            let float = number.as_f64().unwrap_or_default();
            match (node.kind, number.as_i64()) {
                (Some(Type::Number), _) | (_, None) => Cel::Float(float),
                (_, Some(int)) => Cel::Int(int),
            }
        }
        Value::String(text) => cel_text(schema, text),
        Value::Array(items) => {
            let item =
                |item: &Value| schema.items().map_or_else(|| dynamic(item), |schema| cel_value(schema, item));
            Cel::List(Arc::new(items.iter().map(item).collect()))
        }
        Value::Object(map) if node.properties.is_empty() => {
            let field = |(name, value): (&String, &Value)| {
                let value =
                    schema.additional().map_or_else(|| dynamic(value), |schema| cel_value(schema, value));
                (Key::String(Arc::new(name.clone())), value)
            };
            cel_map(map.iter().map(field))
        }
        Value::Object(map) => {
            let fields = map.iter().filter_map(|(name, value)| {
                let field = schema.property(name)?;
                let value = match name.as_str() {
                    // Of an object's own metadata, rules see the name alone.
                    "metadata" if node.embedded => {
                        let names = ["name", "generateName"].into_iter().filter_map(|name| {
                            Some((Key::String(Arc::new(name.to_owned())), dynamic(value.get(name)?)))
                        });
                        cel_map(names)
                    }
                    _ => cel_value(field, value),
                };
                Some((Key::String(Arc::new(identifier(name).into_owned())), value))
            });
            cel_map(fields)
        }
    }
}

fn cel_map(entries: impl Iterator<Item = (Key, Cel)>) -> Cel {
    Cel::Map(cel::objects::Map { map: Arc::new(entries.collect()) })
}

fn cel_text(schema: Cursor<'_>, text: &str) -> Cel {
    let plain = || Cel::String(Arc::new(text.to_owned()));
    match schema.node().format.as_deref() {
        Some("date-time" | "datetime") => chrono_timestamp(text).map_or_else(plain, Cel::Timestamp),
        Some("date") => chrono_timestamp(&format!("{text}T00:00:00Z")).map_or_else(plain, Cel::Timestamp),
        Some("duration") => format::duration(text)
            .map_or_else(plain, |nanos| Cel::Duration(chrono::Duration::nanoseconds(nanos))),
        Some("byte") => {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok();
            bytes.map_or_else(plain, |bytes| Cel::Bytes(Arc::new(bytes)))
        }
        _ => plain(),
    }
}

fn chrono_timestamp(text: &str) -> Option<chrono::DateTime<chrono::FixedOffset>> {
    chrono::DateTime::parse_from_rfc3339(text).ok()
}

/// A value of no declared type.
fn dynamic(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(bool) => Cel::Bool(*bool),
        Value::Number(number) => match number.as_i64() {
            Some(int) => Cel::Int(int),
            None => Cel::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(dynamic).collect())),
        Value::Object(map) => {
            cel_map(map.iter().map(|(name, value)| (Key::String(Arc::new(name.clone())), dynamic(value))))
        }
    }
}

/// A field's name as an identifier: words of the language and characters that no identifier has are escaped.
fn identifier(name: &str) -> Cow<'_, str> {
    const WORDS: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if WORDS.contains(&name) {
        return Cow::Owned(format!("__{name}__"));
    }
    if !name.contains("__") && !name.contains(['.', '-', '/']) {
        return Cow::Borrowed(name);
    }
    let escaped = name.replace("__", "__underscores__").replace('.', "__dot__");
    Cow::Owned(escaped.replace('-', "__dash__").replace('/', "__slash__"))
}
