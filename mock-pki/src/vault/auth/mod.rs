//! Ways to log in, each a mount below `auth/`: what they share is what a role says of the tokens it gives.

mod approle;
mod cert;
mod kubernetes;
mod userpass;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    random,
    vault::{
        State,
        envelope::Answer,
        error::Refusal,
        fields::Fields,
        request::Request,
        token::{NewToken, SYSTEM_TTL, capped, policies},
    },
};

pub(crate) use self::{approle::AppRole, cert::Cert, kubernetes::Kubernetes, userpass::Userpass};

/// A request to a method, and what it may need.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) state: &'a State,
    pub(crate) request: &'a Request,
    pub(crate) mount: &'a str,
    pub(crate) path: &'a str,
    pub(crate) now: Timestamp,
    /// The certificates that the client showed, its own first.
    pub(crate) client: &'a [CertificateDer<'static>],
}

/// What a role says of the tokens it gives: its `token_…` fields.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct TokenSettings {
    explicit_max_ttl: i64,
    max_ttl: i64,
    no_default_policy: bool,
    num_uses: i64,
    period: i64,
    policies: Vec<String>,
    ttl: i64,
}

/// Somebody who may have a token.
struct Known {
    display_name: String,
    /// The path of the login, below `auth/`.
    path: String,
    /// By which the product knows who it is, whatever the token.
    alias: String,
    meta: Map<String, Value>,
}

impl TokenSettings {
    /// Reads them; what is not given stays as it was.
    fn read(fields: &Fields, known: Option<&Self>) -> Result<Self, Refusal> {
        let seconds = |name: &str, known: Option<&i64>| fields.updated(name, known, Fields::seconds);
        let num_uses = known.map(|known| &known.num_uses);
        // `policies` is the older name.
        let policies = ["token_policies", "policies"].into_iter().find(|name| fields.has(name));
        let settings = Self {
            explicit_max_ttl: seconds("token_explicit_max_ttl", known.map(|known| &known.explicit_max_ttl))?,
            max_ttl: seconds("token_max_ttl", known.map(|known| &known.max_ttl))?,
            no_default_policy: fields
                .boolean("token_no_default_policy", known.is_some_and(|known| known.no_default_policy))?,
            num_uses: fields.updated("token_num_uses", num_uses, Fields::integer)?,
            period: seconds("token_period", known.map(|known| &known.period))?,
            policies: match policies {
                Some(name) => fields.list(name)?,
                None => known.map(|known| known.policies.clone()).unwrap_or_default(),
            },
            ttl: seconds("token_ttl", known.map(|known| &known.ttl))?,
        };
        if settings.max_ttl > 0 && settings.ttl > settings.max_ttl {
            return Err(Refusal::bad("'token_ttl' cannot be greater than 'token_max_ttl'"));
        }
        Ok(settings)
    }

    /// They and further fields of the role.
    fn describe(&self, further: Value) -> Answer {
        let mut shown = json!({
            "token_bound_cidrs": [],
            "token_explicit_max_ttl": self.explicit_max_ttl,
            "token_max_ttl": self.max_ttl,
            "token_no_default_policy": self.no_default_policy,
            "token_num_uses": self.num_uses,
            "token_period": self.period,
            "token_policies": self.policies,
            "token_strictly_bind_ip": false,
            "token_ttl": self.ttl,
            "token_type": "default",
        });
        if let (Some(shown), Value::Object(further)) = (shown.as_object_mut(), further) {
            shown.extend(further);
        }
        Answer::data(shown)
    }

    /// A token, and the answer that brings it.
    fn log_in(&self, state: &State, known: Known, now: Timestamp) -> Result<Answer, Refusal> {
        let policies = policies(self.policies.clone(), !self.no_default_policy);
        let max_ttl = if self.max_ttl > 0 { self.max_ttl } else { SYSTEM_TTL };
        let ttl = if self.ttl > 0 { self.ttl } else { SYSTEM_TTL };
        let warnings = self.limits_that_cut(ttl, max_ttl);
        let created = state.tokens.create(
            NewToken {
                policies,
                display_name: known.display_name,
                entity_id: entity_id(&known.path, &known.alias),
                path: known.path,
                meta: Some(known.meta),
                orphan: true,
                renewable: true,
                ttl: ttl.min(max_ttl),
                explicit_max_ttl: self.explicit_max_ttl,
                max_ttl,
                period: self.period,
                num_uses: self.num_uses,
                ..NewToken::default()
            },
            now,
        );
        let (id, token) = created.ok_or_else(|| Refusal::internal("the token's id is taken"))?;
        Ok(Answer::auth(token.auth(&id, token.ttl(now)), warnings))
    }

    /// What is said of the limits that make a token live shorter than its role's TTL or period.
    fn limits_that_cut(&self, ttl: i64, max_ttl: i64) -> Vec<String> {
        let explicit = Some(self.explicit_max_ttl).filter(|limit| *limit > 0);
        if self.period > 0 {
            let cut = explicit.filter(|limit| self.period > *limit);
            return cut.map(|limit| capped("period", self.period, limit)).into_iter().collect();
        }
        let limit = explicit.map_or(max_ttl, |limit| limit.min(max_ttl));
        (ttl > limit).then(|| capped("TTL", ttl, limit)).into_iter().collect()
    }
}

/// The same for the same somebody, so that nothing has to be remembered.
fn entity_id(path: &str, alias: &str) -> String {
    let hash = digest(&SHA256, format!("{path}\n{alias}").as_bytes());
    random::as_uuid(hash.as_ref())
}
