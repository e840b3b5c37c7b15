//! `/approvals`

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::{
    admin::{Shared, problem},
    approval::{Decision, Undecided},
    store::World,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/approvals", get(list))
        .route("/approvals/{id}/approve", post(approve))
        .route("/approvals/{id}/reject", post(reject))
}

async fn list(State(world): Shared) -> Json<Value> {
    Json(json!({ "approvals": world.epoch().approvals.all() }))
}

async fn approve(world: Shared, Path(id): Path<u64>) -> Response {
    decide(&world, id, Decision::Approved)
}

async fn reject(world: Shared, Path(id): Path<u64>) -> Response {
    decide(&world, id, Decision::Rejected)
}

fn decide(world: &World, id: u64, decision: Decision) -> Response {
    match world.epoch().approvals.decide(id, decision) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error @ Undecided::Unknown(_)) => problem(StatusCode::NOT_FOUND, &error.to_string()),
        Err(error @ Undecided::Already(..)) => problem(StatusCode::CONFLICT, &error.to_string()),
    }
}
