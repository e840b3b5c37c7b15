//! A redirect to somewhere else.

use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, connection::full, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "redirect",
    about: "redirects to the same path at another host; a client that follows hands over its token",
    parameters: r#"{"to": "http://elsewhere.invalid", "status": 307}"#,
    build: parameters::<Redirect>,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Redirect {
    to: String,
    status: u16,
}

impl Default for Redirect {
    fn default() -> Self {
        Self { to: "http://elsewhere.invalid".to_owned(), status: 307 }
    }
}

impl Misbehaviour for Redirect {
    fn lets_through(&self) -> bool {
        false
    }

    fn spoil(&self, _: Reply, request: &Asked<'_>) -> Reply {
        let mut answer = Response::new(full(""));
        *answer.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::TEMPORARY_REDIRECT);
        let target = format!("{}{}", self.to.trim_end_matches('/'), request.uri);
        if let Ok(target) = HeaderValue::from_str(&target) {
            answer.headers_mut().insert(header::LOCATION, target);
        }
        Reply::Answer(answer)
    }
}
