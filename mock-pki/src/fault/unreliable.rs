//! A product that fails now and then, as services do.

use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;

use crate::fault::{Asked, Cut, Kind, Misbehaviour, Reply, connection::full, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "unreliable",
    about: "fails in a way that is worth another try, before anything took effect: 429 or 503 with `Retry-After: 1`, 500, a reset or no answer, as the dice fall",
    parameters: "{}",
    build: parameters::<Unreliable>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Unreliable {}

impl Misbehaviour for Unreliable {
    fn lets_through(&self) -> bool {
        false
    }

    fn spoil(&self, _: Reply, asked: &Asked<'_>) -> Reply {
        let code = match asked.chance.clone().below(5) {
            0 => StatusCode::TOO_MANY_REQUESTS,
            1 => StatusCode::SERVICE_UNAVAILABLE,
            2 => StatusCode::INTERNAL_SERVER_ERROR,
            3 => return Reply::Cut(Cut::Reset),
            _ => return Reply::Cut(Cut::Close),
        };
        let (content_type, body) = (asked.face.error)(code, "injected fault: try again");
        let mut answer = Response::new(full(body));
        *answer.status_mut() = code;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if code != StatusCode::INTERNAL_SERVER_ERROR {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Reply::Answer(answer)
    }
}
