//! The face of Vault and OpenBao.
//!
//! ```text
//! bytes ──> Request ──> health? sealed? namespace? ──> token ──> policy ──> mount ──> backend ──> Answer
//! ```
//!
//! The order is the product's, because it decides which of two mistakes a client hears about: a body that is no
//! JSON is refused before a missing token, a token before a path that does not exist.

mod approle;
mod body;
mod duration;
mod envelope;
mod error;
mod fields;
mod mounts;
mod pki;
mod policy;
mod request;
pub(crate) mod service;
mod sys;
mod token;
mod token_routes;

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;

use crate::{ca::Hierarchy, fault::Certificates, random, store::Epoch, sync::read};
use body::too_large;
use envelope::{Answer, json};
use error::Refusal;
use mounts::{Backend, Mount, Mounts};
use policy::Policy;
use request::{Operation, Request};
use token::{NewToken, Token, Tokens};

/// Everything this face remembers. Without `Debug`: most of it is secret.
pub(crate) struct State {
    tokens: Tokens,
    policies: RwLock<BTreeMap<String, (Policy, Timestamp)>>,
    secrets: RwLock<Mounts>,
    auths: RwLock<Mounts>,
    cluster_name: String,
    cluster_id: String,
}

/// The request's id, handed on to the journal and the ledger.
pub(crate) struct Answered {
    pub(crate) response: Response<Bytes>,
    pub(crate) request_id: Option<String>,
}

impl Answered {
    /// Nothing: what a fault fills.
    fn empty() -> Self {
        Self { response: response(StatusCode::OK, JSON, Bytes::new()), request_id: None }
    }
}

impl State {
    /// A server as a developer finds it useful: `pki` with a root, `pki_int` with an intermediate and a role
    /// `web` that allows every name.
    pub(crate) fn new(
        hierarchy: &Hierarchy,
        root_token: &str,
        now: Timestamp,
    ) -> Result<Self, ::ca::CaError> {
        let (mut secrets, auths) = mounts::builtin();
        let root = pki::Pki::bootstrapped(hierarchy.root.authority()?, "root");
        let intermediate = pki::Pki::bootstrapped(hierarchy.intermediate.authority()?, "intermediate");
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
        Ok(Self {
            tokens,
            policies: RwLock::new(
                default.into_iter().map(|policy| ("default".to_owned(), (policy, now))).collect(),
            ),
            secrets: RwLock::new(secrets),
            auths: RwLock::new(auths),
            cluster_name: format!("vault-cluster-{}", random::accessor_suffix()),
            cluster_id: random::uuid(),
        })
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

/// Answers one request. `sealed` and `certificates` come from installed faults.
pub(crate) fn handle(
    epoch: &Epoch,
    method: &Method,
    uri: &http::Uri,
    headers: &HeaderMap,
    body: &[u8],
    sealed: bool,
    certificates: &Certificates,
) -> Answered {
    let outcome = answer(epoch, method, uri, headers, body, sealed, certificates);
    let mut answered = render(outcome);
    if let Some(namespace) = headers.get("x-vault-namespace") {
        answered.response.headers_mut().insert("x-vault-namespace", namespace.clone());
    }
    answered
}

fn answer(
    epoch: &Epoch,
    method: &Method,
    uri: &http::Uri,
    headers: &HeaderMap,
    body: &[u8],
    sealed: bool,
    certificates: &Certificates,
) -> Result<Answer, Refusal> {
    let path = uri.path().strip_prefix("/v1/").ok_or_else(Refusal::absent)?;
    let now = epoch.now();
    let state = &epoch.vault;
    let mut request = Request::new(method, path, uri.query(), headers, body)?;
    if let Some(path) = request.path.strip_prefix("sys/")
        && let Some(outcome) = sys::unauthenticated(state, &request, path, sealed, now)
    {
        return outcome;
    }
    if sealed {
        return Err(Refusal::with(StatusCode::SERVICE_UNAVAILABLE, "Vault is sealed"));
    }
    let namespace = headers.get("x-vault-namespace").map(HeaderValue::as_bytes).unwrap_or_default();
    if !matches!(namespace, b"" | b"/" | b"root" | b"root/") {
        return Err(Refusal::with(StatusCode::NOT_FOUND, "namespace not found"));
    }
    let resolved = state.resolve(&request.path);
    if !resolved.as_ref().is_some_and(|(_, mount, rest)| is_public(&mount.backend, rest)) {
        let id = request.token.as_deref().filter(|id| !id.is_empty()).ok_or_else(Refusal::no_token)?;
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
    match &entry.backend {
        Backend::Pki(pki) => pki.route(&epoch.ledger, &request, &mount, &rest, now, certificates),
        Backend::AppRole(approle) => approle.route(state, &request, &mount, &rest, now),
        Backend::Token => token_routes::route(state, &request, &rest, now),
        Backend::System => sys::route(state, &request, &rest, now),
        Backend::Other(_) => Err(Refusal::unsupported_path()),
    }
}

/// What needs no token.
fn is_public(backend: &Backend, path: &str) -> bool {
    match backend {
        Backend::AppRole(_) => path == "login",
        Backend::Pki(_) => pki::is_public(path),
        Backend::Token | Backend::System | Backend::Other(_) => false,
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn render(outcome: Result<Answer, Refusal>) -> Answered {
    let mut request_id = None;
    let (status, content_type, body) = match outcome {
        Ok(Answer::Envelope(envelope)) => {
            let body = json(&envelope, true);
            request_id = Some(envelope.request_id);
            (StatusCode::OK, JSON, body)
        }
        Ok(Answer::Flat(status, body)) => (status, JSON, body),
        Ok(Answer::Raw { content_type, body }) => {
            let status = if body.is_empty() { StatusCode::NO_CONTENT } else { StatusCode::OK };
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

/// An error that is found before there is a request, such as a body that is too large.
pub(crate) fn refuse(refusal: Refusal) -> Answered {
    render(Err(refusal))
}
