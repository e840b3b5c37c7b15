//! `auth/token/…`

use jiff::Timestamp;
use serde_json::Value;

use crate::vault::{
    State, duration,
    envelope::Answer,
    error::Refusal,
    request::{Operation, Request},
    token::{NewToken, SYSTEM_TTL},
};

const CREATE: &[&str] = &[
    "display_name",
    "entity_alias",
    "explicit_max_ttl",
    "id",
    "lease",
    "meta",
    "metadata",
    "no_default_policy",
    "no_parent",
    "num_uses",
    "period",
    "policies",
    "renewable",
    "ttl",
    "type",
];

pub(crate) fn route(state: &State, request: &Request, path: &str, now: Timestamp) -> Result<Answer, Refusal> {
    match (path, request.operation) {
        ("create", Operation::Update) => create(state, request, false, now),
        ("create-orphan", Operation::Update) => create(state, request, true, now),
        ("lookup-self", Operation::Read | Operation::Update) => {
            let caller = request.caller()?;
            Ok(Answer::data(caller.describe(request.token.as_deref().unwrap_or_default(), now)))
        }
        ("lookup", Operation::Update | Operation::Read) => {
            let given = request.fields.text("token")?;
            let id = if given.is_empty() { request.token.as_deref().unwrap_or_default() } else { &given };
            let bad = || Refusal::with(http::StatusCode::FORBIDDEN, "bad token");
            Ok(Answer::data(state.tokens.find(id, now).ok_or_else(bad)?.describe(id, now)))
        }
        ("lookup-accessor", Operation::Update) => {
            let accessor = request.fields.text("accessor")?;
            let found = state.tokens.find_by_accessor(&accessor, now);
            let (_, token) =
                found.ok_or_else(|| Refusal::with(http::StatusCode::FORBIDDEN, "invalid accessor"))?;
            Ok(Answer::data(token.describe("", now)))
        }
        ("renew-self", Operation::Update) => {
            renew(state, request, request.token.as_deref().unwrap_or_default(), now)
        }
        ("renew", Operation::Update) => {
            let given = request.fields.text("token")?;
            let id = if given.is_empty() { request.token.as_deref().unwrap_or_default() } else { &given };
            renew(state, request, id, now)
        }
        ("revoke-self", Operation::Update) => {
            state.tokens.revoke(request.token.as_deref().unwrap_or_default());
            Ok(Answer::Nothing)
        }
        ("revoke", Operation::Update) => {
            let id = request.fields.text("token")?;
            if id.is_empty() {
                return Err(Refusal::bad("missing token ID"));
            }
            state.tokens.revoke(&id);
            Ok(Answer::Nothing)
        }
        ("revoke-accessor", Operation::Update) => {
            let accessor = request.fields.text("accessor")?;
            let found = state.tokens.find_by_accessor(&accessor, now);
            let (id, _) = found.ok_or_else(|| Refusal::bad("invalid accessor"))?;
            state.tokens.revoke(&id);
            Ok(Answer::Nothing)
        }
        ("accessors", Operation::List) => Ok(Answer::keys(&state.tokens.accessors())),
        (
            "create" | "create-orphan" | "lookup-self" | "lookup" | "lookup-accessor" | "renew-self"
            | "renew" | "revoke-self" | "revoke" | "revoke-accessor" | "accessors",
            _,
        ) => Err(Refusal::unsupported_operation()),
        _ => Err(Refusal::unsupported_path()),
    }
}

fn create(state: &State, request: &Request, orphan: bool, now: Timestamp) -> Result<Answer, Refusal> {
    let caller = request.caller()?;
    let fields = &request.fields;
    let asked = fields.list("policies")?;
    let mut policies = if asked.is_empty() { caller.policies.clone() } else { asked };
    if !caller.is_root() && policies.iter().any(|policy| !caller.policies.contains(policy)) {
        return Err(Refusal::bad("child policies must be subset of parent"));
    }
    let is_root = policies.iter().any(|policy| policy == "root");
    if !is_root && !fields.boolean("no_default_policy", false)? {
        policies.push("default".to_owned());
    }
    policies.sort_unstable();
    policies.dedup();
    match &*fields.text("type")? {
        "" | "service" | "default" => {}
        "batch" if is_root => return Err(Refusal::bad("batch tokens cannot be root tokens")),
        "batch" => return Err(Refusal::bad("batch tokens are not available in this mock")),
        _ => return Err(Refusal::bad("invalid 'type' value")),
    }
    let mut warnings: Vec<String> = policies
        .iter()
        .filter(|policy| !state.has_policy(policy))
        .map(|policy| format!("Policy \"{policy}\" does not exist"))
        .collect();
    let (ttl, period, explicit_max_ttl) =
        (fields.seconds("ttl")?, fields.seconds("period")?, fields.seconds("explicit_max_ttl")?);
    let limit = if explicit_max_ttl > 0 { explicit_max_ttl.min(SYSTEM_TTL) } else { SYSTEM_TTL };
    let wanted = if ttl == 0 && !is_root { SYSTEM_TTL } else { ttl };
    if ttl > limit && period == 0 {
        warnings.push(capped(ttl, limit));
    }
    warnings.extend(fields.unknown(CREATE));
    let meta = fields.raw("meta").or_else(|| fields.raw("metadata")).and_then(Value::as_object).cloned();
    let display = fields.text("display_name")?;
    let id = fields.text("id")?;
    let (id, token) = state.tokens.create(
        NewToken {
            id: Some(id.into_owned()).filter(|id| !id.is_empty()),
            policies,
            display_name: if display.is_empty() { "token".to_owned() } else { format!("token-{display}") },
            path: if orphan { "auth/token/create-orphan" } else { "auth/token/create" }.to_owned(),
            meta,
            orphan: orphan || fields.boolean("no_parent", false)?,
            renewable: fields.boolean("renewable", true)?,
            ttl: wanted.min(limit),
            explicit_max_ttl,
            max_ttl: SYSTEM_TTL,
            period,
            num_uses: fields.integer("num_uses")?.max(0),
            parent: request.token.clone().filter(|_| !orphan && !caller.is_root()),
            ..NewToken::default()
        },
        now,
    );
    Ok(Answer::auth(token.auth(&id, token.ttl(now)), warnings))
}

fn renew(state: &State, request: &Request, id: &str, now: Timestamp) -> Result<Answer, Refusal> {
    let token = state.tokens.find(id, now).ok_or_else(|| Refusal::bad("token not found"))?;
    if !token.is_renewable() {
        return Err(Refusal::bad("lease is not renewable"));
    }
    let increment = request.fields.seconds("increment")?;
    let (ttl, cut) = token.renew(now, increment);
    let warnings = cut.map(|limit| capped(increment, limit)).into_iter().collect();
    Ok(Answer::auth(token.auth(id, ttl), warnings))
}

fn capped(wanted: i64, limit: i64) -> String {
    format!(
        "TTL of \"{}\" exceeded the effective max_ttl of \"{}\"; TTL value is capped accordingly",
        duration::print_short(wanted),
        duration::print_short(limit)
    )
}
