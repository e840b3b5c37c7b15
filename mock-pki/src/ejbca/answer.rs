//! Answers and errors: a status, and a body that is JSON most of the time.
//!
//! Where EJBCA catches an exception it says `{"error_code": …, "error_message": …}` with the same status; JSON that it
//! cannot read it answers with a bare sentence, under the content type of JSON; and what lies outside its resources is
//! the application server's, in HTML.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

const JSON: &str = "application/json";

/// What is sent back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Nothing for an empty body.
    content_type: Option<&'static str>,
    header: Option<(HeaderName, String)>,
    pub(crate) body: Bytes,
}

/// Why a request is not fulfilled.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// An error with its text.
    Error(StatusCode, String),
    /// The body is no JSON of the right shape.
    Malformed,
    /// Somebody has to approve it first.
    Waiting(Waiting),
}

/// That a request waits, and where to come back for it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Waiting {
    pub(crate) status_code: u16,
    pub(crate) info_message: String,
    pub(crate) request_id: u64,
    pub(crate) link: String,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error_code: u16,
    error_message: &'a str,
}

impl Answer {
    /// A value as JSON.
    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        // Only maps with keys that are no strings cannot be written.
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self { status, content_type: Some(JSON), header: None, body: body.into() }
    }

    /// 200 and nothing.
    pub(crate) fn empty() -> Self {
        Self { status: StatusCode::OK, content_type: None, header: None, body: Bytes::new() }
    }

    /// A file for download.
    pub(crate) fn file(name: &str, body: String) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: Some("application/octet-stream"),
            header: Some((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))),
            body: body.into(),
        }
    }

    /// What the application server says where no application is.
    pub(crate) fn nothing_there() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            content_type: Some("text/html"),
            header: None,
            body: Bytes::from_static(
                b"<html><head><title>Error</title></head><body>404 - Not Found</body></html>",
            ),
        }
    }

    /// An error in the shape of EJBCA.
    pub(crate) fn error(status: StatusCode, message: &str) -> Self {
        Self::json(status, &ErrorBody { error_code: status.as_u16(), error_message: message })
    }

    /// The resource is there, the method is not.
    pub(crate) fn method_not_allowed(method: &str, allowed: &str) -> Self {
        let message =
            format!("RESTEASY003650: No resource method found for {method}, return 405 with Allow header");
        let answer = Self::error(StatusCode::METHOD_NOT_ALLOWED, &message);
        Self { header: Some((header::ALLOW, format!("{allowed}, OPTIONS"))), ..answer }
    }

    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        if let Some(content_type) = self.content_type {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some((name, value)) = self.header
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl Refusal {
    /// 400 and the text.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::Error(StatusCode::BAD_REQUEST, message.into())
    }

    /// 404 and the text.
    pub(crate) fn absent(message: impl Into<String>) -> Self {
        Self::Error(StatusCode::NOT_FOUND, message.into())
    }

    /// 403 and the text.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::Error(StatusCode::FORBIDDEN, message.into())
    }

    /// What is said of every exception that nobody thought of.
    pub(crate) fn general() -> Self {
        Self::Error(StatusCode::INTERNAL_SERVER_ERROR, "General failure.".to_owned())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Error(status, message) => Self::error(status, &message),
            Refusal::Malformed => Self {
                status: StatusCode::BAD_REQUEST,
                content_type: Some(JSON),
                header: None,
                body: Bytes::from_static(
                    b"Malformed JSON request, check if format of the values of every parameter is correct and request \
                      structure is proper.",
                ),
            },
            Refusal::Waiting(waiting) => Self::json(StatusCode::ACCEPTED, &waiting),
        }
    }
}

impl Refusal {
    /// The crypto token is off-line, or the key in it cannot be used.
    pub(crate) fn no_device() -> Self {
        Self::Error(StatusCode::SERVICE_UNAVAILABLE, "Device was unavailable.".to_owned())
    }
}

/// A key that cannot sign, or a failure of our own that the real product would not have.
impl From<ca::CaError> for Refusal {
    fn from(error: ca::CaError) -> Self {
        if matches!(error, ca::CaError::Crypto(_)) { Self::no_device() } else { Self::general() }
    }
}
