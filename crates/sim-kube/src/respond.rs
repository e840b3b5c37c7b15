//! Replies and failures as HTTP responses.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::Failure;
use crate::verbs::Reply;

/// The head of an answer.
pub(crate) fn head(code: StatusCode, content_type: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// What every answer says: a client that sees these headers leaves it to the server to hold it back.
pub(crate) fn mark(headers: &mut HeaderMap) {
    for name in ["x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"] {
        headers.insert(name, HeaderValue::from_static("00000000-0000-4000-8000-000000000000"));
    }
}

/// What an answer of any kind warns of; the same is said once.
pub(crate) fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    for (at, warning) in warnings.iter().enumerate() {
        if !warnings.iter().take(at).any(|earlier| earlier == warning)
            && let Ok(value) = HeaderValue::from_str(&format!("299 - {}", json!(warning)))
        {
            headers.append(header::WARNING, value);
        }
    }
}

/// A reply as a response.
pub(crate) fn answered(reply: &Reply) -> Response<Bytes> {
    head(reply.code, "application/json").map(|_| to_bytes(&reply.value))
}

/// A failure as a response.
pub(crate) fn failed(failure: &Failure) -> Response<Bytes> {
    let mut response = head(failure.code, "application/json");
    *response.body_mut() = to_bytes(&failure.to_value());
    if let Some(seconds) =
        failure.details.as_ref().map(|details| details.retry_after_seconds).filter(|&seconds| seconds > 0)
    {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn to_bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}
