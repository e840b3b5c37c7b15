//! `/clock`

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::{
    admin::{Shared, problem, read_body},
    clock::{ClockChange, ClockState},
};

pub(crate) async fn show(State(world): Shared) -> Json<ClockState> {
    Json(world.clock.state())
}

pub(crate) async fn change(State(world): Shared, body: Bytes) -> Response {
    let change: ClockChange = match read_body(&body, "change of the clock") {
        Ok(change) => change,
        Err(problem) => return *problem,
    };
    match world.clock.change(&change) {
        Ok(()) => Json(world.clock.state()).into_response(),
        Err(error) => problem(StatusCode::BAD_REQUEST, &error),
    }
}

pub(crate) async fn release(State(world): Shared) -> Json<ClockState> {
    world.clock.release();
    Json(world.clock.state())
}
