//! Tokens: their records and their store.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{
        Arc, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    random,
    sync::{read, write},
    vault::{duration, envelope::Auth},
};

/// The system's default and greatest lease, 32 days.
pub(crate) const SYSTEM_TTL: i64 = 768 * 3600;

/// The value of an expiry that never comes.
const NEVER: i64 = i64::MAX;

/// A token's record. Nothing here has `Debug`, since ids are what a client needs to act in somebody's name.
#[derive(Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) accessor: String,
    pub(crate) policies: Vec<String>,
    display_name: String,
    path: String,
    meta: Option<Map<String, Value>>,
    entity_id: String,
    orphan: bool,
    renewable: bool,
    created: Timestamp,
    creation_ttl: i64,
    explicit_max_ttl: i64,
    max_ttl: i64,
    period: i64,
    num_uses: i64,
    uses_left: AtomicI64,
    expires_ms: AtomicI64,
    renewed_ms: AtomicI64,
    parent: Option<String>,
}

/// What a new token shall be.
#[derive(Default)]
pub(crate) struct NewToken {
    pub(crate) id: Option<String>,
    pub(crate) policies: Vec<String>,
    pub(crate) display_name: String,
    pub(crate) path: String,
    pub(crate) meta: Option<Map<String, Value>>,
    pub(crate) entity_id: String,
    pub(crate) orphan: bool,
    pub(crate) renewable: bool,
    /// 0 for a token that never expires.
    pub(crate) ttl: i64,
    pub(crate) explicit_max_ttl: i64,
    pub(crate) max_ttl: i64,
    pub(crate) period: i64,
    pub(crate) num_uses: i64,
    pub(crate) parent: Option<String>,
}

impl Token {
    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == "root")
    }

    fn expired(&self, now: Timestamp) -> bool {
        now.as_millisecond() >= self.expires_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn ttl(&self, now: Timestamp) -> i64 {
        match self.expires_ms.load(Ordering::Relaxed) {
            NEVER => 0,
            at => (at - now.as_millisecond()).max(0) / 1000,
        }
    }

    pub(crate) fn is_renewable(&self) -> bool {
        self.renewable
    }

    /// Prolongs it from now. Gives the new TTL, and the limit when it was cut.
    pub(crate) fn renew(&self, now: Timestamp, increment: i64) -> (i64, Option<i64>) {
        let wanted = if self.period > 0 {
            self.period
        } else if increment > 0 {
            increment
        } else {
            self.creation_ttl
        };
        let age = now.duration_since(self.created).as_secs();
        // A period outlives every limit but the explicit one.
        let max_ttl = if self.period > 0 { 0 } else { self.max_ttl };
        let limit = [self.explicit_max_ttl, max_ttl].into_iter().filter(|limit| *limit > 0).min();
        let left = limit.map(|limit| (limit - age).max(0));
        let ttl = left.map_or(wanted, |left| wanted.min(left));
        self.expires_ms
            .store(now.as_millisecond().saturating_add(ttl.saturating_mul(1000)), Ordering::Relaxed);
        self.renewed_ms.store(now.as_millisecond(), Ordering::Relaxed);
        (ttl, limit.filter(|_| ttl < wanted))
    }

    pub(crate) fn auth(&self, id: &str, lease_duration: i64) -> Auth {
        Auth {
            client_token: id.to_owned(),
            accessor: self.accessor.clone(),
            policies: self.policies.clone(),
            token_policies: self.policies.clone(),
            metadata: self.meta.clone(),
            lease_duration,
            renewable: self.renewable,
            entity_id: self.entity_id.clone(),
            token_type: "service",
            orphan: self.orphan,
            mfa_requirement: None,
            num_uses: self.num_uses,
        }
    }

    /// What a look-up shows; `id` is empty when it was found by accessor.
    pub(crate) fn describe(&self, id: &str, now: Timestamp) -> Value {
        let expires = match self.expires_ms.load(Ordering::Relaxed) {
            NEVER => Value::Null,
            at => json!(Timestamp::from_millisecond(at).unwrap_or(now).to_string()),
        };
        let num_uses = if self.num_uses > 0 { self.uses_left.load(Ordering::Relaxed) } else { 0 };
        let mut shown = json!({
            "accessor": self.accessor,
            "creation_time": self.created.as_second(),
            "creation_ttl": self.creation_ttl,
            "display_name": self.display_name,
            "entity_id": self.entity_id,
            "expire_time": expires,
            "explicit_max_ttl": self.explicit_max_ttl,
            "id": id,
            "issue_time": self.created.to_string(),
            "meta": self.meta,
            "num_uses": num_uses,
            "orphan": self.orphan,
            "path": self.path,
            "policies": self.policies,
            "renewable": self.renewable,
            "ttl": self.ttl(now),
            "type": "service",
        });
        if let Some(shown) = shown.as_object_mut() {
            if self.period > 0 {
                shown.insert("period".to_owned(), json!(self.period));
            }
            let renewed = self.renewed_ms.load(Ordering::Relaxed);
            if renewed > 0 {
                let at = Timestamp::from_millisecond(renewed).unwrap_or(now);
                shown.insert("last_renewal".to_owned(), json!(at.to_string()));
                shown.insert("last_renewal_time".to_owned(), json!(at.as_second()));
            }
        }
        shown
    }
}

/// Policies as a token has them: in lower case, each once, sorted, and `default` among them if it shall be.
pub(crate) fn policies(names: Vec<String>, with_default: bool) -> Vec<String> {
    let names = names.into_iter().map(|name| name.to_lowercase());
    let mut policies: Vec<String> = names.chain(with_default.then(|| "default".to_owned())).collect();
    policies.sort_unstable();
    policies.dedup();
    policies
}

/// The warning about a lease (`TTL` or `period`) that a limit cuts.
pub(crate) fn capped(what: &str, wanted: i64, limit: i64) -> String {
    format!(
        "{what} of \"{}\" exceeded the effective max_ttl of \"{}\"; {what} value is capped accordingly",
        duration::print_short(wanted),
        duration::print_short(limit)
    )
}

/// All tokens, by id.
#[derive(Default)]
pub(crate) struct Tokens {
    by_id: RwLock<HashMap<String, Arc<Token>>>,
}

/// From this many tokens on, those that ended are looked for when a new one is made and the number has doubled.
const MANY: usize = 1024;

impl Tokens {
    /// Makes a token; `None` when its id is taken.
    pub(crate) fn create(&self, new: NewToken, now: Timestamp) -> Option<(String, Arc<Token>)> {
        let id = new.id.unwrap_or_else(random::token);
        let ttl = if new.period > 0 { new.period } else { new.ttl };
        let ttl = if new.explicit_max_ttl > 0 && ttl > 0 { ttl.min(new.explicit_max_ttl) } else { ttl };
        let expires =
            if ttl > 0 { now.as_millisecond().saturating_add(ttl.saturating_mul(1000)) } else { NEVER };
        let token = Arc::new(Token {
            accessor: random::base62(),
            policies: new.policies,
            display_name: new.display_name,
            path: new.path,
            meta: new.meta,
            entity_id: new.entity_id,
            orphan: new.orphan,
            renewable: new.renewable && ttl > 0,
            created: now,
            creation_ttl: ttl,
            explicit_max_ttl: new.explicit_max_ttl,
            max_ttl: new.max_ttl,
            period: new.period,
            num_uses: new.num_uses,
            uses_left: AtomicI64::new(if new.num_uses > 0 { new.num_uses } else { i64::MAX }),
            expires_ms: AtomicI64::new(expires),
            renewed_ms: AtomicI64::new(0),
            parent: new.parent,
        });
        let mut tokens = write(&self.by_id);
        if tokens.len() >= MANY && tokens.len().is_power_of_two() {
            tokens.retain(|_, token| !token.expired(now));
        }
        match tokens.entry(id.clone()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(Arc::clone(&token));
                Some((id, token))
            }
        }
    }

    /// A token that is still valid.
    pub(crate) fn find(&self, id: &str, now: Timestamp) -> Option<Arc<Token>> {
        let token = read(&self.by_id).get(id).map(Arc::clone)?;
        if token.expired(now) {
            self.revoke(id);
            return None;
        }
        Some(token)
    }

    /// A token that is still valid, and one of its uses is spent.
    pub(crate) fn spend(&self, id: &str, now: Timestamp) -> Option<Arc<Token>> {
        let token = self.find(id, now)?;
        if token.num_uses > 0 {
            let left = token.uses_left.fetch_sub(1, Ordering::Relaxed);
            if left <= 1 {
                self.revoke(id);
            }
            if left <= 0 {
                return None;
            }
        }
        Some(token)
    }

    pub(crate) fn find_by_accessor(&self, accessor: &str, now: Timestamp) -> Option<(String, Arc<Token>)> {
        let tokens = read(&self.by_id);
        let found = tokens.iter().find(|(_, token)| token.accessor == accessor && !token.expired(now));
        found.map(|(id, token)| (id.clone(), Arc::clone(token)))
    }

    /// Ends a token and all that were made with it.
    pub(crate) fn revoke(&self, id: &str) {
        let mut tokens = write(&self.by_id);
        let mut ended = vec![id.to_owned()];
        while let Some(id) = ended.pop() {
            tokens.remove(&id);
            let children = tokens.iter().filter(|(_, token)| token.parent.as_deref() == Some(&id));
            ended.extend(children.map(|(child, _)| child.clone()));
        }
    }

    /// All of them, by id.
    pub(crate) fn all(&self) -> BTreeMap<String, Arc<Token>> {
        read(&self.by_id).iter().map(|(id, token)| (id.clone(), Arc::clone(token))).collect()
    }

    /// These in place of all but the root tokens that are there, which were given at the start.
    pub(crate) fn replace(&self, tokens: BTreeMap<String, Arc<Token>>, now: Timestamp) {
        let mut all = write(&self.by_id);
        all.retain(|_, token| token.is_root());
        all.extend(tokens.into_iter().filter(|(_, token)| !token.expired(now)));
    }

    pub(crate) fn accessors(&self) -> Vec<String> {
        read(&self.by_id).values().map(|token| token.accessor.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_token_ends_with_its_ttl_and_a_renewal_never_goes_beyond_the_limit() {
        let tokens = Tokens::default();
        let new = NewToken { ttl: 60, renewable: true, explicit_max_ttl: 100, ..NewToken::default() };
        let (id, token) = tokens.create(new, at(0)).unwrap();
        assert_eq!(token.ttl(at(10)), 50);
        assert_eq!(token.renew(at(50), 30), (30, None));
        assert_eq!(token.renew(at(70), 60), (30, Some(100)));
        assert!(tokens.find(&id, at(99)).is_some());
        assert!(tokens.find(&id, at(100)).is_none());
    }

    #[test]
    fn a_token_ends_with_its_uses_and_with_its_parent() {
        let tokens = Tokens::default();
        let (parent, _) = tokens.create(NewToken { num_uses: 2, ..NewToken::default() }, at(0)).unwrap();
        let child = NewToken { parent: Some(parent.clone()), ..NewToken::default() };
        let (child, _) = tokens.create(child, at(0)).unwrap();
        assert!(tokens.spend(&parent, at(1)).is_some());
        assert!(tokens.spend(&parent, at(1)).is_some());
        assert!(tokens.spend(&parent, at(1)).is_none());
        assert!(tokens.find(&child, at(1)).is_none());
    }

    #[test]
    fn a_period_is_renewed_for_ever_but_for_an_explicit_limit() {
        let tokens = Tokens::default();
        let new = NewToken { period: 60, renewable: true, max_ttl: 90, ..NewToken::default() };
        let (_, token) = tokens.create(new, at(0)).unwrap();
        assert_eq!(token.renew(at(1000), 0), (60, None));
        let new = NewToken { period: 600, renewable: true, explicit_max_ttl: 100, ..NewToken::default() };
        let (_, token) = tokens.create(new, at(0)).unwrap();
        assert_eq!(token.ttl(at(0)), 100);
        assert_eq!(token.renew(at(70), 0), (30, Some(100)));
    }

    #[test]
    fn an_id_is_given_once_and_ended_tokens_are_forgotten() {
        let tokens = Tokens::default();
        let named = || NewToken { id: Some("mine".to_owned()), ttl: 10, ..NewToken::default() };
        assert!(tokens.create(named(), at(0)).is_some());
        assert!(tokens.create(named(), at(1)).is_none());
        while tokens.accessors().len() < MANY {
            tokens.create(NewToken { ttl: 1, ..NewToken::default() }, at(0)).unwrap();
        }
        tokens.create(NewToken::default(), at(100)).unwrap();
        assert_eq!(tokens.accessors().len(), 1);
    }
}
