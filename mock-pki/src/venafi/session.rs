//! Who may call: users, grants with their access and refresh tokens, and the API keys of old.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    random,
    server::{VENAFI_PASSWORD, VENAFI_USER},
    sync::lock,
    venafi::scope::Scope,
};

/// The product's defaults: a token for 90 days, a grant for a year.
const ACCESS_VALIDITY: SignedDuration = SignedDuration::from_hours(24 * 90);
const GRANT_VALIDITY: SignedDuration = SignedDuration::from_hours(24 * 365);

/// An API key is good for this long after its last use.
const API_KEY_VALIDITY: SignedDuration = SignedDuration::from_mins(15);

/// Somebody in the local directory.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    password: &'static str,
    /// The identity's GUID, without braces.
    pub(crate) guid: &'static str,
    /// What grants of this user may hold at most; everything if `None`.
    scope: Option<&'static str>,
}

/// Everybody. The passwords are known: this is for tests.
pub(crate) const USERS: [User; 2] = [
    User {
        name: VENAFI_USER,
        password: VENAFI_PASSWORD,
        guid: "8e1bf110-8ef8-4a53-a6da-000000000001",
        scope: None,
    },
    User {
        name: "requester",
        password: VENAFI_PASSWORD,
        guid: "8e1bf110-8ef8-4a53-a6da-000000000002",
        scope: Some("certificate:manage"),
    },
];

impl User {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        let name = name.strip_prefix("local:").unwrap_or(name);
        USERS.iter().find(|user| user.name.eq_ignore_ascii_case(name))
    }

    /// The user with this password.
    pub(crate) fn with_password(name: &str, password: &str) -> Option<&'static Self> {
        Self::named(name).filter(|user| user.password == password)
    }

    pub(crate) fn may(&self, scope: &Scope) -> bool {
        scope.is_within(&self.most())
    }

    /// What the user may do at most: what an API key may.
    pub(crate) fn most(&self) -> Scope {
        self.scope.and_then(Scope::parse).unwrap_or_else(Scope::all)
    }

    /// `local:{…}`
    pub(crate) fn universal(&self) -> String {
        format!("local:{{{}}}", self.guid)
    }
}

/// What a user allowed an application.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    id: u64,
    pub(crate) user: &'static User,
    pub(crate) client_id: String,
    pub(crate) scope: Scope,
    pub(crate) issued: Timestamp,
    pub(crate) until: Timestamp,
}

/// Tokens as they go to the client. Without `Debug`.
pub(crate) struct Issued {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) expires: Timestamp,
    pub(crate) grant: Arc<Grant>,
}

/// A valid access token.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) grant: Arc<Grant>,
    pub(crate) issued: Timestamp,
    expires: Timestamp,
}

/// Everything that is valid. Without `Debug`: it is all secret.
/// The most tokens of a kind that are remembered: the oldest go first.
const MAX_TOKENS: usize = 10_000;

#[derive(Default)]
pub(crate) struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    last_grant: u64,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Arc<Grant>>,
    api_keys: BTreeMap<String, (&'static User, Timestamp)>,
}

impl Sessions {
    /// Begins a grant.
    pub(crate) fn grant(&self, user: &'static User, client_id: &str, scope: Scope, now: Timestamp) -> Issued {
        let mut inner = lock(&self.0);
        inner.access.retain(|_, access| access.expires > now);
        inner.refresh.retain(|_, grant| grant.until > now);
        inner.make_room();
        inner.last_grant += 1;
        let grant = Grant {
            id: inner.last_grant,
            user,
            client_id: client_id.to_owned(),
            scope,
            issued: now,
            until: later(now, GRANT_VALIDITY),
        };
        inner.issue(Arc::new(grant), now)
    }

    /// New tokens for a refresh token, which is spent by it.
    pub(crate) fn refresh(&self, token: &str, client_id: &str, now: Timestamp) -> Option<Issued> {
        let mut inner = lock(&self.0);
        let grant = inner.refresh.get(token)?;
        if grant.client_id != client_id || grant.until <= now {
            return None;
        }
        let grant = inner.refresh.remove(token)?;
        Some(inner.issue(grant, now))
    }

    /// The access token, if it is valid.
    pub(crate) fn access(&self, token: &str, now: Timestamp) -> Option<Access> {
        lock(&self.0).access.get(token).filter(|access| access.expires > now).cloned()
    }

    /// Takes back a grant with all of its tokens.
    pub(crate) fn revoke(&self, grant: &Grant) {
        let mut inner = lock(&self.0);
        inner.access.retain(|_, access| access.grant.id != grant.id);
        inner.refresh.retain(|_, other| other.id != grant.id);
    }

    /// A new API key, and until when it is valid if nobody uses it.
    pub(crate) fn api_key(&self, user: &'static User, now: Timestamp) -> (String, Timestamp) {
        let (key, until) = (random::uuid(), later(now, API_KEY_VALIDITY));
        let mut inner = lock(&self.0);
        inner.api_keys.retain(|_, (_, until)| *until > now);
        if inner.api_keys.len() >= MAX_TOKENS {
            let oldest =
                inner.api_keys.iter().min_by_key(|(_, (_, until))| *until).map(|(key, _)| key.clone());
            oldest.map(|oldest| inner.api_keys.remove(&oldest));
        }
        inner.api_keys.insert(key.clone(), (user, until));
        (key, until)
    }

    /// Who holds an API key. Using it prolongs it.
    pub(crate) fn use_api_key(&self, key: &str, now: Timestamp) -> Option<(&'static User, Timestamp)> {
        let mut inner = lock(&self.0);
        let (user, until) = inner.api_keys.get_mut(key).filter(|(_, until)| *until > now)?;
        *until = later(now, API_KEY_VALIDITY);
        Some((*user, *until))
    }
}

impl Inner {
    /// Forgets the oldest grant with its tokens where there are too many.
    fn make_room(&mut self) {
        if self.access.len().max(self.refresh.len()) < MAX_TOKENS {
            return;
        }
        let access = self.access.values().map(|access| access.grant.id);
        let Some(oldest) = access.chain(self.refresh.values().map(|grant| grant.id)).min() else { return };
        self.access.retain(|_, access| access.grant.id != oldest);
        self.refresh.retain(|_, grant| grant.id != oldest);
    }

    fn issue(&mut self, grant: Arc<Grant>, now: Timestamp) -> Issued {
        let (access, refresh) = (random::base64_token(), random::base64_token());
        let expires = later(now, ACCESS_VALIDITY).min(grant.until);
        self.access.insert(access.clone(), Access { grant: Arc::clone(&grant), issued: now, expires });
        self.refresh.insert(refresh.clone(), Arc::clone(&grant));
        Issued { access, refresh, expires, grant }
    }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn a_refresh_token_is_good_once_and_only_for_its_client() {
        let (sessions, now) = (Sessions::default(), Timestamp::UNIX_EPOCH);
        let first = sessions.grant(&USERS[0], "vcert-cli", scope("certificate"), now);
        assert!(sessions.refresh(&first.refresh, "other", now).is_none());
        let second = sessions.refresh(&first.refresh, "vcert-cli", now).unwrap();
        assert!(sessions.refresh(&first.refresh, "vcert-cli", now).is_none(), "spent");
        assert!(sessions.access(&second.access, now).is_some());
        sessions.revoke(&second.grant);
        assert!(
            sessions.access(&first.access, now).is_none() && sessions.access(&second.access, now).is_none()
        );
        assert!(sessions.refresh(&second.refresh, "vcert-cli", now).is_none());
    }

    #[test]
    fn tokens_and_keys_end_by_the_clock() {
        let (sessions, now) = (Sessions::default(), Timestamp::UNIX_EPOCH);
        let issued = sessions.grant(&USERS[0], "c", scope("certificate"), now);
        let (key, until) = sessions.api_key(&USERS[1], now);
        assert!(sessions.access(&issued.access, issued.expires).is_none());
        let half = later(now, SignedDuration::from_mins(10));
        assert!(sessions.use_api_key(&key, half).is_some_and(|(_, prolonged)| prolonged > until));
        assert!(
            sessions.use_api_key(&key, until).is_some()
                && sessions.use_api_key(&key, issued.expires).is_none()
        );
        assert!(sessions.refresh(&issued.refresh, "c", issued.grant.until).is_none());
    }

    #[test]
    fn a_user_can_give_no_more_than_they_have() {
        let requester = User::with_password("local:Requester", "newPassw0rd!").unwrap();
        assert!(requester.may(&scope("certificate:manage")) && !requester.may(&scope("certificate:revoke")));
        assert!(USERS[0].may(&Scope::all()) && User::with_password("tppadmin", "x").is_none());
    }
}
