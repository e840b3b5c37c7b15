//! Answers of Trust Protection Platform: JSON, and a status line whose words say more than the number.
//!
//! Clients show the words (`400 Bad Request, check Error in response for details.`), so they are part of the answer.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};

/// What goes back to the client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The words after the number; the usual ones if `None`.
    pub(crate) reason: Option<String>,
    /// `None` for no body at all.
    pub(crate) body: Option<Value>,
    /// `X-Record-Count`
    pub(crate) count: Option<usize>,
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, reason: None, body: Some(body), count: None }
    }

    /// 200 without a body.
    pub(crate) fn nothing() -> Self {
        Self { status: StatusCode::OK, reason: None, body: None, count: None }
    }

    pub(crate) fn with(status: StatusCode, reason: impl Into<String>, body: Option<Value>) -> Self {
        Self { status, reason: Some(reason.into()), body, count: None }
    }

    pub(crate) fn render(self) -> Response<Bytes> {
        let body = self.body.as_ref().map(|body| Bytes::from(body.to_string()));
        let mut response = Response::new(body.unwrap_or_default());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if self.body.is_some() {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, json);
        }
        if let Some(count) = self.count {
            headers.insert("x-record-count", HeaderValue::from(count));
        }
        if let Some(reason) = self.reason.as_deref().and_then(phrase) {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// Words for a status line: no control characters, and no more of a client's own text than fits a line.
fn phrase(text: &str) -> Option<ReasonPhrase> {
    let plain: String = text.chars().filter(|c| !c.is_control()).take(500).collect();
    ReasonPhrase::try_from(plain.into_bytes()).ok()
}

/// An answer that says no.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal(pub(crate) Answer);

impl Refusal {
    /// 400 with `{"Error": …}`, as the `WebSDK` says what is wrong with a request.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        let body = json!({ "Error": text.into() });
        Self(Answer::with(
            StatusCode::BAD_REQUEST,
            "Bad Request, check Error in response for details.",
            Some(body),
        ))
    }

    /// What the authorization server and the guard before the `WebSDK` say (RFC 6749 5.2, RFC 6750 3.1).
    pub(crate) fn oauth(status: StatusCode, error: &str, description: &str) -> Self {
        let body = json!({ "error": error, "error_description": description });
        Self(Answer { status, reason: None, body: Some(body), count: None })
    }

    /// 400 of the authorization server, with its description in the status line too.
    pub(crate) fn grant(error: &str, description: &str) -> Self {
        let mut refusal = Self::oauth(StatusCode::BAD_REQUEST, error, description);
        refusal.0.reason = Some(description.to_owned());
        refusal
    }

    /// An object that is not there, or that the caller may not see.
    pub(crate) fn no_object(parameter: &str, dn: &str) -> Self {
        Self::bad(format!(
            "{parameter} error. {parameter}: \"{dn}\" does not exist or you do not have sufficient rights to the object."
        ))
    }

    pub(crate) fn absent() -> Self {
        Self(Answer { status: StatusCode::NOT_FOUND, ..Answer::nothing() })
    }

    pub(crate) fn wrong_method() -> Self {
        Self(Answer { status: StatusCode::METHOD_NOT_ALLOWED, ..Answer::nothing() })
    }
}

impl From<ca::CaError> for Refusal {
    fn from(error: ca::CaError) -> Self {
        let body = json!({ "Error": error.to_string() });
        Self(Answer {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            reason: None,
            body: Some(body),
            count: None,
        })
    }
}
