//! DER where PEM is due.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, connection::full, parameters, with_body};

pub(crate) const KIND: Kind = Kind {
    name: "der-for-pem",
    about: "sends certificates as DER where they are PEM: base64 without the armour in JSON, bytes in a body that is PEM",
    parameters: "{}",
    build: parameters::<DerForPem>,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DerForPem {}

impl Misbehaviour for DerForPem {
    fn spoil(&self, reply: Reply, asked: &Asked<'_>) -> Reply {
        let Reply::Answer(answer) = reply else { return reply };
        let body = match serde_json::from_slice::<Value>(asked.body) {
            Ok(mut json) => {
                strip(&mut json);
                serde_json::to_vec(&json).unwrap_or_default().into()
            }
            Err(_) => match std::str::from_utf8(asked.body).ok().and_then(der) {
                Some(der) => Bytes::from(der),
                None => asked.body.clone(),
            },
        };
        Reply::Answer(with_body(&answer, full(body)))
    }
}

/// Every certificate anywhere in it.
fn strip(json: &mut Value) {
    match json {
        Value::String(text) => {
            if let Some(der) = der(text) {
                *text = STANDARD.encode(der);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        Value::Object(fields) => fields.values_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The certificates of a text that is PEM, one after the other.
fn der(text: &str) -> Option<Vec<u8>> {
    let blocks = x509::pem::blocks(text).filter_map(Result::ok).filter(|block| block.label == "CERTIFICATE");
    let der: Vec<u8> = blocks.filter_map(|block| block.decode().ok()).flatten().collect();
    (!der.is_empty()).then_some(der)
}
