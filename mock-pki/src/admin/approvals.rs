//! `/approvals`

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::{
    admin::{Shared, problem, wire::ApprovalList},
    approval::{Decision, Undecided},
    store::World,
};

pub(crate) async fn list(State(world): Shared) -> Json<ApprovalList> {
    Json(ApprovalList { approvals: world.epoch().approvals.all() })
}

pub(crate) async fn approve(world: Shared, Path(id): Path<u64>) -> Response {
    decide(&world, id, Decision::Approved)
}

pub(crate) async fn reject(world: Shared, Path(id): Path<u64>) -> Response {
    decide(&world, id, Decision::Rejected)
}

fn decide(world: &World, id: u64, decision: Decision) -> Response {
    match world.epoch().approvals.decide(id, decision) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error @ Undecided::Unknown(_)) => problem(StatusCode::NOT_FOUND, &error.to_string()),
        Err(error @ Undecided::Already(..)) => problem(StatusCode::CONFLICT, &error.to_string()),
    }
}
