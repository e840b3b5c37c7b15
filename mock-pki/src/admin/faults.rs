//! `/faults`

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::{
    admin::{
        Shared, problem, read_body,
        wire::{Created, FaultKind, FaultKinds, FaultList},
    },
    fault::{ALL, Fault},
};

pub(crate) async fn list(State(world): Shared) -> Json<FaultList> {
    Json(FaultList { faults: world.faults.list() })
}

pub(crate) async fn kinds() -> Json<FaultKinds> {
    let kinds = ALL.iter().map(|kind| FaultKind {
        kind: kind.name.to_owned(),
        about: kind.about.to_owned(),
        parameters: serde_json::from_str(kind.parameters).unwrap_or_default(),
    });
    Json(FaultKinds { kinds: kinds.collect() })
}

pub(crate) async fn install(State(world): Shared, body: Bytes) -> Response {
    let fault: Fault = match read_body(&body, "fault") {
        Ok(fault) => fault,
        Err(problem) => return *problem,
    };
    match world.faults.install(fault) {
        Ok(id) => (StatusCode::CREATED, Json(Created { id })).into_response(),
        Err(error) => problem(StatusCode::BAD_REQUEST, &error),
    }
}

pub(crate) async fn clear(State(world): Shared) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

pub(crate) async fn remove(State(world): Shared, Path(id): Path<u64>) -> Response {
    if world.faults.remove(id) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        problem(StatusCode::NOT_FOUND, &format!("no fault {id} is installed"))
    }
}
