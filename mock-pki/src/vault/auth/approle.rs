//! `auth/approle/…`: roles, role ids, secret ids and the login.

use std::{collections::BTreeMap, sync::RwLock};

use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    random,
    sync::{read, write},
    vault::{
        State,
        auth::{Context, Known, TokenSettings},
        envelope::Answer,
        error::Refusal,
        fields::Fields,
        request::{Operation, Request},
    },
};

/// One mounted `AppRole` method. Nothing here has `Debug`: role ids and secret ids are credentials.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct AppRole {
    roles: RwLock<BTreeMap<String, Role>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Role {
    id: String,
    settings: Settings,
    secrets: BTreeMap<String, Secret>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Settings {
    bind_secret_id: bool,
    secret_id_num_uses: i64,
    secret_id_ttl: i64,
    token: TokenSettings,
}

#[derive(Clone, Serialize, Deserialize)]
struct Secret {
    accessor: String,
    expires: Option<Timestamp>,
    uses: i64,
    uses_left: i64,
    metadata: Map<String, Value>,
}

impl AppRole {
    pub(crate) fn route(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let Context { state, request, mount, path, now, .. } = context;
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match (segments.as_slice(), request.operation) {
            (["login"], Operation::Update | Operation::Read) => self.login(state, request, mount, now),
            (["role"], Operation::List) => {
                Ok(Answer::keys(&request.page(read(&self.roles).keys().cloned().collect())))
            }
            (["role", name], Operation::Update) => self.write(name, &request.fields),
            (["role", name], Operation::Read) => self.with(name, Refusal::absent, |role| Ok(role.describe())),
            (["role", name], Operation::Delete) => {
                write(&self.roles).remove(*name);
                Ok(Answer::Nothing)
            }
            (["role", name, "role-id"], Operation::Read) => {
                self.with(name, Refusal::absent, |role| Ok(Answer::data(json!({ "role_id": role.id }))))
            }
            (["role", name, "role-id"], Operation::Update) => {
                let id = request.fields.text("role_id")?.into_owned();
                if id.is_empty() {
                    return Err(Refusal::bad("missing role_id"));
                }
                self.with(
                    name,
                    || missing(name),
                    |role| {
                        role.id = id;
                        Ok(Answer::Nothing)
                    },
                )
            }
            (["role", name, kind @ ("secret-id" | "custom-secret-id")], Operation::Update) => {
                self.secret(name, *kind == "custom-secret-id", &request.fields, now)
            }
            (["role", name, "secret-id"], Operation::List) => self.with(
                name,
                || missing(name),
                |role| {
                    let accessors = role.secrets.values().map(|secret| secret.accessor.clone()).collect();
                    Ok(Answer::keys(&request.page(accessors)))
                },
            ),
            (["role", name, "secret-id", "destroy"], Operation::Update | Operation::Delete) => {
                let id = request.fields.text("secret_id")?.into_owned();
                self.with(
                    name,
                    || missing(name),
                    |role| {
                        role.secrets.remove(&id);
                        Ok(Answer::Nothing)
                    },
                )
            }
            (["role", name, "secret-id-accessor", "destroy"], Operation::Update | Operation::Delete) => {
                let accessor = request.fields.text("secret_id_accessor")?.into_owned();
                self.with(
                    name,
                    || missing(name),
                    |role| {
                        role.secrets.retain(|_, secret| secret.accessor != accessor);
                        Ok(Answer::Nothing)
                    },
                )
            }
            (
                ["login" | "role"]
                | ["role", _]
                | ["role", _, "role-id" | "secret-id" | "custom-secret-id"]
                | ["role", _, "secret-id" | "secret-id-accessor", "destroy"],
                _,
            ) => Err(Refusal::unsupported_operation()),
            _ => Err(Refusal::unsupported_path()),
        }
    }

    fn with(
        &self,
        name: &str,
        otherwise: impl FnOnce() -> Refusal,
        act: impl FnOnce(&mut Role) -> Result<Answer, Refusal>,
    ) -> Result<Answer, Refusal> {
        act(write(&self.roles).get_mut(name).ok_or_else(otherwise)?)
    }

    fn write(&self, name: &str, fields: &Fields) -> Result<Answer, Refusal> {
        let mut roles = write(&self.roles);
        let known = roles.get(name);
        let settings = Settings::read(fields, known.map(|role| &role.settings))?;
        if !settings.bind_secret_id {
            return Err(Refusal::internal("at least one constraint should be enabled on the role"));
        }
        let role_id = fields.text("role_id")?.into_owned();
        let role = match known {
            Some(role) => {
                let id = if role_id.is_empty() { role.id.clone() } else { role_id };
                Role { id, settings, ..role.clone() }
            }
            None => Role {
                id: if role_id.is_empty() { random::uuid() } else { role_id },
                settings,
                secrets: BTreeMap::new(),
            },
        };
        roles.insert(name.to_owned(), role);
        Ok(Answer::Nothing)
    }

    fn secret(&self, name: &str, custom: bool, fields: &Fields, now: Timestamp) -> Result<Answer, Refusal> {
        let given = fields.text("secret_id")?.into_owned();
        if custom && given.is_empty() {
            return Err(Refusal::bad("missing secret_id"));
        }
        let (ttl, uses) = (fields.seconds("ttl")?, fields.integer("num_uses")?);
        let metadata = fields.text("metadata").unwrap_or_default();
        let metadata = serde_json::from_str(&metadata).unwrap_or_default();
        self.with(
            name,
            || missing(name),
            |role| {
                let id = if custom { given } else { random::uuid() };
                let ttl = if ttl > 0 { ttl } else { role.settings.secret_id_ttl };
                let uses = if uses > 0 { uses } else { role.settings.secret_id_num_uses };
                let expires =
                    (ttl > 0).then(|| now.checked_add(jiff::SignedDuration::from_secs(ttl)).ok()).flatten();
                let accessor = random::uuid();
                let answer = json!({
                    "secret_id": id,
                    "secret_id_accessor": accessor,
                    "secret_id_num_uses": uses,
                    "secret_id_ttl": ttl,
                });
                role.secrets.insert(id, Secret { accessor, expires, uses, uses_left: uses, metadata });
                Ok(Answer::data(answer))
            },
        )
    }

    fn login(
        &self,
        state: &State,
        request: &Request,
        mount: &str,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        let role_id = request.fields.text("role_id")?;
        let secret_id = request.fields.text("secret_id")?;
        if role_id.is_empty() {
            return Err(Refusal::with(StatusCode::INTERNAL_SERVER_ERROR, "missing role_id"));
        }
        let wrong = || Refusal::bad("invalid role or secret ID");
        let mut roles = write(&self.roles);
        let (name, role) = roles.iter_mut().find(|(_, role)| role.id == role_id).ok_or_else(wrong)?;
        if secret_id.is_empty() {
            return Err(Refusal::bad("missing secret_id"));
        }
        let secret = role.secrets.get_mut(&*secret_id).ok_or_else(wrong)?;
        let mut spent = secret.expires.is_some_and(|at| at <= now);
        if !spent && secret.uses > 0 {
            secret.uses_left -= 1;
        }
        let mut meta = secret.metadata.clone();
        let last = secret.uses > 0 && secret.uses_left <= 0;
        spent |= secret.uses > 0 && secret.uses_left < 0;
        if last || spent {
            role.secrets.remove(&*secret_id);
        }
        if spent {
            return Err(wrong());
        }
        meta.insert("role_name".to_owned(), json!(name));
        let settings = role.settings.token.clone();
        let known = Known {
            display_name: mount.trim_end_matches('/').to_owned(),
            path: format!("auth/{mount}login"),
            alias: role.id.clone(),
            meta,
        };
        drop(roles);
        settings.log_in(state, known, now)
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::with(StatusCode::NOT_FOUND, format!("role \"{name}\" does not exist"))
}

impl Settings {
    fn read(fields: &Fields, known: Option<&Self>) -> Result<Self, Refusal> {
        Ok(Self {
            bind_secret_id: fields
                .boolean("bind_secret_id", known.is_none_or(|known| known.bind_secret_id))?,
            secret_id_num_uses: fields.updated(
                "secret_id_num_uses",
                known.map(|known| &known.secret_id_num_uses),
                Fields::integer,
            )?,
            secret_id_ttl: fields.updated(
                "secret_id_ttl",
                known.map(|known| &known.secret_id_ttl),
                Fields::seconds,
            )?,
            token: TokenSettings::read(fields, known.map(|known| &known.token))?,
        })
    }
}

impl Role {
    fn describe(&self) -> Answer {
        let settings = &self.settings;
        settings.token.describe(json!({
            "bind_secret_id": settings.bind_secret_id,
            "local_secret_ids": false,
            "secret_id_bound_cidrs": null,
            "secret_id_num_uses": settings.secret_id_num_uses,
            "secret_id_ttl": settings.secret_id_ttl,
        }))
    }
}
