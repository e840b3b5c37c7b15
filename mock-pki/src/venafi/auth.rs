//! `/vedauth/…` and the login of old: how a client gets a token, and what it is told about one.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use x509::Certificate;

use crate::{
    face::Call,
    venafi::{
        State,
        answer::{Answer, Refusal},
        fields::Fields,
        scope::Scope,
        session::{Grant, Issued, User},
    },
};

/// Who calls, and with what right.
pub(crate) struct Caller {
    pub(crate) user: &'static User,
    scope: Scope,
    /// Nothing for the holder of an API key.
    pub(crate) grant: Option<(Arc<Grant>, Timestamp)>,
}

impl Caller {
    /// The caller behind a request's token or API key.
    pub(crate) fn of(state: &State, headers: &HeaderMap, now: Timestamp) -> Result<Self, Refusal> {
        let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let value = text(value).unwrap_or_default();
            let token = value.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
            let token = token.map(|(_, token)| token.trim()).filter(|token| is_token(token));
            let token = token.ok_or_else(|| unauthorized("session_error", "Invalid token format"))?;
            let access = state.sessions.access(token, now).ok_or_else(no_token)?;
            let (user, scope) = (access.grant.user, access.grant.scope.clone());
            return Ok(Self { user, scope, grant: Some((access.grant, access.issued)) });
        }
        let key = headers.get("x-venafi-api-key").and_then(text).ok_or_else(no_token)?;
        let (user, _) = state.sessions.use_api_key(&key, now).ok_or_else(no_token)?;
        Ok(Self { user, scope: user.most(), grant: None })
    }

    /// That the caller may do what needs this scope.
    pub(crate) fn may(&self, needed: &str) -> Result<(), Refusal> {
        if self.scope.allows(needed) {
            return Ok(());
        }
        let description = format!(
            "Grant rejected scope '{needed}'. Call POST Authorize/OAuth with the correct scope and restriction. Update \
             the header with the new token and retry."
        );
        Err(Refusal::oauth(StatusCode::FORBIDDEN, "insufficient_scope", &description))
    }
}

/// Tokens are Base64 of 16 bytes; what cannot be one is told apart from what is no longer one.
fn is_token(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

fn unauthorized(error: &str, description: &str) -> Refusal {
    Refusal::oauth(StatusCode::UNAUTHORIZED, error, description)
}

fn no_token() -> Refusal {
    unauthorized(
        "invalid_token",
        "The access token provided is expired, revoked, malformed, or invalid for other reasons",
    )
}

/// `authorize/oauth`: a password for a token.
pub(crate) fn password(state: &State, fields: &Fields, now: Timestamp) -> Result<Answer, Refusal> {
    let (client_id, scope) = application(fields)?;
    let (name, password) = (parameter(fields, "username")?, parameter(fields, "password")?);
    let user = User::with_password(name, password)
        .ok_or_else(|| Refusal::grant("invalid_grant", "Username/password combination not valid"))?;
    grant(state, user, client_id, scope, now)
}

/// `authorize/certificate`: a client certificate for a token. Whoever holds one of this PKI's own certificates is the
/// user that its common name names.
pub(crate) fn certificate(
    state: &State,
    call: &Call,
    fields: &Fields,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let (client_id, scope) = application(fields)?;
    let shown = call.client.first().and_then(|der| Certificate::from_der(der).ok());
    let own = shown.filter(|shown| {
        let kept = state.ca.archive.find(shown.serial());
        let is_ours = kept.is_some_and(|kept| *kept.der == *shown.der() && kept.revoked.is_none());
        is_ours && shown.not_before() <= now && now <= shown.not_after()
    });
    let user = own.and_then(|own| User::named(own.subject().common_name()?));
    let user = user.ok_or_else(|| {
        Refusal::grant(
            "invalid_grant",
            "The client certificate is missing, not trusted, or belongs to no user",
        )
    })?;
    grant(state, user, client_id, scope, now)
}

/// `authorize/token`: a refresh token for new tokens.
pub(crate) fn refresh(state: &State, fields: &Fields, now: Timestamp) -> Result<Answer, Refusal> {
    let (client_id, token) = (parameter(fields, "client_id")?, parameter(fields, "refresh_token")?);
    let issued = state.sessions.refresh(token, client_id, now).ok_or_else(|| {
        Refusal::grant(
            "invalid_grant",
            "Grant has been revoked, has expired, or the refresh token is invalid",
        )
    })?;
    Ok(tokens(&issued, now))
}

/// `authorize/verify`: what a token is worth.
pub(crate) fn verify(caller: &Caller, now: Timestamp) -> Result<Answer, Refusal> {
    let (grant, issued) = caller.grant.as_ref().ok_or_else(no_token)?;
    let body = json!({
        "access_issued_on": net_date(*issued),
        "access_issued_on_ISO8601": iso(*issued),
        "access_issued_on_unix_time": issued.as_second(),
        "application": grant.client_id,
        "expires": net_date(grant.until),
        "expires_ISO8601": iso(grant.until),
        "expires_unix_time": grant.until.as_second(),
        "grant_issued_on": net_date(grant.issued),
        "grant_issued_on_ISO8601": iso(grant.issued),
        "grant_issued_on_unix_time": grant.issued.as_second(),
        "identity": grant.user.universal(),
        "scope": grant.scope.to_string(),
        "valid_for": grant.until.duration_since(now).as_secs(),
    });
    Ok(Answer::with(StatusCode::OK, "Token is valid", Some(body)))
}

/// `revoke/token`: the end of a grant.
pub(crate) fn revoke(state: &State, caller: &Caller) -> Result<Answer, Refusal> {
    let (grant, _) = caller.grant.as_ref().ok_or_else(no_token)?;
    state.sessions.revoke(grant);
    Ok(Answer::nothing())
}

/// `vedsdk/authorize`: a password for an API key.
pub(crate) fn api_key(state: &State, fields: &Fields, now: Timestamp) -> Result<Answer, Refusal> {
    let user = match (fields.text("Username")?, fields.text("Password")?) {
        (Some(name), Some(password)) => User::with_password(name, password),
        _ => None,
    };
    let user = user.ok_or_else(|| {
        let body = json!({ "Error": "Username/password combination not valid" });
        Refusal(Answer { status: StatusCode::UNAUTHORIZED, body: Some(body), ..Answer::nothing() })
    })?;
    let (key, until) = state.sessions.api_key(user, now);
    Ok(Answer::ok(json!({ "APIKey": key, "ValidUntil": net_date(until) })))
}

/// `vedsdk/authorize/checkvalid`: whether an API key still is one.
pub(crate) fn check_valid(state: &State, headers: &HeaderMap, now: Timestamp) -> Result<Answer, Refusal> {
    let key = headers.get("x-venafi-api-key").and_then(|key| key.to_str().ok());
    let used = key.and_then(|key| state.sessions.use_api_key(key, now));
    let (_, until) = used.ok_or_else(no_token)?;
    Ok(Answer::ok(json!({ "ValidUntil": net_date(until) })))
}

fn application(fields: &Fields) -> Result<(&str, Scope), Refusal> {
    let client_id = parameter(fields, "client_id")?;
    let scope = Scope::parse(parameter(fields, "scope")?);
    let scope = scope.ok_or_else(|| Refusal::grant("invalid_scope", "The requested scope is not valid"))?;
    Ok((client_id, scope))
}

fn parameter<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Refusal> {
    let missing = || Refusal::grant("invalid_request", &format!("The parameter {name} is missing"));
    fields.text(name).ok().flatten().ok_or_else(missing)
}

fn grant(
    state: &State,
    user: &'static User,
    client_id: &str,
    scope: Scope,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    if !user.may(&scope) {
        // The product says it in the status line alone.
        let text = "Failed to issue grant: User is not authorized for the requested scope";
        return Err(Refusal(Answer::with(StatusCode::FORBIDDEN, text, None)));
    }
    Ok(tokens(&state.sessions.grant(user, client_id, scope, now), now))
}

fn tokens(issued: &Issued, now: Timestamp) -> Answer {
    Answer::ok(json!({
        "access_token": issued.access,
        "expires": issued.expires.as_second(),
        "expires_in": issued.expires.duration_since(now).as_secs(),
        "identity": issued.grant.user.universal(),
        "refresh_token": issued.refresh,
        "refresh_until": issued.grant.until.as_second(),
        "scope": issued.grant.scope.to_string(),
        "token_type": "Bearer",
    }))
}

/// As .NET writes times in JSON.
fn net_date(at: Timestamp) -> Value {
    Value::String(format!("/Date({})/", at.as_millisecond()))
}

fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
