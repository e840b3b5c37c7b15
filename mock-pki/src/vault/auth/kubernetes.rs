//! `auth/kubernetes/…`: logging in with a ServiceAccount's token.
//!
//! The product has a cluster review the token. There is none here: the token is taken at its word, but for what the
//! product reads in it itself, which is whose it is, for whom, and until when.

use std::{collections::BTreeMap, sync::RwLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    sync::{read, write},
    vault::{
        auth::{Context, Known, TokenSettings},
        envelope::Answer,
        error::Refusal,
        fields::Fields,
        pki::glob,
        request::Operation,
    },
};

/// One mounted method.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Kubernetes {
    host: RwLock<Option<String>>,
    roles: RwLock<BTreeMap<String, Role>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Role {
    audience: String,
    names: Vec<String>,
    namespaces: Vec<String>,
    token: TokenSettings,
}

/// What the token says, as far as it counts.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    aud: Audience,
    exp: Option<i64>,
    #[serde(default, rename = "kubernetes.io")]
    kubernetes: Bound,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

#[derive(Default, Deserialize)]
struct Bound {
    #[serde(default)]
    serviceaccount: ServiceAccount,
}

#[derive(Default, Deserialize)]
struct ServiceAccount {
    #[serde(default)]
    uid: String,
}

impl Kubernetes {
    pub(crate) fn route(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let Context { request, path, .. } = context;
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match (segments.as_slice(), request.operation) {
            (["login"], Operation::Update) => self.log_in(context),
            (["config"], Operation::Update) => {
                let host = request.fields.text("kubernetes_host")?;
                if host.is_empty() {
                    return Err(Refusal::bad("no host provided"));
                }
                *write(&self.host) = Some(host.into_owned());
                Ok(Answer::Nothing)
            }
            (["config"], Operation::Read) => self.read_config(),
            (["role"], Operation::List) => {
                Ok(Answer::keys(&request.page(read(&self.roles).keys().cloned().collect())))
            }
            (["role", name], Operation::Update) => self.write(name, &request.fields),
            (["role", name], Operation::Read) => {
                read(&self.roles).get(*name).map(Role::describe).ok_or_else(Refusal::absent)
            }
            (["role", name], Operation::Delete) => {
                write(&self.roles).remove(*name);
                Ok(Answer::Nothing)
            }
            (["login" | "config" | "role"] | ["role", _], _) => Err(Refusal::unsupported_operation()),
            _ => Err(Refusal::unsupported_path()),
        }
    }

    fn read_config(&self) -> Result<Answer, Refusal> {
        let host = read(&self.host).clone().ok_or_else(Refusal::absent)?;
        Ok(Answer::data(json!({
            "disable_iss_validation": true,
            "disable_local_ca_jwt": false,
            "issuer": "",
            "kubernetes_ca_cert": "",
            "kubernetes_host": host,
            "pem_keys": [],
            "token_reviewer_jwt_set": false,
        })))
    }

    fn write(&self, name: &str, fields: &Fields) -> Result<Answer, Refusal> {
        fields.refuse(&["bound_service_account_namespace_selector"])?;
        let mut roles = write(&self.roles);
        let known = roles.get(name);
        let list = |field: &str, known: Option<&Vec<String>>| fields.updated(field, known, Fields::list);
        let role = Role {
            audience: fields.updated("audience", known.map(|known| &known.audience), Fields::own_text)?,
            names: list("bound_service_account_names", known.map(|known| &known.names))?,
            namespaces: list("bound_service_account_namespaces", known.map(|known| &known.namespaces))?,
            token: TokenSettings::read(fields, known.map(|known| &known.token))?,
        };
        if role.names.is_empty() {
            return Err(Refusal::bad("\"bound_service_account_names\" can not be empty"));
        }
        if role.namespaces.is_empty() {
            return Err(Refusal::bad(
                "\"bound_service_account_namespaces\" can not be empty if \
                 \"bound_service_account_namespace_selector\" is not set",
            ));
        }
        roles.insert(name.to_owned(), role);
        Ok(Answer::Nothing)
    }

    fn log_in(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let (name, jwt) = (context.request.fields.text("role")?, context.request.fields.text("jwt")?);
        if name.is_empty() {
            return Err(Refusal::bad("missing role"));
        }
        if jwt.is_empty() {
            return Err(Refusal::bad("missing jwt"));
        }
        let role = read(&self.roles).get(&*name).cloned();
        let role = role.ok_or_else(|| Refusal::bad(format!("invalid role name \"{name}\"")))?;
        if read(&self.host).is_none() {
            return Err(Refusal::internal("could not load backend configuration"));
        }
        let claims = claims(&jwt).ok_or_else(Refusal::no_token)?;
        let (namespace, account) = role.admits(&claims, context.now)?;
        let known = Known {
            display_name: format!(
                "{}-{namespace}-{account}",
                context.mount.trim_end_matches('/').replace('/', "-")
            ),
            path: format!("auth/{}login", context.mount),
            alias: format!("{namespace}/{account}"),
            meta: metadata(&name, namespace, account, &claims.kubernetes.serviceaccount.uid),
        };
        role.token.log_in(context.state, known, context.now)
    }
}

impl Role {
    /// Namespace and name of the ServiceAccount, if this role is for it.
    fn admits<'c>(&self, claims: &'c Claims, now: Timestamp) -> Result<(&'c str, &'c str), Refusal> {
        let account = claims.sub.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        let (namespace, name) = account.ok_or_else(Refusal::no_token)?;
        let refused = |text: &str| Refusal::with(StatusCode::FORBIDDEN, text);
        let has = |patterns: &[String], name: &str| patterns.iter().any(|pattern| glob(pattern, name));
        if !has(&self.namespaces, namespace) {
            return Err(refused("namespace not authorized"));
        }
        if !has(&self.names, name) {
            return Err(refused("service account name not authorized"));
        }
        let is_for_us = self.audience.is_empty()
            || match &claims.aud {
                Audience::One(audience) => *audience == self.audience,
                Audience::Many(audiences) => audiences.contains(&self.audience),
            };
        let is_over = claims.exp.is_some_and(|exp| exp <= now.as_second());
        if is_over || !is_for_us {
            return Err(Refusal::no_token());
        }
        Ok((namespace, name))
    }

    fn describe(&self) -> Answer {
        self.token.describe(json!({
            "alias_name_source": "serviceaccount_uid",
            "audience": self.audience,
            "bound_service_account_names": self.names,
            "bound_service_account_namespaces": self.namespaces,
        }))
    }
}

fn claims(jwt: &str) -> Option<Claims> {
    let mut parts = jwt.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn metadata(role: &str, namespace: &str, account: &str, uid: &str) -> Map<String, Value> {
    let pairs = [
        ("role", role),
        ("service_account_name", account),
        ("service_account_namespace", namespace),
        ("service_account_secret_name", ""),
        ("service_account_uid", uid),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}
