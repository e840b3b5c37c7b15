//! `/ledger`

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use x509::Certificate;

use crate::{
    admin::{
        Asked, Shared, problem, tree,
        wire::{CertificateDetails, IssuedCertificate, Ledger, LedgerFilter},
    },
    ledger::Recorded,
    store::World,
};

pub(crate) async fn list(State(world): Shared, Asked(filter): Asked<LedgerFilter>) -> Json<Ledger> {
    let epoch = world.epoch();
    let issued = epoch.ledger.latest(|issued| filter.wants(issued), filter.limit);
    Json(Ledger { issued, forgotten: epoch.ledger.forgotten() })
}

pub(crate) async fn one(State(world): Shared, Path(serial): Path<String>) -> Response {
    let Some(Recorded { issued, der }) = recorded(&world, &serial) else { return unknown(&serial) };
    Json(IssuedCertificate { issued, pem: x509::pem::encode("CERTIFICATE", &der) }).into_response()
}

pub(crate) async fn details(State(world): Shared, Path(serial): Path<String>) -> Response {
    let Some(Recorded { issued, der }) = recorded(&world, &serial) else { return unknown(&serial) };
    // What faults have made may be no certificate that is read.
    let details = Certificate::from_der(&der).map(|certificate| tree::of(&certificate)).unwrap_or_default();
    let pem = x509::pem::encode("CERTIFICATE", &der);
    Json(CertificateDetails { issued, pem, details }).into_response()
}

fn recorded(world: &World, serial: &str) -> Option<Recorded> {
    let wanted: String = serial.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    world.epoch().ledger.find(&wanted.to_lowercase())
}

fn unknown(serial: &str) -> Response {
    problem(StatusCode::NOT_FOUND, &format!("no certificate {serial} is in the ledger"))
}
