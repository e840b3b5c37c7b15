//! Vault's errors: a status and texts.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::vault::envelope::json;

/// A request that is answered with errors. Clients match on status and text, so both are the real ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    errors: Vec<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    errors: &'a [String],
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, errors: vec![text.into()] }
    }

    /// 400 and the text: what the client asked is wrong.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// An error without a text, as Go's handler writes it.
    pub(crate) fn bare(status: StatusCode) -> Self {
        Self { status, errors: Vec::new() }
    }

    /// Another status with a text.
    pub(crate) fn with(status: StatusCode, text: impl Into<String>) -> Self {
        Self::new(status, text)
    }

    /// What OpenBao says after an internal error: the text of a Go multierror.
    pub(crate) fn multi(status: StatusCode, text: &str) -> Self {
        Self::new(status, format!("1 error occurred:\n\t* {text}\n\n"))
    }

    pub(crate) fn internal(text: &str) -> Self {
        Self::multi(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// No token, or one that is not valid.
    pub(crate) fn no_token() -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission denied")
    }

    /// A valid token whose policies do not allow it.
    pub(crate) fn denied() -> Self {
        Self::multi(StatusCode::FORBIDDEN, "permission denied")
    }

    /// Nothing is there.
    pub(crate) fn absent() -> Self {
        Self::bare(StatusCode::NOT_FOUND)
    }

    pub(crate) fn unsupported_operation() -> Self {
        Self::multi(StatusCode::METHOD_NOT_ALLOWED, "unsupported operation")
    }

    pub(crate) fn unsupported_path() -> Self {
        Self::multi(StatusCode::NOT_FOUND, "unsupported path")
    }

    pub(crate) fn body(&self) -> Bytes {
        json(&Body { errors: &self.errors }, true)
    }
}

/// A failure of our own that the real product would not have.
impl From<ca::CaError> for Refusal {
    fn from(error: ca::CaError) -> Self {
        Self::internal(&error.to_string())
    }
}
