//! Tokens: the user's own, or those that an AppRole login gives.
//!
//! One login at a time: whoever comes meanwhile waits for it and shares what it came to, so that a hundred
//! requests meeting an expired token make one login, and a hundred meeting a refused one make one too.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::secret::SecretText;
use super::api::Api;
use super::failure::Failure;
use super::refusal::{self, Refusal, RefusalKind};
use crate::config::VaultAuth;

/// A token, ready to be sent. Its `Debug` shows nothing.
#[derive(Clone)]
pub(super) struct Token(HeaderValue);

/// The credential cannot be one of Vault's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token has characters other than printable ASCII, which no token of Vault has")]
pub struct CredentialError;

/// Where tokens come from.
#[derive(Debug)]
pub(super) enum Logins {
    /// The user's own token: there is no other.
    Token(Token),
    /// A login with AppRole.
    AppRole(Box<AppRole>),
}

/// `auth/<mount>/login` with role id and secret id.
#[derive(Debug)]
pub(super) struct AppRole {
    path: String,
    role_id: String,
    secret_id: SecretText,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lease: Option<Lease>,
    failure: Option<(Instant, Failure)>,
}

#[derive(Debug)]
struct Lease {
    token: Token,
    /// When to log in again; `None`: never.
    renew: Option<Instant>,
    /// When the token ends.
    end: Option<Instant>,
}

/// How long a token that still has time is used before a login that failed is tried again.
const LOGIN_AGAIN: Duration = Duration::from_secs(10);

impl Logins {
    pub(super) fn new(auth: &VaultAuth, credential: SecretText) -> Result<Self, CredentialError> {
        Ok(match auth {
            VaultAuth::Token => Self::Token(Token::new(credential.expose())?),
            VaultAuth::AppRole { role_id, mount_path } => Self::AppRole(Box::new(AppRole {
                path: format!("auth/{mount_path}/login"),
                role_id: role_id.clone(),
                secret_id: credential,
                state: Mutex::default(),
            })),
        })
    }

    /// A token that is good as far as we know.
    pub(super) async fn token(&self, api: &Api) -> Result<Token, Failure> {
        match self {
            Self::Token(token) => Ok(token.clone()),
            Self::AppRole(role) => role.token(api).await,
        }
    }

    /// Vault refused this token. Tells whether another can be had.
    pub(super) async fn replace(&self, refused: &Token) -> bool {
        let Self::AppRole(role) = self else { return false };
        let mut state = role.state.lock().await;
        // Somebody else may have replaced it already.
        state.lease.take_if(|lease| lease.token.0 == refused.0);
        true
    }
}

impl AppRole {
    async fn token(&self, api: &Api) -> Result<Token, Failure> {
        let came = Instant::now();
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(lease) = &state.lease
            && lease.renew.is_none_or(|renew| now < renew)
        {
            return Ok(lease.token.clone());
        }
        // Everybody who waited for a login shares its failure.
        if let Some((when, failure)) = &state.failure
            && *when >= came
        {
            return Err(failure.clone());
        }
        match self.log_in(api).await {
            Ok(lease) => {
                let token = lease.token.clone();
                *state = State { lease: Some(lease), failure: None };
                Ok(token)
            }
            Err(failure) => {
                let now = Instant::now();
                if let Some(lease) =
                    state.lease.as_mut().filter(|lease| lease.end.is_none_or(|end| now < end))
                {
                    lease.renew = Some(now + LOGIN_AGAIN);
                    return Ok(lease.token.clone());
                }
                *state = State { lease: None, failure: Some((now, failure.clone())) };
                Err(failure)
            }
        }
    }

    async fn log_in(&self, api: &Api) -> Result<Lease, Failure> {
        let body = LoginRequest { role_id: &self.role_id, secret_id: self.secret_id.expose() };
        let asked = Instant::now();
        let reply = api.send("log in to Vault", Method::POST, &self.path, None, Some(&body)).await?;
        let refused = |refusal| Failure::refused(&self.path, refusal);
        refusal::check(&reply).map_err(|refusal| refused(Self::about_login(refusal)))?;
        let token = reply.json::<LoginAnswer>().and_then(|answer| answer.auth).and_then(|auth| {
            let lease = Duration::from_secs(auth.lease_duration);
            Some((Token::new(&auth.client_token).ok()?, lease))
        });
        let (token, lease) = token.ok_or_else(|| {
            let text = format!("{} without a token: is the URL that of Vault?", reply.summary());
            refused(Refusal::new(RefusalKind::Configuration, text))
        })?;
        // At two thirds, which leaves a third to get over an outage. A lease of 0 has no end.
        let lives = !lease.is_zero();
        Ok(Lease { token, renew: lives.then(|| asked + lease * 2 / 3), end: lives.then(|| asked + lease) })
    }

    /// A login is refused with 400 (`invalid role or secret ID`), and with 403 where nothing is mounted.
    fn about_login(refusal: Refusal) -> Refusal {
        match refusal.kind {
            RefusalKind::Request => Refusal { kind: RefusalKind::Forbidden, ..refusal },
            RefusalKind::Forbidden => {
                let text = format!(
                    "{} (that is also what Vault says if no AppRole method is mounted there)",
                    refusal.text
                );
                Refusal { text, ..refusal }
            }
            RefusalKind::Configuration | RefusalKind::Unavailable => refusal,
        }
    }
}

#[derive(Serialize)]
struct LoginRequest<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

#[derive(Deserialize)]
struct LoginAnswer {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: u64,
}

impl Token {
    fn new(text: &str) -> Result<Self, CredentialError> {
        let mut value = HeaderValue::from_str(text).map_err(|_| CredentialError)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
