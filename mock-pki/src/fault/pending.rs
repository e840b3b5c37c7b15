//! A request that somebody has to approve first.

use serde::Deserialize;

use crate::fault::{Kind, Misbehaviour, Verdict, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "pending",
    about: "holds the request until it is approved at the control port, or, with `polls`, until the client came back so often; where the product knows no approval nothing happens",
    parameters: r#"{"polls": null}"#,
    build: parameters::<Pending>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Pending {
    polls: Option<u64>,
}

impl Misbehaviour for Pending {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn verdict(&self) -> Option<Verdict> {
        Some(Verdict::Hold { approved_after: self.polls })
    }
}
