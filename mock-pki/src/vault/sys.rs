//! `sys/…`: health, seal status, policies and capabilities. Mounts are in [`super::mounts`].

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    sync::{read, write},
    vault::{
        State,
        envelope::Answer,
        error::Refusal,
        mounts,
        policy::Policy,
        request::{Operation, Request},
    },
};

/// The version this face is faithful to.
pub(crate) const VERSION: &str = "2.7.2";
/// Who leads where this node does not: nobody listens there.
const LEADER: &str = "https://leader.invalid:8200";
const COMMIT_DATE: &str = "2026-10-26T20:32:27Z";

/// What state a node is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) is_sealed: bool,
    /// Another one leads.
    pub(crate) stands_by: bool,
}

/// What is answered without a token and even when sealed.
pub(crate) fn unauthenticated(
    state: &State,
    request: &Request,
    path: &str,
    node: Node,
    now: Timestamp,
) -> Option<Result<Answer, Refusal>> {
    let answer = match path {
        "health" => health(state, request, node, now),
        "seal-status" => Answer::flat(StatusCode::OK, &seal_status(state, node.is_sealed)),
        "leader" if node.stands_by => Answer::flat(
            StatusCode::OK,
            &json!({ "ha_enabled": true, "is_self": false, "leader_address": LEADER, "leader_cluster_address": LEADER }),
        ),
        "leader" => Answer::flat(StatusCode::OK, &json!({ "ha_enabled": false })),
        "init" if request.operation == Operation::Update => {
            let threshold = request.fields.integer("secret_threshold").unwrap_or_default();
            let no_threshold = "invalid seal configuration: threshold must be at least one";
            let text = if threshold < 1 { no_threshold } else { "Vault is already initialized" };
            return Some(Err(Refusal::bad(text)));
        }
        "init" => Answer::flat(StatusCode::OK, &json!({ "initialized": true })),
        "unseal" if request.operation == Operation::Update => {
            let unsealed = state.seal.unseal(&request.fields);
            let status = seal_status(state, state.seal.is_sealed());
            return Some(unsealed.map(|()| Answer::flat(StatusCode::OK, &status)));
        }
        "unseal" => return Some(Err(Refusal::bare(StatusCode::METHOD_NOT_ALLOWED))),
        _ => return None,
    };
    if request.operation == Operation::Read {
        return Some(Ok(answer));
    }
    Some(Err(Refusal::bare(StatusCode::METHOD_NOT_ALLOWED)))
}

fn health(state: &State, request: &Request, node: Node, now: Timestamp) -> Answer {
    let Node { is_sealed: sealed, stands_by } = node;
    let code = |name: &str, default: u16| {
        let asked = request.query(name).and_then(|code| code.parse::<u16>().ok());
        StatusCode::from_u16(asked.unwrap_or(default)).unwrap_or(StatusCode::OK)
    };
    let may_stand_by = request.query("standbyok").is_some_and(|value| value != "false");
    let status = match (sealed, stands_by) {
        (true, _) => code("sealedcode", 503),
        (false, true) if !may_stand_by => code("standbycode", 429),
        _ => code("activecode", 200),
    };
    let stands_by = sealed || stands_by;
    let mode = if stands_by { "unknown" } else { "disabled" };
    // A struct would do, but the order of keys is the only thing that makes it special.
    let mut body = format!(
        "{{\"initialized\":true,\"sealed\":{sealed},\"standby\":{stands_by},\
         \"replication_performance_mode\":\"{mode}\",\"replication_dr_mode\":\"{mode}\",\
         \"server_time_utc\":{},\"version\":\"{VERSION}\"",
        now.as_second()
    );
    if !sealed {
        body.push_str(&format_cluster(state));
    }
    body.push_str("}\n");
    Answer::Flat(status, body.into())
}

fn format_cluster(state: &State) -> String {
    format!(",\"cluster_name\":\"{}\",\"cluster_id\":\"{}\"", state.cluster_name, state.cluster_id)
}

#[derive(serde::Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the product's answer has these flags")]
struct SealStatus<'a> {
    r#type: &'static str,
    initialized: bool,
    sealed: bool,
    t: u8,
    n: u8,
    progress: u8,
    nonce: &'static str,
    recovery_seal: bool,
    version: &'static str,
    commit_date: &'static str,
    migration: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<&'a str>,
    storage_type: &'static str,
}

fn seal_status(state: &State, sealed: bool) -> SealStatus<'_> {
    SealStatus {
        r#type: "shamir",
        initialized: true,
        sealed,
        t: 1,
        n: 1,
        progress: 0,
        nonce: "",
        recovery_seal: false,
        version: VERSION,
        commit_date: COMMIT_DATE,
        migration: false,
        cluster_name: Some(state.cluster_name.as_str()).filter(|_| !sealed),
        cluster_id: Some(state.cluster_id.as_str()).filter(|_| !sealed),
        storage_type: "inmem",
    }
}

pub(crate) fn route(state: &State, request: &Request, path: &str, now: Timestamp) -> Result<Answer, Refusal> {
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match segments.as_slice() {
        ["mounts" | "auth", ..] | ["internal", "ui", "mounts", ..] => {
            mounts::route(state, request, &segments)
        }
        ["policies", "acl"] | ["policy"] => list_policies(state, request, segments.len() == 1),
        ["policies", "acl", name] => policy(state, request, name, "policy", now),
        ["policy", name] => policy(state, request, name, "rules", now),
        ["capabilities-self"] if request.operation == Operation::Update => capabilities(state, request),
        ["namespaces"] if request.operation == Operation::List => Err(Refusal::absent()),
        ["seal"] if request.operation == Operation::Update => {
            state.seal.seal();
            Ok(Answer::Nothing)
        }
        ["capabilities-self" | "namespaces" | "seal"] => Err(Refusal::unsupported_operation()),
        _ => Err(Refusal::unsupported_path()),
    }
}

fn list_policies(state: &State, request: &Request, legacy: bool) -> Result<Answer, Refusal> {
    let may = request.operation == Operation::List || (legacy && request.operation == Operation::Read);
    if !may {
        return Err(Refusal::unsupported_operation());
    }
    let mut names: Vec<String> = read(&state.policies).keys().cloned().collect();
    names.push("root".to_owned());
    let names = request.page(names);
    if !legacy {
        return Ok(Answer::keys(&names));
    }
    let mut both = Map::new();
    both.insert("keys".to_owned(), json!(names));
    both.insert("policies".to_owned(), json!(names));
    Ok(Answer::both(both))
}

fn policy(
    state: &State,
    request: &Request,
    name: &str,
    key: &str,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let name = name.to_ascii_lowercase();
    match request.operation {
        Operation::Read => {
            let policies = read(&state.policies);
            let (text, modified) = match policies.get(&name) {
                Some((policy, modified)) => (policy.text.clone(), *modified),
                None if name == "root" => (String::new(), now),
                None => return Err(Refusal::absent()),
            };
            let mut shown = Map::new();
            shown.insert("allow_slashes_in_identity_templates".to_owned(), json!(false));
            shown.insert("allow_wildcards_in_identity_templates".to_owned(), json!(false));
            shown.insert("cas_required".to_owned(), json!(false));
            shown.insert("modified".to_owned(), json!(modified.to_string()));
            shown.insert("name".to_owned(), json!(name));
            shown.insert(key.to_owned(), json!(text));
            shown.insert("version".to_owned(), json!(1));
            Ok(if key == "rules" { Answer::both(shown) } else { Answer::data(Value::Object(shown)) })
        }
        Operation::Update => {
            let text = request.fields.text("policy")?;
            if text.is_empty() {
                return Err(Refusal::bad("'policy' parameter not supplied or empty"));
            }
            if name == "root" {
                return Err(Refusal::bad("cannot update \"root\" policy"));
            }
            let policy = Policy::parse(&text)?;
            write(&state.policies).insert(name, (policy, now));
            Ok(Answer::Nothing)
        }
        Operation::Delete if name == "root" || name == "default" => {
            Err(Refusal::bad(format!("cannot delete \"{name}\" policy")))
        }
        Operation::Delete => {
            write(&state.policies).remove(&name);
            Ok(Answer::Nothing)
        }
        Operation::List => Err(Refusal::unsupported_operation()),
    }
}

fn capabilities(state: &State, request: &Request) -> Result<Answer, Refusal> {
    let caller = request.caller()?;
    let single = request.fields.text("path").unwrap_or_default().into_owned();
    let mut paths = request.fields.list("paths")?;
    if !single.is_empty() {
        paths.push(single.clone());
    }
    if paths.is_empty() {
        return Err(Refusal::bad("paths must be supplied"));
    }
    let mut shown = Map::new();
    for path in &paths {
        let granted = state.capabilities(caller, path);
        if *path == single && paths.len() == 1 {
            shown.insert("capabilities".to_owned(), json!(granted));
        }
        shown.insert(path.clone(), json!(granted));
    }
    Ok(Answer::both(shown))
}
