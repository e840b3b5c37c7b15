//! Another status.

use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, connection::full, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "status",
    about: "answers with a status, the face's error body (or `body`) and perhaps `Retry-After`; with `after` the request takes effect first",
    parameters: r#"{"status": 503, "body": null, "retry_after": null, "after": false}"#,
    build: parameters::<Status>,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Status {
    #[serde(rename = "status")]
    code: Code,
    body: Option<String>,
    /// Seconds or an HTTP date, as it stands in the header.
    retry_after: Option<RetryAfter>,
    after: bool,
}

impl Default for Status {
    fn default() -> Self {
        Self { code: Code(StatusCode::SERVICE_UNAVAILABLE), body: None, retry_after: None, after: false }
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "u16")]
struct Code(StatusCode);

impl TryFrom<u16> for Code {
    type Error = String;

    fn try_from(code: u16) -> Result<Self, String> {
        StatusCode::from_u16(code)
            .ok()
            .filter(|code| !code.is_informational())
            .map(Self)
            .ok_or_else(|| format!("{code} is no status of an answer"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RetryAfter {
    Seconds(u64),
    Text(String),
}

impl Misbehaviour for Status {
    fn lets_through(&self) -> bool {
        self.after
    }

    fn spoil(&self, _: Reply, asked: &Asked<'_>) -> Reply {
        let code = self.code.0;
        let reason = code.canonical_reason().unwrap_or("error").to_lowercase();
        let (content_type, own) = (asked.face.error)(code, &format!("injected fault: {reason}"));
        let body = self.body.clone().unwrap_or(own);
        let mut answer = Response::new(full(body));
        *answer.status_mut() = code;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let retry_after = self.retry_after.as_ref().and_then(|retry_after| match retry_after {
            RetryAfter::Seconds(seconds) => Some(HeaderValue::from(*seconds)),
            RetryAfter::Text(text) => HeaderValue::from_str(text).ok(),
        });
        if let Some(retry_after) = retry_after {
            headers.insert(header::RETRY_AFTER, retry_after);
        }
        Reply::Answer(answer)
    }
}
