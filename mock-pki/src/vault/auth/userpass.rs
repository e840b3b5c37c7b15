//! `auth/userpass/…`: users, and their login with a password.

use std::{collections::BTreeMap, sync::RwLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use crate::{
    sync::{read, write},
    vault::{
        auth::{Context, Known, TokenSettings},
        envelope::Answer,
        error::Refusal,
        fields::Fields,
        request::Operation,
    },
};

/// One mounted method. Without `Debug`: passwords are in it.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Userpass {
    users: RwLock<BTreeMap<String, User>>,
}

#[derive(Serialize, Deserialize)]
struct User {
    password: String,
    token: TokenSettings,
}

impl Userpass {
    pub(crate) fn route(&self, context: Context<'_>) -> Result<Answer, Refusal> {
        let Context { request, path, .. } = context;
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match (segments.as_slice(), request.operation) {
            (["login", name], Operation::Update) => self.log_in(context, &name.to_lowercase()),
            (["users"], Operation::List) => {
                Ok(Answer::keys(&request.page(read(&self.users).keys().cloned().collect())))
            }
            (["users", name], Operation::Update) => self.write(&name.to_lowercase(), &request.fields),
            (["users", name], Operation::Read) => {
                let users = read(&self.users);
                let user = users.get(&name.to_lowercase()).ok_or_else(Refusal::absent)?;
                Ok(user.token.describe(json!({})))
            }
            (["users", name], Operation::Delete) => {
                write(&self.users).remove(&name.to_lowercase());
                Ok(Answer::Nothing)
            }
            (["login" | "users", _] | ["users"], _) => Err(Refusal::unsupported_operation()),
            _ => Err(Refusal::unsupported_path()),
        }
    }

    fn write(&self, name: &str, fields: &Fields) -> Result<Answer, Refusal> {
        fields.refuse(&["password_hash"])?;
        let password = fields.text("password")?.into_owned();
        let mut users = write(&self.users);
        let known = users.get(name);
        let token = TokenSettings::read(fields, known.map(|user| &user.token))?;
        let password = match known {
            Some(user) if password.is_empty() => user.password.clone(),
            None if password.is_empty() => {
                return Err(Refusal::bad("must provide either password or password_hash"));
            }
            _ => password,
        };
        users.insert(name.to_owned(), User { password, token });
        Ok(Answer::Nothing)
    }

    fn log_in(&self, context: Context<'_>, name: &str) -> Result<Answer, Refusal> {
        let given = context.request.fields.text("password")?;
        if given.is_empty() {
            return Err(Refusal::with(http::StatusCode::INTERNAL_SERVER_ERROR, "missing password"));
        }
        let users = read(&self.users);
        let user = users.get(name).filter(|user| user.password == given);
        let settings = user.ok_or_else(|| Refusal::bad("invalid username or password"))?.token.clone();
        drop(users);
        let mount = context.mount;
        let known = Known {
            display_name: format!("{}-{name}", mount.trim_end_matches('/').replace('/', "-")),
            path: format!("auth/{mount}login/{name}"),
            alias: name.to_owned(),
            meta: Map::from_iter([("username".to_owned(), json!(name))]),
        };
        settings.log_in(context.state, known, context.now)
    }
}
