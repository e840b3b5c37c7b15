//! A request, as the routes see it.

use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::vault::{
    body::{self, percent_decode},
    error::Refusal,
    fields::Fields,
    token::Token,
};

/// What is to be done. POST and PUT mean the same; LIST is a verb or `GET ?list=true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    List,
    Update,
    Delete,
}

impl Operation {
    /// The capability a policy must grant for it.
    pub(crate) fn capability(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A request below `/v1/`. Without `Debug`: it holds the token and whatever the body says.
pub(crate) struct Request {
    pub(crate) operation: Operation,
    /// Decoded, without `/v1/`.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) fields: Fields,
    /// The body of an OCSP request, which has no fields.
    pub(crate) ocsp: Option<Vec<u8>>,
    pub(crate) token: Option<String>,
    /// The token's record, once it was found to be valid.
    pub(crate) caller: Option<Arc<Token>>,
    pub(crate) user_agent: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

impl Request {
    pub(crate) fn new(
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        payload: &[u8],
    ) -> Result<Self, Refusal> {
        let query = parse_query(query.unwrap_or_default());
        let listed =
            query.iter().any(|(name, value)| name == "list" && matches!(value.as_str(), "true" | "1"));
        let operation = match method.as_str() {
            "GET" | "HEAD" if listed => Operation::List,
            "GET" | "HEAD" => Operation::Read,
            "LIST" => Operation::List,
            "POST" | "PUT" => Operation::Update,
            "DELETE" => Operation::Delete,
            "PATCH" => {
                let text = format!(
                    "PATCH requires Content-Type of application/merge-patch+json, provided {}",
                    header(headers, "content-type").unwrap_or_default()
                );
                return Err(Refusal::with(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
            }
            "OPTIONS" => return Err(Refusal::bad("cannot handle internal-only request operation")),
            _ => return Err(Refusal::bare(http::StatusCode::METHOD_NOT_ALLOWED)),
        };
        let ocsp = is_ocsp(headers) && operation == Operation::Update;
        let fields = match operation {
            Operation::Update if !ocsp => body::read(header(headers, "content-type").as_deref(), payload)?,
            _ => Fields::default(),
        };
        Ok(Self {
            operation,
            path: percent_decode(path.as_bytes(), false),
            query,
            fields,
            ocsp: ocsp.then(|| payload.to_vec()),
            token: token(headers),
            caller: None,
            user_agent: header(headers, "user-agent").as_deref().map(shortened),
            idempotency_key: header(headers, "idempotency-key").as_deref().map(shortened),
        })
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Sorts keys and applies `?after=` and `?limit=`.
    pub(crate) fn page(&self, mut keys: Vec<String>) -> Vec<String> {
        keys.sort_unstable();
        if let Some(after) = self.query("after").filter(|after| !after.is_empty()) {
            keys.retain(|key| key.as_str() > after);
        }
        if let Some(limit) =
            self.query("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0)
        {
            keys.truncate(limit);
        }
        keys
    }

    /// The valid token behind the request. Routes that need one are only reached with one.
    pub(crate) fn caller(&self) -> Result<&Arc<Token>, Refusal> {
        self.caller.as_ref().ok_or_else(Refusal::no_token)
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn is_ocsp(headers: &HeaderMap) -> bool {
    let content_type = header(headers, "content-type").unwrap_or_default();
    content_type
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/ocsp-request"))
}

/// What the ledger keeps of a header: each of its entries has a bounded size.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

fn token(headers: &HeaderMap) -> Option<String> {
    header(headers, "x-vault-token").or_else(|| {
        let authorization = header(headers, "authorization")?;
        Some(authorization.strip_prefix("Bearer ")?.trim().to_owned())
    })
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name.as_bytes(), true), percent_decode(value.as_bytes(), true))
        })
        .collect()
}

/// The common name a body asks for: its own field, or the CSR's. Only for matching faults.
pub(crate) fn common_name(headers: &HeaderMap, payload: &[u8]) -> Option<String> {
    let fields = body::read(header(headers, "content-type").as_deref(), payload).ok()?;
    let csr = fields.text("csr").ok().filter(|csr| !csr.is_empty());
    let from_csr = csr.and_then(|csr| {
        let csr = x509::Csr::from_pem(csr.as_bytes()).ok()?;
        csr.subject().common_name().map(str::to_owned)
    });
    from_csr.or_else(|| {
        fields.text("common_name").ok().filter(|name| !name.is_empty()).map(std::borrow::Cow::into_owned)
    })
}
