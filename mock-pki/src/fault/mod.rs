//! Faults: misbehaviour as values, installed and removed at the control port.
//!
//! One file for each kind, one line for each in [`ALL`], which feeds the control port and the README's table.
//! A fault has a matcher, a probability and a count; those that match apply in the order in which they were
//! installed. What is left to chance follows from the seed. Faults of HTTP count requests, faults of certificates count certificates.

mod certificates;
mod chance;
mod connection;
mod installed;

mod ca_offline;
mod clock_skew;
mod deleted_role;
mod der_for_pem;
mod empty_answer;
mod expired_leaf;
mod extra_san;
mod future_leaf;
mod gzip_bomb;
mod latency;
mod malformed_json;
mod missing_chain;
mod missing_san;
mod oversized_body;
mod pending;
mod redirect;
mod refusal;
mod reset;
mod revoked_token;
mod sealed;
mod serial_reuse;
mod shuffled_chain;
mod slow_drip;
mod standby;
mod status;
mod tls_failure;
mod truncated_body;
mod unfit_intermediate;
mod unrelated_certificate;
mod unreliable;
mod wrong_content_type;
mod wrong_issuer;
mod wrong_key;

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{Response, Uri};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    face::{self, Face},
    tls::Trouble,
};
pub(crate) use certificates::{Certificates, Issuance};
pub(crate) use chance::Chance;
pub(crate) use connection::{Body, Cut, Reply, full};
pub use installed::Installed;
pub(crate) use installed::{Faults, Plan, Seen};

/// All kinds.
pub(crate) const ALL: &[Kind] = &[
    ca_offline::KIND,
    clock_skew::KIND,
    deleted_role::KIND,
    der_for_pem::KIND,
    empty_answer::KIND,
    expired_leaf::KIND,
    extra_san::KIND,
    future_leaf::KIND,
    gzip_bomb::KIND,
    latency::KIND,
    malformed_json::KIND,
    missing_chain::KIND,
    missing_san::KIND,
    oversized_body::KIND,
    pending::KIND,
    redirect::KIND,
    refusal::KIND,
    reset::KIND,
    revoked_token::KIND,
    sealed::KIND,
    serial_reuse::KIND,
    shuffled_chain::KIND,
    slow_drip::KIND,
    standby::KIND,
    status::KIND,
    tls_failure::KIND,
    truncated_body::KIND,
    unfit_intermediate::KIND,
    unrelated_certificate::KIND,
    unreliable::KIND,
    wrong_content_type::KIND,
    wrong_issuer::KIND,
    wrong_key::KIND,
];

/// A kind of fault.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// One sentence for the table.
    pub(crate) about: &'static str,
    /// The parameters with their defaults, JSON.
    pub(crate) parameters: &'static str,
    pub(crate) build: fn(Value) -> Result<Box<dyn Misbehaviour>, String>,
}

/// The request whose answer is spoiled.
pub(crate) struct Asked<'a> {
    pub(crate) face: &'static Face,
    pub(crate) uri: &'a Uri,
    /// What the product answered.
    pub(crate) body: &'a Bytes,
    pub(crate) now: Timestamp,
    /// What falls for this request.
    pub(crate) chance: &'a Chance,
}

/// When something happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

/// What a fault says about a certificate before there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Somebody has to approve it.
    Hold {
        /// At so many polls it approves itself.
        approved_after: Option<u64>,
    },
    /// It is refused, for this reason.
    Refuse(String),
}

/// What a fault does. A kind overrides what it needs.
pub(crate) trait Misbehaviour: Send + Sync + fmt::Debug {
    /// Whether it changes certificates rather than HTTP.
    fn is_about_certificates(&self) -> bool {
        false
    }

    /// Whether the request still reaches the product. When it does, its effects happen and only the answer is
    /// spoiled: a certificate is issued that nobody receives.
    fn lets_through(&self) -> bool {
        true
    }

    /// How long to wait before anything else.
    fn delay(&self, _chance: &mut Chance) -> Duration {
        Duration::ZERO
    }

    /// Whether the product is sealed.
    fn seals(&self) -> bool {
        false
    }

    /// Whether another node leads.
    fn stands_by(&self) -> bool {
        false
    }

    /// What is wrong with TLS. A fault that says so applies to connections, and to nothing else.
    fn tls(&self) -> Option<Trouble> {
        None
    }

    /// How wrong the product's clock is.
    fn skew(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// When the request's token is revoked.
    fn revokes_token(&self) -> Option<Moment> {
        None
    }

    /// Whether the role that the request names is deleted before.
    fn deletes_role(&self) -> bool {
        false
    }

    /// Spoils the answer.
    fn spoil(&self, reply: Reply, _request: &Asked<'_>) -> Reply {
        reply
    }

    /// What is said about a certificate before it is made.
    fn verdict(&self) -> Option<Verdict> {
        None
    }

    /// Spoils a certificate before it is made, or its chain.
    fn spoil_certificate(
        &self,
        _issuance: &mut Issuance<'_>,
        _now: jiff::Timestamp,
    ) -> Result<(), ca::CaError> {
        Ok(())
    }
}

/// A fault, as it is written at the control port:
/// `{"kind": "status", "parameters": {"status": 503}, "path": "sign", "times": 2}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which one, see `GET /faults/kinds`.
    pub kind: String,
    /// Its parameters; each has a default.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Only requests to this face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub face: Option<String>,
    /// Only requests whose path contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only requests with this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests for this common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// Only requests that their client gave this id, in `X-Request-Id` or `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How likely it applies to what matches, from 0 to 1; always when absent. Whom it meets follows from the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// How many times; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Fault {
    /// A fault of this kind with default parameters, for every request, for ever.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            parameters: Map::new(),
            face: None,
            path: None,
            method: None,
            common_name: None,
            request_id: None,
            probability: None,
            times: None,
        }
    }

    /// With a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// Only requests to this face.
    #[must_use]
    pub fn on_face(mut self, face: &str) -> Self {
        self.face = Some(face.to_owned());
        self
    }

    /// Only requests whose path contains this.
    #[must_use]
    pub fn on_path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Only requests with this method.
    #[must_use]
    pub fn with_method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests that their client gave this id.
    #[must_use]
    pub fn for_request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }

    /// With this probability, from 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }

    /// Only requests for this common name.
    #[must_use]
    pub fn for_common_name(mut self, name: &str) -> Self {
        self.common_name = Some(name.to_owned());
        self
    }

    /// Only the next `times` matching requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    fn build(&self) -> Result<Box<dyn Misbehaviour>, String> {
        let kind = ALL.iter().find(|kind| kind.name == self.kind).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|kind| kind.name).collect();
            format!("unknown kind of fault {:?}; there are: {}", self.kind, known.join(", "))
        })?;
        if let Some(face) = self.face.as_deref().filter(|face| face::named(face).is_none()) {
            let known: Vec<&str> = face::ALL.iter().map(|face| face.name).collect();
            return Err(format!("unknown face {face:?}; there are: {}", known.join(", ")));
        }
        if let Some(probability) = self.probability.filter(|probability| !(0.0..=1.0).contains(probability)) {
            return Err(format!("a probability is from 0 to 1, not {probability}"));
        }
        let behaviour = (kind.build)(Value::Object(self.parameters.clone()))
            .map_err(|error| format!("parameters of {}: {error}", self.kind))?;
        let of_requests = [&self.path, &self.method, &self.common_name, &self.request_id];
        if behaviour.tls().is_some() && of_requests.into_iter().any(Option::is_some) {
            return Err(format!(
                "{} applies to connections, before there is a request: only `face` can be given",
                self.kind
            ));
        }
        Ok(behaviour)
    }
}

/// Reads a kind's parameters.
fn parameters<T: DeserializeOwned + Misbehaviour + 'static>(
    value: Value,
) -> Result<Box<dyn Misbehaviour>, String> {
    let fault: T = serde_json::from_value(value).map_err(|error| error.to_string())?;
    Ok(Box::new(fault))
}

/// Puts another body into an answer, without a length that no longer fits.
fn with_body(response: &Response<Body>, body: Body) -> Response<Body> {
    let mut spoiled = Response::new(body);
    *spoiled.status_mut() = response.status();
    spoiled.headers_mut().clone_from(response.headers());
    spoiled.headers_mut().remove(http::header::CONTENT_LENGTH);
    spoiled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_works_with_its_defaults_and_refuses_what_it_does_not_know() {
        for kind in ALL {
            let defaults: Value = serde_json::from_str(kind.parameters).unwrap();
            (kind.build)(defaults).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
            (kind.build)(serde_json::json!({})).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
            assert!((kind.build)(serde_json::json!({ "no such parameter": 1 })).is_err(), "{}", kind.name);
        }
    }

    #[test]
    fn kinds_are_sorted_and_have_one_name_each() {
        let names: Vec<_> = ALL.iter().map(|kind| kind.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }

    #[test]
    fn the_readme_lists_every_kind_with_what_it_does() {
        let readme = include_str!("../../README.md");
        for kind in ALL {
            let row = format!("| `{}` | {} | `{}` |", kind.name, kind.about, kind.parameters);
            assert!(readme.contains(&row), "README.md lacks this row:\n{row}");
        }
    }
}
