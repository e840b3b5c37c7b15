//! `auth/token/…`

use jiff::Timestamp;
use serde_json::Value;

use crate::vault::{
    State,
    envelope::Answer,
    error::Refusal,
    request::{Operation, Request},
    token::{NewToken, SYSTEM_TTL, capped, policies},
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

const CUSTOM_ID: &str = "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of the more \
    secure SHA2-256 HMAC for token obfuscation. SHA1 hashed tokens on the wire leads to less secure lookups.";

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
    let id = fields.text("id")?;
    let (no_parent, period) = (fields.boolean("no_parent", false)?, fields.seconds("period")?);
    let may_all = state.capabilities(caller, &request.path).iter().any(|may| may == "root" || may == "sudo");
    if !id.is_empty() {
        check_id(&id, may_all)?;
    }
    let asked = policies(fields.list("policies")?, false);
    let asked = if asked.is_empty() { caller.policies.clone() } else { asked };
    if !may_all && asked.iter().any(|policy| !caller.policies.contains(policy)) {
        return Err(Refusal::bad("child policies must be subset of parent"));
    }
    let is_root = asked.iter().any(|policy| policy == "root");
    let policies = policies(asked, !is_root && !fields.boolean("no_default_policy", false)?);
    if !may_all && no_parent && !orphan {
        return Err(Refusal::bad("root or sudo privileges required to create orphan token"));
    }
    if !may_all && period > 0 {
        return Err(Refusal::bad("root or sudo privileges required to create periodic token"));
    }
    match &*fields.text("type")? {
        "" | "service" | "default" => {}
        "batch" if is_root => return Err(Refusal::bad("batch tokens cannot be root tokens")),
        "batch" => return Err(Refusal::bad("batch tokens are not available in this mock")),
        _ => return Err(Refusal::bad("invalid 'type' value")),
    }
    let mut warnings: Vec<String> = if id.is_empty() { Vec::new() } else { vec![CUSTOM_ID.to_owned()] };
    let absent = policies.iter().filter(|policy| !state.has_policy(policy));
    warnings.extend(absent.map(|policy| format!("Policy \"{policy}\" does not exist")));
    let (ttl, explicit_max_ttl) = (fields.seconds("ttl")?, fields.seconds("explicit_max_ttl")?);
    let limit = if explicit_max_ttl > 0 { explicit_max_ttl.min(SYSTEM_TTL) } else { SYSTEM_TTL };
    let wanted = if ttl == 0 && !is_root { SYSTEM_TTL } else { ttl };
    if ttl > limit && period == 0 {
        warnings.push(capped("TTL", ttl, limit));
    }
    if period > explicit_max_ttl && explicit_max_ttl > 0 {
        warnings.push(capped("period", period, explicit_max_ttl));
    }
    warnings.extend(fields.unknown(CREATE));
    let meta = fields.raw("meta").or_else(|| fields.raw("metadata")).and_then(Value::as_object).cloned();
    let display = fields.text("display_name")?;
    let orphan = orphan || no_parent;
    let created = state.tokens.create(
        NewToken {
            id: Some(id.into_owned()).filter(|id| !id.is_empty()),
            policies,
            display_name: if display.is_empty() { "token".to_owned() } else { format!("token-{display}") },
            path: if request.path.ends_with("create-orphan") {
                "auth/token/create-orphan"
            } else {
                "auth/token/create"
            }
            .to_owned(),
            meta,
            orphan,
            renewable: fields.boolean("renewable", true)?,
            ttl: wanted.min(limit),
            explicit_max_ttl,
            max_ttl: SYSTEM_TTL,
            period,
            num_uses: fields.integer("num_uses")?.max(0),
            parent: request.token.clone().filter(|_| !orphan),
            ..NewToken::default()
        },
        now,
    );
    let (id, token) = created.ok_or_else(|| Refusal::bad("cannot create a token with a duplicate ID"))?;
    Ok(Answer::auth(token.auth(&id, token.ttl(now)), warnings))
}

/// Whether a client may choose this id.
fn check_id(id: &str, may_all: bool) -> Result<(), Refusal> {
    if !may_all {
        return Err(Refusal::bad("root or sudo privileges required to specify token id"));
    }
    if let Some(prefix) = ["s.", "hvs."].into_iter().find(|prefix| id.starts_with(prefix)) {
        return Err(Refusal::bad(format!("custom token ID cannot have the '{prefix}' prefix")));
    }
    if id.contains('.') {
        return Err(Refusal::bad("custom token ID cannot have a '.' in the value"));
    }
    Ok(())
}

fn renew(state: &State, request: &Request, id: &str, now: Timestamp) -> Result<Answer, Refusal> {
    let token = state.tokens.find(id, now).ok_or_else(|| Refusal::bad("token not found"))?;
    if !token.is_renewable() {
        return Err(Refusal::bad("lease is not renewable"));
    }
    let increment = request.fields.seconds("increment")?;
    let (ttl, cut) = token.renew(now, increment);
    let warnings = cut.map(|limit| capped("TTL", increment, limit)).into_iter().collect();
    Ok(Answer::auth(token.auth(id, ttl), warnings))
}
