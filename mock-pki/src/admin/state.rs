//! `/state`

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::{
    admin::{Asked, Shared, problem, wire::ExportOptions},
    state::Document,
};

pub(crate) async fn export(State(world): Shared, Asked(options): Asked<ExportOptions>) -> Response {
    match world.export(options.secrets) {
        Ok(document) => Json(document).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

pub(crate) async fn import(State(world): Shared, body: Bytes) -> Response {
    match Document::read(&body).and_then(|document| world.import(&document)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => problem(StatusCode::BAD_REQUEST, &error),
    }
}
