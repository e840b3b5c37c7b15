//! `sys/mounts`, `sys/auth`: what is mounted where.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use crate::{
    random,
    sync::{read, write},
    vault::{
        State,
        auth::{AppRole, Cert, Kubernetes, Userpass},
        envelope::Answer,
        error::Refusal,
        pki::Pki,
        request::{Operation, Request},
        sys::VERSION,
        token::SYSTEM_TTL,
    },
};

/// What answers below a mount.
pub(crate) enum Backend {
    Pki(Arc<Pki>),
    AppRole(Arc<AppRole>),
    Cert(Arc<Cert>),
    Kubernetes(Arc<Kubernetes>),
    Userpass(Arc<Userpass>),
    Token,
    System,
    /// Mounted so that listings are complete; nothing is behind it.
    Other(&'static str),
}

impl Backend {
    fn kind(&self) -> &'static str {
        match self {
            Self::Pki(_) => "pki",
            Self::AppRole(_) => "approle",
            Self::Cert(_) => "cert",
            Self::Kubernetes(_) => "kubernetes",
            Self::Userpass(_) => "userpass",
            Self::Token => "token",
            Self::System => "system",
            Self::Other(kind) => kind,
        }
    }
}

/// A mount, by its path with the final slash.
pub(crate) struct Mount {
    pub(crate) backend: Backend,
    accessor: String,
    uuid: String,
    description: String,
}

pub(crate) type Mounts = BTreeMap<String, Arc<Mount>>;

impl Mount {
    pub(crate) fn new(backend: Backend, description: &str, auth: bool) -> Self {
        let prefix = if auth { "auth_" } else { "" };
        let accessor = format!("{prefix}{}_{}", backend.kind(), random::accessor_suffix());
        Self { backend, accessor, uuid: random::uuid(), description: description.to_owned() }
    }

    /// As it was kept: its accessor, its UUID, its description.
    pub(crate) fn imported(
        backend: Backend,
        (accessor, uuid, description): (String, String, String),
    ) -> Self {
        Self { backend, accessor, uuid, description }
    }

    /// Its accessor, its UUID, its description.
    pub(crate) fn identity(&self) -> (&str, &str, &str) {
        (&self.accessor, &self.uuid, &self.description)
    }

    fn ttls(&self) -> (i64, i64) {
        match &self.backend {
            Backend::Pki(pki) => pki.lease_ttls(),
            _ => (0, 0),
        }
    }

    fn describe(&self, auth: bool) -> Value {
        let (default_ttl, max_ttl) = self.ttls();
        let mut config =
            json!({ "default_lease_ttl": default_ttl, "force_no_cache": false, "max_lease_ttl": max_ttl });
        if let Some(config) = config.as_object_mut() {
            if auth {
                config.insert("token_type".to_owned(), json!("default-service"));
            }
            match self.backend.kind() {
                "system" => config.insert("passthrough_request_headers".to_owned(), json!(["Accept"])),
                "identity" => {
                    config.insert("passthrough_request_headers".to_owned(), json!(["Authorization"]))
                }
                _ => None,
            };
        }
        let builtin = matches!(self.backend.kind(), "token" | "system" | "identity" | "cubbyhole");
        let options = match self.backend.kind() {
            "kv" => json!({ "version": "2" }),
            _ if builtin => Value::Null,
            _ => json!({}),
        };
        let mut shown = json!({
            "accessor": self.accessor,
            "config": config,
            "description": self.description,
            "external_entropy_access": false,
            "local": self.backend.kind() == "cubbyhole",
            "options": options,
            "plugin_version": "",
            "running_plugin_version": format!("v{VERSION}+builtin.bao"),
            "running_sha256": "",
            "seal_wrap": self.backend.kind() == "system",
            "type": self.backend.kind(),
            "uuid": self.uuid,
        });
        if let Some(shown) = shown.as_object_mut().filter(|_| !builtin) {
            shown.insert("deprecation_status".to_owned(), json!("supported"));
        }
        shown
    }

    fn tuning(&self) -> Map<String, Value> {
        let (default_ttl, max_ttl) = self.ttls();
        let or_system = |ttl: i64| if ttl > 0 { ttl } else { SYSTEM_TTL };
        let mut shown = Map::new();
        shown.insert("default_lease_ttl".to_owned(), json!(or_system(default_ttl)));
        shown.insert("description".to_owned(), json!(self.description));
        shown.insert("force_no_cache".to_owned(), json!(false));
        shown.insert("max_lease_ttl".to_owned(), json!(or_system(max_ttl)));
        shown
    }
}

/// What every server has.
pub(crate) fn builtin() -> (Mounts, Mounts) {
    let secrets = [
        ("cubbyhole/", Backend::Other("cubbyhole"), "per-token private secret storage"),
        ("identity/", Backend::Other("identity"), "identity store"),
        ("secret/", Backend::Other("kv"), "key/value secret storage"),
        ("sys/", Backend::System, "system endpoints used for control, policy and debugging"),
    ];
    let secrets =
        secrets.map(|(path, backend, text)| (path.to_owned(), Arc::new(Mount::new(backend, text, false))));
    let token = Arc::new(Mount::new(Backend::Token, "token based credentials", true));
    (secrets.into_iter().collect(), std::iter::once(("token/".to_owned(), token)).collect())
}

/// Below `sys/`; the segments begin with `mounts`, `auth` or `internal`.
pub(crate) fn route(state: &State, request: &Request, segments: &[&str]) -> Result<Answer, Refusal> {
    match segments {
        ["mounts"] => list(state, request, false),
        ["auth"] => list(state, request, true),
        ["internal", "ui", "mounts"] => Ok(internal_list(state)),
        ["internal", "ui", "mounts", path @ ..] => internal_one(state, &path.join("/")),
        ["mounts", path @ .., "tune"] if !path.is_empty() => tune(state, request, &path.join("/"), false),
        ["auth", path @ .., "tune"] if !path.is_empty() => tune(state, request, &path.join("/"), true),
        ["mounts", path @ ..] => one(state, request, &path.join("/"), false),
        ["auth", path @ ..] => one(state, request, &path.join("/"), true),
        _ => Err(Refusal::unsupported_path()),
    }
}

fn described(state: &State, auth: bool) -> Map<String, Value> {
    read(state.mounts(auth)).iter().map(|(path, mount)| (path.clone(), mount.describe(auth))).collect()
}

fn list(state: &State, request: &Request, auth: bool) -> Result<Answer, Refusal> {
    if request.operation != Operation::Read {
        return Err(Refusal::unsupported_operation());
    }
    Ok(Answer::both(described(state, auth)))
}

fn internal_list(state: &State) -> Answer {
    Answer::data(json!({ "auth": described(state, true), "secret": described(state, false) }))
}

fn internal_one(state: &State, path: &str) -> Result<Answer, Refusal> {
    let path = format!("{}/", path.trim_end_matches('/'));
    let mounts = read(state.mounts(false));
    let found = mounts.iter().find(|(mount, _)| path.starts_with(mount.as_str()));
    let Some((mount, entry)) = found else {
        return Err(Refusal::with(
            http::StatusCode::FORBIDDEN,
            format!(
                "preflight capability check returned 403, please ensure client's policies grant access to path \
                 \"{path}\""
            ),
        ));
    };
    let mut shown = entry.describe(false);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("path".to_owned(), json!(mount));
    }
    Ok(Answer::data(shown))
}

fn one(state: &State, request: &Request, path: &str, auth: bool) -> Result<Answer, Refusal> {
    let path = format!("{}/", path.trim_matches('/'));
    match request.operation {
        Operation::Read => {
            let mounts = read(state.mounts(auth));
            let kind = if auth { "auth" } else { "secret" };
            let mount = mounts.get(&path);
            let missing = || Refusal::bad(format!("No {kind} engine mount at {path}"));
            match mount.ok_or_else(missing)?.describe(auth) {
                Value::Object(shown) => Ok(Answer::both(shown)),
                other => Ok(Answer::data(other)),
            }
        }
        Operation::Update => enable(state, request, path, auth),
        Operation::Delete => {
            let mut mounts = write(state.mounts(auth));
            if matches!(mounts.get(&path).map(|mount| &mount.backend), Some(Backend::System | Backend::Token))
            {
                return Err(Refusal::bad(format!("cannot unmount \"{path}\"")));
            }
            mounts.remove(&path);
            Ok(Answer::Nothing)
        }
        Operation::List => Err(Refusal::unsupported_operation()),
    }
}

fn enable(state: &State, request: &Request, path: String, auth: bool) -> Result<Answer, Refusal> {
    let kind = request.fields.text("type")?;
    if kind.is_empty() {
        return Err(Refusal::bad("backend type must be specified as a string"));
    }
    if !auth && ["sys/", "auth/", "cubbyhole/", "identity/"].iter().any(|own| path.starts_with(own)) {
        return Err(Refusal::bad(format!("cannot mount \"{path}\"")));
    }
    let config = nested(request, "config");
    let backend = match (&*kind, auth) {
        ("pki", false) => Backend::Pki(Arc::new(Pki::new(
            config.seconds("default_lease_ttl")?,
            config.seconds("max_lease_ttl")?,
        ))),
        ("kv" | "kv-v2", false) => Backend::Other("kv"),
        ("approle", true) => Backend::AppRole(Arc::default()),
        ("cert", true) => Backend::Cert(Arc::default()),
        ("kubernetes", true) => Backend::Kubernetes(Arc::default()),
        ("userpass", true) => Backend::Userpass(Arc::default()),
        _ => return Err(Refusal::bad(format!("plugin not found in the catalog: {kind}"))),
    };
    let mut mounts = write(state.mounts(auth));
    let taken = mounts.keys().find(|known| path.starts_with(known.as_str()) || known.starts_with(&path));
    if let Some(taken) = taken {
        return Err(Refusal::bad(format!("path is already in use at {taken}")));
    }
    mounts.insert(path, Arc::new(Mount::new(backend, &request.fields.text("description")?, auth)));
    Ok(Answer::Nothing)
}

fn tune(state: &State, request: &Request, path: &str, auth: bool) -> Result<Answer, Refusal> {
    let path = format!("{}/", path.trim_matches('/'));
    let mounts = read(state.mounts(auth));
    let mount = mounts.get(&path).ok_or_else(|| Refusal::bad(format!("no mount entry found for {path}")))?;
    match request.operation {
        Operation::Read => Ok(Answer::both(mount.tuning())),
        Operation::Update => {
            if let Backend::Pki(pki) = &mount.backend {
                let (default_ttl, max_ttl) = pki.lease_ttls();
                let value = |name: &str, known: i64| {
                    if request.fields.has(name) { request.fields.seconds(name) } else { Ok(known) }
                };
                pki.tune(value("default_lease_ttl", default_ttl)?, value("max_lease_ttl", max_ttl)?);
            }
            Ok(Answer::Nothing)
        }
        _ => Err(Refusal::unsupported_operation()),
    }
}

fn nested(request: &Request, name: &str) -> crate::vault::fields::Fields {
    let inner = request.fields.raw(name).and_then(Value::as_object).cloned();
    crate::vault::fields::Fields::new(inner.unwrap_or_default())
}
