//! The face of Vault and OpenBao.
//!
//! ```text
//! bytes ──> Request ──> health? sealed? namespace? ──> token ──> policy ──> mount ──> backend ──> Answer
//! ```
//!
//! The order is the product's, because it decides which of two mistakes a client hears about: a body that is no
//! JSON is refused before a missing token, a token before a path that does not exist.

mod auth;
mod body;
mod duration;
mod envelope;
mod error;
mod fields;
mod kept;
mod mounts;
mod pki;
mod policy;
mod request;
mod seal;
mod sys;
mod token;
mod token_routes;
mod wrapping;

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    ca::Cas,
    face::{Answered, Call, Face},
    fault::Moment,
    random,
    state::Stateful,
    store::Epoch,
    sync::read,
};
use envelope::Answer;
use error::Refusal;
use mounts::{Backend, Mount, Mounts};
use policy::Policy;
use request::{Operation, Request};
use seal::Seal;
use token::{NewToken, Token, Tokens};
use wrapping::Wrapped;

/// Vault's and OpenBao's API.
pub(crate) const FACE: Face = Face {
    name: "vault",
    port: 8200,
    needs_tls: false,
    max_body: body::MAX_BODY,
    answer: handle,
    too_large: || render(Err(body::too_large())),
    error: |_, text| ("application/json", format!("{}\n", json!({ "errors": [text] }))),
    computes: |head| pki::may_compute(head.uri.path()),
    common_name: |head, body| request::common_name(&head.headers, body),
    state: Some(Stateful { export: kept::export, import: kept::import }),
};

pub(crate) use seal::unseal_key;

/// Everything this face remembers. Without `Debug`: most of it is secret.
pub(crate) struct State {
    tokens: Tokens,
    policies: RwLock<BTreeMap<String, (Policy, Timestamp)>>,
    secrets: RwLock<Mounts>,
    auths: RwLock<Mounts>,
    wrapped: Wrapped,
    seal: Seal,
    cluster_name: String,
    cluster_id: String,
}

impl State {
    /// A server as a developer finds it useful: `pki` with a root, `pki_int` with an intermediate and a role
    /// `web` that allows every name.
    pub(crate) fn new(cas: &Cas, root_token: &str, now: Timestamp) -> Self {
        let (mut secrets, auths) = mounts::builtin();
        let root = pki::Pki::bootstrapped(&cas.root, now);
        let intermediate = pki::Pki::bootstrapped(&cas.issuing, now);
        intermediate.allow_everything("web");
        for (path, pki) in [("pki/", root), ("pki_int/", intermediate)] {
            secrets.insert(path.to_owned(), Arc::new(Mount::new(Backend::Pki(Arc::new(pki)), "", false)));
        }
        let tokens = Tokens::default();
        tokens.create(
            NewToken {
                id: Some(root_token.to_owned()),
                policies: vec!["root".to_owned()],
                display_name: "token".to_owned(),
                path: "auth/token/create".to_owned(),
                orphan: true,
                ..NewToken::default()
            },
            now,
        );
        let default = Policy::parse(policy::DEFAULT_POLICY).ok();
        Self {
            tokens,
            policies: RwLock::new(
                default.into_iter().map(|policy| ("default".to_owned(), (policy, now))).collect(),
            ),
            secrets: RwLock::new(secrets),
            auths: RwLock::new(auths),
            wrapped: Wrapped::default(),
            seal: Seal::new(root_token),
            cluster_name: format!("vault-cluster-{}", random::accessor_suffix()),
            cluster_id: random::uuid(),
        }
    }

    /// Seals or unseals it, as somebody does who needs no key.
    pub(crate) fn set_sealed(&self, is_sealed: bool) {
        self.seal.set(is_sealed);
    }

    fn mounts(&self, auth: bool) -> &RwLock<Mounts> {
        if auth { &self.auths } else { &self.secrets }
    }

    fn has_policy(&self, name: &str) -> bool {
        name == "root" || read(&self.policies).contains_key(name)
    }

    fn capabilities(&self, token: &Token, path: &str) -> Vec<String> {
        if token.is_root() {
            return vec!["root".to_owned()];
        }
        let policies = read(&self.policies);
        let own = token.policies.iter().filter_map(|name| policies.get(name)).map(|(policy, _)| policy);
        let granted = policy::capabilities(own, path);
        if granted.is_empty() {
            return vec!["deny".to_owned()];
        }
        granted.into_iter().map(str::to_owned).collect()
    }

    fn permits(&self, token: &Token, request: &Request) -> bool {
        if token.is_root() {
            return true;
        }
        let policies = read(&self.policies);
        let own = token.policies.iter().filter_map(|name| policies.get(name)).map(|(policy, _)| policy);
        let granted = policy::capabilities(own, &request.path);
        granted.contains(&request.operation.capability())
            || (request.operation == Operation::Update && granted.contains(&"create"))
    }

    /// The mount a path belongs to, and the rest of the path.
    fn resolve(&self, path: &str) -> Option<(String, Arc<Mount>, String)> {
        let (auth, below) = match path.strip_prefix("auth/") {
            Some(below) => (true, below),
            None => (false, path),
        };
        let mounts = read(self.mounts(auth));
        mounts.iter().rev().find_map(|(mount, entry)| {
            let rest = below.strip_prefix(mount.as_str())?;
            Some((mount.clone(), Arc::clone(entry), rest.to_owned()))
        })
    }
}

fn handle(epoch: &Epoch, call: &Call) -> Answered {
    let mut answered = render(answer(epoch, call));
    if let Some(namespace) = call.head.headers.get("x-vault-namespace") {
        answered.response.headers_mut().insert("x-vault-namespace", namespace.clone());
    }
    answered
}

fn answer(epoch: &Epoch, call: &Call) -> Result<Answer, Refusal> {
    let Parts { method, uri, headers, .. } = call.head.as_ref();
    let path = uri.path().strip_prefix("/v1/").ok_or_else(Refusal::absent)?;
    let now = epoch.now();
    let state = &epoch.vault;
    let mut request = Request::new(method, path, uri.query(), headers, &call.body)?;
    let is_sealed = call.is_sealed() || state.seal.is_sealed();
    let node = sys::Node { is_sealed, stands_by: call.stands_by() };
    if let Some(path) = request.path.strip_prefix("sys/")
        && let Some(outcome) = sys::unauthenticated(state, &request, path, node, now)
    {
        return outcome;
    }
    if is_sealed {
        return Err(Refusal::with(StatusCode::SERVICE_UNAVAILABLE, "Vault is sealed"));
    }
    let namespace = headers.get("x-vault-namespace").map(HeaderValue::as_bytes).unwrap_or_default();
    if !matches!(namespace, b"" | b"/" | b"root" | b"root/") {
        return Err(Refusal::with(StatusCode::NOT_FOUND, "namespace not found"));
    }
    if let Some(path) = request.path.strip_prefix("sys/wrapping/")
        && let Some(outcome) = wrapping::route(state, &request, path, now)
    {
        return outcome;
    }
    let wrap_ttl = wrapping::asked(headers)?;
    let resolved = state.resolve(&request.path);
    let is_public = resolved.as_ref().is_some_and(|(_, mount, rest)| is_public(&mount.backend, rest));
    if !is_public {
        let id = request.token.as_deref().filter(|id| !id.is_empty()).ok_or_else(Refusal::no_token)?;
        if call.plan.revokes_token(Moment::Before) {
            state.tokens.revoke(id);
        }
        let token = state.tokens.spend(id, now).ok_or_else(Refusal::no_token)?;
        if !state.permits(&token, &request) {
            return Err(Refusal::denied());
        }
        request.caller = Some(token);
    }
    let Some((mount, entry, rest)) = resolved else {
        let text = format!("no handler for route \"{}\". route entry not found.", request.path);
        return Err(Refusal::with(StatusCode::NOT_FOUND, text));
    };
    let context =
        auth::Context { state, request: &request, mount: &mount, path: &rest, now, client: &call.client };
    if let Backend::Pki(pki) = &entry.backend
        && call.plan.any(|fault| fault.deletes_role())
    {
        pki.delete_role_of(&rest);
    }
    let outcome = match &entry.backend {
        Backend::Pki(pki) => pki.route(&epoch.ledger, &request, &mount, &rest, now, call.certificates()),
        Backend::AppRole(approle) => approle.route(context),
        Backend::Cert(cert) => cert.route(context),
        Backend::Kubernetes(kubernetes) => kubernetes.route(context),
        Backend::Userpass(userpass) => userpass.route(context),
        Backend::Token => token_routes::route(state, &request, &rest, now),
        Backend::System => sys::route(state, &request, &rest, now),
        Backend::Other(_) => Err(Refusal::unsupported_path()),
    };
    if let Some(id) = request.token.as_deref().filter(|_| call.plan.revokes_token(Moment::After)) {
        state.tokens.revoke(id);
    }
    match outcome {
        Ok(answer) if request.operation == Operation::List && answer.lists_nothing() => {
            Err(Refusal::absent())
        }
        // Without a token there is no chain of handlers whose errors are gathered.
        Err(refusal) if is_public && refusal == Refusal::unsupported_operation() => {
            Err(Refusal::with(StatusCode::METHOD_NOT_ALLOWED, "unsupported operation"))
        }
        Ok(answer) if let Some(ttl) = wrap_ttl => Ok(state.wrapped.wrap(answer, ttl, &request.path, now)),
        outcome => outcome,
    }
}

/// What needs no token.
fn is_public(backend: &Backend, path: &str) -> bool {
    match backend {
        Backend::AppRole(_) | Backend::Cert(_) | Backend::Kubernetes(_) => path == "login",
        Backend::Userpass(_) => path.starts_with("login/"),
        Backend::Pki(_) => pki::is_public(path),
        Backend::Token | Backend::System | Backend::Other(_) => false,
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn render(outcome: Result<Answer, Refusal>) -> Answered {
    let mut request_id = None;
    let (status, content_type, body) = match outcome {
        Ok(Answer::Envelope(envelope)) => {
            let body = envelope::json(&envelope, true);
            request_id = Some(envelope.request_id);
            (StatusCode::OK, JSON, body)
        }
        Ok(Answer::Flat(status, body)) => (status, JSON, body),
        Ok(Answer::Raw { status, content_type, body }) => {
            (status, HeaderValue::from_static(content_type), body.into())
        }
        Ok(Answer::Nothing) => (StatusCode::NO_CONTENT, JSON, Bytes::new()),
        Err(refusal) => (refusal.status, JSON, refusal.body()),
    };
    Answered { response: response(status, content_type, body), request_id }
}

/// The headers of every answer.
fn response(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(
        HeaderName::from_static("strict-transport-security"),
        HeaderValue::from_static("max-age=31536000; includeSubDomains"),
    );
    response
}
