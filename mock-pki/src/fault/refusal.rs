//! A PKI that does not want to issue.

use serde::Deserialize;

use crate::fault::{Kind, Misbehaviour, Verdict, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "refusal",
    about: "refuses the certificate, in the product's way of saying that its rules forbid it",
    parameters: r#"{"message": "refused by policy"}"#,
    build: parameters::<Refusal>,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Refusal {
    message: String,
}

impl Default for Refusal {
    fn default() -> Self {
        Self { message: "refused by policy".to_owned() }
    }
}

impl Misbehaviour for Refusal {
    fn is_about_certificates(&self) -> bool {
        true
    }

    fn verdict(&self) -> Option<Verdict> {
        Some(Verdict::Refuse(self.message.clone()))
    }
}
