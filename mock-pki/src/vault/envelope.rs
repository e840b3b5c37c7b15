//! Vault's envelope, as Go's encoding/json writes it.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::random;

/// An answer that is not an error. Without `Debug`: tokens, secret ids and keys are in it.
pub(crate) enum Answer {
    /// The usual one.
    Envelope(Box<Envelope>),
    /// JSON without an envelope (health, seal-status).
    Flat(StatusCode, Bytes),
    /// Something else than JSON.
    Raw {
        status: StatusCode,
        /// The `Content-Type`.
        content_type: &'static str,
        body: Vec<u8>,
    },
    /// 204.
    Nothing,
}

/// The fields in the order in which they are written.
#[derive(Serialize)]
pub(crate) struct Envelope {
    /// What sys/ answers twice: at the top as well as under `data`.
    #[serde(flatten)]
    pub(crate) top: Map<String, Value>,
    pub(crate) request_id: String,
    pub(crate) lease_id: String,
    pub(crate) renewable: bool,
    pub(crate) lease_duration: i64,
    pub(crate) data: Option<Value>,
    pub(crate) wrap_info: Option<WrapInfo>,
    pub(crate) warnings: Option<Vec<String>>,
    pub(crate) auth: Option<Auth>,
}

/// What is answered in place of an answer that is kept.
#[derive(Clone, Serialize)]
pub(crate) struct WrapInfo {
    pub(crate) token: String,
    pub(crate) accessor: String,
    /// Seconds.
    pub(crate) ttl: i64,
    pub(crate) creation_time: String,
    pub(crate) creation_path: String,
    /// The accessor of the token that is kept, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wrapped_accessor: Option<String>,
}

/// A login's or a renewal's result.
#[derive(Clone, Serialize)]
pub(crate) struct Auth {
    pub(crate) client_token: String,
    pub(crate) accessor: String,
    pub(crate) policies: Vec<String>,
    pub(crate) token_policies: Vec<String>,
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) lease_duration: i64,
    pub(crate) renewable: bool,
    pub(crate) entity_id: String,
    pub(crate) token_type: &'static str,
    pub(crate) orphan: bool,
    pub(crate) mfa_requirement: Option<Value>,
    pub(crate) num_uses: i64,
}

impl Envelope {
    fn new(data: Option<Value>) -> Self {
        Self {
            top: Map::new(),
            request_id: random::uuid(),
            lease_id: String::new(),
            renewable: false,
            lease_duration: 0,
            data,
            wrap_info: None,
            warnings: None,
            auth: None,
        }
    }

    /// Adds warnings after those that are there.
    pub(crate) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        let mut warnings = warnings.into_iter().peekable();
        if warnings.peek().is_some() {
            self.warnings.get_or_insert_default().extend(warnings);
        }
    }
}

impl Answer {
    /// Whether it is a list without an item, which the product answers with 404.
    pub(crate) fn lists_nothing(&self) -> bool {
        let Self::Envelope(envelope) = self else { return false };
        let keys = envelope.data.as_ref().and_then(|data| data.get("keys"));
        keys.and_then(Value::as_array).is_some_and(Vec::is_empty)
    }

    /// In place of an answer that is kept.
    pub(crate) fn wrapped(info: WrapInfo) -> Self {
        let envelope = Envelope { request_id: String::new(), wrap_info: Some(info), ..Envelope::new(None) };
        Self::Envelope(Box::new(envelope))
    }

    /// An answer that was kept. It has no final newline, as the product sends it.
    pub(crate) fn unwrapped(kept: Envelope) -> Self {
        let envelope = Envelope { request_id: random::uuid(), ..kept };
        Self::Flat(StatusCode::OK, json(&envelope, false))
    }

    pub(crate) fn data(data: Value) -> Self {
        Self::Envelope(Box::new(Envelope::new(Some(data))))
    }

    pub(crate) fn data_with(data: Value, warnings: Vec<String>) -> Self {
        let mut envelope = Envelope::new(Some(data));
        envelope.warn(warnings);
        Self::Envelope(Box::new(envelope))
    }

    /// What sys/ answers: the data at the top too.
    pub(crate) fn both(data: Map<String, Value>) -> Self {
        let mut envelope = Envelope::new(Some(Value::Object(data.clone())));
        envelope.top = data;
        Self::Envelope(Box::new(envelope))
    }

    pub(crate) fn auth(auth: Auth, warnings: Vec<String>) -> Self {
        let mut envelope = Envelope::new(None);
        envelope.auth = Some(auth);
        envelope.warn(warnings);
        Self::Envelope(Box::new(envelope))
    }

    pub(crate) fn keys(keys: &[String]) -> Self {
        Self::data(serde_json::json!({ "keys": keys }))
    }

    pub(crate) fn flat(status: StatusCode, body: &impl Serialize) -> Self {
        Self::Flat(status, json(body, true))
    }
}

/// Go's JSON: `<`, `>` and `&` are escaped, and an encoder ends with a newline.
pub(crate) fn json(value: &impl Serialize, newline: bool) -> Bytes {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    // Outside of strings these three never occur.
    if text.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&')) {
        let mut escaped = Vec::with_capacity(text.len() + 16);
        for byte in text {
            match byte {
                b'<' => escaped.extend_from_slice(b"\\u003c"),
                b'>' => escaped.extend_from_slice(b"\\u003e"),
                b'&' => escaped.extend_from_slice(b"\\u0026"),
                byte => escaped.push(byte),
            }
        }
        text = escaped;
    }
    if newline {
        text.push(b'\n');
    }
    text.into()
}
