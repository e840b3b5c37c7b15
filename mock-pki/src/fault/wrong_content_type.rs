//! A page where JSON is due.

use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, connection::full, parameters, with_body};

pub(crate) const KIND: Kind = Kind {
    name: "wrong-content-type",
    about: "answers 200 with an HTML page, as a proxy's login page does",
    parameters: r#"{"content_type": "text/html; charset=utf-8", "body": null}"#,
    build: parameters::<WrongContentType>,
};

const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrongContentType {
    content_type: String,
    body: Option<String>,
}

impl Default for WrongContentType {
    fn default() -> Self {
        Self { content_type: "text/html; charset=utf-8".to_owned(), body: None }
    }
}

impl Misbehaviour for WrongContentType {
    fn lets_through(&self) -> bool {
        false
    }

    fn spoil(&self, reply: Reply, _: &Asked<'_>) -> Reply {
        let Reply::Answer(answer) = reply else { return reply };
        let body = self.body.clone().unwrap_or_else(|| PAGE.to_owned());
        let mut spoiled = with_body(&answer, full(body));
        *spoiled.status_mut() = StatusCode::OK;
        if let Ok(content_type) = HeaderValue::from_str(&self.content_type) {
            spoiled.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        Reply::Answer(spoiled)
    }
}
