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
    let mut issued = epoch.ledger.filter(|issued| filter.wants(issued));
    super::keep_latest(&mut issued, filter.limit);
    Json(Ledger { issued, forgotten: epoch.ledger.forgotten() })
}

pub(crate) async fn one(State(world): Shared, Path(serial): Path<String>) -> Response {
    match found(&world, &serial) {
        Ok(Recorded { issued, der, .. }) => {
            Json(IssuedCertificate { issued, pem: x509::pem::encode("CERTIFICATE", &der) }).into_response()
        }
        Err(problem) => problem,
    }
}

pub(crate) async fn details(State(world): Shared, Path(serial): Path<String>) -> Response {
    match found(&world, &serial) {
        Ok(Recorded { issued, der, .. }) => {
            // What faults have made may be no certificate that is read.
            let details =
                Certificate::from_der(&der).map(|certificate| tree::of(&certificate)).unwrap_or_default();
            let pem = x509::pem::encode("CERTIFICATE", &der);
            Json(CertificateDetails { issued, pem, details }).into_response()
        }
        Err(problem) => problem,
    }
}

fn found(world: &World, serial: &str) -> Result<Recorded, Response> {
    let wanted: String = serial.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    world
        .epoch()
        .ledger
        .find(&wanted.to_lowercase())
        .ok_or_else(|| problem(StatusCode::NOT_FOUND, &format!("no certificate {serial} is in the ledger")))
}
