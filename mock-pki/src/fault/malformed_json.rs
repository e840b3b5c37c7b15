//! JSON that is none.

use serde::Deserialize;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, connection::full, parameters, with_body};

pub(crate) const KIND: Kind = Kind {
    name: "malformed-json",
    about: "sends the first half of the body as if it were whole, or `body`",
    parameters: r#"{"body": null}"#,
    build: parameters::<MalformedJson>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MalformedJson {
    body: Option<String>,
}

impl Misbehaviour for MalformedJson {
    fn spoil(&self, reply: Reply, asked: &Asked<'_>) -> Reply {
        let Reply::Answer(answer) = reply else { return reply };
        let half = || asked.body.slice(..asked.body.len() / 2);
        let body = self.body.clone().map_or_else(half, Into::into);
        Reply::Answer(with_body(&answer, full(body)))
    }
}
