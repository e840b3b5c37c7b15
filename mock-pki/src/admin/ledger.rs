//! `/ledger`

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::admin::{
    Asked, Shared, problem,
    wire::{IssuedCertificate, Ledger, LedgerFilter},
};

pub(crate) async fn list(State(world): Shared, Asked(filter): Asked<LedgerFilter>) -> Json<Ledger> {
    let epoch = world.epoch();
    let mut issued = epoch.ledger.filter(|issued| filter.wants(issued));
    super::keep_latest(&mut issued, filter.limit);
    Json(Ledger { issued, forgotten: epoch.ledger.forgotten() })
}

pub(crate) async fn one(State(world): Shared, Path(serial): Path<String>) -> Response {
    let wanted: String = serial.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    let Some(found) = world.epoch().ledger.find(&wanted.to_lowercase()) else {
        return problem(StatusCode::NOT_FOUND, &format!("no certificate {serial} is in the ledger"));
    };
    let pem = x509::pem::encode("CERTIFICATE", &found.der);
    Json(IssuedCertificate { issued: found.issued, pem }).into_response()
}
