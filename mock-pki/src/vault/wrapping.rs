//! Response wrapping: an answer is kept, and whoever brings the token that was given in its place gets it, once.

use std::{collections::HashMap, sync::Mutex};

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    random,
    sync::lock,
    vault::{
        State, duration,
        envelope::{Answer, Envelope, WrapInfo},
        error::Refusal,
        request::{Operation, Request},
    },
};

/// The most answers that are kept: a client that only wraps must not fill the memory.
const MOST: usize = 10_000;

/// The answers that wait, by token. Without `Debug`: they are secret.
#[derive(Default)]
pub(crate) struct Wrapped(Mutex<HashMap<String, Kept>>);

struct Kept {
    envelope: Box<Envelope>,
    created: Timestamp,
    ttl: i64,
    path: String,
}

impl Kept {
    fn is_over(&self, now: Timestamp) -> bool {
        now.duration_since(self.created) >= SignedDuration::from_secs(self.ttl)
    }
}

/// For how long the answer shall be kept, seconds; `None` if it shall not be wrapped.
pub(crate) fn asked(headers: &HeaderMap) -> Result<Option<i64>, Refusal> {
    let Some(given) = headers.get("x-vault-wrap-ttl") else { return Ok(None) };
    let given = String::from_utf8_lossy(given.as_bytes());
    match duration::parse(&given) {
        Some(0) => Ok(None),
        Some(ttl @ 1..) => Ok(Some(ttl)),
        Some(_) => Err(Refusal::bad("requested wrap ttl must be a positive duration")),
        None => Err(Refusal::bad(format!(
            "error parsing X-Vault-Wrap-TTL header: time: invalid duration \"{given}\""
        ))),
    }
}

impl Wrapped {
    /// Keeps an answer, and gives the one that tells of it. One without an envelope is passed on.
    pub(crate) fn wrap(&self, answer: Answer, ttl: i64, path: &str, now: Timestamp) -> Answer {
        let Answer::Envelope(envelope) = answer else { return answer };
        let mut all = lock(&self.0);
        if all.len() >= MOST {
            all.retain(|_, kept| !kept.is_over(now));
        }
        if all.len() >= MOST {
            return Answer::Envelope(envelope);
        }
        let token = random::token();
        let info = WrapInfo {
            token: token.clone(),
            accessor: random::base62(),
            ttl,
            creation_time: now.to_string(),
            creation_path: path.to_owned(),
            wrapped_accessor: envelope.auth.as_ref().map(|auth| auth.accessor.clone()),
        };
        all.insert(token, Kept { envelope, created: now, ttl, path: path.to_owned() });
        Answer::wrapped(info)
    }

    fn take(&self, token: &str, now: Timestamp) -> Option<Kept> {
        lock(&self.0).remove(token).filter(|kept| !kept.is_over(now))
    }

    fn look(&self, token: &str, now: Timestamp) -> Option<Value> {
        let all = lock(&self.0);
        let kept = all.get(token).filter(|kept| !kept.is_over(now))?;
        Some(json!({
            "creation_path": kept.path,
            "creation_time": kept.created.to_string(),
            "creation_ttl": kept.ttl,
        }))
    }
}

/// `sys/wrapping/…` below `wrapping/`; `None` for what is not here. The wrapping token alone opens it.
pub(crate) fn route(
    state: &State,
    request: &Request,
    path: &str,
    now: Timestamp,
) -> Option<Result<Answer, Refusal>> {
    if !matches!(path, "unwrap" | "lookup") {
        return None;
    }
    if request.operation != Operation::Update {
        return Some(Err(Refusal::with(http::StatusCode::METHOD_NOT_ALLOWED, "unsupported operation")));
    }
    let given = match request.fields.text("token") {
        Ok(given) => given.into_owned(),
        Err(refusal) => return Some(Err(refusal)),
    };
    let own = request.token.clone().unwrap_or_default();
    let token = if given.is_empty() { own } else { given };
    let invalid = || Refusal::bad("wrapping token is not valid or does not exist");
    Some(match path {
        _ if token.is_empty() => {
            let text = "error validating wrapping token: token is empty";
            Err(Refusal::with(http::StatusCode::FORBIDDEN, text))
        }
        "lookup" => state.wrapped.look(&token, now).map(Answer::data).ok_or_else(invalid),
        _ => {
            let kept = state.wrapped.take(&token, now);
            kept.map(|kept| Answer::unwrapped(*kept.envelope)).ok_or_else(invalid)
        }
    })
}
