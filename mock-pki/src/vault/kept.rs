//! The state of this face in a document.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    ca::Cas,
    store::Epoch,
    sync::read,
    vault::{
        auth::{AppRole, Cert, Kubernetes, Userpass},
        mounts::{Backend, Mount, Mounts},
        pki::{Pki, PkiKept},
        policy::Policy,
        token::Token,
    },
};

#[derive(Serialize, Deserialize)]
struct Kept {
    cluster_name: String,
    cluster_id: String,
    is_sealed: bool,
    policies: BTreeMap<String, PolicyKept>,
    secrets: BTreeMap<String, MountKept>,
    auths: BTreeMap<String, MountKept>,
    /// Absent without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<BTreeMap<String, Arc<Token>>>,
}

#[derive(Serialize, Deserialize)]
struct PolicyKept {
    text: String,
    written_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct MountKept {
    accessor: String,
    uuid: String,
    description: String,
    backend: BackendKept,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BackendKept {
    Pki(Box<PkiKept>),
    AppRole(Value),
    Cert(Value),
    Kubernetes(Value),
    Userpass(Value),
    /// What every server has, and what has nothing to keep.
    Builtin,
}

pub(super) fn export(epoch: &Epoch, secrets: bool) -> Result<Value, String> {
    let state = &epoch.vault;
    let mounts = |mounts: &RwLock<Mounts>| {
        let kept =
            |(path, mount): (&String, &Arc<Mount>)| Ok((path.clone(), keep(mount, &epoch.cas, secrets)?));
        read(mounts).iter().map(kept).collect::<Result<BTreeMap<_, _>, String>>()
    };
    let policies = read(&state.policies)
        .iter()
        .map(|(name, (policy, at))| (name.clone(), PolicyKept { text: policy.text.clone(), written_at: *at }))
        .collect();
    let kept = Kept {
        cluster_name: state.cluster_name.clone(),
        cluster_id: state.cluster_id.clone(),
        is_sealed: state.seal.is_sealed(),
        policies,
        secrets: mounts(&state.secrets)?,
        auths: mounts(&state.auths)?,
        tokens: secrets.then(|| state.tokens.all()),
    };
    serde_json::to_value(kept).map_err(|error| error.to_string())
}

pub(super) fn import(epoch: &mut Epoch, kept: Value) -> Result<(), String> {
    let kept: Kept = serde_json::from_value(kept).map_err(|error| error.to_string())?;
    let now = epoch.now();
    let Epoch { vault: state, cas, .. } = epoch;
    let mut policies = BTreeMap::new();
    for (name, kept) in kept.policies {
        let policy = Policy::parse(&kept.text).map_err(|_| format!("the policy {name} cannot be read"))?;
        policies.insert(name, (policy, kept.written_at));
    }
    state.policies = RwLock::new(policies);
    let (builtin_secrets, builtin_auths) = super::mounts::builtin();
    state.secrets = RwLock::new(mounts(kept.secrets, &builtin_secrets, cas)?);
    state.auths = RwLock::new(mounts(kept.auths, &builtin_auths, cas)?);
    state.cluster_name = kept.cluster_name;
    state.cluster_id = kept.cluster_id;
    state.seal.set(kept.is_sealed);
    if let Some(tokens) = kept.tokens {
        state.tokens.replace(tokens, now);
    }
    Ok(())
}

fn keep(mount: &Mount, cas: &Cas, secrets: bool) -> Result<MountKept, String> {
    let value = |method: Result<Value, serde_json::Error>| method.map_err(|error| error.to_string());
    let backend = match &mount.backend {
        Backend::Pki(pki) => BackendKept::Pki(Box::new(pki.export(cas, secrets)?)),
        Backend::AppRole(method) => {
            let mut kept = value(serde_json::to_value(&**method))?;
            if !secrets {
                blank(&mut kept, "roles", "secrets", &Value::Object(Map::new()));
            }
            BackendKept::AppRole(kept)
        }
        Backend::Cert(method) => BackendKept::Cert(value(serde_json::to_value(&**method))?),
        Backend::Kubernetes(method) => BackendKept::Kubernetes(value(serde_json::to_value(&**method))?),
        Backend::Userpass(method) => {
            let mut kept = value(serde_json::to_value(&**method))?;
            if !secrets {
                // No login gives an empty password.
                blank(&mut kept, "users", "password", &Value::String(String::new()));
            }
            BackendKept::Userpass(kept)
        }
        Backend::Token | Backend::System | Backend::Other(_) => BackendKept::Builtin,
    };
    let (accessor, uuid, description) = mount.identity();
    Ok(MountKept {
        accessor: accessor.to_owned(),
        uuid: uuid.to_owned(),
        description: description.to_owned(),
        backend,
    })
}

/// Puts `value` in place of a field of all entries.
fn blank(method: &mut Value, entries: &str, field: &str, value: &Value) {
    let all = method.get_mut(entries).and_then(Value::as_object_mut);
    for entry in all.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        entry.insert(field.to_owned(), value.clone());
    }
}

fn mounts(kept: BTreeMap<String, MountKept>, builtin: &Mounts, cas: &Cas) -> Result<Mounts, String> {
    let mut mounts = Mounts::new();
    for (path, kept) in kept {
        fn method<T: serde::de::DeserializeOwned>(value: Value) -> Result<Arc<T>, String> {
            serde_json::from_value(value).map(Arc::new).map_err(|error| error.to_string())
        }
        let backend = match kept.backend {
            BackendKept::Pki(pki) => Backend::Pki(Arc::new(Pki::imported(*pki, cas)?)),
            BackendKept::AppRole(value) => Backend::AppRole(method::<AppRole>(value)?),
            BackendKept::Cert(value) => Backend::Cert(method::<Cert>(value)?),
            BackendKept::Kubernetes(value) => Backend::Kubernetes(method::<Kubernetes>(value)?),
            BackendKept::Userpass(value) => Backend::Userpass(method::<Userpass>(value)?),
            BackendKept::Builtin => match builtin.get(&path).map(|mount| &mount.backend) {
                Some(Backend::Token) => Backend::Token,
                Some(Backend::System) => Backend::System,
                Some(Backend::Other(kind)) => Backend::Other(kind),
                _ => return Err(format!("nothing can be mounted at {path}")),
            },
        };
        let identity = (kept.accessor, kept.uuid, kept.description);
        mounts.insert(path, Arc::new(Mount::imported(backend, identity)));
    }
    Ok(mounts)
}
