//! Tokens: the user's own, or those that an AppRole login gives.
//!
//! One login at a time: whoever comes meanwhile waits for it and shares what it came to, so that a hundred
//! requests meeting an expired token make one login, and a hundred meeting a refused one make one too.
//!
//! A refused login is not repeated for a while: Vault and OpenBao lock a role for 15 minutes, the right secret id
//! included, after five refused logins within 15 minutes (`user_lockout`). A corrected Secret makes a new signer,
//! which logs in at once.

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
    failed: Option<Failed>,
}

/// The last login failed.
#[derive(Debug)]
struct Failed {
    when: Instant,
    failure: Failure,
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

/// How long a refusal stands before the login is tried again: four in 15 minutes, one less than locks a role.
const REFUSED_AGAIN: Duration = Duration::from_mins(4);

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

    /// Every credential that was sent or is held: none may be in a message.
    pub(super) async fn credentials(&self) -> Vec<SecretText> {
        match self {
            Self::Token(token) => token.text().into_iter().collect(),
            Self::AppRole(role) => {
                let token = role.state.lock().await.lease.as_ref().and_then(|lease| lease.token.text());
                token.into_iter().chain([role.secret_id.clone()]).collect()
            }
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

impl Lease {
    /// To be renewed at two thirds, which leaves a third to get over an outage. A length of 0 has no end, nor has
    /// one that no clock can count.
    fn new(token: Token, from: Instant, length: Duration) -> Self {
        let end = from.checked_add(length).filter(|_| !length.is_zero());
        Self { token, renew: end.map(|_| from + length / 3 * 2), end }
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.renew.is_none_or(|renew| now < renew)
    }

    fn has_ended(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

impl Failed {
    /// Whoever came before the login failed has waited for it, and shares its failure.
    fn stands_for(&self, came: Instant) -> bool {
        came <= self.when || (self.failure.is_forbidden() && came < self.when + REFUSED_AGAIN)
    }
}

impl AppRole {
    async fn token(&self, api: &Api) -> Result<Token, Failure> {
        let came = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(lease) = state.lease.as_ref().filter(|lease| lease.is_fresh(Instant::now())) {
            return Ok(lease.token.clone());
        }
        if let Some(failed) = state.failed.as_ref().filter(|failed| failed.stands_for(came)) {
            return Err(failed.failure.clone());
        }
        match self.log_in(api).await {
            Ok(lease) => {
                let token = lease.token.clone();
                *state = State { lease: Some(lease), failed: None };
                Ok(token)
            }
            Err(failure) => {
                let now = Instant::now();
                if let Some(lease) = state.lease.as_mut().filter(|lease| !lease.has_ended(now)) {
                    lease.renew = Some(now + LOGIN_AGAIN);
                    return Ok(lease.token.clone());
                }
                *state = State { lease: None, failed: Some(Failed { when: now, failure: failure.clone() }) };
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
        Ok(Lease::new(token, asked, lease))
    }

    /// A login is refused with 400 (`invalid role or secret ID`), and with 403 where nothing is mounted.
    fn about_login(refusal: Refusal) -> Refusal {
        match refusal.kind {
            RefusalKind::Request => Refusal { kind: RefusalKind::Forbidden, ..refusal },
            RefusalKind::Forbidden => {
                let text = format!(
                    "{} (so says Vault also if no AppRole method is mounted there, and for a quarter of an hour after five refused logins)",
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
        // A header may hold other bytes, but no token does.
        let text = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
        let mut value = text.and_then(|text| HeaderValue::from_str(text).ok()).ok_or(CredentialError)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    fn text(&self) -> Option<SecretText> {
        SecretText::from_bytes(self.0.as_bytes()).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_at_two_thirds_and_ends_at_its_end() {
        let (from, second) = (Instant::now(), Duration::from_secs(1));
        let lease = Lease::new(Token::new("t").unwrap(), from, 30 * second);
        assert!(lease.is_fresh(from + 19 * second) && !lease.is_fresh(from + 20 * second));
        assert!(!lease.has_ended(from + 29 * second) && lease.has_ended(from + 30 * second));
    }

    #[test]
    fn a_lease_of_nothing_or_of_all_time_has_no_end() {
        for length in [Duration::ZERO, Duration::from_secs(u64::MAX)] {
            let lease = Lease::new(Token::new("t").unwrap(), Instant::now(), length);
            let later = Instant::now() + Duration::from_hours(24 * 365);
            assert!(lease.is_fresh(later) && !lease.has_ended(later));
        }
    }

    #[test]
    fn a_failure_is_shared_by_those_who_waited_and_a_refusal_stands_for_a_while() {
        let (when, minute) = (Instant::now(), Duration::from_mins(1));
        for (kind, stands) in [(RefusalKind::Unavailable, false), (RefusalKind::Forbidden, true)] {
            let failure = Failure::refused("auth/approle/login", Refusal::new(kind, "no".into()));
            let failed = Failed { when, failure };
            assert!(failed.stands_for(when));
            assert_eq!(failed.stands_for(when + 3 * minute), stands, "{kind:?}");
            assert!(!failed.stands_for(when + 4 * minute));
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let token = Token::new("hvs.canary").unwrap();
        assert_eq!(format!("{token:?} {:?}", token.header()), "Token(…) Sensitive");
    }
}
