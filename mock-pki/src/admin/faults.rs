//! `/faults`

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use serde_json::{Value, json};

use crate::{
    admin::{Shared, problem},
    fault::{ALL, Fault},
    store::World,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/faults", get(list).post(install).delete(clear))
        .route("/faults/kinds", get(kinds))
        .route("/faults/{id}", delete(remove))
}

async fn list(State(world): Shared) -> Json<Value> {
    Json(json!({ "faults": world.faults.list() }))
}

async fn kinds() -> Json<Value> {
    let kinds = ALL.iter().map(|kind| {
        let parameters: Value = serde_json::from_str(kind.parameters).unwrap_or_default();
        json!({ "kind": kind.name, "about": kind.about, "parameters": parameters })
    });
    Json(json!({ "kinds": kinds.collect::<Vec<_>>() }))
}

/// Reads the body whatever its content type says, for people with curl.
async fn install(State(world): Shared, body: Bytes) -> Response {
    let fault: Fault = match serde_json::from_slice(&body) {
        Ok(fault) => fault,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("the fault cannot be read: {error}")),
    };
    match world.faults.install(fault) {
        Ok(id) => (StatusCode::CREATED, Json(json!({ "id": id }))).into_response(),
        Err(error) => problem(StatusCode::BAD_REQUEST, &error),
    }
}

async fn clear(State(world): Shared) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn remove(State(world): Shared, Path(id): Path<u64>) -> Response {
    if world.faults.remove(id) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        problem(StatusCode::NOT_FOUND, &format!("no fault {id} is installed"))
    }
}
